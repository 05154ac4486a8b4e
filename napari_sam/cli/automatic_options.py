"""The published settings of automatic mask generation as options of a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings

PRESETS: Final = ("natural-image", "cells", "few-large", "many-small")
"""In the order of those of the window."""
OUTPUT_MODES: Final = ("coco_rle", "uncompressed_rle", "binary_mask")


def published_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the published settings as options, under their names."""
    whole, share, grid = int, float, click.Path(exists=True, dir_okay=False, path_type=Path)
    options = (
        ("points-per-side", whole, "The grid has its square of points."),
        ("points-per-batch", whole, "Points decoded at a time."),
        ("pred-iou-thresh", share, "Masks have to be predicted a better quality."),
        ("stability-score-thresh", share, "Masks have to be at least as stable."),
        ("stability-score-offset", share, "How far logits are shifted to see how stable it is."),
        ("box-nms-thresh", share, "Of boxes in a crop that overlap more, the best stays."),
        ("crop-n-layers", whole, "Layers of enlarged crops; layer i has 4**i of them."),
        ("crop-nms-thresh", share, "As box-nms-thresh, between crops."),
        ("crop-overlap-ratio", share, "How far crops overlap, as a share of the shorter side."),
        ("crop-n-points-downscale-factor", whole, "Points per side are divided by it per layer."),
        ("point-grids", grid, "A .json file: for each layer [[x, y], ...] from 0 to 1."),
        ("min-mask-region-area", share, "Holes and islands of fewer pixels are removed."),
        ("max-share", share, "Masks that cover a larger share of the image are left out."),
    )
    command = click.option(
        "--output-mode",
        type=click.Choice(OUTPUT_MODES),
        metavar=f"[{'|'.join(OUTPUT_MODES)}]",
        default=OUTPUT_MODES[0],
        help="How the format sam has masks.",
    )(command)
    for name, kind, text in reversed(options):
        command = click.option(f"--{name}", type=kind, help=text)(command)
    choice = click.Choice(PRESETS)
    return click.option("--preset", type=choice, help="Settings for a kind of image.")(command)


def published_settings(
    preset: str | None = None, max_share: float | None = None, **given: Any
) -> tuple[AutomaticSettings, float]:
    """Return the settings that `published_options` were given, and the share."""
    from napari_sam.session.automatic.settings import PRESETS as SEARCH_PRESETS

    # Nobody clicks meanwhile: as many points in a batch as published.
    begin = replace(
        SEARCH_PRESETS[PRESETS.index(preset or PRESETS[0])].settings, points_per_batch=64
    )
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        if "point_grids" in changes:
            changes["point_grids"] = json.loads(changes["point_grids"].read_text())
            changes.setdefault("points_per_side", None)
        settings = replace(begin.published(), **changes)
    except (ValueError, TypeError, RecursionError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return settings, begin.max_share if max_share is None else max_share
