"""`napari-sam propagate`: carry objects from some slices of an image through its stack."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.batch.job import OVERLAPS
from napari_sam.cli.exit_codes import (
    CAN_CONTINUE,
    FAILED,
    end_stopped,
    print_error,
    print_warning,
    usage_errors,
)
from napari_sam.cli.open_images import NapariOpener, chosen_image, hide_progress_of_napari
from napari_sam.cli.options import (
    channels_option,
    checked_choice,
    json_option,
    load,
    model_options,
    reader_option,
    values_option,
)
from napari_sam.cli.output import print_json, readers_on_stderr
from napari_sam.cli.predict import BOX, POINT, Numbers

if TYPE_CHECKING:
    from napari_sam.batch.propagated import AnnotatedSlices, OpenedStack, PropagatedObject
    from napari_sam.session.embedding.embeddings import Embedder
    from napari_sam.session.prompts.prompts import Prompts

_EXAMPLES: Final = """\b
Examples:
  napari-sam propagate stack.tif --slice 12 --point 211,192 -o cell.tif
  napari-sam propagate stack.tif --slice 12 --box 78,36,122,76 --first 5 --last 30 -o cell.tif
  napari-sam propagate stack.tif --slice 12 --from-labels slice12.png -o cells.ome.tif
  napari-sam propagate stack.tif --from-labels some_slices.tif -o cells.json --json

\b
Exit codes:
  0    every object is on at least one more slice
  1    an object is on no other slice, or a file cannot be read or written
  2    usage error: see the message
  130  stopped with Ctrl-C
"""


@click.command(epilog=_EXAMPLES)
@click.argument("stack", metavar="STACK")
@click.option(
    "--from-labels",
    "labels",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Objects to start from: of the slice of --slice, or of the whole stack.",
)
@click.option(
    "--point", "points", type=POINT, multiple=True, help="Point on an object; one object per point."
)
@click.option(
    "--box", "boxes", type=BOX, multiple=True, help="Box around an object; one object per box."
)
@click.option(
    "--slice", "position", metavar="[N,...]N", help="Slice of the objects, counted from 0."
)
@click.option("--first", type=click.IntRange(0), help="First slice to go to.")
@click.option("--last", type=click.IntRange(0), help="Last slice to go to.")
@click.option(
    "--depth",
    type=click.IntRange(1),
    help="Most slices to either side; by default twice as deep as the object is wide.",
)
@click.option(
    *("-o", "--output", "output"),
    metavar="OUT",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the objects; the ending sets the format, as for 'predict'.",
)
@click.option("--layer", metavar="NAME", help="Name of the image in a file that contains several.")
@click.option(
    "--overlap",
    type=click.Choice(list(OVERLAPS)),
    default="better",
    show_default=True,
    help="Which object wins where objects overlap (label images only).",
)
@model_options
@reader_option
@values_option
@channels_option
@json_option
def propagate(
    stack: str,
    labels: Path | None,
    points: Sequence[Numbers],
    boxes: Sequence[Numbers],
    position: str | None,
    first: int | None,
    last: int | None,
    depth: int | None,
    output: Path,
    layer: str | None,
    overlap: str,
    model: str | None,
    device: str,
    reader: str | None,
    intensities: str,
    channels: int | None,
    as_json: bool,
) -> None:
    """Carry objects from one or more slices of STACK through all of it.

    An object starts from a mask in a file, or from a point or a box, and ends where its border,
    its contrast or what the model sees of it is lost. Between two slices of the file it is
    interpolated. Embeddings are kept, so run a stopped command again to continue it.
    """
    hide_progress_of_napari()
    from napari_sam.batch.propagated import carry, write_propagated
    from napari_sam.session.embedding.embeddings import Embedder
    from napari_sam.session.embedding.store import EmbeddingStore
    from napari_sam.session.jobs import user_message

    at = _position(position)
    if (labels is None) == (not points and not boxes):
        raise click.UsageError("Give either --from-labels, or --point and --box.")
    if not at and labels is None:
        raise click.UsageError("Say with --slice on which slice the objects are.")
    _check_output(output, stack)
    store = EmbeddingStore()
    try:
        choice = checked_choice(model, device)
        predictor = load(choice)
        embedder = Embedder(choice, lambda *_: predictor, store)
        with readers_on_stderr(), usage_errors():
            opened = _opened(stack, NapariOpener(reader, intensities, channels), layer, at)
            limits = _limits(opened, at, first, last)
        with readers_on_stderr():
            starts = _starts(opened, embedder, at, labels, points, boxes)
            with click.progressbar(
                length=(limits[1] - limits[0] + 1) * len(starts),
                label=Path(stack).name,
                show_percent=False,
                show_eta=False,
                file=sys.stderr,
            ) as bar:
                found = carry(opened, starts, embedder, limits, depth, lambda *_: bar.update(1))
        files = write_propagated(output, opened, found, overlap)
    except KeyboardInterrupt:
        end_stopped(f"Nothing was written. {CAN_CONTINUE}")
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except (RuntimeError, MemoryError, OSError) as error:
        raise click.ClickException(user_message(error, f"{stack} cannot be segmented")) from error
    finally:
        store.close()
    _print_results(stack, found, files, as_json)
    if any(len(obj.masks) < 2 for obj in found):
        sys.exit(FAILED)


def _position(position: str | None) -> tuple[int, ...]:
    try:
        at = tuple(int(part) for part in (position or "").split(",") if position)
    except ValueError:
        at = (-1,)
    if any(index < 0 for index in at):
        raise click.UsageError(f"--slice is a number, or several with commas, not {position!r}.")
    return at


def _check_output(output: Path, stack: str) -> None:
    from napari_sam.batch.prompted import format_of

    with usage_errors():
        format_of(output)
    if output.exists() and Path(stack).exists() and output.samefile(stack):
        raise click.UsageError(f"{output} would replace the image: choose another name.")


def _opened(file: str, opener: NapariOpener, layer: str | None, at: tuple[int, ...]) -> OpenedStack:
    from napari_sam.batch.propagated import OpenedStack

    image = chosen_image(file, opener, layer)
    n_axes = len(image.shape) - 2
    if at and len(at) != n_axes:
        lengths = " x ".join(map(str, image.shape[:-2])) or "no"
        msg = f"{file} has {lengths} slices: --slice takes one number for each of these axes."
        raise click.UsageError(msg)
    return OpenedStack.of(image, Path(file).name, at[:-1])


def _limits(
    stack: OpenedStack, at: tuple[int, ...], first: int | None, last: int | None
) -> tuple[int, int]:
    """Return the first and the last slice to go to."""
    end = len(stack.planes) - 1
    low, high = first or 0, end if last is None else last
    start = at[-1] if at else low
    if max(low, start, high) > end:
        raise click.UsageError(f"The slices are 0 to {end}, not {max(low, start, high)}.")
    if not low <= start <= high:
        raise click.UsageError("--slice must lie between --first and --last.")
    return low, high


def _starts(
    stack: OpenedStack,
    embedder: Embedder,
    at: tuple[int, ...],
    labels: Path | None,
    points: Sequence[Numbers],
    boxes: Sequence[Numbers],
) -> dict[int, AnnotatedSlices]:
    """Return what the objects start from, by label_id."""
    from napari_sam.batch.prompted import segment_prompts
    from napari_sam.batch.propagated import read_slices

    if labels is not None:
        return read_slices(labels, stack, at[-1] if at else None)
    prompts = _prompts(points, boxes, stack.info.plane_shape)
    plane = stack.planes[at[-1]].plane
    masks = segment_prompts(embedder, plane, prompts, warn=print_warning)
    for mask in masks:
        if not mask.area_px:
            print_error(f"object {mask.label_id}: the mask is empty; try other prompts.")
    starts: dict[int, AnnotatedSlices]
    starts = {mask.label_id: {at[-1]: mask.crop} for mask in masks if mask.area_px}
    if not starts:
        raise click.ClickException("There is no object to carry through the stack.")
    return starts


def _prompts(
    points: Sequence[Numbers], boxes: Sequence[Numbers], shape: tuple[int, int]
) -> list[Prompts]:
    from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

    height, width = shape
    for x, y in (*points, *(corner for box in boxes for corner in (box[:2], box[2:]))):
        if not (-1 <= x <= width and -1 <= y <= height):
            msg = f"{x:g},{y:g} lies outside the image, which is {width} wide and {height} high."
            raise click.UsageError(msg)
    of_points = [Prompts(((x, y),), (FOREGROUND,)) for x, y in points]
    return of_points + [Prompts(box_xyxy=(x0, y0, x1, y1)) for x0, y0, x1, y1 in boxes]


def _print_results(
    stack: str, found: Sequence[PropagatedObject], files: Sequence[Path], as_json: bool
) -> None:
    if as_json:
        objects = [_as_json(obj) for obj in found]
        print_json({"image": stack, "objects": objects, "files": [str(file) for file in files]})
    for obj in found:
        first, last, weakest = obj.masks[0].slice_index, obj.masks[-1].slice_index, obj.weakest
        if weakest is None:
            print_error(f"object {obj.label_id} is on no other slice than {first} to {last}.")
        elif not as_json:
            click.echo(
                f"object {obj.label_id}: slices {first} to {last}, weakest {weakest.slice_index} "
                f"({weakest.confidence:.2f})"
            )
        if obj.is_cut_off:
            print_warning(
                f"object {obj.label_id} may go on beyond slices {first} to {last}: give a larger "
                "--depth."
            )


def _as_json(obj: PropagatedObject) -> dict[str, Any]:
    weakest = obj.weakest
    return {
        "object": obj.label_id,
        "first_slice": obj.masks[0].slice_index,
        "last_slice": obj.masks[-1].slice_index,
        "n_slices": len(obj.masks),
        "volume_px": sum(int(mask.crop.mask.sum()) for mask in obj.masks),
        "weakest_slice": None if weakest is None else weakest.slice_index,
        "confidence": None if weakest is None else weakest.confidence,
        "is_cut_off": obj.is_cut_off,
        "origins": [
            [str(origin), [mask.slice_index for mask in masks]]
            for origin, masks in groupby(obj.masks, key=lambda mask: mask.origin)
        ],
    }
