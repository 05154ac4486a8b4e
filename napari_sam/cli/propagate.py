"""`napari-sam propagate`: carry objects from some slices of an image through its stack."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.batch.job import OVERLAPS
from napari_sam.cli.exit_codes import (
    CAN_CONTINUE,
    FAILED,
    NOTHING_WRITTEN,
    errors_of_segmentation,
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
from napari_sam.cli.predict import BOX, POINT, Numbers, check_corners, check_output, places_inside

if TYPE_CHECKING:
    from napari_sam.batch.propagated import AnnotatedSlices, OpenedStack, PropagatedObject
    from napari_sam.session.embedding.embeddings import Embedder
    from napari_sam.session.models.model_choice import ModelChoice
    from napari_sam.session.prompts.prompts import Prompts

_EXAMPLES: Final = """\b
Examples:
  napari-sam propagate stack.tif --slice 12 --point 211,192 -o cell.tif
  napari-sam propagate stack.tif --slice 12 --box 78,36,122,76 --first 5 --last 30 -o cell.tif
  napari-sam propagate stack.tif --slice 12 --from-labels slice12.png -o cells.ome.tif
  napari-sam propagate stack.tif --from-labels some_slices.tif -o cells.json --json
  napari-sam propagate stack.tif --slice 12 --box 78,36,122,76 --memory --model sam2.pt -o c.tif
  napari-sam propagate film.tif --axis t --prompts boxes.csv --depth none -o cells.tif --csv

\b
Exit codes:
  0    every object is on at least one more slice
  1    an object is on no other slice, or a file cannot be read or written
  2    usage error: see the message
  130  stopped with Ctrl-C
"""


@dataclass(frozen=True)
class _Source:
    """What the objects start from."""

    labels: Path | None
    prompts: Path | None
    points: Sequence[Numbers]
    boxes: Sequence[Numbers]

    def check(self, at: tuple[int, ...]) -> None:
        """Refuse several sources, and points without a slice."""
        has_places = bool(self.points or self.boxes)
        if (self.labels is not None) + (self.prompts is not None) + has_places != 1:
            raise click.UsageError("Give either --from-labels, or --prompts, or --point and --box.")
        if has_places and not at:
            raise click.UsageError("Say with --slice on which slice the objects are.")

    def read(
        self, stack: OpenedStack, embedder: Embedder, slice_index: int | None
    ) -> dict[int, AnnotatedSlices]:
        """Return the masks that each object starts from, by label_id."""
        from napari_sam.batch.propagated import read_placed_prompts, read_slices, segment_placed
        from napari_sam.formats.left_out import LeftOut

        if self.labels is not None:
            return read_slices(self.labels, stack, slice_index)
        if self.prompts is not None:
            left_out = LeftOut()
            prompts = read_placed_prompts(self.prompts, stack, slice_index, left_out)
            if left_out:
                print_warning(f"{self.prompts}: {left_out}.")
        else:
            assert slice_index is not None
            prompts = [(slice_index, prompts) for prompts in self._prompts(stack.info.plane_shape)]
        starts = segment_placed(embedder, stack, prompts, print_warning)
        if not any(crop.mask.size for masks in starts.values() for crop in masks.values()):
            raise click.ClickException("There is no object to carry through the stack.")
        return starts

    def _prompts(self, shape: tuple[int, int]) -> list[Prompts]:
        from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

        check_corners(self.boxes, shape)
        points = [Prompts((place,), (FOREGROUND,)) for place in places_inside(self.points, shape)]
        return points + [Prompts(box_xyxy=(x0, y0, x1, y1)) for x0, y0, x1, y1 in self.boxes]


class _Depth(click.ParamType[int]):
    """A number of slices, or none for any."""

    name = "N|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the number."""
        if value == "none":
            return sys.maxsize
        if not isinstance(value, int) and not (value.isdecimal() and int(value) > 0):
            self.fail(f"{value!r} is neither a number of slices nor none.", param, ctx)
        return int(value)


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
    *("--prompts", "prompts"),
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Prompts to start from, one object each: CSV, GeoJSON, COCO or YOLO.",
)
@click.option(
    "--slice", "position", metavar="[N,...]N", help="Slice of the objects, counted from 0."
)
@click.option(
    *("--axis", "through"),
    metavar="AXIS",
    help="Axis to go along: z, t or another letter, or its number, 0 for the first; by default the "
    "last before rows and columns.",
)
@click.option("--first", type=click.IntRange(0), help="First slice to go to.")
@click.option("--last", type=click.IntRange(0), help="Last slice to go to.")
@click.option(
    "--depth",
    type=_Depth(),
    metavar="N|none",
    help="Most slices to either side; by default twice as deep as the object is wide, in the units "
    "of the image, and any number through time.",
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
    default="first",
    show_default=True,
    help="Which object wins where objects overlap (label images only).",
)
@click.option(
    *("--csv", "with_table"),
    is_flag=True,
    help="Also write the slices of each object, with confidences: OUT with _slices.csv.",
)
@click.option(
    "--memory",
    "with_memory",
    is_flag=True,
    help="Carry objects on by what the model remembers of other slices; with SAM 2.1 only.",
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
    prompts: Path | None,
    position: str | None,
    through: str | None,
    first: int | None,
    last: int | None,
    depth: int | None,
    output: Path,
    layer: str | None,
    overlap: str,
    with_table: bool,
    with_memory: bool,
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
    interpolated. Embeddings are kept, so run a stopped command again: it comes to the same place
    quickly.
    """
    hide_progress_of_napari()
    from napari_sam.batch.propagated import write_propagated, write_slice_table

    source, at = _Source(labels, prompts, points, boxes), _position(position)
    source.check(at)
    check_output(output, stack)
    with errors_of_segmentation(stack, f"{NOTHING_WRITTEN} {CAN_CONTINUE}"):
        choice = checked_choice(model, device)
        with readers_on_stderr(), usage_errors():
            opened = _opened(stack, NapariOpener(reader, intensities, channels), layer, at, through)
            limits = _limits(opened, at, first, last)
        found = _carried(opened, source, at, choice, limits, depth, with_memory)
        files = write_propagated(output, opened, found, overlap)
        if with_table:
            files.append(table := output.with_name(f"{output.stem}_slices.csv"))
            write_slice_table(table, found)
    _print_results(opened, found, files, json_of=stack if as_json else None)
    if any(len(obj.masks) < 2 for obj in found):
        sys.exit(FAILED)


def _carried(
    stack: OpenedStack,
    source: _Source,
    at: tuple[int, ...],
    choice: ModelChoice,
    limits: tuple[int, int],
    depth: int | None,
    with_memory: bool,
) -> list[PropagatedObject]:
    """Carry the objects on, and show how far they are."""
    from napari_sam.batch.propagated import carry
    from napari_sam.engine.sequences import memory_of
    from napari_sam.session.embedding.embeddings import Embedder
    from napari_sam.session.embedding.store import EmbeddingStore

    predictor = load(choice)
    if with_memory and memory_of(predictor) is None:
        raise click.ClickException(
            f"{choice.name} remembers no slices: choose SAM 2.1 with --model, or leave out "
            "--memory."
        )
    store = EmbeddingStore()
    embedder = Embedder(choice, lambda *_: predictor, store)
    try:
        with readers_on_stderr():
            starts = source.read(stack, embedder, at[stack.axis] if at else None)
            with click.progressbar(
                length=(limits[1] - limits[0] + 1) * len(starts),
                label=stack.info.name,
                show_percent=False,
                show_eta=False,
                file=sys.stderr,
            ) as bar:
                return carry(
                    stack,
                    starts,
                    embedder,
                    limits,
                    depth,
                    lambda *_: bar.update(1),
                    with_memory=with_memory,
                )
    finally:
        store.close()


def _position(position: str | None) -> tuple[int, ...]:
    try:
        at = tuple(int(part) for part in (position or "").split(",") if position)
    except ValueError:
        at = (-1,)
    if any(index < 0 for index in at):
        raise click.UsageError(f"--slice is a number, or several with commas, not {position!r}.")
    return at


def _opened(
    file: str,
    opener: NapariOpener,
    layer: str | None,
    at: tuple[int, ...],
    through: str | None,
) -> OpenedStack:
    from napari_sam.batch.propagated import OpenedStack

    image = chosen_image(file, opener, layer)
    lengths = image.shape[:-2]
    if at and len(at) != len(lengths):
        text = " x ".join(map(str, lengths)) or "no"
        msg = f"{file} has {text} slices: --slice takes one number for each of these axes."
        raise click.UsageError(msg)
    return OpenedStack.of(image, Path(file).name, through, at)


def _limits(
    stack: OpenedStack, at: tuple[int, ...], first: int | None, last: int | None
) -> tuple[int, int]:
    """Return the first and the last slice to go to."""
    end = len(stack.planes) - 1
    low, high = first or 0, end if last is None else last
    start = at[stack.axis] if at else low
    if max(low, start, high) > end:
        raise click.UsageError(f"The slices are 0 to {end}, not {max(low, start, high)}.")
    if not low <= start <= high:
        raise click.UsageError("--slice must lie between --first and --last.")
    return low, high


def _print_results(
    stack: OpenedStack,
    found: Sequence[PropagatedObject],
    files: Sequence[Path],
    json_of: str | None,
) -> None:
    """Print the objects, or JSON of them that names their image."""
    from napari_sam.batch.slice_summary import slice_summary, weakest_of

    if json_of is not None:
        objects = [
            {
                "object": obj.label_id,
                **slice_summary(obj.masks, stack.info, stack.axis),
                "is_cut_off": obj.is_cut_off,
            }
            for obj in found
        ]
        print_json({"image": json_of, "objects": objects, "files": [str(file) for file in files]})
    for obj in found:
        if not obj.masks:
            print_error(f"object {obj.label_id} has no mask; try other prompts.")
            continue
        first, last = obj.masks[0].slice_index, obj.masks[-1].slice_index
        weakest = weakest_of(obj.masks)
        if weakest is None:
            print_error(f"object {obj.label_id} is on no other slice than {first} to {last}.")
        elif json_of is None:
            click.echo(
                f"object {obj.label_id}: slices {first} to {last}, weakest {weakest.slice_index} "
                f"({weakest.confidence:.2f})"
            )
        if obj.is_cut_off:
            print_warning(
                f"object {obj.label_id} may go on beyond slices {first} to {last}: give a larger "
                "--depth."
            )
