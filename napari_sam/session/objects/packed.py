"""Masks and labels of an n-D region, packed, for whoever holds on to many of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Start = tuple[int, ...]
"""One index per axis."""

_FASTEST: Final = 1
"""A level of compression."""


def region_of(start: Start, shape: Start) -> tuple[slice, ...]:
    """Return the index of a box."""
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


def subtract_mask(
    pixels: NDArray[np.bool_], start: Start, other: NDArray[np.bool_], other_start: Start
) -> None:
    """Take the pixels of another box, where they are True, away from those of a box."""
    low = np.maximum(start, other_start)
    high = np.minimum(np.add(start, pixels.shape), np.add(other_start, other.shape))
    if (low < high).all():
        inside, theirs = (tuple(map(slice, low - at, high - at)) for at in (start, other_start))
        pixels[inside] &= ~other[theirs]


class PackedMask:
    """A bool array and where it lies."""

    def __init__(self, start: Start, mask: NDArray[np.bool_]) -> None:
        self.start: Start = start
        self.shape: Start = mask.shape
        self.area_px = int(np.count_nonzero(mask))
        self.packed = zlib.compress(np.packbits(mask).tobytes(), _FASTEST)

    @classmethod
    def from_packed(cls, start: Start, shape: Start, area_px: int, packed: bytes) -> PackedMask:
        """Return the mask whose attributes these were."""
        mask = cls.__new__(cls)
        mask.start, mask.shape, mask.area_px, mask.packed = start, shape, area_px, packed
        return mask

    @property
    def size_bytes(self) -> int:
        """How much memory it takes."""
        return len(self.packed)

    @property
    def region(self) -> tuple[slice, ...]:
        """Where it lies, as an index."""
        return region_of(self.start, self.shape)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The array."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        return np.unpackbits(bits, count=prod(self.shape)).reshape(self.shape).view(bool)


class PackedLabels:
    """An integer array; mostly there is background alone."""

    def __init__(self, labels: NDArray[Any]) -> None:
        self._shape, self._dtype = labels.shape, labels.dtype
        self._packed = zlib.compress(labels.tobytes(), _FASTEST) if labels.any() else None

    @property
    def size_bytes(self) -> int:
        """How much memory it takes."""
        return 0 if self._packed is None else len(self._packed)

    @property
    def labels(self) -> NDArray[Any]:
        """The array; not to be written to."""
        if self._packed is None:
            return np.zeros(self._shape, self._dtype)
        return np.frombuffer(zlib.decompress(self._packed), self._dtype).reshape(self._shape)


@dataclass(frozen=True, eq=False)
class Block:
    """Pixels that get one label, and what they were before."""

    mask: PackedMask
    before: PackedLabels
