"""Sets of pixels of some labels, which may lie far apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.packed import PackedMask, Start

TILE_PX: Final = 512
"""As long as the chunks of a sparse target, so that each of them is read and written once."""


class PixelSet:
    """Pixels, held in tiles: each once, however often it is added."""

    def __init__(self, masks: Iterable[PackedMask] = ()) -> None:
        self._tiles: dict[Start, NDArray[np.bool_]] = {}
        for one in masks:
            self.add(one.start, one.mask)

    def add(self, start: Start, mask: NDArray[np.bool_]) -> None:
        """Add the pixels of a box where a mask is True."""
        for index, inside, own in tiles_of(start, mask.shape):
            if mask[own].any():
                self._tile(index)[inside] |= mask[own]

    def add_places(self, places: Sequence[NDArray[Any]]) -> None:
        """Add pixels by their indices, one array for each axis; they may lie far apart."""
        sides = np.array(tile_shape(len(places)))[:, None]
        at = np.stack([np.ravel(one) for one in np.broadcast_arrays(*places)]).astype(np.int64)
        if not at.size:
            return
        index = at // sides
        grid = np.ravel_multi_index(tuple(index), tuple(index.max(axis=1) + 1))
        order = np.argsort(grid, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(grid[order])) + 1):
            own = index[:, part[0]]
            self._tile(tuple(own.tolist()))[tuple(at[:, part] - own[:, None] * sides)] = True

    def discard(self, start: Start, mask: NDArray[np.bool_]) -> None:
        """Take away the pixels of a box where a mask is True."""
        for index, inside, own in tiles_of(start, mask.shape):
            tile = self._tiles.get(index)
            if tile is not None:
                tile[inside] &= ~mask[own]

    def read(self, start: Start, shape: Start) -> NDArray[np.bool_]:
        """Return which pixels of a box are in the set."""
        read = np.zeros(shape, np.bool_)
        for index, inside, own in tiles_of(start, shape):
            tile = self._tiles.get(index)
            if tile is not None:
                read[own] = tile[inside]
        return read

    def masks(self) -> tuple[PackedMask, ...]:
        """Return the pixels, in parts that do not overlap, each within its smallest box."""
        packed = []
        for index, tile in self._tiles.items():
            (box,) = ndimage.find_objects(tile.view(np.uint8)) or [None]
            if box is not None:
                corner = zip(index, tile_shape(tile.ndim), box, strict=True)
                start = tuple(number * side + one.start for number, side, one in corner)
                packed.append(PackedMask(start, tile[box]))
        return tuple(packed)

    def _tile(self, index: Start) -> NDArray[np.bool_]:
        tile = self._tiles.get(index)
        if tile is None:
            tile = self._tiles[index] = np.zeros(tile_shape(len(index)), np.bool_)
        return tile


def tile_shape(n_axes: int) -> Start:
    """Return the extent of a tile of labels with so many axes: one slice of the last two."""
    return (*(1,) * (n_axes - 2), TILE_PX, TILE_PX)[-n_axes:]


def tiles_of(
    start: Start, shape: Start
) -> Iterator[tuple[Start, tuple[slice, ...], tuple[slice, ...]]]:
    """Yield the tiles that a box lies on."""
    sides = tile_shape(len(shape))
    ranges = [
        range(first // side, (first + n - 1) // side + 1)
        for first, n, side in zip(start, shape, sides, strict=True)
    ]
    for index in product(*ranges):
        inside, own = [], []
        for number, side, first, n in zip(index, sides, start, shape, strict=True):
            corner = number * side
            begin, end = max(first, corner), min(first + n, corner + side)
            inside.append(slice(begin - corner, end - corner))
            own.append(slice(begin - first, end - first))
        yield index, tuple(inside), tuple(own)
