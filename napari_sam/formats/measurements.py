"""A table of measurements as CSV (RFC 4180), by scikit-image's ``regionprops``."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import ExportError, write_text
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.units import UNIT_SYMBOLS

# By the power of the length that they are measured in.
_PROPERTIES: Final = {
    "area": 2,
    "perimeter": 1,
    "equivalent_diameter_area": 1,
    "axis_major_length": 1,
    "axis_minor_length": 1,
    "feret_diameter_max": 1,
    "eccentricity": 0,
    "orientation": 0,
    "solidity": 0,
    "extent": 0,
    "euler_number": 0,
}
_INTENSITIES: Final = ("intensity_mean", "intensity_std", "intensity_min", "intensity_max")


def write_measurements(
    path: str | Path, annotations: Annotations, intensity: NDArray[Any] | None = None
) -> None:
    """Write a table with one row for each object, in each slice of a stack.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    annotations : Annotations
        The objects. Each is measured with its own mask, so they may overlap.
    intensity : (..., H, W) ndarray, optional
        The image, of one channel and of the annotations' shape, to measure gray values too.

    Raises
    ------
    ExportError
        If the image has another shape, height and width have different units, or the file cannot
        be written.

    Notes
    -----
    Lengths and areas are in the unit of the image, which stands in the heading, as in
    ``area [um^2]``; ``area_px``, ``top_px`` and the like count pixels. Centroids are within the
    image, the middle of whose first pixel is 0, wherever a layer is moved, turned or mirrored to
    in napari. Orientation is in radians, between the rows'
    axis and the major one. With pixels that are not square the perimeter is not defined and its
    field is empty, as are those of properties that a tiny object does not have. The file is
    UTF-8, with a byte order mark only if a name needs it, for Excel.
    """
    image = annotations.image
    if intensity is not None and intensity.shape != image.shape:
        msg = f"The gray values have the shape {intensity.shape}; give an image of {image.shape}."
        raise ExportError(msg)
    if image.units[-1] != image.units[-2]:
        msg = f"Height and width are in {image.units[-2]} and {image.units[-1]}; give one unit."
        raise ExportError(msg)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_heading(image, with_intensity=intensity is not None))
    table.writerows(_row(thing, image, intensity) for thing in annotations.objects)
    content = text.getvalue()
    write_text(path, content, "utf-8" if content.isascii() else "utf-8-sig")


def _heading(image: ImageInfo, *, with_intensity: bool) -> list[str]:
    unit = UNIT_SYMBOLS[image.units[-1]].ascii
    powers = {0: "", 1: f" [{unit}]", 2: f" [{unit}^2]"}
    return [
        "label_id",
        *(f"{axis.lower()}_index" for axis in image.axes[:-2]),
        "class",
        "score",
        "reviewed",
        "note",
        "area_px",
        *(f"{side}_px" for side in ("top", "left", "bottom", "right")),
        *(f"centroid_{axis}{powers[1]}" for axis in "yx"),
        *(f"{name}{powers[power]}" for name, power in _PROPERTIES.items()),
        *(_INTENSITIES if with_intensity else ()),
    ]


def _row(thing: ExportObject, image: ImageInfo, intensity: NDArray[Any] | None) -> list[Any]:
    thing = thing.cropped()
    place: tuple[int | slice, ...] = (*thing.slice_index, *thing.region)
    spacing = image.pixel_size[-2:]
    (region,) = regionprops(
        thing.mask.astype(np.uint8),
        intensity_image=None if intensity is None else np.asarray(intensity[place]),
        spacing=spacing,
    )
    height, width = thing.mask.shape
    names = [*_PROPERTIES, *(() if intensity is None else _INTENSITIES)]
    return [
        thing.label_id,
        *thing.slice_index,
        thing.class_name,
        thing.score,
        "yes" if thing.reviewed else None,
        thing.note or None,
        thing.area_px,
        *(thing.top, thing.left, thing.top + height, thing.left + width),
        region.centroid[0] + thing.top * spacing[0],
        region.centroid[1] + thing.left * spacing[1],
        *(_value(region, name) for name in names),
    ]


def _value(region: Any, name: str) -> float | None:
    """Return a property, or None if this object does not have it."""
    with warnings.catch_warnings():
        # A hull needs three points that are not in a line; scikit-image warns and goes on.
        warnings.simplefilter("ignore")
        try:
            value = float(getattr(region, name))
        except (NotImplementedError, ValueError):
            return None
    return value if np.isfinite(value) else None
