"""The command that finds the objects that prompts mean, in one image."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.cli.exit_codes import STOPPED, find_readers
from napari_sam.cli.model_option import checked_choice, load_chosen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.batch.open_images import OpenedPlane
    from napari_sam.batch.prompted import MaskPrompt, PromptedMask
    from napari_sam.formats.image import ImageInfo

MULTIMASK: Final = ("best", "all", "off")
OVERLAPS: Final = ("better", "smaller", "larger")
_EXAMPLES: Final = """\b
Examples:
  napari-sam predict coins.png --point 211,192 -o coin.png
  napari-sam predict coins.png --point 211,192 --background 240,200 -o coin.geojson
  napari-sam predict coins.png --box 60,35,100,75 --box 5,5,60,60 -o two.json
  napari-sam predict coins.png --mask coin.png -o better.tif
  napari-sam predict stack.tif --slice 3 --point 50,60 --multimask all --json

\b
OUT may end in
  .tif, .ome.tif, .png, .npy   the number of the object at each pixel, 0 for none
  .json, .geojson, .zip, .txt  COCO, outlines, ImageJ ROIs, YOLO
  .npz, .csv                   NumPy with all masks, a table of measurements

\b
Exit codes:
  0    all objects have a mask
  1    an object has none, all pixels look the same, or a file cannot be read or written
  2    the command was called wrongly: see its message
  130  stopped with Ctrl-C
"""


class _Numbers(click.ParamType[Any]):
    """So many numbers with commas between."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self._count = name, count

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Turn text into numbers."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != self._count or not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} is not of the form {self.name}.", param, ctx)
        return numbers


_POINT: Final = _Numbers("X,Y", 2)
_BOX: Final = _Numbers("X0,Y0,X1,Y1", 4)


@click.command(epilog=_EXAMPLES)
@click.argument("image", metavar="IMAGE")
@click.option(
    "--point", "points", type=_POINT, multiple=True, help="In the object; several are possible."
)
@click.option("--background", type=_POINT, multiple=True, help="Not in the object.")
@click.option(
    "--box", "boxes", type=_BOX, multiple=True, help="Around an object; one object for each."
)
@click.option(
    "--mask",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="To start from: an image of the same size, not 0 in the object, or low-res logits (.npy).",
)
@click.option(
    *("-o", "--output", "output"),
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the masks; its ending is the format.",
)
@click.option(
    "--multimask",
    type=click.Choice(MULTIMASK),
    default=MULTIMASK[0],
    show_default=True,
    help="Of three masks the best, or all, or a single one to begin with.",
)
@click.option("--slice", "place", metavar="N[,N...]", help="Which slice of a stack, from 0.")
@click.option("--layer", metavar="NAME", help="Which image, if there are several in the file.")
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default=OVERLAPS[0],
    show_default=True,
    help="Of overlapping objects, which has the pixel where there is but one number for each.",
)
@click.option("--model", metavar="NAME|FILE", help="A model of `napari-sam models`, or a file.")
@click.option("--device", default="auto", help="What the model runs on, such as cpu or cuda:1.")
@click.option("--reader", metavar="PLUGIN", help="The napari plugin that shall read the image.")
@click.option("--json", "as_json", is_flag=True, help="Print scores, boxes and areas as JSON.")
def predict(
    image: str,
    points: Sequence[tuple[float, float]],
    background: Sequence[tuple[float, float]],
    boxes: Sequence[tuple[float, ...]],
    mask: Path | None,
    output: Path | None,
    multimask: str,
    place: str | None,
    layer: str | None,
    overlap: str,
    model: str | None,
    device: str,
    reader: str | None,
    as_json: bool,
) -> None:
    """Find the object that points, a box or a mask mean in IMAGE, or one object for each box.

    X and Y are pixels, from the left and from the top, 0,0 being the centre of the first.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # napari's bar for opening files
    from napari_sam.batch.prompted import ObjectPrompt, find_prompted, write_prompted

    _check_prompts(points, background, boxes, mask)
    _check_output(output, image)
    with _errors_explained(image):
        predictor = load_chosen(checked_choice(model, device))
        plane, info = _opened(image, reader, layer, place)
        corners = [corner for box in boxes for corner in (box[:2], box[2:])]
        _check_inside([*points, *background, *corners], info.plane_shape)
        start = None if mask is None else _mask_prompt(mask, info.plane_shape)
        each = partial(ObjectPrompt, tuple(points), tuple(background))
        box_of_mask = start.box_xyxy if start and not points else None
        prompts = [each(box) for box in boxes] or [each(box_of_mask)]
        logits = start.logits if start else None
        found = find_prompted(predictor, _pixels(plane), prompts, logits, multimask)
        files = [] if output is None else write_prompted(output, info, found, overlap)
    _tell(image, info, found, files, as_json)
    if any(not one.area_px for one in found):
        sys.exit(1)


@contextmanager
def _errors_explained(image: str) -> Iterator[None]:
    from napari_sam.session.jobs import user_message

    try:
        yield
    except KeyboardInterrupt:
        click.echo("Stopped. Nothing is written.", err=True)
        sys.exit(STOPPED)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except (RuntimeError, MemoryError, OSError) as error:
        raise click.ClickException(user_message(error, f"{image} cannot be segmented")) from error


def _check_prompts(
    points: Sequence[Any], background: Sequence[Any], boxes: Sequence[Any], mask: Path | None
) -> None:
    if not (points or background or boxes or mask):
        raise click.UsageError("There is no prompt: give --point, --box or --mask.")
    if len(boxes) > 1 and (points or background or mask):
        msg = "Several boxes mean several objects: give points or a mask with one box at most."
        raise click.UsageError(msg)


def _check_output(output: Path | None, image: str) -> None:
    from napari_sam.batch.prompted import format_of

    if output is None:
        return
    try:
        format_of(output)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if output.exists() and Path(image).exists() and output.samefile(image):
        raise click.UsageError(f"{output} is the image: choose another name for the masks.")


def _opened(
    image: str, reader: str | None, layer: str | None, place: str | None
) -> tuple[OpenedPlane, ImageInfo]:
    """Open the plane that is meant, and describe it."""
    from napari_sam.batch.open_images import open_images
    from napari_sam.session.annotations import image_info

    find_readers()
    opened = open_images(image, reader)
    if layer is None and len(opened) == 1:
        chosen = opened
    else:
        chosen = [one for one in opened if one.name == layer]
    if len(chosen) != 1:
        names = ", ".join(one.name for one in opened)
        raise click.UsageError(f"Choose one image of {image} with --layer: {names}.")
    one = chosen[0]
    index = place or ",".join("0" for length in one.shape[:-2] if length == 1)
    planes = [plane for plane in one.planes if ",".join(map(str, plane.slice_index)) == index]
    if not planes:
        last = ",".join(str(length - 1) for length in one.shape[:-2]) or "nothing"
        msg = f"{image} has {len(one.planes)} slices: choose one with --slice, up to {last}."
        raise click.UsageError(msg if one.shape[:-2] else f"{image} has one plane and no slices.")
    info = image_info(
        Path(image).name, one.shape[-2:], one.scale[-2:], one.units[-2:], one.axis_labels[-2:]
    )
    return planes[0], info


def _pixels(opened: OpenedPlane) -> NDArray[np.uint8]:
    """Read a plane in which there is something to be seen."""
    from napari_sam.session.image.whole_plane import read_whole

    plane = opened.plane
    pixels = read_whole(plane)
    if (pixels == pixels[0, 0]).all():
        raise click.ClickException(plane.why_same(plane.pyramid.whole))
    return pixels


def _check_inside(places: Sequence[Sequence[float]], shape: tuple[int, int]) -> None:
    height, width = shape
    for x, y in places:
        if not (-1 <= x <= width and -1 <= y <= height):
            msg = f"{x:g},{y:g} lies outside the image, which is {width} wide and {height} high."
            raise click.UsageError(msg)


def _mask_prompt(path: Path, shape: tuple[int, int]) -> MaskPrompt:
    from napari_sam.batch.prompted import read_mask_prompt

    try:
        return read_mask_prompt(path, shape)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _tell(
    image: str,
    info: ImageInfo,
    found: Sequence[PromptedMask],
    files: Sequence[Path],
    as_json: bool,
) -> None:
    if as_json:
        objects = [
            {
                "object": one.number,
                "candidate": one.candidate,
                "iou_score": one.iou_score,
                "area": one.area_px,
                "box_xyxy": one.box_xyxy,
            }
            for one in found
        ]
        names = [str(file) for file in files]
        content = {"image": image, "size": info.plane_shape, "objects": objects, "files": names}
        click.echo(json.dumps(content, indent=2))
    for one in found:
        what = f"object {one.number}, candidate {one.candidate}"
        if one.box_xyxy is None:
            click.echo(f"Error: {what}: the mask is empty; give other prompts.", err=True)
        elif not as_json:
            box = ",".join(map(str, one.box_xyxy))
            click.echo(f"{what}: score {one.iou_score:.3f}, {one.area_px} pixels, box {box}")
