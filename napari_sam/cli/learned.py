"""The option that segments as accepted objects taught, and what it goes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.cli.exit_codes import usage_errors
from napari_sam.cli.options import Command
from napari_sam.engine.methods import Method

if TYPE_CHECKING:
    from napari_sam.session.models.model_choice import ModelChoice

_OF_MODELS: Final = (
    *("points_per_side", "point_grids", "crop_n_layers", "proposals", "edges"),
    *("pred_iou_thresh", "stability_score_thresh"),
)
"""Options of automatic masks that are about all masks of the model."""


def learned_option(what: str) -> Callable[[Command], Command]:
    """Return the option, with what it does."""
    return click.option(
        "--learned",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"Session file, or one of what was learned: {what}",
    )


def taken_learned(
    path: Path | None, choice: ModelChoice, method: Method, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a job of automatic masks has of the option."""
    if path is None:
        return {}
    if method is not Method.GRID:
        raise click.UsageError("--learned is about a grid of clicks: use --method grid with it.")
    for name in _OF_MODELS:
        if options.get(name):
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{option} is about all masks of the model, and --learned makes one of each "
                "click: leave out one of the two."
            )
    from napari_sam.batch.prompted import read_learnt
    from napari_sam.storage.digests import digest

    with usage_errors():
        return {"learnt": read_learnt(path, choice), "learned_from": digest(path)}
