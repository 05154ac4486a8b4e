"""What objects lose to others, and records that are no longer true when an edit is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.labels import Labels, parts
from napari_sam.session.objects.measuring import recounted
from napari_sam.session.objects.packed import Block, PackedMask, region_of, subtract_mask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange

_Strokes = tuple[BrushEdits, BrushEdits]

Known = Callable[[int], ObjectRecord | None]
"""Returns the record of an object by its label_id."""


def losses(labels: Labels, blocks: Iterable[Block], known: Known) -> list[RecordChange]:
    """Return what becomes of the objects whose pixels another one is about to take."""
    taken: dict[int, list[PackedMask]] = {}
    for block in blocks:
        for label_id in np.unique(block.before.labels[block.mask.mask]):
            taken.setdefault(int(label_id), []).append(block.mask)
    known_ones = ((known(label_id), taken[label_id]) for label_id in sorted(taken) if label_id)
    return [
        RecordChange(record, _without(labels, record, masks))
        for record, masks in known_ones
        if record is not None
    ]


def _without(
    labels: Labels, record: ObjectRecord, masks: Sequence[PackedMask]
) -> ObjectRecord | None:
    """Return an object without some pixels; None if nothing is left."""
    starts, stops, area_px = [], [], 0
    unpacked = [(one.start, one.mask) for one in masks]
    for start, shape in parts(record.start, record.shape):
        own = labels.read(region_of(start, shape)) == record.label_id
        for first, mask in unpacked:
            subtract_mask(own, start, mask, first)
        places = np.nonzero(own)
        if len(places[0]):
            starts.append([a + n.min() for a, n in zip(start, places, strict=True)])
            stops.append([a + n.max() + 1 for a, n in zip(start, places, strict=True)])
            area_px += len(places[0])
    if not area_px:
        return None
    return replace(
        record,
        start=tuple(int(n) for n in np.min(starts, axis=0)),
        stop=tuple(int(n) for n in np.max(stops, axis=0)),
        area_px=area_px,
    )


def settle(
    labels: Labels, changes: Sequence[RecordChange], *, is_exact: bool
) -> tuple[RecordChange, ...]:
    """Make the records what the changes say, once the pixels are written; on the owner's thread.

    The history knows nothing of brushes: an object that was painted on since the changes were
    planned has other pixels than they say. Such ones are counted again.
    """
    book = labels.book
    seen: dict[int, list[ObjectRecord]] = {}
    now: dict[int, ObjectRecord | None] = {}
    stale: dict[int, _Strokes] = {}
    for change in changes:
        records = [one for one in (change.before, change.after) if one is not None]
        label_id = change.label_id
        if label_id not in now:
            now[label_id] = book.get(label_id)
            if not is_exact or now[label_id] is not change.before:
                stale[label_id] = _strokes_since(change.before, now[label_id])
        current = now[label_id]
        seen.setdefault(label_id, [] if current is None else [current]).extend(records)
        now[label_id] = change.after
    book.apply(tuple(changes))
    corrections = tuple(
        change
        for label_id, strokes in stale.items()
        for change in _corrected(labels, book, seen[label_id], strokes)
    )
    book.apply(corrections)
    return corrections


def _strokes_since(expected: ObjectRecord | None, there: ObjectRecord | None) -> _Strokes:
    """Return what a brush had done to an object when a change was planned, and has done now."""
    before = NOT_BRUSHED if expected is None else expected.brushed
    is_other = expected is not None and there is not None and expected.uid != there.uid
    return before, before if there is None or is_other else there.brushed


def _corrected(
    labels: Labels, book: ObjectRegistry, records: Sequence[ObjectRecord], strokes: _Strokes
) -> list[RecordChange]:
    """Return what makes an object's record true again, which lies within these boxes."""
    known = book.get(records[0].label_id)
    start = tuple(map(min, *(one.start for one in records), records[0].start))
    stop = tuple(map(max, *(one.stop for one in records), records[0].stop))
    changes = recounted(labels, book, records[0].label_id, start, stop)
    if known is None:  # more of it was painted: that stays, and is still what it was
        return [
            RecordChange(None, replace(records[0], start=a.start, stop=a.stop, area_px=a.area_px))
            for a in (change.after for change in changes)
            if a is not None
        ]
    brushed = known.brushed.with_strokes_since(*strokes)
    return [
        RecordChange(one.before, one.after and replace(one.after, brushed=brushed))
        for one in changes
        if one.after is None or _place(one.after) != _place(known) or brushed is not known.brushed
    ]


def _place(record: ObjectRecord) -> tuple[object, ...]:
    return record.start, record.stop, record.area_px
