"""Edits of accepted objects, planned from the pixels that the objects have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_sam.session.objects.brush_edits import merged_strokes
from napari_sam.session.objects.edits import LabelsEdit, Stroke
from napari_sam.session.objects.labels import Labels, parts
from napari_sam.session.objects.packed import Block, PackedLabels, PackedMask, region_of
from napari_sam.session.objects.records import ObjectRecord, RecordChange


def plan_removal(labels: Labels, records: Sequence[ObjectRecord]) -> LabelsEdit:
    """Plan to delete objects, of which there is at least one."""
    blocks = tuple(block for record in records for block in blocks_of(labels, record))
    changes = tuple(RecordChange(record, None) for record in records)
    return LabelsEdit(labels, (Stroke(0, blocks),), changes, records[0].label_id)


def plan_merge(labels: Labels, records: Sequence[ObjectRecord]) -> LabelsEdit:
    """Plan to make one object of several, of which there are at least two: the first one."""
    first, *others = records
    pixels = {record: blocks_of(labels, record) for record in records}
    blocks = tuple(block for record in others for block in pixels[record])
    # What came from elsewhere has no mask of its own: else it would pass for a brush's.
    masks = (record.masks or tuple(block.mask for block in pixels[record]) for record in records)
    merged = replace(
        first,
        start=tuple(map(min, *(record.start for record in records))),
        stop=tuple(map(max, *(record.stop for record in records))),
        area_px=sum(record.area_px for record in records),
        score=None,
        stability=None,
        state=None,
        masks=tuple(mask for parts_of_one in masks for mask in parts_of_one),
        brushed=merged_strokes(
            [record.brushed for record in records],
            [block.mask for blocks_of_one in pixels.values() for block in blocks_of_one],
        ),
    )
    changes = (
        *(RecordChange(record, None) for record in others),
        RecordChange(first, merged),
    )
    return LabelsEdit(labels, (Stroke(first.label_id, blocks),), changes, first.label_id)


def plan_number(labels: Labels, record: ObjectRecord, label_id: int) -> LabelsEdit:
    """Plan to give an object another number, which is free."""
    changes = RecordChange(record, None), RecordChange(None, replace(record, label_id=label_id))
    strokes = (Stroke(label_id, blocks_of(labels, record)),)
    return LabelsEdit(labels, strokes, changes, label_id)


def plan_records(labels: Labels, changes: Sequence[RecordChange]) -> LabelsEdit:
    """Plan to change what is noted of objects, and no pixel."""
    label_ids = [change.after.label_id for change in changes if change.after is not None]
    return LabelsEdit(labels, (), tuple(changes), label_ids[0])


def blocks_of(labels: Labels, record: ObjectRecord) -> tuple[Block, ...]:
    """Return the pixels that an object has now, in parts as they can be read at once."""
    blocks = []
    for start, shape in parts(record.start, record.shape):
        own = labels.read(region_of(start, shape)) == record.label_id
        if own.any():
            before = np.where(own, record.label_id, 0).astype(labels.dtype)
            blocks.append(Block(PackedMask(start, own), PackedLabels(before)))
    return tuple(blocks)
