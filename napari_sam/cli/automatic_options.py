"""The published settings of automatic mask generation as options of a command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_sam.cli.options import LazyChoice

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings
    from napari_sam.session.automatic.settings import AutomaticRunSettings


def published_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the published settings as options, under their names."""
    grid = click.Path(exists=True, dir_okay=False, path_type=Path)
    options = (
        ("points-per-side", int, "Points along each side of the grid (32 gives 32 x 32)."),
        ("points-per-batch", int, "Points decoded at a time."),
        ("pred-iou-thresh", float, "Drop masks whose predicted IoU is lower than this."),
        ("stability-score-thresh", float, "Drop masks whose stability score is lower than this."),
        ("stability-score-offset", float, "Shift of the logits for the stability score."),
        ("box-nms-thresh", float, "IoU of boxes above which the worse mask is a duplicate."),
        ("crop-n-layers", int, "Layers of enlarged crops; layer i has 4**i crops."),
        ("crop-nms-thresh", float, "As box-nms-thresh, between crops."),
        ("crop-overlap-ratio", float, "Overlap of crops, as a share of the shorter side."),
        ("crop-n-points-downscale-factor", int, "Divides points-per-side once for each layer."),
        ("point-grids", grid, "JSON file of points from 0 to 1, for each layer [[x, y], ...]."),
        ("min-mask-region-area", float, "Remove holes and islands of fewer pixels."),
        ("max-share", float, "Drop masks that cover a larger share of the image."),
    )
    command = click.option(
        "--output-mode",
        type=LazyChoice(_output_modes),
        default="coco_rle",
        show_default=True,
        help="How the format sam stores masks.",
    )(command)
    for name, kind, text in reversed(options):
        command = click.option(f"--{name}", type=kind, help=text)(command)
    presets = LazyChoice(lambda: list(_presets()))
    return click.option("--preset", type=presets, help="Settings for a kind of image.")(command)


def _output_modes() -> Sequence[str]:
    from napari_sam.engine.automatic_settings import OUTPUT_MODES

    return OUTPUT_MODES


def _presets() -> dict[str, AutomaticRunSettings]:
    """Return the settings of the widget's presets, under names for a shell."""
    from napari_sam.session.automatic.settings import PRESETS

    return {preset.name.replace(" ", "-"): preset.settings for preset in PRESETS}


def published_settings(
    preset: str | None = None, max_share: float | None = None, **options: Any
) -> tuple[AutomaticSettings, float]:
    """Return the settings that the values of `published_options` mean, and `max_share`."""
    presets = _presets()
    start = presets[preset or next(iter(presets))]
    changes = {name: value for name, value in options.items() if value is not None}
    # Without a user who clicks meanwhile, batches are as large as published.
    changes.setdefault("points_per_batch", 64)
    try:
        if "point_grids" in changes:
            changes["point_grids"] = json.loads(changes["point_grids"].read_text())
            changes.setdefault("points_per_side", None)
        settings = replace(start.published(), **changes)
    except (ValueError, TypeError, RecursionError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return settings, start.max_share if max_share is None else max_share
