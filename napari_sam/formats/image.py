"""The image that annotations belong to: its axes, sizes and units."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from napari_sam.formats.files import FileError
from napari_sam.formats.units import is_length, is_time, unit_name

_AXIS_NAMES: Final = {
    **dict.fromkeys(("t", "time", "timepoint", "timestep", "frame"), "T"),
    **dict.fromkeys(("c", "ch", "channel", "wavelength", "lambda", "band", "color", "color"), "C"),
    **dict.fromkeys(("z", "slice", "plane", "depth", "section"), "Z"),
}
"""What the first word of an axis's name means, in the singular."""


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
        One letter for each axis, such as "ZYX". By default YX, ZYX, TZYX or TCZYX, and T wherever
        the unit is one of time.
    pixel_size : tuple of float
        Step along each axis, in its unit; 1 by default.
    units : tuple of str
        Name or symbol of each axis's unit, such as "micrometer" or "um"; pixels by default, and
        where the axis is a time and the unit is not, or the other way round.

    Raises
    ------
    FileError
        If the numbers of axes differ, or a unit is unknown.
    """

    shape: tuple[int, ...]
    name: str = "image"
    axes: str = ""
    pixel_size: tuple[float, ...] = ()
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.shape)
        units = tuple(unit_name(unit) for unit in self.units) or ("pixel",) * count
        axes = self.axes or axis_letters(("",) * count, units)
        given = {
            "shape": tuple(int(size) for size in self.shape),
            "axes": axes,
            "pixel_size": tuple(float(size) for size in self.pixel_size) or (1.0,) * count,
            "units": (*map(_fitting_unit, axes, units), *units[len(axes) :]),
        }
        for field, value in given.items():
            object.__setattr__(self, field, value)
        if min(self.shape, default=0) < 1 or self.axes[-2:] != "YX":
            raise FileError(
                f"An image needs axes that end in YX and have pixels, not {self.axes!r} of shape "
                f"{self.shape}."
            )
        if not count == len(set(self.axes)) == len(self.pixel_size) == len(self.units):
            raise FileError(
                f"The image has {count} axes; name as many in {self.axes!r}, none of them twice, "
                f"and give as many pixel sizes, not {self.pixel_size}, and units, not {self.units}."
            )
        if not all(math.isfinite(size) and size > 0 for size in self.pixel_size):
            raise FileError(f"Pixel sizes must be positive, not {self.pixel_size}.")

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[-2], self.shape[-1]

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Sizes of the axes before height and width; empty for a 2-D image."""
        return self.shape[:-2]


def axis_letters(names: Sequence[str], units: Sequence[str]) -> str:
    """Return a letter for each axis; the last two are rows and columns.

    Parameters
    ----------
    names : sequence of str
        The name of each axis, in any form that programs use, or "".
    units : sequence of str
        The unit of each axis, a key of `UNIT_SYMBOLS`.

    Returns
    -------
    str
        T, C, Z or the axis's own letter by its name, else T or Z by its unit, else what is left of
        T, C and Z in this order; "" if that is not enough.

    Examples
    --------
    >>> axis_letters(("Time", "y", "x"), ("pixel",) * 3)
    'TYX'
    >>> axis_letters(("", "", "", ""), ("micrometer", "second", "micrometer", "micrometer"))
    'ZTYX'
    """
    stack_units = units[:-2]
    words = [_first_word(name) for name in names[:-2]]
    letters: dict[int, str] = {}

    def claim(wishes: Iterable[tuple[int, str]]) -> None:
        for axis, letter in wishes:
            if letter and axis not in letters and letter not in letters.values():
                letters[axis] = letter

    by_name = [
        # Whatever it is called, an axis in seconds is not a depth.
        "" if letter == "Z" and is_time(unit) else letter
        for letter, unit in zip(map(axis_letter, words), stack_units, strict=False)
    ]
    claim((axis, letter) for axis, letter in enumerate(by_name) if len(words[axis]) == 1)
    claim(enumerate(by_name))
    claim((axis, "T") for axis, unit in enumerate(stack_units) if is_time(unit))
    # Beside the plane: whoever gives one unit for all axes has a time or channels before it.
    claim((axis, "Z") for axis, unit in reversed([*enumerate(stack_units)]) if is_length(unit))
    free = [letter for letter in "ZTC" if letter not in letters.values()]
    n_unnamed = len(stack_units) - len(letters)
    if n_unnamed > len(free):
        return ""
    rest = iter(sorted(free[:n_unnamed], key="TCZ".index))
    return "".join(letters.get(axis) or next(rest) for axis in range(len(stack_units))) + "YX"


def _first_word(name: str) -> str:
    word = re.search(r"[^\W\d_]+", name)
    return word[0].casefold() if word else ""


def axis_letter(word: str) -> str:
    """Return the letter that the first word of an axis's name means, "" without one."""
    is_letter = len(word) == 1 and word.isascii() and word not in "xy"
    singular = word if len(word) < 3 else word.removesuffix("s")
    return _AXIS_NAMES.get(singular, word.upper() if is_letter else "")


def _fitting_unit(axis: str, unit: str) -> str:
    """Return a unit of an axis, pixels in place of a length along T or of a time along Z."""
    is_other = is_length(unit) if axis == "T" else axis == "Z" and is_time(unit)
    return "pixel" if is_other else unit


def stack_axis(image: ImageInfo, name: str) -> int:
    """Return which axis of a stack a user means.

    Parameters
    ----------
    image : ImageInfo
        The stack.
    name : str
        Its letter, in any case, or its number, 0 for the first. Where there is only one such axis,
        "z" and "t" both mean it: files often do not tell them apart.

    Returns
    -------
    int
        The number of the axis.

    Raises
    ------
    FileError
        If the image has no such axis before rows and columns.

    Examples
    --------
    >>> stack_axis(ImageInfo((3, 5, 20, 30)), "z")
    1
    """
    letters = image.axes[:-2]
    if name.isdecimal() and int(name) < len(letters):
        return int(name)
    if len(name) == 1 and name.upper() in letters:
        return letters.index(name.upper())
    if len(letters) == 1 and name.casefold() in ("z", "t"):
        return 0
    if not letters:
        raise FileError(f"{image.name} is a single slice, and has no axis {name}.")
    raise FileError(
        f"{image.name} has the axes {image.axes}, and no slices along {name}: choose "
        f"{' or '.join(letters.lower())}."
    )


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
