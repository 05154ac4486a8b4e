"""Semantic labels: an image whose numbers are classes, and a legend that names them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy import ndimage

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.details import DETAILS_KEY
from napari_sam.formats.files import ExportError, read_text, reading, write_text, written_beside
from napari_sam.formats.image import ImageInfo, stack_stem
from napari_sam.formats.label_images import labels_from_objects, objects_from_labels

SEMANTIC_MARK: Final = '{"semantic": true}'
"""What the metadata of a file of semantic labels say where those of others tell of objects."""
_WITHOUT: Final = ObjectClass("without class", "#a0a0a0")
_MAX_PALETTE: Final = 255
_COLUMNS: Final = ["value", "class", "color"]


def semantic_labels(annotations: Annotations) -> tuple[NDArray[Any], tuple[ObjectClass, ...]]:
    """Return which class each pixel belongs to.

    Parameters
    ----------
    annotations : Annotations
        The objects. Where two of different classes overlap, the later one has the pixels.

    Returns
    -------
    labels : (..., H, W) unsigned integer ndarray
        0 is background, 1 the first class of the annotations, and so on. Objects without a class
        have the number after the last one.
    legend : tuple of ObjectClass
        The classes from number 1 on; the one called "without class" only where there are such
        objects.
    """
    numbers: dict[str | None, int] = {
        one.name: number for number, one in enumerate(annotations.classes, start=1)
    }
    legend = tuple(annotations.classes)
    if any(thing.class_name is None for thing in annotations.objects):
        numbers[None] = len(legend) + 1
        legend = (*legend, _WITHOUT)
    objects = [replace(thing, label_id=numbers[thing.class_name]) for thing in annotations.objects]
    return labels_from_objects(replace(annotations, objects=objects), "last_wins"), legend


def write_semantic_png(
    path: str | Path, labels: NDArray[Any], legend: Sequence[ObjectClass]
) -> None:
    """Write semantic labels as PNG whose numbers are those of the classes, shown in their colours.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.
    labels : (H, W) uint8 ndarray
        Numbers of classes, 0 being background.
    legend : sequence of ObjectClass
        The classes from number 1 on.

    Raises
    ------
    ExportError
        If there are more than 255 classes, or the file cannot be written.
    """
    if len(legend) > _MAX_PALETTE:
        raise ExportError(f"PNG holds {_MAX_PALETTE} classes, not {len(legend)}: write OME-TIFF.")
    image = Image.fromarray(labels)
    image.putpalette(palette_of(legend))
    metadata = PngInfo()
    metadata.add_text(DETAILS_KEY, SEMANTIC_MARK)
    with written_beside(path) as partial:
        image.save(partial, format="PNG", pnginfo=metadata)


def palette_of(legend: Sequence[ObjectClass]) -> list[int]:
    """Return red, green and blue of each number, in turn; the background is black."""
    return [0, 0, 0, *(value for one in legend for value in one.color_rgb)]


def write_legend(path: str | Path, legend: Sequence[ObjectClass]) -> None:
    """Write which number means which class: CSV with the columns value, class and color.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    legend : sequence of ObjectClass
        The classes from number 1 on.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerow([0, "background", "#000000"])
    for number, one in enumerate(legend, start=1):
        table.writerow([number, one.name, one.color])
    content = text.getvalue()
    write_text(path, content, "utf-8" if content.isascii() else "utf-8-sig")


def legend_path(path: Path) -> Path:
    """Return the legend beside a semantic image, which all slices of a stack share."""
    return path.with_name(f"{stack_stem(path.stem.removesuffix('.ome'))}_classes.csv")


def read_legend(path: Path) -> tuple[ObjectClass, ...]:
    """Read what `write_legend` has written.

    Parameters
    ----------
    path : Path
        A ``.csv`` file, which need not be there.

    Returns
    -------
    tuple of ObjectClass
        The classes from number 1 on; empty if there is no such file, or it is another table.

    Raises
    ------
    ExportError
        If the file cannot be read, or a line of it names no class.
    """
    if not path.exists():
        return ()
    rows = [row for row in csv.reader(io.StringIO(read_text(path), newline="")) if row]
    if rows[:1] != [_COLUMNS]:
        return ()
    classes: list[ObjectClass] = []
    try:
        for line, row in enumerate(rows[1:], start=2):
            with reading(f"Line {line}"):
                value, name, color = row
                if int(value) != line - 2:
                    raise ExportError(f"the value {line - 2} is missing")
                classes.append(ObjectClass(name, "#" + color.removeprefix("#")))
    except ExportError as error:
        raise ExportError(f"{error}: {path.name}") from error
    return tuple(classes[1:])


def objects_of_classes(
    image: ImageInfo, labels: NDArray[Any], legend: Sequence[ObjectClass]
) -> Annotations:
    """Make an object of each connected piece of a semantic image.

    Parameters
    ----------
    image : ImageInfo
        The image.
    labels : (..., H, W) unsigned integer ndarray
        Numbers of classes, 0 being background. Pieces of one class that touch at a corner only are
        two; in a stack, a piece goes on in the next slice.
    legend : sequence of ObjectClass
        The classes from number 1 on, at least as many as there are numbers.

    Returns
    -------
    Annotations
        With the classes of the legend; the objects called "without class" have none.
    """
    names = [None if one == _WITHOUT else one.name for one in legend]
    boxes = ndimage.find_objects(labels, max_label=len(names))
    pieces = np.zeros(labels.shape, np.uint32)
    class_names: dict[int, str] = {}
    last = 0
    for number, (box, name) in enumerate(zip(boxes, names, strict=True), start=1):
        if box is None:
            continue
        found, count = ndimage.label(labels[box] == number)
        pieces[box][found > 0] = found[found > 0] + last
        if name is not None:
            class_names |= dict.fromkeys(range(last + 1, last + count + 1), name)
        last += count
    classes = [one for one in legend if one != _WITHOUT]
    return Annotations(image, objects_from_labels(pieces, class_names), classes)
