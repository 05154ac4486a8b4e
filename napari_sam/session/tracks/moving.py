"""Pixels of some frames move from one object to another: what all edits of tracks are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.edits import LabelsEdit, Stroke
from napari_sam.session.objects.labels import Labels, TargetError, masks_of
from napari_sam.session.objects.measuring import add_parts, part_of, with_extent
from napari_sam.session.objects.packed import Block, Mask, PackedMask, Start, covered_by
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices
from napari_sam.storage.pacing import paced


@dataclass(frozen=True, eq=False)
class Move:
    """What another object gets of one.

    Parameters
    ----------
    label_id : int
        The object that loses pixels.
    frames : range
        In which frames.
    to : int
        The object that gets them; 0 for none: they are erased.
    parts : mapping of int to sequence of PackedMask, optional
        The pixels of each frame; all by default.
    """

    label_id: int
    frames: range
    to: int
    parts: Mapping[int, Sequence[PackedMask]] | None = None


@dataclass(eq=False)
class _Content:
    """What one object will have."""

    record: ObjectRecord | None = None  # from which it gets its class and the like
    extent: dict[int, ObjectRecord] = field(default_factory=dict)
    frames: dict[int, int] = field(default_factory=dict)  # whose pixels it has there
    blocks: list[Block] = field(default_factory=list)  # that it gets
    masks: list[PackedMask] = field(default_factory=list)
    has_masks: bool = False
    painted: list[PackedMask] = field(default_factory=list)
    erased: list[PackedMask] = field(default_factory=list)
    entries: dict[int, ObjectSlice] = field(default_factory=dict)

    def after(self, label_id: int, axis: int, before: ObjectRecord | None) -> ObjectRecord | None:
        """Return the record that the object has then; None if nothing is left of it."""
        source = before or self.record
        if source is None or label_id not in self.extent:
            return None
        record = with_extent(source, self.extent[label_id])
        if before is None:  # a new object, with the class of the one it is cut from
            uid = ObjectRecord().uid
            record = replace(record, label_id=label_id, uid=uid, state=None, parent_id=0)
        is_along = source.slices is None or source.slices.axis == axis
        elsewhere = None if before is None else before.slices
        slices = self._slices(axis) if is_along else elsewhere
        brushed = BrushEdits(tuple(self.painted), tuple(self.erased))
        return replace(
            record,
            masks=tuple(self.masks) if self.has_masks else (),
            brushed=brushed if self.painted or self.erased else NOT_BRUSHED,
            slices=slices,
        )

    def _slices(self, axis: int) -> ObjectSlices | None:
        if not self.entries:
            return None
        unknown = (ObjectSlice(frame) for frame in self.frames if frame not in self.entries)
        return ObjectSlices(axis).updated((*self.entries.values(), *unknown))


def plan_moves(
    labels: Labels,
    registry: ObjectRegistry,
    axis: int,
    moves: Sequence[Move],
    parents: Mapping[int, int] | None = None,
) -> LabelsEdit:
    """Plan to move pixels between objects, and maybe to give some other parents.

    Parameters
    ----------
    axis : int
        That of time.
    moves : sequence of Move
        They do not overlap.
    parents : mapping of int to int, optional
        The new parents of objects, new ones included.

    Raises
    ------
    TargetError
        If an object would have the pixels of two in one frame, or nothing would change.
    """
    parents = {} if parents is None else parents
    moved: dict[int, list[Move]] = defaultdict(list)
    for move in moves:
        moved[move.label_id].append(move)
    contents: dict[int, _Content] = defaultdict(_Content)
    involved = dict.fromkeys((*moved, *(move.to for move in moves)))
    records = [record for n in involved if (record := registry.get(n)) is not None]
    for record in paced(records):
        _distribute(labels, record, axis, moved[record.label_id], contents)
    changes = []
    for label_id in dict.fromkeys((*involved, *parents)):
        if label_id:
            before = after = registry.get(label_id)
            if label_id in involved:
                after = contents[label_id].after(label_id, axis, before)
            if after is not None and label_id in parents:
                after = replace(after, parent_id=parents[label_id])
            if before is not after:
                changes.append(RecordChange(before, after))
    strokes = tuple(Stroke(n, tuple(c.blocks)) for n, c in contents.items() if c.blocks)
    if not strokes and not parents:
        raise TargetError("There is nothing to change in these frames: go to another frame.")
    return LabelsEdit(labels, strokes, tuple(changes), changes[0].label_id)


def _distribute(
    labels: Labels,
    record: ObjectRecord,
    axis: int,
    moves: Sequence[Move],
    contents: dict[int, _Content],
) -> None:
    """Give all that an object has to those that will have it."""
    kinds = record.masks, record.brushed.painted, record.brushed.erased
    by_frame = [_by_frame(masks, axis) for masks in kinds]
    is_along = record.slices is not None and record.slices.axis == axis
    entries = {e.slice_index: e for e in (record.slices or ()) if is_along}
    moves_in: dict[int, list[Move]] = defaultdict(list)
    for move in moves:
        for frame in move.frames:
            moves_in[frame].append(move)
    frames = range(record.start[axis], record.stop[axis])
    for frame in sorted({*frames, *entries, *chain.from_iterable(by_frame)}):
        pixels = list(pixels_in_frame(labels, record, axis, frame)) if frame in frames else []
        frame_moves = moves_in.get(frame, [])
        masks, painted, erased = (kind.get(frame, []) for kind in by_frame)
        is_divided = any(move.parts is not None for move in frame_moves)
        for label_id, parts in _shares(record.label_id, frame, pixels, frame_moves):
            content = contents[label_id]
            _give(labels, content, record, label_id, frame, parts)
            if frame in entries and (parts or not is_divided):
                content.entries[frame] = entries[frame]
            content.has_masks |= bool(record.masks) and label_id > 0
            if is_divided or not record.masks:  # then its pixels are its mask
                content.masks += [PackedMask(corner, mask) for corner, mask in parts]
            else:
                content.masks += masks
            if not is_divided:
                content.painted += painted
                content.erased += erased


def _shares(
    label_id: int, frame: int, pixels: list[tuple[Start, Mask]], moves: Sequence[Move]
) -> Iterator[tuple[int, list[tuple[Start, Mask]]]]:
    """Yield who gets which pixels of a frame: those that are moved, and the object itself."""
    rest = pixels
    for move in moves:
        if move.parts is None:
            yield move.to, rest
            return
        part = move.parts.get(frame, ())
        taken = [(corner, mask & covered_by(part, corner, mask.shape)) for corner, mask in rest]
        rest = [(c, mask & ~t) for (c, mask), (_, t) in zip(rest, taken, strict=True)]
        yield move.to, [(corner, mask) for corner, mask in taken if mask.any()]
    yield label_id, [(corner, mask) for corner, mask in rest if mask.any()]


def _give(
    labels: Labels,
    content: _Content,
    record: ObjectRecord,
    label_id: int,
    frame: int,
    parts: Iterable[tuple[Start, Mask]],
) -> None:
    """Give pixels of a frame to an object, which must have none of another one there."""
    if label_id != record.label_id:
        content.blocks += [Block.of(c, m, record.label_id, labels.dtype) for c, m in parts]
    if content.record is None:
        content.record = record
    for corner, mask in parts if label_id else ():
        add_parts(content.extent, part_of(label_id, mask, corner))
        other = content.frames.setdefault(frame, record.label_id)
        if other != record.label_id:
            raise TargetError(
                f"Objects {other} and {record.label_id} are both in frame {frame}: cut one of them "
                "there first."
            )


def pixels_in_frame(
    labels: Labels, record: ObjectRecord, axis: int, frame: int
) -> Iterator[tuple[Start, Mask]]:
    """Yield the pixels that an object has in a frame, in parts that are read at once."""
    for corner, mask in masks_of(labels, record.label_id, *record.box_at(axis, frame)):
        if mask.any():
            yield corner, mask


def _by_frame(masks: Iterable[PackedMask], axis: int) -> dict[int, list[PackedMask]]:
    """Return masks, in parts that are each in one frame."""
    frames: dict[int, list[PackedMask]] = defaultdict(list)
    for packed in masks:
        first, n_frames = packed.start[axis], packed.shape[axis]
        if n_frames == 1:
            frames[first].append(packed)
            continue
        mask = packed.mask
        for number in range(n_frames):
            part = mask.take([number], axis=axis)
            if part.any():
                start = (*packed.start[:axis], first + number, *packed.start[axis + 1 :])
                frames[first + number].append(PackedMask(start, part))
    return frames
