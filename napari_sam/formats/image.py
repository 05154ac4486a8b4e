"""The image that annotations belong to: its axes, sizes and units."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from napari_sam.formats.files import ExportError
from napari_sam.formats.units import unit_name

_AXES: Final = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}


@dataclass(frozen=True)
class ImageInfo:
    """The image that annotations belong to.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes, the last two being height and width in pixels.
    name : str
        The image's file name or title, in any script.
    axes : str
        One letter for each axis, such as "ZYX". By default YX, ZYX, TZYX or TCZYX.
    pixel_size : tuple of float
        Step along each axis, in its unit; 1 by default.
    units : tuple of str
        Name or symbol of each axis's unit, such as "micrometer" or "um"; pixels by default.

    Raises
    ------
    ExportError
        If the numbers of axes differ, or a unit is unknown.
    """

    shape: tuple[int, ...]
    name: str = "image"
    axes: str = ""
    pixel_size: tuple[float, ...] = ()
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.shape)
        given = {
            "shape": tuple(int(size) for size in self.shape),
            "axes": self.axes or _AXES.get(count, ""),
            "pixel_size": tuple(float(size) for size in self.pixel_size) or (1.0,) * count,
            "units": tuple(unit_name(unit) for unit in self.units) or ("pixel",) * count,
        }
        for field, value in given.items():
            object.__setattr__(self, field, value)
        if min(self.shape, default=0) < 1 or self.axes[-2:] != "YX":
            raise ExportError(
                f"An image needs axes that end in YX and have pixels, not {self.axes!r} of shape "
                f"{self.shape}."
            )
        if not count == len(set(self.axes)) == len(self.pixel_size) == len(self.units):
            raise ExportError(
                f"The image has {count} axes; name as many in {self.axes!r}, none of them twice, "
                f"and give as many pixel sizes, not {self.pixel_size}, and units, not {self.units}."
            )
        if not all(math.isfinite(size) and size > 0 for size in self.pixel_size):
            raise ExportError(f"Pixel sizes must be positive, not {self.pixel_size}.")

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[-2], self.shape[-1]

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Sizes of the axes before height and width; empty for a 2-D image."""
        return self.shape[:-2]


def plane_name(image: ImageInfo, slice_index: tuple[int, ...]) -> str:
    """Return a name for one slice of a stack.

    Parameters
    ----------
    image : ImageInfo
        The stack, or a 2-D image, whose own name is returned.
    slice_index : tuple of int
        Index of the slice along the axes before the last two.

    Returns
    -------
    str
        The name of the stack with the index before the suffix.

    Examples
    --------
    >>> plane_name(ImageInfo((5, 20, 30), "cells.tif"), (3,))
    'cells_z0003.tif'
    """
    stem, dot, suffix = image.name.rpartition(".")
    if not stem:
        stem, dot, suffix = image.name, "", ""
    numbers = "".join(
        f"_{axis.lower()}{index:04d}" for axis, index in zip(image.axes, slice_index, strict=False)
    )
    return f"{stem}{numbers}{dot}{suffix}"


def stack_stem(stem: str) -> str:
    """Return what is common to the names of a stack's slices by `plane_name`.

    Examples
    --------
    >>> stack_stem("cells_t0001_z0003")
    'cells'
    """
    return re.sub(r"(_[a-z]\d{4,})+$", "", stem)


def image_from_json(members: Mapping[str, Any]) -> ImageInfo:
    """Return the image whose fields were written as JSON, which has lists instead of tuples."""
    return ImageInfo(
        tuple(members["shape"]),
        str(members.get("name", "image")),
        str(members.get("axes", "")),
        tuple(members.get("pixel_size", ())),
        tuple(members.get("units", ())),
    )
