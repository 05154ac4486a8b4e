"""Finding the objects in labels that came from elsewhere, and what a brush has made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.labels import Labels, parts
from napari_sam.session.objects.packed import Start, region_of
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange

_BLOCK_PX: Final = 2**22
"""What is read at once: the processor's caches hold most of it, and a volume is never copied."""
_MAX_SIDE: Final = 2048
_MAX_STRETCHES: Final = 0.4
"""For each pixel: where labels change more often, it is quicker to look at them one by one."""
_FAR: Final = np.iinfo(np.int64).max


def find_objects(labels: Labels) -> list[ObjectRecord]:
    """Return a record of each object in some labels, read block by block.

    Negative labels are no objects.
    """
    found = [_found(labels.read(region_of(*block)), block[0]) for block in _blocks(labels.shape)]
    if not found:
        return []
    label_ids, areas, starts, stops = zip(*found, strict=True)
    together = _Found(
        np.concatenate(label_ids),
        np.concatenate(areas),
        np.concatenate(starts, axis=1),
        np.concatenate(stops, axis=1),
    )
    return _records(_by_object(together))


def _blocks(shape: Start) -> Iterator[tuple[Start, Start]]:
    """Cut an array into blocks that lie in memory, or in chunks, as much in one piece as can be."""
    sides: list[int] = []
    for n in reversed(shape):
        sides.insert(0, max(1, min(n, _MAX_SIDE, _BLOCK_PX // prod(sides))))
    grid = zip(shape, sides, strict=True)
    for start in product(*(range(0, n, side) for n, side in grid)):
        spans = zip(start, sides, shape, strict=True)
        yield start, tuple(min(side, n - first) for first, side, n in spans)


def recounted(
    labels: Labels, book: ObjectRegistry, label_id: int, start: Start, stop: Start
) -> list[RecordChange]:
    """Return what becomes of an object's record when it was changed within a box."""
    record = book.get(label_id)
    if record is not None:
        start = tuple(map(min, start, record.start))
        stop = tuple(map(max, stop, record.stop))
    now = recounted_all(labels, {label_id: (start, stop)}).get(label_id)
    if now is not None and record is not None:
        now = replace(record, start=now.start, stop=now.stop, area_px=now.area_px)
    return [] if record is None and now is None else [RecordChange(record, now)]


def recounted_all(
    labels: Labels, boxes: Mapping[int, tuple[Start, Start]]
) -> dict[int, ObjectRecord]:
    """Return where objects lie now, and how large they are; without those of no pixel."""
    if not boxes:
        return {}
    start = tuple(map(min, zip(*(a for a, _ in boxes.values()), strict=True)))
    stop = tuple(map(max, zip(*(b for _, b in boxes.values()), strict=True)))
    found: dict[int, ObjectRecord] = {}
    if len(boxes) > 1 and _n_px(start, stop) < sum(_n_px(*box) for box in boxes.values()):
        for corner, shape in parts(start, _extent(start, stop)):
            for one in in_array(labels.read(region_of(corner, shape)), corner):
                _add(found, one)
        return {label_id: found[label_id] for label_id in boxes if label_id in found}
    for label_id, (first, end) in boxes.items():
        for corner, shape in parts(first, _extent(first, end)):
            own = labels.read(region_of(corner, shape)) == label_id
            area_px = int(np.count_nonzero(own))
            if area_px:
                (box,) = ndimage.find_objects(own.view(np.uint8))
                _add(found, _placed(label_id, corner, box, area_px))
    return found


def shrunk(
    labels: Labels,
    label_id: int,
    start: Start,
    stop: Start,
    touched: Sequence[tuple[bool, bool]],
) -> tuple[Start, Start] | None:
    """Return the smallest box of an object within one, read no further than to its first pixels."""
    low, high = list(start), list(stop)
    for axis, (is_first_touched, is_last_touched) in enumerate(touched):
        if is_first_touched:
            low[axis] += _n_empty(labels, label_id, low, high, axis, from_end=False)
        if is_last_touched:
            high[axis] -= _n_empty(labels, label_id, low, high, axis, from_end=True)
        if low[axis] >= high[axis]:
            return None
    return tuple(low), tuple(high)


def _n_empty(
    labels: Labels,
    label_id: int,
    low: Sequence[int],
    high: Sequence[int],
    axis: int,
    *,
    from_end: bool,
) -> int:
    """Return how many rows of a box along an axis have no pixel of an object, at one side."""
    n_empty, n_rows, length = 0, 1, high[axis] - low[axis]
    region = [slice(a, b) for a, b in zip(low, high, strict=True)]
    others = tuple(one for one in range(len(region)) if one != axis)
    while n_empty < length:
        n_rows = min(n_rows, length - n_empty)
        first = high[axis] - n_empty - n_rows if from_end else low[axis] + n_empty
        region[axis] = slice(first, first + n_rows)
        own = labels.read(tuple(region)) == label_id
        having = np.flatnonzero(own.any(axis=others))
        if having.size:
            return n_empty + int(n_rows - 1 - having[-1] if from_end else having[0])
        n_empty += n_rows
        n_rows *= 2  # few reads where much is empty
    return n_empty


def _extent(start: Start, stop: Start) -> Start:
    return tuple(b - a for a, b in zip(start, stop, strict=True))


def _n_px(start: Start, stop: Start) -> int:
    return prod(_extent(start, stop))


def _add(found: dict[int, ObjectRecord], one: ObjectRecord) -> None:
    known = found.get(one.label_id)
    found[one.label_id] = one if known is None else union(known, one)


def _placed(label_id: int, start: Start, box: tuple[slice, ...], area_px: int) -> ObjectRecord:
    return ObjectRecord(
        label_id,
        tuple(a + one.start for a, one in zip(start, box, strict=True)),
        tuple(a + one.stop for a, one in zip(start, box, strict=True)),
        area_px,
    )


def in_array(array: NDArray[Any], start: Start) -> list[ObjectRecord]:
    """Return the objects of an array whose first element is at `start`, in order of label_id."""
    return _records(_found(array, start))


class _Found(NamedTuple):
    """Parts of objects, of which one may have several."""

    label_ids: NDArray[Any]
    """(N,)"""
    areas: NDArray[np.int64]
    """(N,), in pixels."""
    starts: NDArray[np.int64]
    """(n_axes, N), the first indices."""
    stops: NDArray[np.int64]
    """(n_axes, N), the last ones, exclusive."""


def _found(array: NDArray[Any], start: Start) -> _Found:
    """Return the objects of an array whose first element is at `start`.

    They are put together from stretches along the last axis, of which there are far fewer than
    pixels: these are only compared, once.
    """
    is_last = np.ones(array.shape, np.bool_)
    np.not_equal(array[..., 1:], array[..., :-1], out=is_last[..., :-1])
    ends = np.flatnonzero(is_last)
    if ends.size > array.size * _MAX_STRETCHES:
        return _found_in_noise(array, start)
    label_ids = array.ravel()[ends]
    own = label_ids > 0
    lengths, label_ids, places = np.diff(ends, prepend=-1)[own], label_ids[own], ends[own]
    starts = np.empty((array.ndim, len(places)), np.int64)
    for axis in reversed(range(array.ndim)):  # as unravel_index, which takes four times as long
        rest = places // array.shape[axis]
        starts[axis] = places - rest * array.shape[axis] + start[axis]
        places = rest
    stops = starts + 1
    starts[-1] -= lengths - 1
    return _by_object(_Found(label_ids, lengths, starts, stops))


def _found_in_noise(array: NDArray[Any], start: Start) -> _Found:
    """Return what `_found` does, in a time that does not depend on how often labels change."""
    largest = int(array.max(initial=0))
    if largest <= array.size:
        label_ids = np.arange(largest + 1).astype(array.dtype)
        numbers = np.maximum(array, 0).astype(np.int32)
    else:
        label_ids, inverse = np.unique(np.maximum(array, 0), return_inverse=True)
        numbers = inverse.reshape(array.shape).astype(np.int32)
        if label_ids[0] > 0:  # there is no background, which is to have the number 0
            label_ids, numbers = np.insert(label_ids, 0, 0), numbers + 1
    areas, boxes = np.bincount(numbers.ravel()), ndimage.find_objects(numbers)
    own = np.flatnonzero(areas[1:]) + 1
    spans = np.array([[(one.start, one.stop) for one in boxes[n - 1]] for n in own.tolist()])
    spans = spans.reshape(len(own), array.ndim, 2) + np.array(start, np.int64)[:, None]
    return _Found(label_ids[own], areas[own], spans[..., 0].T, spans[..., 1].T)


def _by_object(found: _Found) -> _Found:
    """Put together the parts of each object, in order of label_id."""
    largest = int(found.label_ids.max(initial=0))
    if largest <= found.label_ids.size:
        label_ids = np.arange(largest + 1).astype(found.label_ids.dtype)
        numbers = found.label_ids.astype(np.intp)
    else:  # a list with a place for each number that there might be would be too long
        label_ids, numbers = np.unique(found.label_ids, return_inverse=True)
    n_axes, n = len(found.starts), len(label_ids)
    areas = np.zeros(n, np.int64)
    np.add.at(areas, numbers, found.areas)
    starts, stops = np.full((n_axes, n), _FAR), np.zeros((n_axes, n), np.int64)
    for axis in range(n_axes):
        np.minimum.at(starts[axis], numbers, found.starts[axis])
        np.maximum.at(stops[axis], numbers, found.stops[axis])
    own = areas > 0
    return _Found(label_ids[own], areas[own], starts[:, own], stops[:, own])


def _records(found: _Found) -> list[ObjectRecord]:
    starts, stops = found.starts.T.tolist(), found.stops.T.tolist()
    rows = zip(found.label_ids.tolist(), starts, stops, found.areas.tolist(), strict=True)
    return [ObjectRecord(n, tuple(a), tuple(b), area_px) for n, a, b, area_px in rows]


def union(one: ObjectRecord, other: ObjectRecord) -> ObjectRecord:
    """Return the record of one object of which these are two parts."""
    return replace(
        one,
        start=tuple(map(min, one.start, other.start)),
        stop=tuple(map(max, one.stop, other.stop)),
        area_px=one.area_px + other.area_px,
    )
