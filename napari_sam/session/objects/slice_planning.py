"""Edits of an object on some slices of a stack; it stays as it is on all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.edits import LabelsEdit, Overlap, Stroke
from napari_sam.session.objects.labels import NOWHERE, Labels, LabelsPlane, TargetError
from napari_sam.session.objects.measuring import Bounds, tight_bounds
from napari_sam.session.objects.overlaps import pixels_lost
from napari_sam.session.objects.packed import (
    Block,
    Mask,
    PackedLabels,
    PackedMask,
    Region,
    Start,
    overlap_of,
    region_of,
    subtract_mask,
)
from napari_sam.session.objects.pixel_sets import PixelSet
from napari_sam.session.objects.planning import RefusedError, allowed
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.session.objects.trimming import NOT_TRIMMED, Trim


@dataclass(frozen=True, eq=False)
class SliceEdit:
    """What an object becomes on one slice."""

    slice_index: int
    plane: LabelsPlane
    crop: MaskCrop  # its mask; empty: it is not on the slice
    entry: ObjectSlice | None  # what is known of it there; None: nothing any more
    trim: Trim = NOT_TRIMMED  # where it is cut because other objects keep their pixels

    def trimmed(self, label_id: int) -> SliceEdit:
        """Return the edit with the mask trimmed beside other objects."""
        return replace(self, crop=self.trim.trimmed(self.crop, self.plane, label_id))


def slice_index_of(plane: LabelsPlane) -> int:
    """Return the position of a plane in its stack; 0 without one."""
    _, start = plane.to_nd(np.ones((1, 1), np.bool_), 0, 0)
    return 0 if plane.slice_axis is None else start[plane.slice_axis]


def is_beyond(record: ObjectRecord, plane: LabelsPlane) -> bool:
    """Whether an object was carried through slices, or is on others than a plane."""
    axis = plane.slice_axis
    if axis is None:
        return False
    span = (slice_index_of(plane), slice_index_of(plane) + 1)
    return record.slices is not None or (record.start[axis], record.stop[axis]) != span


def crop_of(record: ObjectRecord, plane: LabelsPlane) -> MaskCrop:
    """Return the pixels that an object has on a plane now."""
    box = plane.to_plane(record.start, record.stop)
    if box is None:
        return NOWHERE
    rows, columns = box
    return tight_crop(plane.read(rows, columns) == record.label_id, rows.start, columns.start)


def indices_of(record: ObjectRecord, axis: int) -> list[int]:
    """Return the slices along an axis that an object is on, as far as its masks tell."""
    if not record.masks:
        return list(range(record.start[axis], record.stop[axis]))
    spans = (range(m.start[axis], m.start[axis] + m.shape[axis]) for m in record.masks)
    return sorted({index for span in spans for index in span})


def slices_of(record: ObjectRecord, axis: int) -> ObjectSlices:
    """Return what is known of an object on each slice along an axis.

    All slices of one that was made in one plane, or elsewhere, count as annotated.

    Raises
    ------
    TargetError
        If it was carried along another axis.
    """
    if record.slices is None:
        indices = indices_of(record, axis)
        state = record.state if len(indices) == 1 else None
        return ObjectSlices(axis, tuple(ObjectSlice(index, state=state) for index in indices))
    if record.slices.axis != axis:
        raise TargetError(
            f"Object {record.label_id} was carried along another axis: roll the axes (Ctrl+E) back."
        )
    return record.slices


def plan_slices(
    labels: Labels,
    registry: ObjectRegistry,
    record: ObjectRecord,
    edits: Sequence[SliceEdit],
    overlap: Overlap,
) -> LabelsEdit:
    """Plan to write an object on some slices; it stays as it is on all others.

    What a brush did to it there stays, too.

    Parameters
    ----------
    record : ObjectRecord
        Its record, with everything but what depends on the slices; its label_id has a record.
    edits : sequence of SliceEdit
        One per slice, all along the same axis.

    Raises
    ------
    TargetError
        If a slice that the user made may not be written.
    """
    before = registry.get(record.label_id)
    axis = edits[0].plane.slice_axis
    if before is None or axis is None:
        raise TargetError(f"Object {record.label_id} is gone: nothing was written.")
    if overlap is Overlap.KEEP:
        edits = [edit.trimmed(record.label_id) for edit in edits]
    left_over: list[Block] = []
    written: list[Block] = []
    masks: list[PackedMask] = []
    for edit in edits:
        blocks = _planned(labels, before, edit, overlap, masks)
        written += blocks
        left_over += _left_over(labels, before, edit.plane, blocks)
    known = slices_of(before, axis)
    entries = [edit.entry for edit in edits if edit.entry is not None]
    gone = [edit.slice_index for edit in edits if edit.entry is None]
    edit_masks = (*_masks_elsewhere(labels, before, edits), *masks)
    lost = pixels_lost(labels, written, registry.get, to=record.label_id)
    both = Stroke(0, tuple(left_over)), Stroke(record.label_id, tuple(written))
    strokes = tuple(stroke for stroke in both if stroke.blocks)
    area_px = before.area_px - sum(block.mask.area_px for block in left_over)
    area_px += sum(_n_new(block, record.label_id) for block in written)
    bounds = _bounds(_Planned(labels, strokes), before, strokes) if area_px > 0 else None
    after = bounds and replace(
        record,
        start=bounds[0],
        stop=bounds[1],
        area_px=area_px,
        masks=edit_masks,
        brushed=_brushed_after(before, edits),
        slices=known.without(gone).updated(entries),
    )
    return LabelsEdit(labels, strokes, (*lost, RecordChange(before, after)), record.label_id)


def plan_on_plane(
    plane: LabelsPlane,
    record: ObjectRecord,
    crop: MaskCrop,
    overlap: Overlap,
    registry: ObjectRegistry,
    trim: Trim = NOT_TRIMMED,
) -> LabelsEdit:
    """Plan to write an object on the slice that the user made it on."""
    index = slice_index_of(plane)
    edit = SliceEdit(index, plane, crop, ObjectSlice(index, state=record.state), trim)
    return plan_slices(plane.labels, registry, record, [edit], overlap)


def _planned(
    labels: Labels,
    record: ObjectRecord,
    edit: SliceEdit,
    overlap: Overlap,
    masks: list[PackedMask],
) -> list[Block]:
    """Return what is to be written on a slice; add its whole mask to `masks`."""
    is_computed = edit.entry is not None and not edit.entry.is_anchor
    blocks = []
    for mask, start in _corrected(edit, record):
        pixels = labels.read(region_of(start, mask.shape))
        is_free = (pixels == 0) | (pixels == record.label_id)
        try:
            written = allowed(mask, is_free, overlap, pixels)
        except RefusedError:
            if not is_computed:
                raise
            continue
        masks.append(PackedMask(start, mask))
        if written.any():
            blocks.append(Block(PackedMask(start, written), PackedLabels(pixels)))
    if not blocks and edit.crop.mask.any() and not is_computed:
        raise RefusedError(
            "Other objects cover this mask: choose another, or see 'overlaps' in Options."
        )
    return blocks


def _corrected(edit: SliceEdit, record: ObjectRecord) -> Iterator[tuple[Mask, Start]]:
    """Yield the mask on a slice, with what a brush added to it and erased of it there."""
    crop, brushed = edit.crop, record.brushed
    if not crop.mask.size:
        return
    boxes = [(crop.top, crop.left, *np.add(crop[1:], crop.mask.shape).tolist())]
    painted_masks = [mask for mask in brushed.painted if _box_on(edit.plane, mask)]
    for mask in painted_masks:
        rows, columns = _box_on(edit.plane, mask) or (slice(0), slice(0))
        boxes.append((rows.start, columns.start, rows.stop, columns.stop))
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    top, left = min(tops), min(lefts)
    window = crop.within(top, left, (max(bottoms) - top, max(rights) - left))
    mask_nd, start = edit.plane.to_nd(window, top, left)
    erased = PixelSet(mask for mask in brushed.erased if _box_on(edit.plane, mask))
    painted = PixelSet(painted_masks)
    mask_nd = mask_nd & ~erased.read(start, mask_nd.shape)
    yield mask_nd | painted.read(start, mask_nd.shape), start


def _box_on(plane: LabelsPlane, mask: PackedMask) -> tuple[slice, slice] | None:
    return plane.to_plane(mask.start, mask.stop)


def _left_over(
    labels: Labels, record: ObjectRecord, plane: LabelsPlane, blocks: Sequence[Block]
) -> Iterator[Block]:
    """Yield the pixels that an object loses on a plane: those that are not written again."""
    crop = crop_of(record, plane)
    if not crop.mask.size:
        return
    mask, start = plane.to_nd(crop.mask, crop.top, crop.left)
    remains = mask.copy()
    for block in blocks:
        subtract_mask(remains, start, block.mask)
    if remains.any():
        yield Block.of(start, remains, record.label_id, labels.dtype)


def _masks_elsewhere(
    labels: Labels, record: ObjectRecord, edits: Sequence[SliceEdit]
) -> Iterator[PackedMask]:
    """Yield the masks of an object on all other slices; its pixels, if it is from elsewhere."""
    axis, planes = edits[0].plane.slice_axis or 0, {e.slice_index: e.plane for e in edits}
    for mask in record.masks or _pixels_by_slice(labels, record, axis):
        indices = range(mask.start[axis], mask.start[axis] + mask.shape[axis])
        if not any(index in planes and _box_on(planes[index], mask) for index in indices):
            yield mask


def _pixels_by_slice(labels: Labels, record: ObjectRecord, axis: int) -> Iterator[PackedMask]:
    for index in range(record.start[axis], record.stop[axis]):
        start, shape = record.box_at(axis, index)
        mask = labels.read(region_of(start, shape)) == record.label_id
        if mask.any():
            yield PackedMask(start, mask)


def _brushed_after(record: ObjectRecord, edits: Iterable[SliceEdit]) -> BrushEdits:
    """Return what a brush did to an object, but for slices that the user has cleared."""
    brushed = record.brushed
    cleared = [e.plane for e in edits if e.entry and e.entry.origin is Origin.CLEARED]
    if not cleared or brushed is NOT_BRUSHED:
        return brushed
    painted, erased = (
        tuple(mask for mask in masks if not any(_box_on(plane, mask) for plane in cleared))
        for masks in (brushed.painted, brushed.erased)
    )
    return BrushEdits(painted, erased)


def _n_new(block: Block, label_id: int) -> int:
    """Return how many pixels of a block did not belong to an object before."""
    return int(np.count_nonzero(block.mask.mask & (block.before.labels != label_id)))


class _Planned:
    """Labels as they will be once strokes are written."""

    def __init__(self, labels: Labels, strokes: Sequence[Stroke]) -> None:
        self._labels, self._strokes = labels, strokes

    def read(self, region: Region) -> NDArray[Any]:
        """Return a copy of a region."""
        pixels = self._labels.read(region)
        start = tuple(span.start for span in region)
        for stroke in self._strokes:
            for block in stroke.blocks:
                overlap = overlap_of(start, pixels.shape, block.mask)
                if overlap is not None:
                    here, there = overlap
                    np.copyto(pixels[here], stroke.value, where=block.mask.mask[there])
        return pixels


def _bounds(planned: _Planned, record: ObjectRecord, strokes: Sequence[Stroke]) -> Bounds | None:
    """Return the box of an object after strokes, given that before."""
    masks = [block.mask for stroke in strokes for block in stroke.blocks]
    added = [block.mask for stroke in strokes if stroke.value for block in stroke.blocks]
    start = tuple(map(min, record.start, *(mask.start for mask in added), record.start))
    stop = tuple(map(max, record.stop, *(mask.stop for mask in added), record.stop))
    return tight_bounds(planned, record.label_id, (start, stop), masks)
