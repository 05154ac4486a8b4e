"""Edits of accepted objects by the user, on the shown plane or elsewhere in the target."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypedDict, Unpack

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.planning import plan_merge, plan_records, plan_removal
from napari_sam.session.objects.records import ObjectRecord, RecordChange
from napari_sam.session.objects.reediting import begin_with, current_record, reedit
from napari_sam.storage.text import is_encodable


class Details(TypedDict, total=False):
    """What the user may say about an object."""

    class_name: str | None
    reviewed: bool
    note: str


class ObjectEditing:
    """Deletes, merges, describes, adds and re-edits objects of the target; each can be undone."""

    def __init__(
        self,
        editing: Editing,
        decoding: Decoding,
        continue_with: Callable[[ObjectState], None],
    ) -> None:
        self.editing, self._decoding = editing, decoding
        """Writes the edits into the target."""
        self._continue_with = continue_with

    def remove(self, label_ids: Sequence[int]) -> None:
        """Delete objects of the target, on any slice; can be undone."""
        records = [self._record(label_id) for label_id in label_ids]
        if records:
            self.editing.edit(lambda labels: plan_removal(labels, records), records)

    def merge(self, label_ids: Sequence[int]) -> None:
        """Merge several objects into the first one, which keeps its label_id; can be undone."""
        records = [self._record(label_id) for label_id in dict.fromkeys(label_ids)]
        if len(records) < 2:
            raise TargetError("There is nothing to merge: choose two objects or more.")
        self.editing.edit(lambda labels: plan_merge(labels, records), records)

    def update(self, label_ids: Sequence[int], **details: Unpack[Details]) -> None:
        """Set `class_name`, `reviewed` or `note` of objects; can be undone."""
        for text in (details.get("class_name"), details.get("note")):
            if text is not None and not is_encodable(text):
                msg = f"{text!r} contains an invalid Unicode character (lone surrogate)."
                raise TargetError(msg)
        records = [self._record(label_id) for label_id in label_ids]
        changes = [RecordChange(record, replace(record, **details)) for record in records]
        if changes:
            self.editing.edit(lambda labels: plan_records(labels, changes))

    def add(
        self,
        records: Sequence[ObjectRecord],
        on_added: Callable[[LabelsEdit], None] = lambda _: None,
        into: LabelsPlane | None = None,
        *,
        keep_remains: bool = False,
    ) -> None:
        """Add objects from elsewhere to the target, in the background; undone as one."""
        if into is None:
            self.editing.need_target()
        self.editing.add(records, on_added, into, keep_remains=keep_remains)

    # The object in progress -------------------------------------------------------------------

    def reedit(self, label_id: int) -> None:
        """Re-edit an accepted object from its prompts; can be undone.

        It stays in the target as it is until it is accepted again. An object from elsewhere starts
        from its pixels.
        """
        target = self.editing.check_free()
        self._continue_with(reedit(target, self._record(label_id)))

    @property
    def reedited_label_id(self) -> int | None:
        """The accepted object that is being re-edited; None if there is none."""
        target, record = self.editing.target, None
        if target is not None:
            with suppress(TargetError):  # a target that no longer fits is reported when written to
                record = current_record(self._decoding.state, target.labels.registry)
        return None if record is None else record.label_id

    def improve(self, region: MaskCrop) -> None:
        """Begin a new object from existing pixels; can be undone."""
        self._continue_with(begin_with(region))

    def resume(self, state: ObjectState, label_id: int | None = None) -> None:
        """Resume an object that was in progress before, maybe in another program."""
        if label_id is not None:
            target = self.editing.check_free()
            state = replace(state, reedited=reedit(target, self._record(label_id)).reedited)
        self._continue_with(state)

    def _record(self, label_id: int) -> ObjectRecord:
        record = self.editing.check_free().labels.registry.get(label_id)
        if record is None:
            raise TargetError(f"There is no object {label_id} in the target.")
        return record
