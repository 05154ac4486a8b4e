"""The options that keep only masks like examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from napari_sam.cli.exit_codes import usage_errors
from napari_sam.cli.output import readers_on_stderr

if TYPE_CHECKING:
    from napari_sam.batch.job import LikeExamples
    from napari_sam.batch.open_images import ImageOpener


def like_options() -> list[click.Parameter]:
    """Return the options for examples."""
    from napari_sam.session.automatic.settings import LEAST_LIKENESS

    return [
        click.Option(
            ["--like"],
            nargs=2,
            metavar="IMAGES LABELS",
            help="Keep only masks like examples: the labeled objects of one or a few images. Both "
            "are files, folders or patterns, as for 'napari-sam train'.",
        ),
        click.Option(
            ["--least-likeness"],
            type=click.FloatRange(0, 1),
            help="With --like: how like the examples masks have to be, 0 to 1.",
            show_default=str(LEAST_LIKENESS),
        ),
    ]


def taken_like(options: dict[str, Any], opener: ImageOpener) -> LikeExamples | None:
    """Take these options out of all; return the examples, whose files are read once to check."""
    from napari_sam.session.automatic.settings import LEAST_LIKENESS

    like, least = options.pop("like"), options.pop("least_likeness")
    if like is None:
        if least is not None:
            raise click.UsageError("--least-likeness is about examples: give --like, too.")
        return None
    from napari_sam.batch.job import LikeExamples
    from napari_sam.batch.labeled import data_digest, find_pairs, read_pairs

    with usage_errors(), readers_on_stderr():
        pairs = tuple(find_pairs(*like))
        read_pairs(pairs, opener)
        content = data_digest(pairs)
    return LikeExamples(pairs, content, LEAST_LIKENESS if least is None else least)
