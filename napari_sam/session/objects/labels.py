"""Labels of any number of dimensions, to which objects are written, and planes of them."""

from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, joined_crop, tight_crop
from napari_sam.session.objects.packed import Mask, PackedMask, Region, Start, region_of
from napari_sam.session.objects.records import ObjectRegistry

_MAX_SIDE: Final = 2048
"""Longest side of a region that is read at once."""
_BLOCK_PX: Final = 2**22
"""Pixels read at once: most of them fit the processor's caches, and no volume is copied whole."""
NOWHERE: Final = MaskCrop(np.zeros((0, 0), np.bool_), 0, 0)
"""The mask of an object that is not on a plane."""


class TargetError(ValueError):
    """The target labels cannot take the object; the message says what to do."""


class Labels(Protocol):
    """An array of integers: the object that each pixel belongs to, 0 being background."""

    @property
    def is_gone(self) -> bool:
        """Whether they were deleted: nothing may be written to them any more."""

    @property
    def name(self) -> str:
        """Their name, empty if unknown; may be read on any thread."""

    @property
    def registry(self) -> ObjectRegistry:
        """The records of the objects."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent along each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The integer type."""

    def read(self, region: Region) -> NDArray[Any]:
        """Return a copy of a region; may be called on any thread."""

    def write(self, region: Region, labels: NDArray[Any], where: Mask | None = None) -> None:
        """Replace a region, or those pixels of it that are True; may be called on any thread.

        The user may paint on the other pixels in the meantime.
        """

    def show(self) -> None:
        """Show what was written, on the owner's thread."""

    def max_label_id(self) -> int:
        """Return the largest label_id in use."""


class LabelsPlane(Protocol):
    """A 2-D plane of labels, to which the objects of an image plane are written."""

    @property
    def labels(self) -> Labels:
        """The labels that it is a plane of."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def to_nd(self, mask: Mask, top: int, left: int) -> tuple[Mask, Start]:
        """Return a mask (h, w), whose first pixel is at (top, left), with the labels' axes."""

    def to_2d(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array with the labels' axes, one pixel thin across the plane, as (h, w)."""

    @property
    def slice_axis(self) -> int | None:
        """The axis of the labels along which the planes of the stack follow; None without one."""

    def at_slice(self, slice_index: int) -> "LabelsPlane":
        """Return the plane of the same labels at another position along `slice_axis`."""

    def to_plane(self, start: Start, stop: Start) -> tuple[slice, slice] | None:
        """Return the rows and columns of a box, or None if it does not reach into the plane."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region of the plane."""


def packed_crop(mask: PackedMask, plane: LabelsPlane) -> MaskCrop:
    """Return a mask with the labels' axes as it lies in a plane; empty if it does not reach it."""
    box = plane.to_plane(mask.start, mask.stop)
    if box is None:
        return NOWHERE
    rows, columns = box
    return MaskCrop(plane.to_2d(mask.mask), rows.start, columns.start)


def packed_crops(masks: Iterable[PackedMask], plane: LabelsPlane) -> MaskCrop:
    """Return masks with the labels' axes as one, as it lies in a plane; see `packed_crop`."""
    crops = [crop for mask in masks if (crop := packed_crop(mask, plane)).mask.size]
    return tight_crop(*joined_crop(crops)) if crops else NOWHERE


def parts(start: Start, shape: Start) -> Iterator[tuple[Start, Start]]:
    """Cut a box into parts that are as contiguous as possible: start and shape of each."""
    sides: list[int] = []
    for n in reversed(shape):
        sides.insert(0, max(1, min(n, _MAX_SIDE, _BLOCK_PX // prod(sides))))
    grid = zip(shape, sides, strict=True)
    for offset in product(*(range(0, n, side) for n, side in grid)):
        spans = zip(offset, sides, shape, strict=True)
        corner = tuple(a + first for a, first in zip(start, offset, strict=True))
        yield corner, tuple(min(side, n - first) for first, side, n in spans)


def masks_of(
    labels: Labels, label_id: int, start: Start, shape: Start
) -> Iterator[tuple[Start, Mask]]:
    """Yield the pixels of an object in a box, in parts that are read at once: start and mask."""
    for corner, extent in parts(start, shape):
        yield corner, labels.read(region_of(corner, extent)) == label_id


class ArrayLabels:
    """An integer array as `Labels`; it is written in place.

    Parameters
    ----------
    array : integer ndarray
        Labels, 0 being background.

    Raises
    ------
    TargetError
        If the array is not of an integer type.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        if array.dtype.kind not in "iu":
            raise TargetError(f"Labels must be integers, not {array.dtype}.")
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.name = ""
        self.registry = ObjectRegistry()
        self.is_gone = False

    def read(self, region: Region) -> NDArray[Any]:
        """Return a copy of a region."""
        return self.array[region].copy()

    def write(self, region: Region, labels: NDArray[Any], where: Mask | None = None) -> None:
        """Replace a region, or those pixels of it that are True."""
        np.copyto(self.array[region], labels, where=True if where is None else where)

    def show(self) -> None:
        """Do nothing: nothing shows the array."""

    def max_label_id(self) -> int:
        """Return the largest label_id of the array, 0 if it is empty."""
        return int(self.array.max(initial=0))


class ArrayPlane:
    """A 2-D integer array as a `LabelsPlane`; it is written in place.

    Parameters
    ----------
    array : (H, W) integer ndarray
        Labels, 0 being background.

    Raises
    ------
    TargetError
        If the array is not 2-D or not of an integer type.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        if array.ndim != 2 or array.dtype.kind not in "iu":
            msg = f"Labels must be a 2-D integer array, not {array.dtype} of shape {array.shape}."
            raise TargetError(msg)
        self.labels, self.slice_axis = ArrayLabels(array), None
        self.shape: tuple[int, int] = (len(array), array.shape[1])

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region."""
        return self.labels.read((rows, columns))

    def at_slice(self, slice_index: int) -> "ArrayPlane":
        """Return itself: there are no slices."""
        return self

    def to_nd(self, mask: Mask, top: int, left: int) -> tuple[Mask, Start]:
        """Return the mask as it is."""
        return mask, (top, left)

    def to_2d(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the array as it is."""
        return array

    def to_plane(self, start: Start, stop: Start) -> tuple[slice, slice] | None:
        """Return the box as rows and columns."""
        return slice(start[0], stop[0]), slice(start[1], stop[1])


class ArraySlice:
    """A slice of an integer array (Z, H, W) as a `LabelsPlane`; it is written in place.

    Parameters
    ----------
    labels : ArrayLabels
        All slices, of three axes.
    slice_index : int
        Which one, along the first axis.

    Raises
    ------
    TargetError
        If the labels do not have three axes.
    """

    slice_axis = 0

    def __init__(self, labels: ArrayLabels, slice_index: int) -> None:
        if len(labels.shape) != 3:
            raise TargetError(f"A stack of labels is (Z, H, W), not {labels.shape}.")
        self.labels, self._index = labels, slice_index
        self.shape: tuple[int, int] = (labels.shape[1], labels.shape[2])

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region."""
        region = slice(self._index, self._index + 1), rows, columns
        return self.to_2d(self.labels.read(region))

    def to_nd(self, mask: Mask, top: int, left: int) -> tuple[Mask, Start]:
        """Return the mask as a slice of the stack."""
        return mask[None], (self._index, top, left)

    def to_2d(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the only slice of an array."""
        return array.reshape(array.shape[1:])

    def at_slice(self, slice_index: int) -> "ArraySlice":
        """Return another slice."""
        return ArraySlice(self.labels, slice_index)

    def to_plane(self, start: Start, stop: Start) -> tuple[slice, slice] | None:
        """Return the rows and columns of a box that reaches into the slice; else None."""
        if not start[0] <= self._index < stop[0]:
            return None
        return slice(start[1], stop[1]), slice(start[2], stop[2])


def registry_of(target: LabelsPlane | None) -> ObjectRegistry | None:
    """Return the objects of a target; None if it no longer fits, or is still being read."""
    try:
        return None if target is None else target.labels.registry
    except TargetError:
        return None
