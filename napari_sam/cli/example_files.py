"""The options that compare masks with examples: which are like them, and what classes they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from napari_sam.cli.exit_codes import usage_errors
from napari_sam.cli.output import readers_on_stderr

if TYPE_CHECKING:
    from napari_sam.batch.job import ExampleFiles
    from napari_sam.batch.open_images import ImageOpener


def example_options() -> list[click.Parameter]:
    """Return the options for examples."""
    from napari_sam.session.automatic.settings import LEAST_LIKENESS

    return [
        click.Option(
            ["--like"],
            nargs=2,
            metavar="IMAGES LABELS",
            help="Keep only masks like examples: the labeled objects of one image or a few. Both "
            "are files, folders or patterns, as for 'napari-sam train'.",
        ),
        click.Option(
            ["--least-likeness"],
            type=click.FloatRange(0, 1),
            help="With --like: how similar masks must be to the examples, 0 to 1.",
            show_default=str(LEAST_LIKENESS),
        ),
        click.Option(
            ["--classes-from"],
            nargs=2,
            metavar="IMAGES LABELS",
            help="Give masks the classes of the labeled objects that they resemble; LABELS in a "
            "format with classes, such as COCO. Needs scikit-learn.",
        ),
        click.Option(
            ["--least-confidence"],
            type=click.FloatRange(0, 1),
            help="With --classes-from: how sure a class has to be, 0 to 1.",
            show_default="0",
        ),
    ]


def taken_examples(options: dict[str, Any], opener: ImageOpener) -> dict[str, Any]:
    """Take these options out of all; return what a job has of them.

    The files of examples are read once to check them.
    """
    from napari_sam.session.automatic.settings import LEAST_LIKENESS

    like = _taken(options, "like", ("least_likeness", LEAST_LIKENESS), opener)
    return like | _taken(options, "classes_from", ("least_confidence", 0.0), opener)


def _taken(
    options: dict[str, Any], name: str, limit: tuple[str, float], opener: ImageOpener
) -> dict[str, Any]:
    least, default = limit
    files, value = options.pop(name), options.pop(least)
    if files is None:
        if value is not None:
            option, needed = (f"--{part.replace('_', '-')}" for part in (least, name))
            raise click.UsageError(f"{option} is about examples: give {needed}, too.")
        return {}
    found = read_example_files(files, opener, of_classes=name == "classes_from")
    return {name: found, least: default if value is None else value}


def read_example_files(
    files: tuple[str, str], opener: ImageOpener, *, of_classes: bool
) -> ExampleFiles:
    """Find images and labels, and check them; with `of_classes`, they have to tell two or more."""
    from napari_sam.batch.example_files import check_classes
    from napari_sam.batch.job import ExampleFiles
    from napari_sam.batch.labeled import data_digest, find_pairs, read_pairs

    with usage_errors(), readers_on_stderr():
        pairs = tuple(find_pairs(*files))
        images = read_pairs(pairs, opener)
        if of_classes:
            check_classes(images)
        return ExampleFiles(pairs, data_digest(pairs))
