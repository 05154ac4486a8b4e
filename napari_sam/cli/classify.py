"""`napari-sam classify`: give labeled objects the classes that examples tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_sam.batch.job import OVERLAPS
from napari_sam.cli.example_files import read_example_files
from napari_sam.cli.exit_codes import errors_of_segmentation, usage_errors
from napari_sam.cli.open_images import NapariOpener, hide_progress_of_napari
from napari_sam.cli.options import (
    channels_option,
    checked_choice,
    checked_formats,
    examples,
    json_option,
    load,
    model_options,
    reader_option,
    results_option,
    values_option,
)
from napari_sam.cli.output import print_json, readers_on_stderr

if TYPE_CHECKING:
    from napari_sam.batch.classify import ClassedImage

_SOME = "The classes so far are written; run the same command again for all."


def _object_formats(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    names = checked_formats(context, option, value)
    if "sam" in names:
        raise click.BadParameter("the sam format has no classes; choose another one.")
    return names


@click.command(
    epilog=examples(
        "napari-sam classify cells labels -o classed --classes-from cell_01.tif classed.json",
        "napari-sam classify cell.tif partly_classed.json -o classed --format coco,csv",
    )
)
@click.argument("images")
@click.argument("labels")
@results_option
@click.option(
    *("--format", "formats"),
    default="coco",
    callback=_object_formats,
    metavar="NAMES",
    help="Output formats, comma-separated, as of 'napari-sam automatic'.",
    show_default=True,
)
@click.option(
    "--classes-from",
    nargs=2,
    metavar="IMAGES LABELS",
    help="Other images, whose labeled objects are the examples.",
)
@click.option(
    "--least-confidence",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="How sure a class has to be, 0 to 1.",
)
@model_options
@reader_option
@values_option
@channels_option
@json_option
def classify(
    images: str,
    labels: str,
    output: Path,
    formats: tuple[str, ...],
    classes_from: tuple[str, str] | None,
    least_confidence: float,
    model: str | None,
    device: str,
    reader: str | None,
    intensities: str,
    channels: int | None,
    as_json: bool,
) -> None:
    """Give the objects of LABELS the classes that examples tell.

    IMAGES and LABELS are files, folders or patterns, as for 'napari-sam train'. Objects that have a
    class keep it, and are the examples unless --classes-from names others: three or more of each of
    two classes. The confidence of each class is written, too. Needs scikit-learn.
    """
    hide_progress_of_napari()
    from napari_sam.batch.classify import classify as classified
    from napari_sam.batch.labeled import find_pairs
    from napari_sam.batch.outputs import write_named

    opener = NapariOpener(reader, intensities, channels)
    with usage_errors():
        pairs = find_pairs(images, labels)
        output.mkdir(parents=True, exist_ok=True)
    known = None
    if classes_from is not None:
        known = read_example_files(classes_from, opener, of_classes=True)
    with errors_of_segmentation(images, _SOME), readers_on_stderr():
        choice = checked_choice(model, device)
        found = classified(pairs, known, choice, load(choice), opener, least_confidence)
        results = []
        for one in found:
            files = [
                file
                for name in formats
                for file in write_named(
                    output, one.stem, name, one.annotations, next(iter(OVERLAPS))
                )
            ]
            results.append(_summary(one, files))
    _print(results, output, as_json)


def _summary(one: ClassedImage, files: list[Path]) -> dict[str, Any]:
    return {
        "image": one.stem,
        "objects": len({obj.label_id for obj in one.annotations.objects}),
        "predicted": one.predicted_count,
        "files": [str(file) for file in files],
    }


def _print(results: list[dict[str, Any]], output: Path, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(output), "images": results})
        return
    total, predicted = (sum(one[key] for one in results) for key in ("objects", "predicted"))
    click.echo(f"{predicted:,} of {total:,} objects got a class, in {output}")
