"""Edits of accepted objects, planned from the pixels that the objects have."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_sam.session.objects.brush_edits import merged_strokes
from napari_sam.session.objects.edits import LabelsEdit, Stroke
from napari_sam.session.objects.labels import Labels, TargetError, masks_of
from napari_sam.session.objects.packed import Block
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange


def plan_removal(labels: Labels, records: Sequence[ObjectRecord]) -> LabelsEdit:
    """Plan to delete one or more objects."""
    blocks = tuple(block for record in records for block in blocks_of(labels, record))
    changes = tuple(RecordChange(record, None) for record in records)
    return LabelsEdit(labels, (Stroke(0, blocks),), changes, records[0].label_id)


def plan_merge(labels: Labels, records: Sequence[ObjectRecord]) -> LabelsEdit:
    """Plan to merge two or more objects into the first one."""
    first, *others = records
    blocks = {record: blocks_of(labels, record) for record in records}
    # For an object from elsewhere, its pixels are its mask: they would pass for a brush's.
    masks = (record.masks or tuple(block.mask for block in blocks[record]) for record in records)
    merged = replace(
        first,
        start=tuple(map(min, *(record.start for record in records))),
        stop=tuple(map(max, *(record.stop for record in records))),
        area_px=sum(record.area_px for record in records),
        score=None,
        stability=None,
        state=None,
        masks=tuple(mask for masks_of_record in masks for mask in masks_of_record),
        brushed=merged_strokes(
            [record.brushed for record in records],
            [block.mask for record in records for block in blocks[record]],
        ),
    )
    changes = (
        *(RecordChange(record, None) for record in others),
        RecordChange(first, merged),
    )
    stroke = Stroke(first.label_id, tuple(block for record in others for block in blocks[record]))
    return LabelsEdit(labels, (stroke,), changes, first.label_id)


def plan_label_id(labels: Labels, record: ObjectRecord, label_id: int) -> LabelsEdit:
    """Plan to give an object another label_id, which is free."""
    changes = RecordChange(record, None), RecordChange(None, replace(record, label_id=label_id))
    strokes = (Stroke(label_id, blocks_of(labels, record)),)
    return LabelsEdit(labels, strokes, changes, label_id)


def plan_records(labels: Labels, changes: Sequence[RecordChange]) -> LabelsEdit:
    """Plan to change records, and no pixel."""
    label_ids = [change.after.label_id for change in changes if change.after is not None]
    return LabelsEdit(labels, (), tuple(changes), label_ids[0])


def blocks_of(labels: Labels, record: ObjectRecord) -> tuple[Block, ...]:
    """Return the pixels that an object has now, in parts that are read at once."""
    return tuple(
        Block.of(start, mask, record.label_id, labels.dtype)
        for start, mask in masks_of(labels, record.label_id, record.start, record.shape)
        if mask.any()
    )


def free_label_ids(labels: Labels, registry: ObjectRegistry, count: int = 1) -> int:
    """Return the first of `count` consecutive label_ids that no object has or had.

    Those of objects that are gone are given again only where the type has no others left.
    """
    max_label_id, limit = labels.max_label_id(), np.iinfo(labels.dtype).max
    for largest in (max(max_label_id, registry.reserved_label_id), max_label_id):
        if largest + count <= limit:
            return largest + 1
    layer = f"'{labels.name}'" if labels.name else "The target"
    left = "run out of label values" if count == 1 else f"fewer than {count} label values left"
    raise TargetError(
        f"{layer} ({labels.dtype}) has {left} (max {limit}). Convert it to a wider integer type "
        "(right-click the layer) or choose another layer."
    )
