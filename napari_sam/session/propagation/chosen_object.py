"""The object and the slice of a stack that the user's next step is about."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.stack import Stack

NO_OBJECT: Final = "Choose an object first: click on its row in the table."
_NO_STACK: Final = "The image has no slices to carry objects through."


class ChosenObject:
    """Holds the chosen object, and the stack and the slice that are shown."""

    def __init__(self, editing: Editing) -> None:
        self._editing = editing
        self.stack: Stack | None = None
        self.slice_index = 0
        self.label_id: int | None = None

    def show(self, stack: Stack | None, slice_index: int) -> None:
        """Follow which slice of which stack is shown."""
        self.stack, self.slice_index = stack, slice_index

    def choose(self, label_id: int | None) -> None:
        """Choose an object, or none."""
        self.label_id = label_id

    def require_stack(self) -> tuple[Stack, LabelsPlane]:
        """Return the stack and the target; raise TargetError without them."""
        if self.stack is None:
            raise TargetError(self._editing.refusal or _NO_STACK)
        return self.stack, self._editing.require_target()

    @property
    def record(self) -> ObjectRecord | None:
        """The record of the chosen object; None without one."""
        target = self._editing.target
        if target is None or self.label_id is None:
            return None
        with suppress(TargetError):  # a target that no longer fits is reported when written to
            return target.labels.registry.get(self.label_id)
        return None

    def require_record(self) -> ObjectRecord:
        """Return the record of the chosen object; raise TargetError without one."""
        record = self.record
        if record is None:
            raise TargetError(self._editing.refusal or NO_OBJECT)
        return record
