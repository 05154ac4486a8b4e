"""Invertible changes of the person's labels, no larger than the object they write."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_sam.model import MaskCrop

_FASTEST: Final = 1
"""A level of compression."""


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
        """Replace a region; what shows it is told by `show`."""

    def show(self) -> None:
        """Show what was written; on the owner's thread, unlike the others."""

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

    def show(self) -> None:
        """Nothing to do: nothing shows the array."""

    def max_label_id(self) -> int:
        """Return the largest label_id of the array, 0 if it is empty."""
        return int(self.array.max(initial=0))

    def claim(self, label_id: int) -> None:
        """Nothing to note: the array itself is looked at each time."""

    def release(self, label_id: int) -> None:
        """Nothing to note: the array itself is looked at each time."""


class _Block:
    """A part of an edit: its pixels, packed, for the history holds on to them.

    Parameters
    ----------
    top, left : int
        Row and column of its first pixel.
    before : (h, w) integer ndarray
        The labels before the object was written.
    written : (h, w) bool ndarray
        The pixels that the object took.
    """

    def __init__(
        self, top: int, left: int, before: NDArray[Any], written: NDArray[np.bool_]
    ) -> None:
        self._shape = written.shape
        self.region = slice(top, top + self._shape[0]), slice(left, left + self._shape[1])
        self.area_px = int(np.count_nonzero(written))
        self._written = zlib.compress(np.packbits(written).tobytes(), _FASTEST)
        self._dtype = before.dtype
        # Mostly there was background everywhere.
        self._before = zlib.compress(before.tobytes(), _FASTEST) if before.any() else None

    @property
    def before(self) -> NDArray[Any]:
        """(h, w), the labels before the object was written."""
        if self._before is None:
            return np.zeros(self._shape, self._dtype)
        return np.frombuffer(zlib.decompress(self._before), self._dtype).reshape(self._shape)

    @property
    def written(self) -> NDArray[np.bool_]:
        """(h, w), the pixels that the object took."""
        bits = np.frombuffer(zlib.decompress(self._written), np.uint8)
        count = self._shape[0] * self._shape[1]
        return np.unpackbits(bits, count=count).reshape(self._shape).astype(bool)


@dataclass(frozen=True, eq=False)
class LabelsEdit:
    """One accepted object: the pixels it took and what they were before.

    Parameters
    ----------
    plane : LabelsPlane
        The labels it was written to.
    label_id : int
        The object's integer.
    blocks : tuple
        The parts of it, which do not overlap.
    """

    plane: LabelsPlane
    label_id: int
    blocks: tuple[_Block, ...]

    @property
    def area_px(self) -> int:
        """Number of pixels that the object took."""
        return sum(block.area_px for block in self.blocks)

    def apply(self) -> None:
        """Write the object; pixels that changed since it was undone keep their new label."""
        for block in self.blocks:
            labels = self.plane.read(*block.region)
            labels[block.written & (labels == block.before)] = self.label_id
            self.plane.write(*block.region, labels)
        self.plane.claim(self.label_id)

    def with_free_label_id(self) -> LabelsEdit:
        """Return the same edit, with another label_id if its own was taken since it was undone."""
        largest = self.plane.max_label_id()
        return self if self.label_id > largest else replace(self, label_id=largest + 1)

    def revert(self) -> None:
        """Take the object back; pixels that were painted since then keep their new label."""
        for block in self.blocks:
            labels = self.plane.read(*block.region)
            own = block.written & (labels == self.label_id)
            labels[own] = block.before[own]
            self.plane.write(*block.region, labels)
        self.plane.release(self.label_id)


def plan_object(plane: LabelsPlane, mask: Iterable[MaskCrop], *, overwrite: bool) -> LabelsEdit:
    """Plan to write a mask as a new object, without writing it yet.

    Parameters
    ----------
    plane : LabelsPlane
        The labels to write to.
    mask : iterable of MaskCrop
        The object, in parts that do not overlap: each (h, w) bool, with the row and the column
        of its first pixel in the plane.
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
    blocks, is_empty = [], True
    for part, top, left in mask:
        height, width = part.shape
        is_empty = is_empty and not part.any()
        before = plane.read(slice(top, top + height), slice(left, left + width))
        written = part if overwrite else part & (before == 0)
        if written.any():
            blocks.append(_Block(top, left, before, written))
    if not blocks:
        msg = (
            "Nothing to accept: this mask is empty. Choose another one or add a click."
            if is_empty
            else "Nothing to accept: every pixel of this mask belongs to other objects already. "
            "Choose another mask, or allow overwriting."
        )
        raise TargetError(msg)
    return LabelsEdit(plane, label_id, tuple(blocks))
