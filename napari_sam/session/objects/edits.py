"""Invertible changes of the user's labels, no larger than the objects they are about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.overlaps import settle
from napari_sam.session.objects.packed import Block, PackedMask
from napari_sam.session.objects.records import ObjectRegistry, RecordChange


class Overlap(StrEnum):
    """What happens where a new object lies on others."""

    KEEP = "keep the others"
    """They keep their pixels; the new one gets the rest."""
    REPLACE = "replace the others"
    """The new one takes their pixels."""
    REFUSE = "only on background"
    """A mask that lies on another object is not accepted."""


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
        """Write; pixels that changed since it was planned or undone keep their new label.

        Returns what was written: the stroke itself, if there were none.
        """
        return self._done([self._apply(block, labels) for block in self.blocks])

    def revert(self, labels: Labels) -> Stroke:
        """Take back; pixels that changed since then keep their new label.

        Returns what was taken back: the stroke itself, if there were none.
        """
        return self._done([self._revert(block, labels) for block in self.blocks])

    def _apply(self, block: Block, labels: Labels) -> NDArray[np.bool_]:
        pixels = labels.read(block.mask.region)
        own: NDArray[np.bool_] = block.mask.mask & (pixels == block.before.labels)
        pixels[own] = self.value
        labels.write(block.mask.region, pixels, own)
        return own

    def _revert(self, block: Block, labels: Labels) -> NDArray[np.bool_]:
        pixels = labels.read(block.mask.region)
        own: NDArray[np.bool_] = block.mask.mask & (pixels == self.value)
        pixels[own] = block.before.labels[own]
        labels.write(block.mask.region, pixels, own)
        return own

    def _done(self, pixels: list[NDArray[np.bool_]]) -> Stroke:
        if all(
            np.count_nonzero(own) == block.mask.area_px
            for own, block in zip(pixels, self.blocks, strict=True)
        ):
            return self
        return replace(
            self,
            blocks=tuple(
                replace(block, mask=PackedMask(block.mask.start, own))
                for own, block in zip(pixels, self.blocks, strict=True)
                if own.any()
            ),
        )


@dataclass(frozen=True, eq=False)
class LabelsEdit:
    """One thing that was done to the objects of some labels.

    Parameters
    ----------
    target : Labels
        The labels.
    strokes : tuple of Stroke
        In the order in which they are written.
    changes : tuple of RecordChange
        What becomes of the records.
    label_id : int
        The object it is about; the first one, if there are several.
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
        """How much memory its pixels and masks take."""
        blocks = [block for stroke in self.strokes for block in stroke.blocks]
        records = [record for one in self.changes for record in (one.before, one.after) if record]
        return (
            sum(block.mask.size_bytes + block.before.size_bytes for block in blocks)
            + sum(mask.size_bytes for record in records for mask in record.masks)
            + sum(record.brushed.size_bytes for record in records)
        )

    @property
    def made_label_ids(self) -> set[int]:
        """The numbers of objects that are new with it, or new and gone at its end."""
        known = {change.label_id for change in self.changes if change.before is not None}
        written = {stroke.value for stroke in self.strokes if stroke.value}
        return (written | {change.label_id for change in self.changes}) - known

    @property
    def n_made(self) -> int:
        """Number of objects that are new with it."""
        return sum(change.before is None for change in self.changes)

    def write(self) -> LabelsEdit:
        """Write the pixels; may run on any thread. `note` belongs to it.

        Returns the edit with the pixels that were written: itself, unless others were painted
        since it was planned or undone.
        """
        return self._with([stroke.apply(self.target) for stroke in self.strokes])

    def note(self, *, is_exact: bool = True) -> LabelsEdit | None:
        """Write the records and show what was written; on the owner's thread.

        Parameters
        ----------
        is_exact : bool
            Whether `write` wrote all pixels.

        Returns
        -------
        LabelsEdit or None
            What else became of records, because the user has painted meanwhile.
        """
        return self._settle(self.changes, is_exact)

    def erase(self) -> LabelsEdit:
        """Take the pixels back; may run on any thread. `forget` belongs to it.

        Returns the edit with the pixels that were taken back: itself, unless others were painted
        since they were written.
        """
        reverted = [stroke.revert(self.target) for stroke in reversed(self.strokes)]
        return self._with(reverted[::-1])

    def _with(self, strokes: list[Stroke]) -> LabelsEdit:
        if all(done is planned for done, planned in zip(strokes, self.strokes, strict=True)):
            return self
        return replace(self, strokes=tuple(stroke for stroke in strokes if stroke.blocks))

    def from_records(self, *, is_undone: bool) -> LabelsEdit:
        """Return it so that what it ends (undone) or begins with is what is known of objects now.

        The history knows nothing of brushes: what they have made of objects since is to come back
        with the edit.
        """
        changes = tuple(_from_record(one, self.target.book, is_undone) for one in self.changes)
        return replace(self, changes=tuple(one for one in changes if one.before or one.after))

    def forget(self, *, is_exact: bool = True) -> LabelsEdit | None:
        """Take the records back and show what was written; as `note`, after `erase`."""
        return self._settle(tuple(one.inverse for one in reversed(self.changes)), is_exact)

    def _settle(self, changes: tuple[RecordChange, ...], is_exact: bool) -> LabelsEdit | None:
        corrections = settle(self.target, changes, is_exact=is_exact)
        self.target.show()
        return LabelsEdit(self.target, (), corrections, self.label_id) if corrections else None


def _from_record(change: RecordChange, book: ObjectRegistry, is_undone: bool) -> RecordChange:
    expected = change.after if is_undone else change.before
    there = book.get(change.label_id)
    if expected is None or (there is not None and there.uid != expected.uid):
        return change
    return RecordChange(change.before, there) if is_undone else RecordChange(there, change.after)
