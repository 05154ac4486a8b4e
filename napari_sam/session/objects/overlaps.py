"""Pixels that objects lose to others, and records that are corrected after an edit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.labels import Labels, masks_of
from napari_sam.session.objects.measuring import (
    add_parts,
    part_of,
    remeasured,
    updated,
    with_extent,
)
from napari_sam.session.objects.packed import Block, PackedMask, subtract_mask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange

_Strokes = tuple[BrushEdits, BrushEdits]

GetRecord = Callable[[int], ObjectRecord | None]
"""Returns the record of an object by its label_id."""


def pixels_lost(
    labels: Labels, blocks: Iterable[Block], get_record: GetRecord, *, to: int
) -> list[RecordChange]:
    """Return how the records of the objects change whose pixels another one is about to take."""
    taken: dict[int, list[PackedMask]] = {}
    for block in blocks:
        for label_id in np.unique(block.before.labels[block.mask.mask]).tolist():
            taken.setdefault(label_id, []).append(block.mask)
    return [
        RecordChange(record, _without(labels, record, masks))
        for label_id, masks in sorted(taken.items())
        if label_id not in (0, to) and (record := get_record(label_id)) is not None
    ]


def _without(
    labels: Labels, record: ObjectRecord, masks: Sequence[PackedMask]
) -> ObjectRecord | None:
    """Return an object without some pixels; None if nothing is left."""
    remains: dict[int, ObjectRecord] = {}
    for start, pixels in masks_of(labels, record.label_id, record.start, record.shape):
        for mask in masks:
            subtract_mask(pixels, start, mask)
        add_parts(remains, part_of(record.label_id, pixels, start))
    return updated(record, remains.get(record.label_id))


def reconcile(
    labels: Labels, changes: Sequence[RecordChange], *, is_exact: bool
) -> tuple[RecordChange, ...]:
    """Apply changes of records once the pixels are written, on the owner's thread.

    The history does not know brush strokes: an object that was painted on since the changes were
    planned has other pixels than they say. Such objects are measured again.
    """
    registry = labels.registry
    stale: dict[int, _Strokes] = {}
    versions: dict[int, list[ObjectRecord]] = {}
    for label_id, change in {change.label_id: change for change in reversed(changes)}.items():
        record = registry.get(label_id)
        if not is_exact or record is not change.before:
            stale[label_id] = _strokes_since(change.before, record)
            versions[label_id] = [] if record is None else [record]
    for change in changes if stale else ():
        if change.label_id in stale:
            records = change.before, change.after
            versions[change.label_id] += [record for record in records if record]
    registry.apply(tuple(changes))
    corrections = tuple(
        correction
        for label_id, strokes in stale.items()
        for correction in _corrected(labels, registry, versions[label_id], strokes)
    )
    registry.apply(corrections)
    return corrections


def _strokes_since(expected: ObjectRecord | None, record: ObjectRecord | None) -> _Strokes:
    """Return the brush edits of an object when a change was planned, and at present."""
    planned = NOT_BRUSHED if expected is None else expected.brushed
    is_other = expected is not None and record is not None and expected.uid != record.uid
    return planned, planned if record is None or is_other else record.brushed


def _corrected(
    labels: Labels, registry: ObjectRegistry, versions: Sequence[ObjectRecord], strokes: _Strokes
) -> list[RecordChange]:
    """Return the changes that correct an object's record, within the boxes of its versions."""
    first = versions[0]
    record = registry.get(first.label_id)
    start = tuple(map(min, first.start, *(version.start for version in versions)))
    stop = tuple(map(max, first.stop, *(version.stop for version in versions)))
    changes = remeasured(labels, registry, first.label_id, start, stop)
    if record is None:  # strokes beyond it stay, and are still the same object
        return [
            RecordChange(None, with_extent(first, change.after))
            for change in changes
            if change.after is not None
        ]
    brushed = record.brushed.with_strokes_since(*strokes)
    if brushed.erased:  # undo gives back what another object had taken, and a brush erased of that
        label_id = record.label_id
        brushed = brushed.with_pixels(lambda mask: labels.read(mask.region) == label_id)
    return [
        RecordChange(change.before, change.after and replace(change.after, brushed=brushed))
        for change in changes
        if change.after is None
        or not change.after.is_alike(record)
        or brushed is not record.brushed
    ]
