"""Invertible changes of the person's labels, no larger than the object they write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class TargetError(ValueError):
    """The target labels cannot take the object; the message says what to do."""


class LabelsPlane(Protocol):
    """Where accepted objects are written: one 2-D plane of labels, 0 being background."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The integer type of the labels."""

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region."""

    def write(self, rows: slice, columns: slice, labels: NDArray[Any]) -> None:
        """Replace a region and show the change."""

    def max_label_id(self) -> int:
        """Return the largest label_id in the whole of the labels, not only in this plane."""

    def claim(self, label_id: int) -> None:
        """Hear that an object was written."""

    def release(self, label_id: int) -> None:
        """Hear that an object was taken back."""


class ArrayPlane:
    """A `LabelsPlane` on a 2-D integer array, which is written in place.

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
        self.array = array

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.array.shape[0]), int(self.array.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The integer type of the labels."""
        return self.array.dtype

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a copy of a region."""
        return self.array[rows, columns].copy()

    def write(self, rows: slice, columns: slice, labels: NDArray[Any]) -> None:
        """Replace a region."""
        self.array[rows, columns] = labels

    def max_label_id(self) -> int:
        """Return the largest label_id of the array, 0 if it is empty."""
        return int(self.array.max(initial=0))

    def claim(self, label_id: int) -> None:
        """Nothing to note: the array itself is looked at each time."""

    def release(self, label_id: int) -> None:
        """Nothing to note: the array itself is looked at each time."""


@dataclass(frozen=True, eq=False)
class LabelsEdit:
    """One accepted object: the pixels it took and what they were before.

    Parameters
    ----------
    plane : LabelsPlane
        The labels it was written to.
    label_id : int
        The object's integer.
    top, left : int
        Row and column of the region's first pixel.
    before : (h, w) integer ndarray
        The region's labels before the object was written.
    written : (h, w) bool ndarray
        The pixels that the object took.
    """

    plane: LabelsPlane
    label_id: int
    top: int
    left: int
    before: NDArray[Any]
    written: NDArray[np.bool_]

    @property
    def _region(self) -> tuple[slice, slice]:
        height, width = self.written.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def area_px(self) -> int:
        """Number of pixels that the object took."""
        return int(np.count_nonzero(self.written))

    def apply(self) -> None:
        """Write the object; pixels that changed since it was undone keep their new label."""
        labels = self.plane.read(*self._region)
        labels[self.written & (labels == self.before)] = self.label_id
        self.plane.write(*self._region, labels)
        self.plane.claim(self.label_id)

    def with_free_label_id(self) -> LabelsEdit:
        """Return the same edit, with another label_id if its own was taken since it was undone."""
        largest = self.plane.max_label_id()
        return self if self.label_id > largest else replace(self, label_id=largest + 1)

    def revert(self) -> None:
        """Take the object back; pixels that were painted since then keep their new label."""
        labels = self.plane.read(*self._region)
        own = self.written & (labels == self.label_id)
        labels[own] = self.before[own]
        self.plane.write(*self._region, labels)
        self.plane.release(self.label_id)


def plan_object(
    plane: LabelsPlane, mask: NDArray[np.bool_], top: int, left: int, *, overwrite: bool
) -> LabelsEdit:
    """Plan to write a mask as a new object, without writing it yet.

    Parameters
    ----------
    plane : LabelsPlane
        The labels to write to.
    mask : (h, w) bool ndarray
        The object within its bounding box.
    top, left : int
        Row and column of the mask's first pixel in the plane.
    overwrite : bool
        Whether pixels of other objects are taken too; by default only background is.

    Returns
    -------
    LabelsEdit
        Not yet applied. Its `label_id` is the largest one of the labels plus one.

    Raises
    ------
    TargetError
        If no pixel is left to write, or the labels' dtype cannot hold another label_id.
    """
    label_id = plane.max_label_id() + 1
    if label_id > np.iinfo(plane.dtype).max:
        msg = (
            f"The target layer ({plane.dtype}) has no number left after {label_id - 1}: choose "
            "another target, or convert it to a wider type (right-click the layer)."
        )
        raise TargetError(msg)
    height, width = mask.shape
    before = plane.read(slice(top, top + height), slice(left, left + width))
    written = mask if overwrite else mask & (before == 0)
    if not written.any():
        msg = (
            "Nothing to accept: every pixel of this mask belongs to other objects already. "
            "Choose another mask, or allow overwriting."
            if mask.any()
            else "Nothing to accept: this mask is empty. Choose another one or add a click."
        )
        raise TargetError(msg)
    return LabelsEdit(plane, label_id, top, left, before, written)
