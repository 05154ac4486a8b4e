"""Edits of the objects in labels, planned from the pixels that they have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.objects.brush_edits import merged_strokes
from napari_sam.session.objects.edits import LabelsEdit, Overlap, Stroke
from napari_sam.session.objects.labels import (
    Labels,
    LabelsPlane,
    TargetError,
    masks_of,
    packed_crop,
)
from napari_sam.session.objects.measuring import add_parts, part_of, with_extent
from napari_sam.session.objects.overlaps import GetRecord, pixels_lost
from napari_sam.session.objects.packed import (
    Block,
    Mask,
    PackedLabels,
    PackedMask,
    Start,
    region_of,
    subtract_mask,
)
from napari_sam.session.objects.records import (
    ObjectRecord,
    ObjectRegistry,
    RecordChange,
    net_changes,
)
from napari_sam.session.objects.slices import merged_slices
from napari_sam.session.objects.trimming import NOT_TRIMMED, Trim
from napari_sam.storage.pacing import paced

LEAST_SHARE: Final = 0.05
"""Share of its mask that an object must get. Two masks of the same object differ by a rim of a few
pixels: what an accepted object leaves of another mask of it is not an object."""


class RefusedError(TargetError):
    """Too little of an object, or of any of several, may be written."""


@dataclass(frozen=True, eq=False)
class NewObject:
    """An object to be accepted."""

    # its pixels in the plane, in parts that do not overlap: each (h, w) bool, with the row and
    # the column of its first pixel
    mask: Iterable[MaskCrop]
    record: ObjectRecord  # its record, without label_id and bounding box
    replaced: ObjectRecord | None = None  # the object that it replaces
    trim: Trim = NOT_TRIMMED  # where it is cut because other objects keep their pixels


@dataclass(frozen=True, eq=False)
class Trimming:
    """How objects of a plane are trimmed where others keep their pixels."""

    plane: LabelsPlane
    trims: Mapping[int, Trim]  # by the uid of an object's record; all of it is in the plane


def plan_object(
    plane: LabelsPlane, new: NewObject, overlap: Overlap, registry: ObjectRegistry | None = None
) -> LabelsEdit:
    """Plan to write an object, without writing it yet."""
    labels, replaced = plane.labels, new.replaced
    registry = labels.registry if registry is None else registry
    label_id = first_free_label_id(labels, registry) if replaced is None else replaced.label_id
    masks: Iterable[tuple[Mask, Start]]
    parts = new.mask
    if overlap is Overlap.KEEP:
        parts = new.trim.all_trimmed(parts, plane, label_id)
    masks = (plane.to_nd(part, top, left) for part, top, left in parts)
    if replaced is not None:
        masks = replaced.brushed.corrected(masks)
    record = replace(new.record, label_id=label_id)
    edit = _plan_masks(labels, record, masks, overlap, registry.get)
    if replaced is None:
        return edit
    (written,) = edit.strokes
    *lost, added = edit.changes
    return replace(
        edit,
        strokes=(Stroke(0, _left_over(labels, replaced, written)), written),
        changes=(*lost, RecordChange(replaced, added.after)),
    )


def _left_over(labels: Labels, replaced: ObjectRecord, written: Stroke) -> tuple[Block, ...]:
    """Return the pixels that an object loses when it is replaced.

    Not those that are written again: were they erased first, undo could not tell that from a
    later erasure by a brush, and would restore what the brush erased.
    """
    blocks = []
    for block in blocks_of(labels, replaced):
        left_over = block.mask.mask
        for written_block in written.blocks:
            subtract_mask(left_over, block.mask.start, written_block.mask)
        if left_over.any():
            blocks.append(Block.of(block.mask.start, left_over, replaced.label_id, labels.dtype))
    return tuple(blocks)


def _plan_masks(
    labels: Labels,
    record: ObjectRecord,
    masks: Iterable[tuple[Mask, Start]],
    overlap: Overlap,
    get_record: GetRecord,
    least_share: float = LEAST_SHARE,
) -> LabelsEdit:
    """Plan to write an object; raise RefusedError if too little of it may be written."""
    asked, accepted, blocks = [], [], []
    extent: dict[int, ObjectRecord] = {}
    for mask, start in masks:
        asked.append(PackedMask(start, mask))
        pixels = labels.read(region_of(start, mask.shape))
        is_free = (pixels == 0) | (pixels == record.label_id)
        written = allowed(mask, is_free, overlap, pixels)
        if written.any():
            accepted.append(asked[-1])
            blocks.append(Block(PackedMask(start, written), PackedLabels(pixels)))
            add_parts(extent, part_of(record.label_id, written, start))
    stroke = Stroke(record.label_id, tuple(blocks))
    asked_px = sum(mask.area_px for mask in asked)
    if not blocks or stroke.area_px < least_share * asked_px:
        if asked_px == 0:
            raise RefusedError("This mask is empty: choose another mask or add a click.")
        met = [np.unique(labels.read(mask.region)[mask.mask]) for mask in asked]
        others = _named(np.concatenate(met), but=record.label_id)
        raise RefusedError(
            f"Covered by {others}: choose another mask, or '{Overlap.REPLACE}' in Options."
        )
    record = replace(with_extent(record, extent[record.label_id]), masks=tuple(accepted))
    lost = pixels_lost(labels, blocks, get_record, to=record.label_id)
    changes = (*lost, RecordChange(None, record))
    return LabelsEdit(labels, (stroke,), changes, record.label_id)


def add_objects(
    labels: Labels,
    records: Sequence[ObjectRecord],
    overlap: Overlap,
    registry: ObjectRegistry,
    trimming: Trimming | None = None,
    *,
    keep_remains: bool = False,
) -> LabelsEdit:
    """Write objects from elsewhere, one after the other; may run on any thread.

    The objects keep their label_ids if all of these fit and are larger than those of the labels;
    otherwise they get the next ones.
    """
    changed: dict[int, ObjectRecord | None] = {}

    def get_record(label_id: int) -> ObjectRecord | None:
        return changed.get(label_id, registry.get(label_id))

    least_share = 0.0 if keep_remains else LEAST_SHARE
    edits: list[LabelsEdit] = []
    try:
        for record in paced(_with_label_ids(labels, records, registry)):
            masks = _masks(record, trimming if overlap is Overlap.KEEP else None)
            with suppress(RefusedError):
                edit = _plan_masks(labels, record, masks, overlap, get_record, least_share)
                edits.append(edit.write())
                changed.update((change.label_id, change.after) for change in edit.changes)
    except BaseException:
        for edit in reversed(edits):
            edit.write(is_undone=True)
        raise
    if not edits:
        raise RefusedError(
            "Nothing added: other objects cover all of it. See 'overlaps' in Options."
        )
    changes = net_changes(change for edit in edits for change in edit.changes)
    label_id = min(change.label_id for change in changes if change.before is None)
    strokes = tuple(stroke for edit in edits for stroke in edit.strokes)
    is_exact = all(edit.is_exact for edit in edits)
    return LabelsEdit(labels, strokes, changes, label_id, is_exact)


def _masks(record: ObjectRecord, trimming: Trimming | None) -> Iterable[tuple[Mask, Start]]:
    """Yield the masks of an object from elsewhere, in the axes of the labels."""
    trim = NOT_TRIMMED if trimming is None else trimming.trims.get(record.uid, NOT_TRIMMED)
    if trimming is None or trim == NOT_TRIMMED:
        return ((mask.mask, mask.start) for mask in record.masks)
    plane = trimming.plane
    crops = (packed_crop(mask, plane) for mask in record.masks)
    trimmed = trim.all_trimmed(crops, plane, record.label_id)
    return (plane.to_nd(mask, top, left) for mask, top, left in trimmed)


def _with_label_ids(
    labels: Labels, records: Sequence[ObjectRecord], registry: ObjectRegistry
) -> list[ObjectRecord]:
    """Return records with label_ids that are free."""
    label_ids = [record.label_id for record in records]
    largest, limit = labels.max_label_id(), np.iinfo(labels.dtype).max
    if largest < min(label_ids, default=0) <= max(label_ids) <= limit:
        return list(records)
    first = first_free_label_id(labels, registry, len(records))
    new_ids = {label_id: first + n for n, label_id in enumerate(label_ids)}
    new_ids[0] = 0
    return [
        replace(record, label_id=first + n, parent_id=new_ids.get(record.parent_id, 0))
        for n, record in enumerate(records)
    ]


def warnings_of_remains(edit: LabelsEdit) -> Iterator[str]:
    """Yield a warning for each other object of which the edit leaves next to nothing visible."""
    for change in edit.changes:
        before, after = change.before, change.after
        if before is None or after is None or after.label_id == edit.label_id:
            continue
        if after.area_px < LEAST_SHARE * before.area_px:
            yield (
                f"Object {after.label_id} has only {after.area_px} of {before.area_px} pixels "
                "left: delete it, too, or undo."
            )


def allowed(mask: Mask, is_free: Mask, overlap: Overlap, pixels: NDArray[np.integer]) -> Mask:
    """Return which pixels of a mask may be written over those that are there."""
    if overlap is Overlap.REPLACE:
        return mask
    free: Mask = mask & is_free
    if overlap is Overlap.REFUSE and (free != mask).any():
        raise RefusedError(
            f"Overlaps {_named(pixels[mask & ~is_free])}: correct the mask, or change how overlaps "
            "are handled."
        )
    return free


def _named(label_ids: NDArray[np.integer], but: int = 0) -> str:
    """Return an object's name, or how many objects have pixels."""
    others = np.setdiff1d(label_ids, [0, but])
    return f"object {others[0]}" if len(others) == 1 else f"{len(others)} objects"


def plan_removal(labels: Labels, records: Sequence[ObjectRecord]) -> LabelsEdit:
    """Plan to delete one or more objects."""
    blocks = tuple(block for record in paced(records) for block in blocks_of(labels, record))
    changes = tuple(RecordChange(record, None) for record in records)
    return LabelsEdit(labels, (Stroke(0, blocks),), changes, records[0].label_id)


def plan_merge(labels: Labels, records: Sequence[ObjectRecord]) -> LabelsEdit:
    """Plan to merge two or more objects into the first one."""
    first, *others = records
    label_ids = {record.label_id for record in records}
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
        likeness=None,
        state=None,
        slices=merged_slices(record.slices for record in records),
        parent_id=first.parent_id if first.parent_id not in label_ids else 0,
        masks=tuple(mask for masks_of_record in masks for mask in masks_of_record),
        brushed=merged_strokes(
            [record.brushed for record in records],
            [block.mask for record in records for block in blocks[record]],
        ),
    )
    children = (
        RecordChange(record, replace(record, parent_id=first.label_id))
        for record in labels.registry
        if record.parent_id in label_ids - {first.label_id} and record.label_id not in label_ids
    )
    gone = (RecordChange(record, None) for record in others)
    changes = (*gone, RecordChange(first, merged), *children)
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


def first_free_label_id(labels: Labels, registry: ObjectRegistry, count: int = 1) -> int:
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
        f"{layer} has {left} (max {limit}): convert it to a wider type (right-click)."
    )
