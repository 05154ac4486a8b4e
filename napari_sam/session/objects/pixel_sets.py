"""Sets of pixels of some labels, which may lie far apart."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.packed import Mask, PackedMask, Region, Start

TILE_PX: Final = 512
"""The side of a chunk of a sparse target, so that each chunk is read and written once."""


class PixelSet:
    """Pixels, held in tiles: each once, however often it is added."""

    def __init__(self, masks: Iterable[PackedMask] = ()) -> None:
        self._tiles: dict[Start, Mask] = {}
        for packed in masks:
            self.add(packed.start, packed.mask)

    def add(self, start: Start, mask: Mask) -> None:
        """Add the pixels of a box where a mask is True."""
        for index, in_tile, in_box in tiles_of(start, mask.shape):
            if mask[in_box].any():
                self._tile(index)[in_tile] |= mask[in_box]

    def add_places(self, places: Sequence[NDArray[Any]]) -> None:
        """Add pixels by their indices, one array for each axis; they may lie far apart."""
        for index, _, in_tile in tiles_of_places(places):
            self._tile(index)[in_tile] = True

    def discard(self, start: Start, mask: Mask) -> None:
        """Remove the pixels of a box where a mask is True."""
        for index, in_tile, in_box in tiles_of(start, mask.shape):
            tile = self._tiles.get(index)
            if tile is not None:
                tile[in_tile] &= ~mask[in_box]

    def read(self, start: Start, shape: Start) -> Mask:
        """Return which pixels of a box are in the set."""
        read = np.zeros(shape, np.bool_)
        for index, in_tile, in_box in tiles_of(start, shape):
            tile = self._tiles.get(index)
            if tile is not None:
                read[in_box] = tile[in_tile]
        return read

    def masks(self) -> tuple[PackedMask, ...]:
        """Return the pixels, in parts that do not overlap, each within its smallest box."""
        packed = []
        for index, tile in self._tiles.items():
            (box,) = ndimage.find_objects(tile.view(np.uint8)) or [None]
            if box is not None:
                axes = zip(index, tile_shape(tile.ndim), box, strict=True)
                start = tuple(n * side + span.start for n, side, span in axes)
                packed.append(PackedMask(start, tile[box]))
        return tuple(packed)

    def _tile(self, index: Start) -> Mask:
        tile = self._tiles.get(index)
        if tile is None:
            tile = self._tiles[index] = np.zeros(tile_shape(len(index)), np.bool_)
        return tile


def tile_shape(n_axes: int) -> Start:
    """Return the extent of a tile of labels with so many axes: one slice of the last two."""
    return (*(1,) * (n_axes - 2), TILE_PX, TILE_PX)[-n_axes:]


def tiles_of(start: Start, shape: Start) -> Iterator[tuple[Start, Region, Region]]:
    """Yield the tiles that a box meets: the index of each, and their overlap within both."""
    sides = tile_shape(len(shape))
    ranges = [
        range(first // side, (first + n - 1) // side + 1)
        for first, n, side in zip(start, shape, sides, strict=True)
    ]
    for index in product(*ranges):
        in_tile, in_box = [], []
        for number, side, first, n in zip(index, sides, start, shape, strict=True):
            corner = number * side
            begin, end = max(first, corner), min(first + n, corner + side)
            in_tile.append(slice(begin - corner, end - corner))
            in_box.append(slice(begin - first, end - first))
        yield index, tuple(in_tile), tuple(in_box)


def tiles_of_places(
    places: Sequence[NDArray[Any]],
) -> Iterator[tuple[Start, NDArray[np.intp], tuple[NDArray[np.int64], ...]]]:
    """Yield the tiles of pixels given by their indices, one array for each axis.

    With the index of a tile come the numbers of its pixels, and their indices in it.
    """
    sides = np.array(tile_shape(len(places)))[:, None]
    pixels = np.stack([np.ravel(axis) for axis in np.broadcast_arrays(*places)])
    pixels = pixels.astype(np.int64)
    if not pixels.size:
        return
    tiles = pixels // sides
    tile_numbers = np.ravel_multi_index(tuple(tiles), tuple(tiles.max(axis=1) + 1))
    order = np.argsort(tile_numbers, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(tile_numbers[order])) + 1):
        index = tiles[:, part[0]]
        in_tile = tuple(pixels[:, part] - index[:, None] * sides)
        yield tuple(index.tolist()), part, in_tile
