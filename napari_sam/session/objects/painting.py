"""Strokes of a brush, polygon or fill tool: their pixels, and how they change the records."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.measuring import (
    Bounds,
    add_parts,
    find_in_array,
    measure,
    tight_bounds,
    updated,
    with_extent,
)
from napari_sam.session.objects.packed import Mask, PackedMask, Start, covered_by
from napari_sam.session.objects.pixel_sets import PixelSet
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices

_MAX_MEASURED_PX: Final = 2**21
"""An object in a larger box is not measured again if its gain of pixels is known."""

_Strokes = Sequence[tuple[PackedMask, NDArray[Any]]]
"""The painted pixels, and the labels in the box of each mask."""


class PaintedPixels(PixelSet):
    """Pixels that were painted since the last time, and the objects that they may belong to.

    However many dabs a stroke has, and however they overlap, each pixel is held once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.label_ids: set[int] = set()
        """The objects that may have lost or gained pixels."""
        self.n_gained: Counter[int] | None = Counter()
        """How many pixels each has gained, less those it has lost; None if unknown."""

    def count(self, n_gained: Mapping[int, int] | None) -> None:
        """Count how many pixels objects gain with those that are added; None if unknown."""
        if n_gained is None or self.n_gained is None:
            self.n_gained = None
        else:
            self.n_gained.update(n_gained)

    def touch(self, label_ids: Iterable[int]) -> None:
        """Note which labels the pixels that are added had, or have now."""
        self.label_ids.update(label_id for label_id in label_ids if label_id > 0)


def counts_of(labels: NDArray[Any]) -> dict[int, int]:
    """Return how often each label occurs."""
    if labels.size and labels.min() >= 0 and labels.max() < labels.size:
        counts = np.bincount(labels.ravel().astype(np.intp))
        label_ids = np.flatnonzero(counts)
        counts = counts[label_ids]
    else:
        label_ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(label_ids.tolist(), counts.tolist(), strict=True))


def updated_records(
    labels: Labels,
    registry: ObjectRegistry,
    masks: Sequence[PackedMask],
    label_ids: Iterable[int],
    n_gained: Mapping[int, int] | None = None,
) -> list[RecordChange]:
    """Return the changes of the records of objects that were painted on.

    Without `n_gained`, others than those of `label_ids` may have lost pixels: a stroke that is
    undone writes its stored pixels over whatever is there by now.
    """
    gained: dict[int, ObjectRecord] = {}
    strokes = [(mask, labels.read(mask.region)) for mask in masks]
    for mask, pixels in strokes:
        add_parts(gained, find_in_array(np.where(mask.mask, pixels, 0), mask.start))
    boxes: dict[int, Bounds] = {}
    changes = []
    label_ids = {*label_ids, *gained}
    for label_id in sorted(label_ids):
        record, added = registry.get(label_id), gained.get(label_id)
        if record is None and added is not None:
            # All pixels of an object without a record were painted just now, or given back.
            former = registry.former(label_id) if n_gained is None else None
            if former is not None:
                brushed = _updated_by_strokes(former, strokes)
                added = replace(with_extent(former, added), brushed=brushed)
            changes.append(RecordChange(None, added))
        elif record is not None:
            box = _union_box(record, added or record)
            record_after = _measured_incrementally(labels, record, box, masks, n_gained)
            if record_after is None:
                boxes[label_id] = box
            else:
                changes.append(RecordChange(record, record_after))
    if n_gained is None:
        beneath = _objects_beneath(registry, masks)
        boxes |= {r.label_id: (r.start, r.stop) for r in beneath if r.label_id not in label_ids}
    measured = measure(labels, boxes)
    for label_id in boxes:
        record, found = registry.get(label_id), measured.get(label_id)
        if label_id in label_ids or record is None or found is None or not record.is_alike(found):
            changes.append(RecordChange(record, updated(record, found)))
    return [_with_strokes(change, strokes) for change in changes]


def _objects_beneath(
    registry: ObjectRegistry, masks: Sequence[PackedMask]
) -> Iterator[ObjectRecord]:
    """Yield the objects whose boxes meet those of some masks."""
    records = tuple(registry)
    starts, stops = (
        np.array([getattr(record, end) for record in records]) for end in ("start", "stop")
    )
    is_met = np.zeros(len(records), np.bool_)
    for mask in masks if records else ():
        is_met |= ((starts < mask.stop) & (stops > mask.start)).all(axis=1)
    return compress(records, is_met)


def _union_box(record: ObjectRecord, other: ObjectRecord) -> Bounds:
    return tuple(map(min, record.start, other.start)), tuple(map(max, record.stop, other.stop))


def _with_strokes(change: RecordChange, strokes: _Strokes) -> RecordChange:
    before, after = change.before, change.after
    if before is None or after is None:
        return change
    brushed, slices = _updated_by_strokes(before, strokes), _annotated_by_strokes(after, strokes)
    return RecordChange(before, replace(after, brushed=brushed, slices=slices))


def _annotated_by_strokes(record: ObjectRecord, strokes: _Strokes) -> ObjectSlices | None:
    """Return the slices of an object, with those annotated on which a brush has changed it."""
    slices = record.slices
    for stroke, labels in strokes if slices is not None else ():
        assert slices is not None
        own = stroke.mask & (
            (labels == record.label_id) | covered_by(record.masks, stroke.start, stroke.shape)
        )
        others = tuple(axis for axis in range(own.ndim) if axis != slices.axis)
        indices = np.flatnonzero(own.any(axis=others)) + stroke.start[slices.axis]
        entries = [slices.get(index) or ObjectSlice(index) for index in indices.tolist()]
        slices = slices.updated(
            ObjectSlice(entry.slice_index, state=entry.state if entry.is_anchor else None)
            for entry in entries
        )
    return slices


def _measured_incrementally(
    labels: Labels,
    record: ObjectRecord,
    box: Bounds,
    masks: Sequence[PackedMask],
    n_gained: Mapping[int, int] | None,
) -> ObjectRecord | None:
    """Return the record of an object in a large box; None if it is better measured again."""
    if n_gained is None:
        return None
    start, stop = box
    area_px = record.area_px + n_gained.get(record.label_id, 0)
    if area_px <= 0 or prod(b - a for a, b in zip(start, stop, strict=True)) <= _MAX_MEASURED_PX:
        return None
    bounds = tight_bounds(labels, record.label_id, box, masks)
    if bounds is None:
        return None
    return replace(record, start=bounds[0], stop=bounds[1], area_px=area_px)


def _updated_by_strokes(record: ObjectRecord, strokes: _Strokes) -> BrushEdits:
    """Return the brush edits of an object, with what was painted just now.

    Only pixels that are background now count as erased: those that belong to another object may be
    this one's again when that goes. For an object from elsewhere, whose mask is unknown, its box
    is taken for it.
    """
    painted, erased = PixelSet(record.brushed.painted), PixelSet(record.brushed.erased)
    formerly_painted = PixelSet(record.brushed.painted)
    for stroke, labels in strokes:
        start, shape = stroke.start, stroke.shape
        pixels = stroke.mask & (labels == record.label_id)
        accepted = covered_by(record.masks, start, shape)
        painted.discard(start, stroke.mask)
        painted.add(start, pixels & ~accepted)
        if not record.masks:
            accepted = _in_box(start, shape, record) & ~formerly_painted.read(start, shape)
        erased.discard(start, pixels)
        erased.add(start, stroke.mask & (labels == 0) & accepted)
    return BrushEdits(painted.masks(), erased.masks())


def _in_box(start: Start, shape: Start, record: ObjectRecord) -> Mask:
    """Return which pixels of a box lie in that of an object."""
    inside = np.zeros(shape, np.bool_)
    first, stop = (np.maximum(np.subtract(end, start), 0) for end in (record.start, record.stop))
    inside[tuple(map(slice, first, stop))] = True
    return inside
