"""Measure the objects in existing labels, and re-measure them after brush edits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.labels import Labels, masks_of, parts
from napari_sam.session.objects.packed import Mask, PackedMask, Region, Start, region_of
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange

_FAR: Final = np.iinfo(np.int64).max

Bounds = tuple[Start, Start]
"""The first index of a box, and the one after its last."""


def find_objects(labels: Labels, check: Callable[[], None] = lambda: None) -> list[ObjectRecord]:
    """Return a record of each object in some labels, read block by block.

    Negative labels are not objects. `check` is called before each block, and may raise.
    """
    segment_arrays = []
    for corner, shape in parts((0,) * len(labels.shape), labels.shape):
        check()
        segment_arrays.append(_find_in_array(labels.read(region_of(corner, shape)), corner))
    if not segment_arrays:
        return []
    segments = (np.concatenate(arrays, axis=-1) for arrays in zip(*segment_arrays, strict=True))
    return _records(_by_object(_Segments(*segments)))


def remeasured(
    labels: Labels, registry: ObjectRegistry, label_id: int, start: Start, stop: Start
) -> list[RecordChange]:
    """Return the change of an object's record after changes within a box."""
    record = registry.get(label_id)
    if record is not None:
        start = tuple(map(min, start, record.start))
        stop = tuple(map(max, stop, record.stop))
    measured = measure(labels, {label_id: (start, stop)}).get(label_id)
    if record is None and measured is None:
        return []
    return [RecordChange(record, updated(record, measured))]


def updated(record: ObjectRecord | None, measured: ObjectRecord | None) -> ObjectRecord | None:
    """Return a record with the extent that was measured; None if nothing is left."""
    return measured if record is None or measured is None else with_extent(record, measured)


def with_extent(record: ObjectRecord, measured: ObjectRecord) -> ObjectRecord:
    """Return a record with the box and the area of another."""
    return replace(record, start=measured.start, stop=measured.stop, area_px=measured.area_px)


def measure(labels: Labels, boxes: Mapping[int, Bounds]) -> dict[int, ObjectRecord]:
    """Return the extent of objects, each within a box; those without pixels are left out."""
    if not boxes:
        return {}
    start = tuple(map(min, zip(*(first for first, _ in boxes.values()), strict=True)))
    stop = tuple(map(max, zip(*(last for _, last in boxes.values()), strict=True)))
    objects: dict[int, ObjectRecord] = {}
    if len(boxes) > 1 and _n_px(start, stop) < sum(_n_px(*box) for box in boxes.values()):
        for corner, shape in parts(start, _extent(start, stop)):
            add_parts(objects, find_in_array(labels.read(region_of(corner, shape)), corner))
        return {label_id: objects[label_id] for label_id in boxes if label_id in objects}
    for label_id, (first, last) in boxes.items():
        for corner, mask in masks_of(labels, label_id, first, _extent(first, last)):
            add_parts(objects, part_of(label_id, mask, corner))
    return objects


class Readable(Protocol):
    """Labels, or what they will be."""

    def read(self, region: Region) -> NDArray[Any]:
        """Return a copy of a region."""


def tight_bounds(
    labels: Readable, label_id: int, bounds: Bounds, changed: Sequence[PackedMask]
) -> Bounds | None:
    """Return the bounding box of an object within a larger box, after changes.

    Only sides that these touch are read, and no further than to the object's first pixels.
    """
    start, stop = bounds
    low, high = list(start), list(stop)
    for axis in range(len(low)):
        if any(mask.start[axis] <= start[axis] for mask in changed):
            low[axis] += _n_empty(labels, label_id, low, high, axis, from_end=False)
        if any(mask.stop[axis] >= stop[axis] for mask in changed):
            high[axis] -= _n_empty(labels, label_id, low, high, axis, from_end=True)
        if low[axis] >= high[axis]:
            return None
    return tuple(low), tuple(high)


def _n_empty(
    labels: Readable,
    label_id: int,
    low: Sequence[int],
    high: Sequence[int],
    axis: int,
    *,
    from_end: bool,
) -> int:
    """Return how many rows along an axis have no pixel of an object, at one side of a box."""
    n_empty, n_rows, length = 0, 1, high[axis] - low[axis]
    region = [slice(a, b) for a, b in zip(low, high, strict=True)]
    other_axes = tuple(other for other in range(len(region)) if other != axis)
    while n_empty < length:
        n_rows = min(n_rows, length - n_empty)
        first = high[axis] - n_empty - n_rows if from_end else low[axis] + n_empty
        region[axis] = slice(first, first + n_rows)
        mask = labels.read(tuple(region)) == label_id
        rows = np.flatnonzero(mask.any(axis=other_axes))
        if rows.size:
            return n_empty + int(n_rows - 1 - rows[-1] if from_end else rows[0])
        n_empty += n_rows
        n_rows *= 2  # few reads where much is empty
    return n_empty


def _extent(start: Start, stop: Start) -> Start:
    return tuple(b - a for a, b in zip(start, stop, strict=True))


def _n_px(start: Start, stop: Start) -> int:
    return prod(_extent(start, stop))


def part_of(label_id: int, mask: Mask, corner: Start) -> list[ObjectRecord]:
    """Return the extent of a part of an object, given as a mask; empty if that is."""
    return [
        ObjectRecord(
            label_id,
            tuple(first + span.start for first, span in zip(corner, box, strict=True)),
            tuple(first + span.stop for first, span in zip(corner, box, strict=True)),
            int(np.count_nonzero(mask)),
        )
        for box in ndimage.find_objects(mask.view(np.uint8))
    ]


def add_parts(objects: dict[int, ObjectRecord], records: Sequence[ObjectRecord]) -> None:
    """Add parts of objects to those of the same label_id."""
    for record in records:
        former = objects.get(record.label_id)
        objects[record.label_id] = record if former is None else _union(former, record)


def _union(record: ObjectRecord, other: ObjectRecord) -> ObjectRecord:
    return replace(
        record,
        start=tuple(map(min, record.start, other.start)),
        stop=tuple(map(max, record.stop, other.stop)),
        area_px=record.area_px + other.area_px,
    )


def find_in_array(array: NDArray[Any], start: Start) -> list[ObjectRecord]:
    """Return the objects of an array whose first element is at `start`, by label_id."""
    return _records(_find_in_array(array, start))


class _Segments(NamedTuple):
    """Parts of objects, any number of each."""

    label_ids: NDArray[Any]
    """(N,)"""
    areas: NDArray[np.int64]
    """(N,), in pixels."""
    starts: NDArray[np.int64]
    """(n_axes, N), the first indices."""
    stops: NDArray[np.int64]
    """(n_axes, N), the last ones, exclusive."""


def _find_in_array(array: NDArray[Any], start: Start) -> _Segments:
    """Return the objects of an array whose first element is at `start`.

    They are put together from runs along the last axis, of which there are far fewer than pixels:
    these are only compared, once.
    """
    is_last = np.ones(array.shape, np.bool_)
    np.not_equal(array[..., 1:], array[..., :-1], out=is_last[..., :-1])
    ends = np.flatnonzero(is_last)
    label_ids = array.ravel()[ends]
    is_object = label_ids > 0
    lengths = np.diff(ends, prepend=-1)[is_object]
    label_ids, indices = label_ids[is_object], ends[is_object]
    starts = np.empty((array.ndim, len(indices)), np.int64)
    for axis in reversed(range(array.ndim)):  # as unravel_index, which takes four times as long
        rest = indices // array.shape[axis]
        starts[axis] = indices - rest * array.shape[axis] + start[axis]
        indices = rest
    stops = starts + 1
    starts[-1] -= lengths - 1
    return _by_object(_Segments(label_ids, lengths, starts, stops))


def _by_object(segments: _Segments) -> _Segments:
    """Put together the parts of each object, by label_id."""
    largest = int(segments.label_ids.max(initial=0))
    if largest <= segments.label_ids.size:
        label_ids = np.arange(largest + 1).astype(segments.label_ids.dtype)
        indices = segments.label_ids.astype(np.intp)
    else:  # an array with an element for every possible label_id would be too long
        label_ids, indices = np.unique(segments.label_ids, return_inverse=True)
    n_axes, n = len(segments.starts), len(label_ids)
    areas = np.zeros(n, np.int64)
    np.add.at(areas, indices, segments.areas)
    starts, stops = np.full((n_axes, n), _FAR), np.zeros((n_axes, n), np.int64)
    for axis in range(n_axes):
        np.minimum.at(starts[axis], indices, segments.starts[axis])
        np.maximum.at(stops[axis], indices, segments.stops[axis])
    is_object = areas > 0
    return _Segments(*(array[..., is_object] for array in (label_ids, areas, starts, stops)))


def _records(segments: _Segments) -> list[ObjectRecord]:
    starts, stops = segments.starts.T.tolist(), segments.stops.T.tolist()
    rows = zip(segments.label_ids.tolist(), starts, stops, segments.areas.tolist(), strict=True)
    return [ObjectRecord(n, tuple(a), tuple(b), area_px) for n, a, b, area_px in rows]
