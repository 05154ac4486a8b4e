"""Invertible edits of the user's labels, no larger than the objects that they change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.overlaps import reconcile
from napari_sam.session.objects.packed import Block, PackedMask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, RecordChange


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

    def apply(self, labels: Labels) -> Stroke:
        """Write the pixels; those that changed since the stroke was planned or undone are kept.

        Returns the pixels that were written: the stroke itself if that is all of them.
        """
        return self._limited_to([self._apply(block, labels) for block in self.blocks])

    def revert(self, labels: Labels) -> Stroke:
        """Restore the pixels; those that changed since the stroke was written are kept.

        Returns the pixels that were restored: the stroke itself if that is all of them.
        """
        return self._limited_to([self._revert(block, labels) for block in self.blocks])

    def _apply(self, block: Block, labels: Labels) -> NDArray[np.bool_]:
        pixels = labels.read(block.mask.region)
        written: NDArray[np.bool_] = block.mask.mask & (pixels == block.before.labels)
        pixels[written] = self.value
        labels.write(block.mask.region, pixels, written)
        return written

    def _revert(self, block: Block, labels: Labels) -> NDArray[np.bool_]:
        pixels = labels.read(block.mask.region)
        restored: NDArray[np.bool_] = block.mask.mask & (pixels == self.value)
        pixels[restored] = block.before.labels[restored]
        labels.write(block.mask.region, pixels, restored)
        return restored

    def _limited_to(self, masks: list[NDArray[np.bool_]]) -> Stroke:
        if all(
            np.count_nonzero(mask) == block.mask.area_px
            for mask, block in zip(masks, self.blocks, strict=True)
        ):
            return self
        return replace(
            self,
            blocks=tuple(
                replace(block, mask=PackedMask(block.mask.start, mask))
                for mask, block in zip(masks, self.blocks, strict=True)
                if mask.any()
            ),
        )


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
    """

    target: Labels
    strokes: tuple[Stroke, ...]
    changes: tuple[RecordChange, ...]
    label_id: int

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

    def write(self) -> LabelsEdit:
        """Write the pixels, on any thread; `apply_records` must follow.

        Returns the edit with the pixels that were written: itself, unless some were painted on
        since it was planned or undone.
        """
        return self._with_strokes([stroke.apply(self.target) for stroke in self.strokes])

    def apply_records(self, *, is_exact: bool = True) -> LabelsEdit | None:
        """Update the records and show the pixels, on the owner's thread.

        Parameters
        ----------
        is_exact : bool
            Whether `write` wrote all pixels.

        Returns
        -------
        LabelsEdit or None
            Further changes of records, if the user has painted in the meantime.
        """
        return self._reconcile(self.changes, is_exact)

    def revert(self) -> LabelsEdit:
        """Restore the pixels, on any thread; `revert_records` must follow.

        Returns the edit with the pixels that were restored: itself, unless some were painted on
        since they were written.
        """
        reverted = [stroke.revert(self.target) for stroke in reversed(self.strokes)]
        return self._with_strokes(reverted[::-1])

    def revert_records(self, *, is_exact: bool = True) -> LabelsEdit | None:
        """Restore the records and show the pixels; see `apply_records`."""
        return self._reconcile(tuple(change.inverse for change in reversed(self.changes)), is_exact)

    def rebased(self, *, is_undone: bool) -> LabelsEdit:
        """Return the edit with the present records where it ends (undone) or begins.

        The history does not know brush strokes; this way it restores them with the edit.
        """
        registry = self.target.registry
        changes = tuple(_rebased(change, registry, is_undone) for change in self.changes)
        return replace(
            self, changes=tuple(change for change in changes if change.before or change.after)
        )

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

    def _with_strokes(self, strokes: list[Stroke]) -> LabelsEdit:
        if all(done is planned for done, planned in zip(strokes, self.strokes, strict=True)):
            return self
        return replace(self, strokes=tuple(stroke for stroke in strokes if stroke.blocks))

    def _reconcile(self, changes: tuple[RecordChange, ...], is_exact: bool) -> LabelsEdit | None:
        corrections = reconcile(self.target, changes, is_exact=is_exact)
        self.target.show()
        return LabelsEdit(self.target, (), corrections, self.label_id) if corrections else None


def _rebased(change: RecordChange, registry: ObjectRegistry, is_undone: bool) -> RecordChange:
    expected = change.after if is_undone else change.before
    record = registry.get(change.label_id)
    if expected is None or (record is not None and record.uid != expected.uid):
        return change
    if is_undone:
        return RecordChange(change.before, record)
    return RecordChange(record, change.after)
