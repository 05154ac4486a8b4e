"""Finding the objects in labels that came from elsewhere, and what a brush has made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.objects.labels import Labels, parts
from napari_sam.session.objects.packed import Start, region_of
from napari_sam.session.objects.records import ObjectBook, ObjectRecord, RecordChange

_MAX_LISTED: Final = 2**20
"""Up to here a list with a place for each number that there might be costs nothing."""


def find_objects(labels: Labels) -> list[ObjectRecord]:
    """Return a record of each object in some labels, read part by part.

    Negative labels are no objects.
    """
    found: dict[int, ObjectRecord] = {}
    for start, shape in parts((0,) * len(labels.shape), labels.shape):
        for record in in_array(labels.read(region_of(start, shape)), start):
            _add(found, record)
    return list(found.values())


def recounted(
    labels: Labels, book: ObjectBook, label_id: int, start: Start, stop: Start
) -> list[RecordChange]:
    """Return what becomes of an object's record when it was changed within a box.

    Parameters
    ----------
    labels : Labels
        The labels, as they are now.
    book : ObjectBook
        The records, as they were.
    label_id : int
        The object; a new one if there is no record of it.
    start, stop : tuple of int
        The box.
    """
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
    """Return where objects lie now, and how large they are; without those of no pixel.

    Parameters
    ----------
    labels : Labels
        The labels.
    boxes : mapping of int to tuple
        By label_id, the box, from start to stop, outside of which it has no pixel.
    """
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
    largest = int(array.max(initial=0))
    if largest <= 0:
        return []
    if largest < _MAX_LISTED:
        label_ids, numbers = np.arange(1, largest + 1), np.maximum(array, 0).astype(np.int32)
    else:  # consecutive numbers, which takes longer
        label_ids, numbers = np.unique(array, return_inverse=True)
        numbers = numbers.reshape(array.shape) + 1
    areas, boxes = np.bincount(numbers.ravel()), ndimage.find_objects(numbers)
    # Not one by one: a small array may have an object with a very large number.
    return [
        _placed(int(label_ids[number - 1]), start, boxes[number - 1], int(areas[number]))
        for number in np.flatnonzero(areas).tolist()
        if number > 0 and label_ids[number - 1] > 0
    ]


def union(one: ObjectRecord, other: ObjectRecord) -> ObjectRecord:
    """Return the record of one object of which these are two parts."""
    return replace(
        one,
        start=tuple(map(min, one.start, other.start)),
        stop=tuple(map(max, one.stop, other.stop)),
        area_px=one.area_px + other.area_px,
    )
