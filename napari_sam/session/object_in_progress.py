"""The object that the user is making: its prompts, candidates, choice and acceptance."""

from __future__ import annotations

from psygnal import Signal

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.embedding.encoding import Encoding
from napari_sam.session.jobs import user_message
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.accepting import accept_candidate, warnings_of_remains
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.prompts.prompts import Prompts


class ObjectInProgress:
    """Owns the object that the user is making until it is accepted.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """Prompts, candidates, choice or preview changed."""

    def __init__(
        self, embedding: Encoding, decoding: Decoding, editing: Editing, notifier: Notifier
    ) -> None:
        self._embedding, self._decoding, self._editing = embedding, decoding, editing
        self._notifier = notifier
        self._is_accept_pending = False
        self._is_click_accepted = False  # one undo takes back the object and the click
        self.accept_on_click = False
        """Whether a first click accepts the preselected mask; one undo takes back both."""
        decoding.changed.connect(self.changed.emit)
        decoding.moved.connect(self._on_moved)
        decoding.completed.connect(self._accept_pending)
        decoding.failed.connect(self._on_decode_failed)
        embedding.model_loaded.connect(self._on_model_loaded)
        embedding.changed.connect(self._on_embedding_changed)

    @property
    def state(self) -> ObjectState:
        """The prompts and the choice, with all that undo would restore."""
        return self._decoding.state

    @property
    def candidates(self) -> Candidates | None:
        """The masks to choose from; None until there are some."""
        return self._decoding.candidates

    @property
    def use_feedback(self) -> bool:
        """Whether a decode starts from the mask chosen before the last click of the object."""
        return self._decoding.use_feedback

    @use_feedback.setter
    def use_feedback(self, use: bool) -> None:
        self._decoding.use_feedback = use

    # Prompts -----------------------------------------------------------------------------------

    def set_prompts(self, prompts: Prompts) -> None:
        """Move the object to other prompts; masks follow as soon as they can.

        Prompts given before the embedding is ready are kept and decoded when it is.
        """
        decoding, history = self._decoding, self._editing.history
        before = decoding.state
        if prompts == before.prompts:
            return
        shown = decoding.shown if decoding.use_feedback else None
        after = ObjectState() if prompts.is_empty else before.with_prompts(prompts, shown)
        history.push_prompts(Edit(before, after, self._editing.plane_id))
        self._forget_accept()
        decoding.set_state(after, is_dragged=history.in_gesture)
        is_click = prompts.points_xy and prompts.size == 1 and prompts.has_foreground
        if self.accept_on_click and before.prompts.is_empty and is_click:
            self._is_accept_pending = self._is_click_accepted = True
        self.changed.emit()

    def clear(self) -> None:
        """Start the object again; can be undone."""
        self.set_prompts(Prompts())

    def begin_gesture(self) -> None:
        """Undo the changes of the prompts from here to `end_gesture` as one (a drag)."""
        self._editing.history.begin_gesture()

    def end_gesture(self) -> None:
        """End what `begin_gesture` began."""
        self._editing.history.end_gesture()

    def hover(self, prompts: Prompts | None) -> None:
        """Preview the masks of prompts under the cursor, while the object has none; None: end.

        The newest ones win; a preview never waits behind another and never delays a real decode
        by more than the one it is at.
        """
        self._decoding.hover(prompts)

    def continue_with(self, state: ObjectState) -> None:
        """Replace the object by another one, such as a reopened one; can be undone."""
        edit = Edit(self._decoding.state, state, self._editing.plane_id)
        self._editing.history.push(edit)
        self.restore(state)
        self.changed.emit()

    def restore(self, state: ObjectState) -> None:
        """Replace the object without a trace in the history."""
        self._forget_accept()
        self._decoding.set_state(state)

    def resume(self, state: ObjectState, candidates: Candidates | None) -> None:
        """Take up the object that was left on the plane shown now, with its masks."""
        self._forget_accept()
        self._decoding.resume(state, candidates)

    # Candidates --------------------------------------------------------------------------------

    def choose(self, index: int) -> None:
        """Choose the candidate to show and accept.

        Raises
        ------
        IndexError
            If there is no such candidate.
        """
        decoding = self._decoding
        if decoding.candidates is None or not 0 <= index < len(decoding.candidates):
            msg = f"There is no candidate {index} to choose."
            raise IndexError(msg)
        if index != decoding.chosen:
            before = decoding.choose(index)
            self._editing.history.update_last(before, decoding.state)
            decoding.improve()
            self.changed.emit()

    def choose_next(self, step: int = 1) -> None:
        """Choose the candidate `step` further on, around the end; do nothing without one."""
        if self._decoding.shown is not None:
            candidates, chosen = self._decoding.shown
            self.choose((chosen + step) % len(candidates))

    # Acceptance --------------------------------------------------------------------------------

    def accept(self) -> LabelsEdit | None:
        """Write the chosen candidate into the target as a new object, and start the next one.

        A reopened object is replaced, with what a brush has done to it since. If masks for the
        newest prompts are still on their way, this happens when they come.

        Returns
        -------
        LabelsEdit or None
            What was written; None if that has to wait, or is done in the background because the
            object is very large, or if a reopened object stays as it was.

        Raises
        ------
        TargetError
            If there is no mask, no target, or nothing of the mask may be written. The prompts
            stay as they are.
        """
        decoding, editing = self._decoding, self._editing
        self._is_accept_pending = decoding.is_pending
        if decoding.is_pending:
            return None
        shown, state = decoding.shown, decoding.state
        if shown is None:
            msg = "There is no mask to accept yet: click on an object or draw a box around it."
            if state.prompts.has_foreground and self._embedding.embedded is None:
                msg = "There is no mask to accept yet: it comes when the image is embedded."
            raise TargetError(msg)
        edit, is_unchanged = accept_candidate(
            editing, state, shown, with_click=self._is_click_accepted
        )
        if is_unchanged:
            self.clear()
        elif edit is not None:
            for message in warnings_of_remains(edit):
                self._notifier.warn(message)
        return edit

    def finish(self, edit: Edit) -> None:
        """Start the next object once this one was written, unless that has happened already."""
        if self.state.prompts == edit.before.prompts:
            self.restore(edit.after)

    def _forget_accept(self) -> None:
        self._is_accept_pending = self._is_click_accepted = False

    def _accept_pending(self) -> None:
        if self._is_accept_pending and self._decoding.candidates is not None:
            try:
                self.accept()
            except TargetError as error:
                self._is_click_accepted = False
                self._notifier.warn(str(error))

    # The model's answers -----------------------------------------------------------------------

    def _on_moved(self, before: ObjectState, after: ObjectState) -> None:
        self._editing.history.update_last(before, after)

    def _on_decode_failed(self, error: BaseException) -> None:
        if self._embedding.try_to_step_down(error):
            return
        self._is_accept_pending = False
        self._notifier.warn(user_message(error, "The masks could not be computed"))
        self.changed.emit()

    def _on_model_loaded(self, embedder: Embedder) -> None:
        self._decoding.warm_up(
            embedder,
            lambda error: self._notifier.warn(user_message(error, "Masks will take longer")),
        )

    def _on_embedding_changed(self) -> None:
        if not self._embedding.is_working and not self._decoding.is_pending:
            self._accept_pending()  # the better masks will not come
