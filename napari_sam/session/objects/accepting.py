"""Accepting the object being made, at once or when its masks have come."""

from __future__ import annotations

from collections.abc import Callable

from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.encoding import Encoding
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.reopening import accepted_object
from napari_sam.session.objects.writing import LEAST_SHARE


class Accepting:
    """Writes the chosen candidate into the target; waits for masks that are on their way.

    All methods belong to the owner's thread.
    """

    def __init__(
        self,
        encoding: Encoding,
        decoding: Decoding,
        editing: Editing,
        need_target: Callable[[], None],
        start_anew: Callable[[], None],
        notifier: Notifier,
    ) -> None:
        self._notifier = notifier
        self._encoding, self._decoding, self._editing = encoding, decoding, editing
        self._need_target, self._start_anew = need_target, start_anew
        self._is_awaited = False  # accept as soon as there are masks
        self._is_of_click = False  # one undo is to take back the click, too

    def forget(self) -> None:
        """Hear that the object is another one: nobody waits for its masks."""
        self._is_awaited = self._is_of_click = False

    def stop_waiting(self) -> None:
        """Hear that the masks that were waited for will not come."""
        self._is_awaited = False

    def accept_click(self) -> None:
        """Accept what the first click gives as soon as it is there; undone with the click."""
        self._is_awaited = self._is_of_click = True

    def accept_what_was_awaited(self) -> None:
        """Accept what somebody waits for, if there are masks; a refusal is a warning."""
        if self._is_awaited and self._decoding.candidates is not None:
            try:
                self.accept()
            except TargetError as error:
                self._is_of_click = False
                self._notifier.warn(str(error))

    def accept(self) -> LabelsEdit | None:
        """Write the chosen candidate into the target as a new object, and start the next one.

        Returns and raises what `AnnotationSession.accept` does.
        """
        decoding = self._decoding
        if decoding.is_pending:
            self._is_awaited = True
            return None
        self._is_awaited = False
        shown, state = decoding.shown, decoding.object
        if shown is None:
            msg = "There is no mask to accept yet: click on an object or draw a box around it."
            if state.prompts.has_foreground and self._encoding.embedded is None:
                msg = "There is no mask to accept yet: it comes when the image is embedded."
            raise TargetError(msg)
        if self._editing.target is None:
            self._need_target()
        target = self._editing.check_free()
        new = accepted_object(target, state, *shown, self._editing.classes.current)
        if state.is_as_accepted and new.replaced is not None:
            self._start_anew()
            return None
        with_click = self._is_of_click
        edit = self._editing.accept(new, state, shown, with_click=with_click)
        if edit is not None:
            self._tell_of_remains(edit)
        return edit

    def _tell_of_remains(self, edit: LabelsEdit) -> None:
        """Say of which others next to nothing is left: they stay, but can hardly be seen."""
        for change in edit.changes:
            before, after = change.before, change.after
            if before is None or after is None or after.label_id == edit.label_id:
                continue
            if after.area_px < LEAST_SHARE * before.area_px:
                self._notifier.warn(
                    f"Object {after.label_id} has only {after.area_px} of its {before.area_px} "
                    "pixels left. Delete it, too, or undo."
                )
