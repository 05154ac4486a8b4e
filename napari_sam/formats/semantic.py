"""Semantic labels: an image whose values are classes, and a legend that names them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_sam.formats.annotations import Annotations
from napari_sam.formats.classes import ObjectClass, color_for
from napari_sam.formats.details import annotations_with_details
from napari_sam.formats.files import FileError, read_text, write_table
from napari_sam.formats.image import ImageInfo, plane_name, stack_stem
from napari_sam.formats.label_images import (
    LabelPlanes,
    labels_from_objects,
    objects_from_labels,
)
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.png import save_png
from napari_sam.formats.tiff import write_ome_tiff
from napari_sam.storage.pacing import paced

SEMANTIC_MARK: Final = '{"semantic": true}'
"""Stands in the metadata of semantic labels, in place of the details of objects."""
_WITHOUT: Final = ObjectClass("without class", "#a0a0a0")
_MAX_PALETTE: Final = 255
_MAX_VALUE: Final = 2**16
_COLUMNS: Final = ["value", "class", "color"]


def semantic_labels(annotations: Annotations) -> tuple[NDArray[Any], tuple[ObjectClass, ...]]:
    """Return the class of each pixel.

    Parameters
    ----------
    annotations : Annotations
        The objects. Where classes overlap, pixels belong to the last object.

    Returns
    -------
    labels : (..., H, W) unsigned integer ndarray
        0 is background, 1 the first class of the annotations, and so on. Objects without a class
        have the value after the last class.
    legend : tuple of ObjectClass
        The classes from value 1 on; "without class" is among them only if it is needed.
    """
    objects, legend = _with_class_numbers(annotations)
    return labels_from_objects(objects, "last_wins"), legend


def _with_class_numbers(
    annotations: Annotations,
) -> tuple[Annotations, tuple[ObjectClass, ...]]:
    """Return objects with the numbers of their classes as label_ids, and the legend."""
    values: dict[str | None, int] = {
        entry.name: value for value, entry in enumerate(annotations.classes, start=1)
    }
    legend = tuple(annotations.classes)
    if any(obj.class_name is None for obj in annotations.objects):
        values[None] = len(legend) + 1
        legend = (*legend, _WITHOUT)
    objects = [replace(obj, label_id=values[obj.class_name]) for obj in paced(annotations.objects)]
    return replace(annotations, objects=objects), legend


def write_semantic_png(
    path: str | Path, labels: NDArray[Any], legend: Sequence[ObjectClass]
) -> None:
    """Write semantic labels as PNG with a palette of the class colors.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.
    labels : (H, W) uint8 ndarray
        Values of classes; 0 is background.
    legend : sequence of ObjectClass
        The classes from value 1 on.

    Raises
    ------
    FileError
        If there are more than 255 classes, or the file cannot be written.
    """
    if len(legend) > _MAX_PALETTE:
        raise FileError(
            f"PNG holds up to {_MAX_PALETTE} classes, not {len(legend)}; write OME-TIFF."
        )
    image = Image.fromarray(labels)
    image.putpalette(_palette_of(legend))
    save_png(path, image, SEMANTIC_MARK)


def _palette_of(legend: Sequence[ObjectClass]) -> list[int]:
    """Return red, green and blue of each value in turn; the background is black."""
    return [0, 0, 0, *(value for entry in legend for value in entry.color_rgb)]


def write_legend(path: str | Path, legend: Sequence[ObjectClass]) -> None:
    """Write the classes of a semantic image as CSV with the columns value, class and color.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    legend : sequence of ObjectClass
        The classes from value 1 on.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    rows = [(value, entry.name, entry.color) for value, entry in enumerate(legend, start=1)]
    write_table(path, [_COLUMNS, (0, "background", "#000000"), *rows])


def write_semantic_tiff(path: Path, annotations: Annotations) -> list[Path]:
    """Write class numbers as OME-TIFF, and their legend beside it."""
    objects, legend = _with_class_numbers(annotations)
    labels = LabelPlanes(objects, "last_wins")
    write_ome_tiff(path, labels, annotations.image, SEMANTIC_MARK)
    write_legend(legend_path(path), legend)
    return [path, legend_path(path)]


def write_semantic_png_planes(path: Path, annotations: Annotations) -> list[Path]:
    """Write class numbers as one PNG for each plane, and their legend beside them."""
    objects, legend = _with_class_numbers(annotations)
    labels = LabelPlanes(objects, "last_wins")
    image = replace(annotations.image, name=path.name)
    files = []
    for slice_index in np.ndindex(image.stack_shape):
        files.append(path.with_name(plane_name(image, slice_index)))
        write_semantic_png(files[-1], labels[slice_index], legend)
    write_legend(legend_path(path), legend)
    return [*files, legend_path(path)]


def legend_path(path: Path) -> Path:
    """Return the file of the legend beside a semantic image; slices of a stack share it."""
    return path.with_name(f"{stack_stem(path.stem.removesuffix('.ome'))}_classes.csv")


def _read_legend(path: Path, left_out: LeftOut) -> tuple[ObjectClass, ...]:
    """Return the classes of a legend from value 1 on; empty if it is missing or another table.

    Values that no line names are "without class".
    """
    if not path.exists():
        return ()
    rows = [row for row in csv.reader(io.StringIO(read_text(path), newline="")) if row]
    if rows[:1] != [_COLUMNS]:
        return ()
    legend: dict[int, ObjectClass] = {}
    for line, row in enumerate(rows[1:], start=2):
        with left_out.unreadable(f"line {line} of {path.name}"):
            value, name, color = row
            if not 0 <= int(value) <= _MAX_VALUE:
                raise FileError(f"{value} is not a class value")
            if any(entry.name == name for entry in legend.values()):
                raise FileError(f"another class is called '{name}'")
            legend[int(value)] = ObjectClass(name, color_for(f"#{color.removeprefix('#')}", line))
    return tuple(legend.get(value, _WITHOUT) for value in range(1, max(legend, default=0) + 1))


def objects_in(
    image: ImageInfo, labels: NDArray[Any], details: str, path: Path, palette: Sequence[int] = ()
) -> Annotations:
    """Return the objects of a label image, or the pieces of the classes of a semantic image.

    A file without our mark is a label image, whatever lies beside it. PNGs of earlier versions are
    recognized by the colors of their legend, which no label image has. TIFFs of earlier versions
    cannot be told from label images, and are read as such.
    """
    is_marked = details == SEMANTIC_MARK
    left_out = LeftOut()
    legend = _read_legend(legend_path(path), left_out) if is_marked or palette else ()
    last = int(labels.max(initial=0))
    if left_out and last <= _MAX_VALUE:  # lines that cannot be read may be about the last values
        legend = (*legend, *[_WITHOUT] * (last - len(legend)))
    colors = _palette_of(legend)
    is_semantic = is_marked or palette[: len(colors)] == colors
    # The legend of another image in the folder does not name all values of this one.
    if is_semantic and legend and last <= len(legend):
        return replace(_objects_of_classes(image, labels, legend), left_out=left_out)
    return annotations_with_details(image, objects_from_labels(labels), details)


def _objects_of_classes(
    image: ImageInfo, labels: NDArray[Any], legend: Sequence[ObjectClass]
) -> Annotations:
    """Make an object of each connected piece of a semantic image.

    Pieces of a class that touch only at a corner are two objects; in a stack, a piece continues in
    the next slice. The legend must name all values; objects "without class" get no class.
    """
    names = [None if entry == _WITHOUT else entry.name for entry in legend]
    boxes = ndimage.find_objects(labels, max_label=len(names))
    pieces = np.zeros(labels.shape, np.uint32)
    class_names: dict[int, str] = {}
    last = 0
    for value, (box, name) in enumerate(zip(boxes, names, strict=True), start=1):
        if box is None:
            continue
        numbered, count = ndimage.label(labels[box] == value)
        pieces[box][numbered > 0] = numbered[numbered > 0] + last
        if name is not None:
            class_names |= dict.fromkeys(range(last + 1, last + count + 1), name)
        last += count
    classes = [entry for entry in legend if entry != _WITHOUT]
    return Annotations(image, objects_from_labels(pieces, class_names), classes)
