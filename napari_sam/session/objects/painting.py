"""What a brush, a polygon or a fill has painted: which pixels, and what that makes of objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.brushed import after_strokes
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import PackedMask, Start
from napari_sam.session.objects.records import ObjectBook, ObjectRecord, RecordChange
from napari_sam.session.objects.scanning import in_array, recounted_all, union

_TILE_PX: Final = 512
"""As long as the chunks of a sparse target, and as the blocks that a journal is replayed in."""


class Painted:
    """Pixels of some labels that were painted since the last time, and whose they may have been.

    However many dabs a stroke has, and however they overlap, each pixel is held once.
    """

    def __init__(self) -> None:
        self.label_ids: set[int] = set()
        """The objects that may have lost or gained pixels."""
        self._tiles: dict[Start, NDArray[np.bool_]] = {}

    def add(self, start: Start, mask: NDArray[np.bool_], label_ids: Iterable[int]) -> None:
        """Note pixels of a box.

        Parameters
        ----------
        start : tuple of int
            Its first index along each axis.
        mask : bool ndarray
            Which of its pixels.
        label_ids : iterable of int
            What they were and what they are; 0 and negative ones are no objects.
        """
        self.label_ids.update(label_id for label_id in label_ids if label_id > 0)
        sides = _sides(mask.ndim)
        ranges = [
            range(first // side, (first + n - 1) // side + 1)
            for first, n, side in zip(start, mask.shape, sides, strict=True)
        ]
        for index in product(*ranges):
            inside, own = [], []
            for number, side, first, n in zip(index, sides, start, mask.shape, strict=True):
                corner = number * side
                begin, end = max(first, corner), min(first + n, corner + side)
                inside.append(slice(begin - corner, end - corner))
                own.append(slice(begin - first, end - first))
            self._tile(index)[tuple(inside)] |= mask[tuple(own)]

    def add_places(self, places: Sequence[NDArray[Any]], label_ids: Iterable[int]) -> None:
        """Note pixels by their indices, one array for each axis; they may lie far apart."""
        self.label_ids.update(label_id for label_id in label_ids if label_id > 0)
        sides = np.array(_sides(len(places)))[:, None]
        at = np.stack([np.ravel(one) for one in np.broadcast_arrays(*places)]).astype(np.int64)
        if not at.size:
            return
        index = at // sides
        grid = np.ravel_multi_index(tuple(index), tuple(index.max(axis=1) + 1))
        order = np.argsort(grid, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(grid[order])) + 1):
            own = index[:, part[0]]
            self._tile(tuple(own.tolist()))[tuple(at[:, part] - own[:, None] * sides)] = True

    def masks(self) -> list[PackedMask]:
        """Return the pixels, in parts that do not overlap, each within its smallest box."""
        packed = []
        for index, tile in self._tiles.items():
            (box,) = ndimage.find_objects(tile.view(np.uint8)) or [None]
            if box is not None:
                corner = zip(index, _sides(tile.ndim), box, strict=True)
                start = tuple(number * side + one.start for number, side, one in corner)
                packed.append(PackedMask(start, tile[box]))
        return packed

    def _tile(self, index: Start) -> NDArray[np.bool_]:
        tile = self._tiles.get(index)
        if tile is None:
            tile = self._tiles[index] = np.zeros(_sides(len(index)), np.bool_)
        return tile


def _sides(n_axes: int) -> Start:
    return (*(1,) * (n_axes - 2), _TILE_PX, _TILE_PX)[-n_axes:]


def distinct(values: NDArray[Any]) -> list[int]:
    """Return the different ones of some labels, in no order."""
    if values.size and values.min() >= 0 and values.max() < values.size:
        return [int(one) for one in np.flatnonzero(np.bincount(values.ravel().astype(np.intp)))]
    return [int(one) for one in np.unique(values)]


def recount_painted(
    labels: Labels, book: ObjectBook, masks: Iterable[PackedMask], label_ids: Iterable[int]
) -> list[RecordChange]:
    """Return what became of the records of objects where somebody has painted.

    Parameters
    ----------
    labels : Labels
        The labels, as they are now.
    book : ObjectBook
        The records, as they were.
    masks : iterable of PackedMask
        The pixels that were painted.
    label_ids : iterable of int
        The objects that may have lost or gained pixels there.
    """
    gained: dict[int, ObjectRecord] = {}
    for mask in masks:
        for one in in_array(np.where(mask.mask, labels.read(mask.region), 0), mask.start):
            known = gained.get(one.label_id)
            gained[one.label_id] = one if known is None else union(known, one)
    boxes: dict[int, tuple[Start, Start]] = {}
    changes = []
    for label_id in sorted({*label_ids, *gained}):
        record, more = book.get(label_id), gained.get(label_id)
        if record is None and more is not None:
            # Whatever there is of an object without a record was painted just now.
            changes.append(RecordChange(None, more))
        elif record is not None:
            found = more or record
            boxes[label_id] = (
                tuple(map(min, record.start, found.start)),
                tuple(map(max, record.stop, found.stop)),
            )
    counted = recounted_all(labels, boxes)
    strokes = [(mask, labels.read(mask.region)) for mask in masks]
    for label_id in boxes:
        record, now = book.get(label_id), counted.get(label_id)
        if record is not None and now is not None:
            now = replace(
                record,
                start=now.start,
                stop=now.stop,
                area_px=now.area_px,
                brushed=after_strokes(record, strokes),
            )
        changes.append(RecordChange(record, now))
    return changes
