"""What a brush, a polygon or a fill has painted: which pixels, and what that makes of objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.measuring import in_array, recounted_all, shrunk, union
from napari_sam.session.objects.packed import PackedMask, Start, subtract_mask
from napari_sam.session.objects.pixel_sets import PixelSet
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange

_MAX_RECOUNTED_PX: Final = 2**21
"""In a larger box an object is not counted again if it is known how many pixels it has gained."""


class PaintedPixels:
    """Pixels of some labels that were painted since the last time, and whose they may have been.

    However many dabs a stroke has, and however they overlap, each pixel is held once.
    """

    def __init__(self) -> None:
        self.label_ids: set[int] = set()
        """The objects that may have lost or gained pixels."""
        self.n_gained: Counter[int] | None = Counter()
        """How many each has gained, less those it has lost; None if that is not known."""
        self._pixels = PixelSet()

    def count(self, n_gained: Mapping[int, int] | None) -> None:
        """Note how many pixels objects have gained with what is added; None: nobody knows."""
        if n_gained is None or self.n_gained is None:
            self.n_gained = None
        else:
            self.n_gained.update(n_gained)

    def add(self, start: Start, mask: NDArray[np.bool_], label_ids: Iterable[int]) -> None:
        """Note pixels of a box."""
        self.label_ids.update(label_id for label_id in label_ids if label_id > 0)
        self._pixels.add(start, mask)

    def add_places(self, places: Sequence[NDArray[Any]], label_ids: Iterable[int]) -> None:
        """Note pixels by their indices, one array for each axis; they may lie far apart."""
        self.label_ids.update(label_id for label_id in label_ids if label_id > 0)
        self._pixels.add_places(places)

    def masks(self) -> tuple[PackedMask, ...]:
        """Return the pixels, in parts that do not overlap, each within its smallest box."""
        return self._pixels.masks()


def counts_of(values: NDArray[Any]) -> dict[int, int]:
    """Return how often each of some labels is there."""
    if values.size and values.min() >= 0 and values.max() < values.size:
        counts = np.bincount(values.ravel().astype(np.intp))
        found = np.flatnonzero(counts)
        return dict(zip(found.tolist(), counts[found].tolist(), strict=True))
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def updated_records(
    labels: Labels,
    book: ObjectRegistry,
    masks: Sequence[PackedMask],
    label_ids: Iterable[int],
    n_gained: Mapping[int, int] | None = None,
) -> list[RecordChange]:
    """Return what became of the records of objects where somebody has painted."""
    gained: dict[int, ObjectRecord] = {}
    strokes = [(mask, labels.read(mask.region)) for mask in masks]
    for mask, pixels in strokes:
        for one in in_array(np.where(mask.mask, pixels, 0), mask.start):
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
            box = (
                tuple(map(min, record.start, found.start)),
                tuple(map(max, record.stop, found.stop)),
            )
            now = None if n_gained is None else _reckoned(labels, record, box, masks, n_gained)
            if now is None:
                boxes[label_id] = box
            else:
                changes.append(RecordChange(record, now))
    counted = recounted_all(labels, boxes)
    for label_id in boxes:
        record, now = book.get(label_id), counted.get(label_id)
        if record is not None and now is not None:
            now = replace(record, start=now.start, stop=now.stop, area_px=now.area_px)
        changes.append(RecordChange(record, now))
    return [_with_strokes(change, strokes) for change in changes]


def _with_strokes(
    change: RecordChange, strokes: Sequence[tuple[PackedMask, NDArray[Any]]]
) -> RecordChange:
    before, after = change.before, change.after
    if before is None or after is None:
        return change
    return RecordChange(before, replace(after, brushed=updated_by_strokes(before, strokes)))


def _reckoned(
    labels: Labels,
    record: ObjectRecord,
    box: tuple[Start, Start],
    masks: Sequence[PackedMask],
    n_gained: Mapping[int, int],
) -> ObjectRecord | None:
    """Return the record of an object in a large box; None if it is better counted again."""
    start, stop = box
    area_px = record.area_px + n_gained.get(record.label_id, 0)
    if area_px <= 0 or prod(b - a for a, b in zip(start, stop, strict=True)) <= _MAX_RECOUNTED_PX:
        return None
    touched = [
        (
            any(one.start[axis] <= start[axis] for one in masks),
            any(one.start[axis] + one.shape[axis] >= stop[axis] for one in masks),
        )
        for axis in range(len(start))
    ]
    smallest = shrunk(labels, record.label_id, start, stop, touched)
    if smallest is None:
        return None
    return replace(record, start=smallest[0], stop=smallest[1], area_px=area_px)


def updated_by_strokes(
    record: ObjectRecord, strokes: Iterable[tuple[PackedMask, NDArray[Any]]]
) -> BrushEdits:
    """Return what a brush has done to an object, with what was painted just now.

    Only what is background now was erased: what belongs to another object may be its own again
    when that goes. Of an object from elsewhere, whose mask is not known, what lies in its box was.
    """
    before = record.brushed
    painted, erased = PixelSet(before.painted), PixelSet(before.erased)
    was_painted = PixelSet(before.painted)
    for stroke, labels in strokes:
        start, shape = stroke.start, stroke.shape
        is_own = stroke.mask & (labels == record.label_id)
        known = _covered(record.masks, start, shape)
        painted.discard(start, stroke.mask)
        painted.add(start, is_own & ~known)
        if not record.masks:
            known = _in_box(start, shape, record) & ~was_painted.read(start, shape)
        erased.discard(start, is_own)
        erased.add(start, stroke.mask & (labels == 0) & known)
    return BrushEdits(painted.masks(), erased.masks())


def _covered(masks: Iterable[PackedMask], start: Start, shape: Start) -> NDArray[np.bool_]:
    """Return which pixels of a box are in some masks; only those that meet it are unpacked."""
    others = np.ones(shape, np.bool_)
    stop = np.add(start, shape)
    for one in masks:
        if (np.maximum(start, one.start) < np.minimum(stop, np.add(one.start, one.shape))).all():
            subtract_mask(others, start, one.mask, one.start)
    return ~others


def _in_box(start: Start, shape: Start, record: ObjectRecord) -> NDArray[np.bool_]:
    """Return which pixels of a box lie in that of an object."""
    inside = np.zeros(shape, np.bool_)
    inside[
        tuple(
            slice(max(0, first - a), max(0, stop - a))
            for a, first, stop in zip(start, record.start, record.stop, strict=True)
        )
    ] = True
    return inside
