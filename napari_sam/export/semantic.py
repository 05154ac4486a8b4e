"""Semantic labels: an image whose numbers are classes, and a legend that names them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray
from PIL import Image

from napari_sam.export.annotations import Annotations
from napari_sam.export.classes import ExportClass
from napari_sam.export.files import ExportError, write_text, written_beside
from napari_sam.export.label_images import labels_from_objects

_WITHOUT: Final = ExportClass("without class", (160, 160, 160))
_MAX_PALETTE: Final = 255


def semantic_labels(annotations: Annotations) -> tuple[NDArray[Any], tuple[ExportClass, ...]]:
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
    legend : tuple of ExportClass
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
    path: str | Path, labels: NDArray[Any], legend: Sequence[ExportClass]
) -> None:
    """Write semantic labels as PNG whose numbers are those of the classes, shown in their colours.

    Parameters
    ----------
    path : str or Path
        A ``.png`` file.
    labels : (H, W) uint8 ndarray
        Numbers of classes, 0 being background.
    legend : sequence of ExportClass
        The classes from number 1 on.

    Raises
    ------
    ExportError
        If there are more than 255 classes, or the file cannot be written.
    """
    if len(legend) > _MAX_PALETTE:
        raise ExportError(f"PNG holds {_MAX_PALETTE} classes, not {len(legend)}: write OME-TIFF.")
    image = Image.fromarray(labels)
    image.putpalette([0, 0, 0, *(value for one in legend for value in one.color_rgb)])
    with written_beside(path) as partial:
        image.save(partial, format="PNG")


def write_legend(path: str | Path, legend: Sequence[ExportClass]) -> None:
    """Write which number means which class: CSV with the columns value, class and color.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    legend : sequence of ExportClass
        The classes from number 1 on.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["value", "class", "color"])
    table.writerow([0, "background", "#000000"])
    for number, one in enumerate(legend, start=1):
        table.writerow([number, one.name, "#" + bytes(one.color_rgb).hex()])
    content = text.getvalue()
    write_text(path, content, "utf-8" if content.isascii() else "utf-8-sig")
