"""Invertible edits of the user's labels, no larger than the objects that they change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.overlaps import reconcile
from napari_sam.session.objects.packed import Block, Mask, PackedMask
from napari_sam.session.objects.records import ObjectRecord, RecordChange, net_changes
from napari_sam.storage.pacing import paced


class Direction(StrEnum):
    """How an entry of the journal came about."""

    FOUND = "found"
    """An object that was in the labels before the journal began."""
    MADE = "made"
    UNDONE = "undone"
    REDONE = "redone"
    PAINTED = "painted"
    """The user painted in the labels with a brush of the viewer."""
    CLASSES = "classes"
    """No object changed, but the classes did."""
    SAVED = "saved"
    """Nothing changed: the user has saved all objects to a file."""
    UNFINISHED = "unfinished"
    """No object changed, but those in progress did."""
    CLOSED = "closed"
    """Nothing changed: the program was closed, rather than ended by a crash."""


class Overlap(StrEnum):
    """What happens where a new object overlaps existing ones."""

    KEEP = "keep the others"
    """Existing objects keep their pixels; the new one gets the rest."""
    REPLACE = "replace the others"
    """The new object takes their pixels."""
    REFUSE = "only on background"
    """A mask that overlaps another object is not accepted."""


@dataclass(frozen=True, eq=False)
class Stroke:
    """Pixels that get one label."""

    value: int  # the label
    blocks: tuple[Block, ...]  # the pixels, in parts that do not overlap

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return sum(block.mask.area_px for block in self.blocks)

    def write(self, labels: Labels, *, is_undone: bool = False) -> Stroke:
        """Write or restore the pixels; those that changed since it was planned or made are kept.

        Returns the pixels that were written: the stroke itself if that is all of them.
        """
        parts: list[tuple[Block, Mask]] = []
        for block in paced(self.blocks):
            pixels = labels.read(block.mask.region)
            old, new = block.before.labels, self.value
            written = block.mask.mask & (pixels == (new if is_undone else old))
            np.copyto(pixels, old if is_undone else new, where=written)
            labels.write(block.mask.region, pixels, written)
            parts.append((block, written))
        if all(np.count_nonzero(mask) == block.mask.area_px for block, mask in parts):
            return self
        blocks = (
            replace(block, mask=PackedMask(block.mask.start, mask))
            for block, mask in parts
            if mask.any()
        )
        return replace(self, blocks=tuple(blocks))

    def renumbered(self, former: int, label_id: int) -> Stroke:
        """Return the stroke with another label_id in place of a former one."""
        blocks = (block.renumbered(former, label_id) for block in self.blocks)
        return Stroke(label_id if self.value == former else self.value, tuple(blocks))


@dataclass(frozen=True, eq=False)
class LabelsEdit:
    """One edit of the objects in some labels.

    Parameters
    ----------
    target : Labels
        The labels.
    strokes : tuple of Stroke
        The pixels, in the order in which they are written.
    changes : tuple of RecordChange
        The changes of the records.
    label_id : int
        The object that is edited; the first one if there are several.
    is_exact : bool
        Whether all pixels were always written that were planned, so that the records need not be
        measured again.
    """

    target: Labels
    strokes: tuple[Stroke, ...]
    changes: tuple[RecordChange, ...]
    label_id: int
    is_exact: bool = True

    @property
    def area_px(self) -> int:
        """Number of pixels that are written."""
        return sum(stroke.area_px for stroke in self.strokes)

    @property
    def n_blocks(self) -> int:
        """Number of parts that are written one after the other."""
        return sum(len(stroke.blocks) for stroke in self.strokes)

    @cached_property
    def size_bytes(self) -> int:
        """Memory that its pixels and masks take."""
        blocks = [block for stroke in self.strokes for block in stroke.blocks]
        records = [
            record for change in self.changes for record in (change.before, change.after) if record
        ]
        return (
            sum(block.mask.size_bytes + block.before.size_bytes for block in blocks)
            + sum(mask.size_bytes for record in records for mask in record.masks)
            + sum(record.brushed.size_bytes for record in records)
        )

    @property
    def n_made(self) -> int:
        """Number of new objects."""
        return sum(change.before is None for change in self.changes)

    @property
    def n_gone(self) -> int:
        """Number of objects that have no pixel left."""
        return sum(change.after is None for change in self.changes)

    def followed_by(self, other: LabelsEdit) -> LabelsEdit:
        """Return this edit and another one of the same labels as one."""
        return replace(
            self,
            strokes=(*self.strokes, *other.strokes),
            changes=net_changes((*self.changes, *other.changes)),
            is_exact=self.is_exact and other.is_exact,
        )

    def effects(self, *, is_undone: bool) -> tuple[RecordChange, ...]:
        """Return the changes of the records when it is written or undone, in their order."""
        return self._inverse_changes if is_undone else self.changes

    @cached_property
    def _inverse_changes(self) -> tuple[RecordChange, ...]:
        return tuple(change.inverse for change in reversed(self.changes))

    def write(self, *, is_undone: bool = False) -> LabelsEdit:
        """Write or restore the pixels, on any thread; `apply_records` must follow.

        Returns the edit with the pixels that were written: itself, unless some were painted on
        since it was planned, written or undone.
        """
        order = slice(None, None, -1 if is_undone else 1)
        strokes = [
            stroke.write(self.target, is_undone=is_undone) for stroke in self.strokes[order]
        ][order]
        is_exact = all(done is stroke for done, stroke in zip(strokes, self.strokes, strict=True))
        if is_exact:
            return self
        written = tuple(stroke for stroke in strokes if stroke.blocks)
        return replace(self, strokes=written, is_exact=False)

    def apply_records(self, *, is_undone: bool = False) -> LabelsEdit | None:
        """Update or restore the records and show the pixels, on the owner's thread.

        Returns
        -------
        LabelsEdit or None
            Further changes of records, if the user has painted in the meantime.
        """
        changes = self.effects(is_undone=is_undone)
        corrections = reconcile(self.target, changes, is_exact=self.is_exact)
        self.target.show()
        return LabelsEdit(self.target, (), corrections, self.label_id) if corrections else None

    def rebased(self, *, is_undone: bool) -> LabelsEdit:
        """Return the edit with the present records where it ends (undone) or begins.

        The history does not know brush strokes; this way it restores them with the edit.
        """
        registry = self.target.registry
        ends = (change.after if is_undone else change.before for change in self.changes)
        if all(record is None or registry.get(record.label_id) is record for record in ends):
            return self
        changes = []
        for change in self.changes:
            before, after = change.before, change.after
            expected, record = after if is_undone else before, registry.get(change.label_id)
            if expected is not None and (record is None or record.uid == expected.uid):
                before, after = (before, record) if is_undone else (record, after)
            if before or after:
                changes.append(RecordChange(before, after))
        return replace(self, changes=tuple(changes))

    def conflicts(self, *, is_undone: bool) -> list[ObjectRecord]:
        """Return the objects, painted since, whose label_ids it needs to be undone or redone."""
        registry = self.target.registry
        uids: set[int] = set()
        label_ids = {stroke.value for stroke in self.strokes}
        for change in self.changes:
            uids.update(record.uid for record in (change.before, change.after) if record)
            label_ids.discard(change.label_id)
        for change in self.changes:
            if (change.before is not None) == is_undone:  # an object that comes back
                label_ids.add(change.label_id)
        records = (registry.get(label_id) for label_id in sorted(label_ids))
        return [record for record in records if record is not None and record.uid not in uids]

    def renumbered(self, record: ObjectRecord, label_id: int) -> LabelsEdit:
        """Return the edit with the label_id that an object has now, if it is about that object.

        The pixels that it takes or gives back are only recognized by their label_ids.
        """
        former = record.label_id
        changes = tuple(change.renumbered(record, label_id) for change in self.changes)
        if changes == self.changes:
            return self
        strokes = tuple(stroke.renumbered(former, label_id) for stroke in self.strokes)
        edited = label_id if self.label_id == former else self.label_id
        return replace(self, strokes=strokes, changes=changes, label_id=edited)
