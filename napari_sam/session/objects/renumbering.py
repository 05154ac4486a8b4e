"""Other numbers where a brush has meanwhile taken that of an object that comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.edits import LabelsEdit, Stroke
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.packed import Block, PackedLabels
from napari_sam.session.objects.records import ObjectRecord, RecordChange


def conflicting_objects(edit: LabelsEdit) -> list[ObjectRecord]:
    """Return the objects that have the numbers of those that come back when an edit is undone."""
    there = {change.label_id: edit.target.book.get(change.label_id) for change in edit.changes}
    known = {one.uid for change in edit.changes for one in (change.before, change.after) if one}
    back = [change.label_id for change in edit.changes if change.before is not None]
    found = (there[label_id] for label_id in dict.fromkeys(back))
    return [one for one in found if one is not None and one.uid not in known]


def with_free_label_ids(following: Sequence[Edit]) -> list[Edit]:
    """Return edits that were undone, the objects that they make with numbers that are free."""
    labels = following[0].labels
    if labels is None or labels.target.is_gone:
        return list(following)
    made = labels.made_label_ids
    if not any(_is_taken(labels, label_id) for label_id in made):
        return list(following)
    largest = labels.target.max_label_id()
    shift = largest + 1 - min(made)
    edits = [one.labels for one in following if one.labels is not None]
    last = max(max(one.made_label_ids, default=0) for one in edits if one.target is labels.target)
    if last + shift > np.iinfo(labels.target.dtype).max:
        msg = (
            f"This cannot be repeated: the layer ({labels.target.dtype}) has too few numbers left "
            f"after {largest}. Convert it to a wider type (right-click the layer)."
        )
        raise TargetError(msg)
    renumbering = _Renumbering(shift)
    return [renumbering.edit(one, labels.target) for one in following]


def _is_taken(edit: LabelsEdit, label_id: int) -> bool:
    """Whether the number of an object that comes back means another one now.

    Not so if that is what a brush had added to the very object, which stayed when it was undone.
    """
    there = edit.target.book.get(label_id)
    made = [one.after for one in edit.changes if one.after and one.label_id == label_id]
    return there is not None and all(one.uid != there.uid for one in made)


class _Renumbering:
    """Goes from edit to edit: a number may mean another object after the one that makes it."""

    def __init__(self, shift: int) -> None:
        self._shift = shift
        self._new: dict[int, int] = {}
        self._moved: dict[int, ObjectRecord] = {}  # by identity, as a change hands on a record
        self._uids: dict[int, int] = {}

    def edit(self, edit: Edit, target: object) -> Edit:
        """Return the edit that follows those before."""
        before, labels = self._state(edit.before), edit.labels
        if labels is not None and labels.target is target:
            self._new.update((one, one + self._shift) for one in labels.made_label_ids)
            labels = self._labels(labels)
        return replace(edit, before=before, labels=labels, after=self._state(edit.after))

    def _labels(self, edit: LabelsEdit) -> LabelsEdit:
        return replace(
            edit,
            label_id=self._new.get(edit.label_id, edit.label_id),
            strokes=tuple(_stroke(one, self._new) for one in edit.strokes),
            changes=tuple(
                RecordChange(self._record(one.before), self._record(one.after))
                for one in edit.changes
            ),
        )

    def _record(self, record: ObjectRecord | None) -> ObjectRecord | None:
        if record is None or record.label_id not in self._new:
            return record
        self._uids[record.label_id] = record.uid
        new = replace(record, label_id=self._new[record.label_id])
        return self._moved.setdefault(id(record), new)

    def _state(self, state: ObjectState) -> ObjectState:
        """Return an object being made; the one that it will replace may have another number."""
        reopened = state.reopened
        if reopened is None or self._uids.get(reopened.label_id) != reopened.uid:
            return state
        label_id = self._new[reopened.label_id]
        return replace(state, reopened=replace(reopened, label_id=label_id))


def _stroke(stroke: Stroke, new: Mapping[int, int]) -> Stroke:
    blocks = tuple(_block(one, new) for one in stroke.blocks)
    return replace(stroke, value=new.get(stroke.value, stroke.value), blocks=blocks)


def _block(block: Block, new: Mapping[int, int]) -> Block:
    before = block.before.labels
    moved = [int(label_id) for label_id in np.unique(before) if int(label_id) in new]
    if not moved:
        return block
    after = before.copy()
    for label_id in moved:
        after[before == label_id] = new[label_id]
    return replace(block, before=PackedLabels(after))
