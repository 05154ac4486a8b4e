"""Writing objects into labels: which number and which pixels they get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.edits import LabelsEdit, Overlap, Stroke
from napari_sam.session.objects.labels import Labels, LabelsPlane, TargetError
from napari_sam.session.objects.overlaps import Known, losses
from napari_sam.session.objects.packed import (
    Block,
    PackedLabels,
    PackedMask,
    Start,
    region_of,
    subtract_mask,
)
from napari_sam.session.objects.planning import blocks_of
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange

if TYPE_CHECKING:
    from napari_sam.engine.masks import MaskCrop

LEAST_SHARE: Final = 0.05
"""Share of its mask that an object must get. Two masks of the same thing differ by a rim of some
pixels: what an accepted object leaves of another mask of it is no object."""


@dataclass(frozen=True, eq=False)
class NewObject:
    """What is accepted."""

    # its pixels in the plane, in parts that do not overlap: each (h, w) bool, with the row and
    # the column of its first pixel
    mask: Iterable[MaskCrop]
    record: ObjectRecord  # what is to be noted of it; number and place are filled in
    replaced: ObjectRecord | None = None  # the object that it takes the place of


def plan_object(
    plane: LabelsPlane, new: NewObject, overlap: Overlap, book: ObjectRegistry | None = None
) -> LabelsEdit:
    """Plan to write an object, without writing it yet."""
    labels, replaced = plane.labels, new.replaced
    known = (labels.book if book is None else book).get
    label_id = free_label_ids(labels, 1) if replaced is None else replaced.label_id
    masks: Iterable[tuple[NDArray[np.bool_], Start]]
    masks = (plane.to_nd(part, top, left) for part, top, left in new.mask)
    if replaced is not None:
        masks = replaced.brushed.corrected(masks)
    record = replace(new.record, label_id=label_id)
    edit, is_empty = _plan_masks(labels, record, masks, overlap, known)
    if edit is None:
        raise TargetError(_nothing_to_accept(is_empty))
    if replaced is None:
        return edit
    (written,) = edit.strokes
    *lost, made = edit.changes
    return replace(
        edit,
        strokes=(Stroke(0, _left_over(labels, replaced, written)), written),
        changes=(*lost, RecordChange(replaced, made.after)),
    )


def _left_over(labels: Labels, replaced: ObjectRecord, written: Stroke) -> tuple[Block, ...]:
    """Return the pixels that an object has and will have no longer.

    Without those that are written again: were they erased first, what a brush erases of them
    later could not be told from that, and undo would bring it back.
    """
    blocks = []
    again = [(block.mask.start, block.mask.mask) for block in written.blocks]
    for block in blocks_of(labels, replaced):
        own = block.mask.mask
        for start, mask in again:
            subtract_mask(own, block.mask.start, mask, start)
        if own.any():
            before = np.where(own, replaced.label_id, 0).astype(labels.dtype)
            blocks.append(Block(PackedMask(block.mask.start, own), PackedLabels(before)))
    return tuple(blocks)


def _plan_masks(
    labels: Labels,
    record: ObjectRecord,
    masks: Iterable[tuple[NDArray[np.bool_], Start]],
    overlap: Overlap,
    known: Known,
    least_share: float = LEAST_SHARE,
) -> tuple[LabelsEdit | None, bool]:
    """Plan to write an object; return None if too little is left, and whether it was empty."""
    kept, blocks, asked_px = [], [], 0
    for mask, start in masks:
        asked_px += int(np.count_nonzero(mask))
        before = labels.read(region_of(start, mask.shape))
        is_free = (before == 0) | (before == record.label_id)
        written = _allowed(mask, is_free, overlap)
        if written.any():
            kept.append(PackedMask(start, mask))
            blocks.append(Block(PackedMask(start, written), PackedLabels(before)))
    stroke = Stroke(record.label_id, tuple(blocks))
    if not blocks or stroke.area_px < least_share * asked_px:
        return None, asked_px == 0
    start, stop = _bounds(block.mask for block in blocks)
    record = replace(record, start=start, stop=stop, area_px=stroke.area_px, masks=tuple(kept))
    others = losses(labels, blocks, lambda one: None if one == record.label_id else known(one))
    changes = (*others, RecordChange(None, record))
    return LabelsEdit(labels, (stroke,), changes, record.label_id), False


def write_objects(
    labels: Labels,
    records: Sequence[ObjectRecord],
    overlap: Overlap,
    book: ObjectRegistry | None = None,
    *,
    keep_remains: bool = False,
) -> tuple[LabelsEdit, bool]:
    """Write objects from elsewhere, one after the other; may run on any thread.

    The objects keep their label_ids where all of these are larger than those of the labels, and
    fit; else they are numbered on.
    """
    label_ids = [record.label_id for record in records]
    largest = labels.max_label_id()
    if not largest < min(label_ids, default=0) <= max(label_ids) <= np.iinfo(labels.dtype).max:
        first = free_label_ids(labels, len(records))
        label_ids = list(range(first, first + len(records)))
    known_before = (labels.book if book is None else book).get
    now: dict[int, ObjectRecord | None] = {}

    def known(label_id: int) -> ObjectRecord | None:
        return now[label_id] if label_id in now else known_before(label_id)

    least_share = 0.0 if keep_remains else LEAST_SHARE
    written: list[LabelsEdit] = []
    is_exact = True
    try:
        for record, label_id in zip(records, label_ids, strict=True):
            numbered = replace(record, label_id=label_id)
            edit = _plan_if_free(labels, numbered, overlap, known, least_share)
            if edit is not None:
                done = edit.write()
                written.append(done)
                is_exact = is_exact and done is edit
                now.update((change.label_id, change.after) for change in edit.changes)
    except BaseException:
        for edit in reversed(written):
            edit.erase()
        raise
    if not written:
        msg = "Nothing was added: the pixels belong to other objects, or there are no objects."
        raise TargetError(msg)
    changes = _net(change for edit in written for change in edit.changes)
    made = [change.label_id for change in changes if change.before is None]
    strokes = tuple(stroke for edit in written for stroke in edit.strokes)
    return LabelsEdit(labels, strokes, changes, min(made)), is_exact


def _net(changes: Iterable[RecordChange]) -> tuple[RecordChange, ...]:
    """Return one change for each object, in the order of the last ones.

    An object that is new, and then wholly taken by another one, is not among them.
    """
    net: dict[int, RecordChange] = {}
    for change in changes:
        first = net.pop(change.label_id, change)
        net[change.label_id] = RecordChange(first.before, change.after)
    return tuple(one for one in net.values() if one.before is not None or one.after is not None)


def _plan_if_free(
    labels: Labels, record: ObjectRecord, overlap: Overlap, known: Known, least_share: float
) -> LabelsEdit | None:
    """Plan to write an object; None if too little is left, or the overlap refuses it."""
    masks = ((one.mask, one.start) for one in record.masks)
    try:
        return _plan_masks(labels, record, masks, overlap, known, least_share)[0]
    except TargetError:
        if overlap is not Overlap.REFUSE:
            raise
        return None


def free_label_ids(labels: Labels, count: int) -> int:
    """Return the first of so many label_ids in a row that are not in use."""
    label_id = labels.max_label_id() + 1
    if label_id + count - 1 > np.iinfo(labels.dtype).max:
        left = "no number" if count == 1 else f"fewer than {count} numbers"
        msg = (
            f"The target layer ({labels.dtype}) has {left} left after {label_id - 1}: choose "
            "another target, or convert it to a wider type (right-click the layer)."
        )
        raise TargetError(msg)
    return label_id


def _allowed(
    mask: NDArray[np.bool_], is_free: NDArray[np.bool_], overlap: Overlap
) -> NDArray[np.bool_]:
    if overlap is Overlap.REPLACE:
        return mask
    free: NDArray[np.bool_] = mask & is_free
    if overlap is Overlap.REFUSE and (free != mask).any():
        msg = (
            "Not accepted: this mask lies on another object. Correct it, or choose another way "
            "to treat overlaps."
        )
        raise TargetError(msg)
    return free


def _nothing_to_accept(is_empty: bool) -> str:
    if is_empty:
        return "Nothing to accept: this mask is empty. Choose another one or add a click."
    return (
        "Nothing to accept: every pixel of this mask, or almost every one, belongs to other "
        "objects already. Choose another mask, or replace the others."
    )


def _bounds(masks: Iterator[PackedMask]) -> tuple[Start, Start]:
    """Return the bounding box of some masks: its first index, and the one after its last."""
    starts, stops = [], []
    for packed in masks:
        places = np.nonzero(packed.mask)
        starts.append([a + int(n.min()) for a, n in zip(packed.start, places, strict=True)])
        stops.append([a + int(n.max()) + 1 for a, n in zip(packed.start, places, strict=True)])
    return (
        tuple(int(n) for n in np.min(starts, axis=0)),
        tuple(int(n) for n in np.max(stops, axis=0)),
    )
