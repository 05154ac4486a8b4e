"""Finding the objects in labels that came from elsewhere, and what a brush has made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.labels import Labels, parts
from napari_sam.session.objects import ObjectBook, ObjectRecord, RecordChange
from napari_sam.session.packed import Start, region_of

_MAX_LISTED: Final = 2**20
"""Up to here a list with a place for each number that there might be costs nothing."""


def find_objects(labels: Labels) -> list[ObjectRecord]:
    """Return a record of each object in some labels, read part by part.

    Negative labels are no objects.
    """
    found: dict[int, ObjectRecord] = {}
    for start, shape in parts((0,) * len(labels.shape), labels.shape):
        for record in _in_array(labels.read(region_of(start, shape)), start):
            known = found.get(record.label_id)
            found[record.label_id] = record if known is None else _union(known, record)
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
    now: ObjectRecord | None = None
    for corner, shape in parts(start, tuple(b - a for a, b in zip(start, stop, strict=True))):
        own = labels.read(region_of(corner, shape)) == label_id
        for one in _in_array(own.astype(np.uint8), corner):
            now = one if now is None else _union(now, one)
    if now is not None:
        known = record or ObjectRecord(label_id, (), (), 0)
        now = replace(known, start=now.start, stop=now.stop, area_px=now.area_px)
    return [] if record is None and now is None else [RecordChange(record, now)]


def _in_array(array: NDArray[Any], start: Start) -> list[ObjectRecord]:
    """Return the objects of an array whose first element is at `start`."""
    largest = int(array.max(initial=0))
    if largest <= 0:
        return []
    if largest < _MAX_LISTED:
        label_ids, numbers = np.arange(1, largest + 1), np.maximum(array, 0).astype(np.int32)
    else:  # consecutive numbers, which takes longer
        label_ids, numbers = np.unique(array, return_inverse=True)
        numbers = numbers.reshape(array.shape) + 1
    areas = np.bincount(numbers.ravel())
    return [
        ObjectRecord(
            int(label_id),
            tuple(a + one.start for a, one in zip(start, box, strict=True)),
            tuple(a + one.stop for a, one in zip(start, box, strict=True)),
            int(areas[number]),
        )
        for number, (label_id, box) in enumerate(
            zip(label_ids, ndimage.find_objects(numbers), strict=True), start=1
        )
        if box is not None and label_id > 0
    ]


def _union(one: ObjectRecord, other: ObjectRecord) -> ObjectRecord:
    return replace(
        one,
        start=tuple(map(min, one.start, other.start)),
        stop=tuple(map(max, one.stop, other.stop)),
        area_px=one.area_px + other.area_px,
    )
