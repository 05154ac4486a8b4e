"""Compressed masks and labels of an n-D region."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Start = tuple[int, ...]
"""One index per axis."""
Region = tuple[slice, ...]
"""One slice per axis."""
Mask = NDArray[np.bool_]
"""Which pixels of a box; of any number of axes."""

FASTEST: Final = 1
"""The level of compression."""


def region_of(start: Start, shape: Start) -> Region:
    """Return the index of a box."""
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


def overlap_of(start: Start, shape: Start, packed: PackedMask) -> tuple[Region, Region] | None:
    """Return where a box and a mask overlap, within either of them; None if they do not."""
    low = np.maximum(start, packed.start)
    high = np.minimum(np.add(start, shape), packed.stop)
    if (low >= high).any():
        return None
    in_box, in_mask = (
        tuple(map(slice, low - first, high - first)) for first in (start, packed.start)
    )
    return in_box, in_mask


def subtract_mask(pixels: Mask, start: Start, packed: PackedMask) -> None:
    """Clear the pixels of a box where a mask is True; unpack that only if it meets the box."""
    overlap = overlap_of(start, pixels.shape, packed)
    if overlap is not None:
        in_box, in_mask = overlap
        pixels[in_box] &= ~packed.mask[in_mask]


def covered_by(masks: Iterable[PackedMask], start: Start, shape: Start) -> Mask:
    """Return which pixels of a box are in some masks."""
    uncovered = np.ones(shape, np.bool_)
    for mask in masks:
        subtract_mask(uncovered, start, mask)
    return ~uncovered


class PackedMask:
    """A bool array and where it lies."""

    def __init__(self, start: Start, mask: Mask) -> None:
        self.start: Start = start
        self.shape: Start = mask.shape
        self.area_px = int(np.count_nonzero(mask))
        self.packed = zlib.compress(np.packbits(mask).tobytes(), FASTEST)

    @classmethod
    def from_packed(cls, start: Start, shape: Start, area_px: int, packed: bytes) -> PackedMask:
        """Return the mask with these attributes."""
        mask = cls.__new__(cls)
        mask.start, mask.shape, mask.area_px, mask.packed = start, shape, area_px, packed
        return mask

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return len(self.packed)

    @property
    def is_full(self) -> bool:
        """Whether all of its pixels are True."""
        return self.area_px == prod(self.shape)

    @property
    def stop(self) -> Start:
        """The index after its last, along each axis."""
        return tuple(first + n for first, n in zip(self.start, self.shape, strict=True))

    @property
    def region(self) -> Region:
        """Where it lies, as an index."""
        return region_of(self.start, self.shape)

    @property
    def mask(self) -> Mask:
        """The array."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        return np.unpackbits(bits, count=prod(self.shape)).reshape(self.shape).view(bool)


class PackedLabels:
    """An integer array; most are only background."""

    def __init__(self, labels: NDArray[Any]) -> None:
        self._shape, self._dtype = labels.shape, labels.dtype
        self._packed = zlib.compress(labels.tobytes(), FASTEST) if labels.any() else None

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return 0 if self._packed is None else len(self._packed)

    @property
    def labels(self) -> NDArray[Any]:
        """The array, read-only."""
        if self._packed is None:
            return np.zeros(self._shape, self._dtype)
        return np.frombuffer(zlib.decompress(self._packed), self._dtype).reshape(self._shape)


@dataclass(frozen=True, eq=False)
class Block:
    """Pixels that get a new label, with the labels that they had."""

    mask: PackedMask
    before: PackedLabels

    @classmethod
    def of(cls, start: Start, mask: Mask, label_id: int, dtype: np.dtype[Any]) -> Block:
        """Return pixels that all had the same label."""
        labels = np.where(mask, label_id, 0).astype(dtype)
        return cls(PackedMask(start, mask), PackedLabels(labels))

    def renumbered(self, former: int, label_id: int) -> Block:
        """Return the block with another label_id in place of a former one."""
        labels = self.before.labels
        is_former = labels == former
        if not is_former.any():
            return self
        return Block(self.mask, PackedLabels(np.where(is_former, label_id, labels)))
