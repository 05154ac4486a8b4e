"""`napari-sam predict`: segment the prompted objects in one image."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.batch.job import OVERLAPS
from napari_sam.cli.exit_codes import (
    FAILED,
    NOTHING_WRITTEN,
    errors_of_segmentation,
    print_error,
    print_warning,
    usage_errors,
)
from napari_sam.cli.learned import learned_option
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
from napari_sam.cli.words import WordOptions, word_options
from napari_sam.engine.cleaning import CLEAN_STRENGTH

if TYPE_CHECKING:
    from napari_sam.batch.open_images import ImageOpener, OpenedPlane
    from napari_sam.batch.prompted import MaskStart, PromptedMask
    from napari_sam.formats.image import ImageInfo
    from napari_sam.session.prompts.prompts import Prompts

Numbers = tuple[float, ...]

_EXAMPLES: Final = """\b
Examples:
  napari-sam predict coins.png --point 211,192 -o coin.png
  napari-sam predict coins.png --point 211,192 --background 240,200 -o coin.geojson
  napari-sam predict coins.png --box 78,36,122,76 --box 20,32,69,76 -o two.json
  napari-sam predict coins.png --mask coin.png -o better.tif
  napari-sam predict stack.tif --slice 3 --point 50,60 --multimask all --json
  napari-sam predict table.jpg --text coin --text ring -o found.json

\b
Formats (by the ending of OUT):
  .tif, .ome.tif, .png, .npy   label images: the object of each pixel, 0 for none
  .json, .geojson, .zip, .txt  COCO, GeoJSON, ImageJ ROIs, YOLO
  .npz, .csv                   NumPy with all masks, a table of measurements

\b
Exit codes:
  0    every object has a mask
  1    nothing was found for the words, a mask is empty, all pixels look the same, or a file
       cannot be read or written
  2    usage error: see the message
  130  stopped with Ctrl-C
"""


class _Numbers(click.ParamType[Any]):
    """A fixed count of numbers, comma-separated."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self._count = name, count

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != self._count or not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} is not of the form {self.name}.", param, ctx)
        return numbers


POINT: Final = _Numbers("X,Y", 2)
BOX: Final = _Numbers("X0,Y0,X1,Y1", 4)


@click.command(epilog=_EXAMPLES)
@click.argument("image", metavar="IMAGE")
@click.option(
    "--point", "points", type=POINT, multiple=True, help="Point on the object; repeatable."
)
@click.option(
    "--background", type=POINT, multiple=True, help="Point not on the object; repeatable."
)
@click.option(
    "--box", "boxes", type=BOX, multiple=True, help="Box around an object; one object per box."
)
@word_options
@click.option(
    "--mask",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Mask to refine: an image of the same size, nonzero on the object, or low-res logits "
    "(.npy).",
)
@click.option(
    *("-o", "--output", "output"),
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the masks; the ending sets the format.",
)
@click.option(
    "--multimask",
    type=click.Choice(("best", "all", "off")),
    default="best",
    show_default=True,
    help="Write the best of several masks, or all of them, or predict a single one.",
)
@click.option("--slice", "position", metavar="N[,N...]", help="Slice of a stack, counted from 0.")
@click.option("--layer", metavar="NAME", help="Name of the image in a file that contains several.")
@click.option(
    "--overlap",
    type=click.Choice(list(OVERLAPS)),
    default="better",
    show_default=True,
    help="Which object wins where objects overlap (label images only).",
)
@click.option(
    "--clean/--no-clean",
    default=False,
    show_default=True,
    help="Smooth outlines, fill small holes and remove specks, as the widget does by default.",
)
@click.option(
    "--clean-strength",
    type=click.FloatRange(0, 1, min_open=True),
    default=CLEAN_STRENGTH,
    show_default=True,
    help="How strongly --clean does that.",
)
@learned_option("segment clicks as the widget would.")
@model_options
@reader_option
@values_option
@channels_option
@json_option
def predict(
    image: str,
    points: Sequence[Numbers],
    background: Sequence[Numbers],
    boxes: Sequence[Numbers],
    words: WordOptions | None,
    mask: Path | None,
    output: Path | None,
    multimask: str,
    position: str | None,
    layer: str | None,
    overlap: str,
    clean: bool,
    clean_strength: float,
    learned: Path | None,
    model: str | None,
    device: str,
    reader: str | None,
    intensities: str,
    channels: int | None,
    as_json: bool,
) -> None:
    """Segment an object in IMAGE from points, a box or a mask; several boxes mean several objects.

    With --text, what the words name is segmented, one object per find.

    The best mask is the one that the widget preselects while it shows the whole image. With --clean
    its outline is the widget's, too. X and Y are pixels from the top left; 0,0 is the center of the
    first pixel.
    """
    hide_progress_of_napari()
    from napari_sam.batch.prompted import (
        read_learnt,
        read_start,
        segment_prompts,
        write_prompted,
    )
    from napari_sam.session.embedding.embeddings import Embedder

    others = {"--box": boxes, "--mask": mask, "--learned": learned}
    if words is not None:
        words.check({**others, "--multimask": multimask != "best"})
    else:
        _check_prompts(points, background, boxes, mask)
    if output is not None:
        check_output(output, image, multimask)
    strength = clean_strength if clean else 0
    with errors_of_segmentation(image, NOTHING_WRITTEN):
        choice = checked_choice(model, device)
        predictor = load(choice)
        with readers_on_stderr():
            opener = NapariOpener(reader, intensities, channels)
            opened, info = _opened(image, opener, layer, position)
            start = None
            if mask is not None:
                with usage_errors():
                    start = read_start(mask, info.plane_shape, predictor.spec.low_res_side)
            prompts = _prompts(points, background, boxes, start, info.plane_shape)
            embedder = Embedder(choice, lambda *_: predictor)
            if words is not None:
                masks = words.segment(choice, embedder, opened.plane, prompts[0], strength)
            else:
                learnt = None if learned is None else read_learnt(learned, choice)
                options = start, multimask, strength, learnt, print_warning
                masks = segment_prompts(embedder, opened.plane, prompts, *options)
        files = [] if output is None or not masks else write_prompted(output, info, masks, overlap)
    _print_results(image, info, masks, files, as_json)
    if not (masks and all(mask.area_px for mask in masks)):
        sys.exit(FAILED)


def _check_prompts(
    points: Sequence[Any], background: Sequence[Any], boxes: Sequence[Any], mask: Path | None
) -> None:
    if not (points or background or boxes or mask):
        raise click.UsageError("There is no prompt: give --point, --box, --mask or --text.")
    if len(boxes) > 1 and (points or background or mask):
        msg = "Each box is an object of its own: points or a mask go with one box at most."
        raise click.UsageError(msg)


def check_output(output: Path, image: str, multimask: str = "best") -> None:
    """Refuse an unknown format, and to write over the image."""
    from napari_sam.batch.prompted import format_of, is_of_candidate

    with usage_errors():
        format_of(output)
        files = [output] if output.exists() else []
        if multimask == "all" and output.parent.is_dir():
            files += [file for file in output.parent.iterdir() if is_of_candidate(file, output)]
    if Path(image).exists() and any(file.samefile(image) for file in files):
        raise click.UsageError(f"{output} would replace the image: choose another name.")


def _opened(
    file: str, open_images: ImageOpener, layer: str | None, position: str | None
) -> tuple[OpenedPlane, ImageInfo]:
    """Open the chosen plane, and describe it."""
    image = chosen_image(file, open_images, layer)
    stack_shape = image.shape[:-2]
    index = position or ",".join("0" for length in stack_shape if length == 1)
    planes = [plane for plane in image.planes if ",".join(map(str, plane.slice_index)) == index]
    if not planes and not stack_shape:
        raise click.UsageError(f"{file} has one plane and no slices: omit --slice.")
    if not planes:
        first = ",".join("0" for _ in stack_shape)
        last = ",".join(str(length - 1) for length in stack_shape)
        msg = (
            f"{file} has {len(image.planes)} slices: choose one with --slice, from {first} to "
            f"{last}; or, if they are channels, their axis with --channels."
        )
        raise click.UsageError(msg)
    return planes[0], image.info(Path(file).name, first_axis=-2)


def _prompts(
    points: Sequence[Numbers],
    background: Sequence[Numbers],
    boxes: Sequence[Numbers],
    start: MaskStart | None,
    shape: tuple[int, int],
) -> list[Prompts]:
    """Return the prompts of each object."""
    from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts

    check_corners(boxes, shape)
    points_xy = tuple(places_inside((*points, *background), shape))
    labels = (FOREGROUND,) * len(points) + (BACKGROUND,) * len(background)
    box_of_start = start.box_xyxy if start and not points else None
    boxes_xyxy: Sequence[Any] = boxes or [box_of_start]
    return [Prompts(points_xy, labels, box) for box in boxes_xyxy]


def places_inside(places: Sequence[Numbers], shape: tuple[int, int]) -> list[tuple[float, float]]:
    """Return x and y of places, of which some may lie just outside the image."""
    height, width = shape
    for x, y in places:
        if not (-1 <= x <= width and -1 <= y <= height):
            msg = f"{x:g},{y:g} lies outside the image, which is {width} wide and {height} high."
            raise click.UsageError(msg)
    # Half a pixel further out than the image is on its border.
    return [(min(max(x, -0.5), width - 0.5), min(max(y, -0.5), height - 0.5)) for x, y in places]


def check_corners(boxes: Sequence[Numbers], shape: tuple[int, int]) -> None:
    """Refuse boxes with corners outside the image."""
    places_inside([corner for box in boxes for corner in (box[:2], box[2:])], shape)


def _print_results(
    image: str, info: ImageInfo, masks: Sequence[PromptedMask], files: Sequence[Path], as_json: bool
) -> None:
    if as_json:
        objects = [
            {
                "object": mask.label_id,
                "candidate": mask.candidate,
                "iou_score": mask.iou_score,
                "area": mask.area_px,
                "box_xyxy": mask.box_xyxy,
                **({} if mask.detection is None else mask.detection.entries),
            }
            for mask in masks
        ]
        names = [str(file) for file in files]
        content = {"image": image, "size": info.plane_shape, "objects": objects, "files": names}
        print_json(content)
    for mask in masks:
        name = f"object {mask.label_id}, mask {mask.candidate}"
        if mask.box_xyxy is None:
            print_error(f"{name}: the mask is empty; try other prompts.")
        elif not as_json:
            box = ",".join(map(str, mask.box_xyxy))
            name = f"{name}, {mask.class_name}" if mask.class_name else name
            click.echo(f"{name}: score {mask.iou_score:.3f}, {mask.area_px} pixels, box {box}")
