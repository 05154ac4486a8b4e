"""Measurements of objects, slice by slice, as CSV (RFC 4180), by scikit-image's ``regionprops``."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import skimage
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import FileError, write_table
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.units import UNIT_SYMBOLS, converted
from napari_sam.storage.pacing import paced

# The power of length that each is measured in.
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
DETAILS: Final = ("class", "score", "reviewed", "note")
"""The columns that `details_of` fills."""
_OF_SLICES: Final = ("parent_id", "origin", "confidence")
_COMPARISON: Final = ("class_confidence", "likeness")
"""Columns of tables in which an object has been compared with examples."""
_INTENSITIES: Final = ("intensity_mean", "intensity_std", "intensity_min", "intensity_max")


def write_measurements(
    path: str | Path, annotations: Annotations, intensity: NDArray[Any] | None = None
) -> None:
    """Write a table with one row for each object, or for each slice of it in a stack.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file.
    annotations : Annotations
        The objects. Each is measured with its own mask, so they may overlap.
    intensity : (..., H, W) ndarray, optional
        The image, with one channel and the annotations' shape, to measure intensities too.

    Raises
    ------
    FileError
        If the image has another shape, the units of rows and columns cannot be converted, or the
        file cannot be written.

    Notes
    -----
    Lengths and areas are in the unit of the columns, which the heading names, as in
    ``area [um^2]``; ``area_px``, ``top_px`` and the like count pixels. Centroids are relative to
    the center of the image's first pixel, wherever a layer is moved, rotated or mirrored to in
    napari. Orientation is in radians, between the axis of rows and the major axis. Fields of
    properties that an object does not have are empty: the perimeter if pixels are not square, and
    others for tiny objects. The file is UTF-8, with a byte order mark only if a name needs it, for
    Excel.
    """
    image = annotations.image
    if intensity is not None and intensity.shape != image.shape:
        msg = f"The intensities have the shape {intensity.shape}; give an image of {image.shape}."
        raise FileError(msg)
    height = converted(image.pixel_size[-2], *image.units[-2:])
    if height is None:
        raise FileError(
            f"Rows are in {image.units[-2]}, columns in {image.units[-1]}; give both a unit of "
            "length, or none."
        )
    spacing = (height, image.pixel_size[-1])
    told = [name for name in _COMPARISON if any(_has(obj, name) for obj in annotations.objects)]
    heading = _heading(image, told, with_intensity=intensity is not None)
    with np.errstate(all="ignore"):  # of pixels as large as stars
        rows = [_row(obj, spacing, intensity, told) for obj in paced(annotations.objects)]
    write_table(path, [heading, *rows])


def _has(obj: ExportObject, name: str) -> bool:
    return getattr(obj, name) is not None


def _heading(image: ImageInfo, told: Sequence[str], *, with_intensity: bool) -> list[str]:
    unit = UNIT_SYMBOLS[image.units[-1]].ascii
    powers = {0: "", 1: f" [{unit}]", 2: f" [{unit}^2]"}
    return [
        "label_id",
        *(f"{axis.lower()}_index" for axis in image.axes[:-2]),
        *DETAILS,
        *(_OF_SLICES if image.stack_shape else ()),
        *told,
        "area_px",
        *(f"{side}_px" for side in ("top", "left", "bottom", "right")),
        *(f"centroid_{axis}{powers[1]}" for axis in "yx"),
        *(f"{name}{powers[power]}" for name, power in _PROPERTIES.items()),
        *(_INTENSITIES if with_intensity else ()),
    ]


def _row(
    obj: ExportObject,
    spacing: tuple[float, float],
    intensity: NDArray[Any] | None,
    told: Sequence[str],
) -> list[Any]:
    obj = obj.cropped()
    index: tuple[int | slice, ...] = (*obj.slice_index, *obj.region)
    (region,) = skimage.measure.regionprops(
        obj.mask.astype(np.uint8),
        intensity_image=None if intensity is None else np.asarray(intensity[index]),
        spacing=spacing,
    )
    height, width = obj.mask.shape
    names = [*_PROPERTIES, *(() if intensity is None else _INTENSITIES)]
    return [
        obj.label_id,
        *obj.slice_index,
        *details_of(obj),
        *((obj.parent_id or None, obj.origin, obj.confidence) if obj.slice_index else ()),
        *(getattr(obj, name) for name in told),
        obj.area_px,
        *(obj.top, obj.left, obj.top + height, obj.left + width),
        region.centroid[0] + obj.top * spacing[0],
        region.centroid[1] + obj.left * spacing[1],
        *(_value(region, name) for name in names),
    ]


def details_of(obj: ExportObject) -> tuple[Any, ...]:
    """Return what is known of an object, besides its pixels, as tables have it."""
    return obj.class_name, obj.score, "yes" if obj.reviewed else None, obj.note or None


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
