"""The object that the user is making: its prompts, candidates, choice and acceptance."""

from collections import deque
from dataclasses import replace
from typing import Final, NamedTuple

from psygnal import Signal

from napari_sam.session.background import Notifier
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.decoding import Decoding, Refinement, remark_on_added
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.jobs import user_message
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.object_editing import current_record
from napari_sam.session.objects.planning import NewObject, warnings_of_remains
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.objects.trimming import Trim
from napari_sam.session.plane_registry import PlaneRegistry
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.unfinished_objects import UnfinishedObjects

_MAX_ACCEPTED: Final = 8
"""The masks of an object take a megabyte."""
_TOO_EARLY: Final = "Wait for the mask of the object before, which is accepted first; then repeat."


class _Before(NamedTuple):
    """The object before an edit of its prompts."""

    state: ObjectState
    shown: tuple[Candidates, int] | None
    is_accept_pending: bool
    is_click_accepted: bool


class ObjectInProgress:
    """Owns the object that the user is making until it is accepted.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """Prompts, candidates, choice or preview changed."""
    plane_wanted = Signal(object, str)
    """Something was undone or repeated on another plane: its key, and the message for the case
    that it cannot be shown."""

    def __init__(
        self, embedding: CurrentEmbedding, decoding: Decoding, editing: Editing, notifier: Notifier
    ) -> None:
        self._embedding, self._decoding, self._editing = embedding, decoding, editing
        self._notifier = notifier
        self._planes = PlaneRegistry()
        self._slice_index = 0
        # The last objects of this plane as they were when accepted: undo shows the very same masks.
        self._accepted: deque[tuple[ObjectState, Candidates]] = deque(maxlen=_MAX_ACCEPTED)
        self.is_accept_pending = False
        """Whether it is accepted once its masks are there."""
        self._is_correction = False
        self._is_click_accepted = False  # one undo takes back the object and the click
        self._before: _Before | None = None  # the last edit of its prompts
        self.unfinished = UnfinishedObjects(self._planes, decoding, editing, self._restore)
        """The objects in progress on all planes."""
        self.unfinished.changed.connect(self.changed.emit)
        self.preview = decoding.preview
        """The masks of prompts under the cursor, while the object has none."""
        self.accept_on_click = False
        """Whether a first click or shape accepts the preselected mask; one undo takes back both."""
        decoding.changed.connect(self.changed.emit)
        decoding.moved.connect(editing.history.update_last)
        decoding.completed.connect(self._accept_pending)
        decoding.failed.connect(self._on_decode_failed)
        editing.done.connect(self._on_edited)
        editing.restored.connect(self._on_restored)
        embedding.changed.connect(self._on_embedding_changed)

    @property
    def state(self) -> ObjectState:
        """The prompts and the choice, with all that undo would restore."""
        return self._decoding.state

    def set_feedback(self, is_on: bool) -> None:
        """Set whether a decode starts from the mask chosen before the object's last click."""
        decoding = self._decoding
        decoding.set_options(replace(decoding.options, use_feedback=is_on))

    def set_clean(self, strength: float) -> None:
        """Set how strongly outlines are cleaned, 0 to 1; 0 shows masks as published."""
        decoding = self._decoding
        decoding.set_options(replace(decoding.options, clean_strength=strength))
        self.changed.emit()

    def set_level(self, level: float) -> None:
        """Grow the shown mask, up to level 1, or shrink it, down to -1; can be undone.

        The mask is cut out of the model's logits again, not decoded; level 0 is as published.
        Levels in a row are undone as one, and those of each gesture by themselves.

        Raises
        ------
        ValueError
            If the level is out of range.
        """
        if not -1 <= level <= 1:
            raise ValueError(f"The level of a mask is -1 to 1, not {level}.")
        decoding, shown = self._decoding, self._decoding.shown
        if shown is None or shown[0].prompts != self.state.prompts or self.is_accept_pending:
            return
        if level != self.state.level:
            before = decoding.choose(shown[1], level)
            edit = Edit(before, decoding.state, self._editing.plane_id)
            self._editing.history.push_level(edit)
            self.changed.emit()

    def set_accept_on_click(self, is_on: bool) -> None:
        """Set `accept_on_click`."""
        self.accept_on_click = is_on

    # Prompts -----------------------------------------------------------------------------------

    def set_prompts(
        self, prompts: Prompts, accepted: ObjectState | None = None, click: Prompts | None = None
    ) -> None:
        """Move the object to other prompts; masks follow as soon as they can.

        An accepted object may become the object in progress by that, and is accepted again once
        its shape is drawn. Prompts given before the embedding is ready are kept and decoded when
        it is. `click` is what the user did, where more has come of it.
        """
        decoding, history = self._decoding, self._editing.history
        before, prompts = decoding.state, prompts.on_slice(self._slice_index)
        if prompts == before.prompts:
            return
        shown = decoding.shown if decoding.options.use_feedback else None
        start = before if accepted is None else accepted
        after = ObjectState() if prompts.is_empty else start.with_prompts(prompts, shown)
        history.push_prompts(Edit(before, after, self._editing.plane_id))
        if history.last is not None and history.last.before is before:  # no part of a drag
            accepted_by = self.is_accept_pending, self._is_click_accepted
            self._before = _Before(before, decoding.shown, *accepted_by)
        self.is_accept_pending = self._is_click_accepted = False
        decoding.set_state(after, is_dragged=history.in_gesture)
        is_dragged = history.in_gesture and not prompts.points_xy  # see `finish_drawing`
        if before.prompts.is_empty:
            self._is_correction = accepted is not None
        is_first = before.prompts.is_empty and not is_dragged
        is_single = (prompts if click is None else click).is_single
        if is_first and (self._is_correction or (self.accept_on_click and is_single)):
            self.is_accept_pending = self._is_click_accepted = True
        self.changed.emit()

    def finish_drawing(self, *, is_other_shape: bool) -> None:
        """Finish a click or shape, once the viewer has; `is_other_shape`: rather than change one.

        A click or shape outside the image is taken back, and is no step to undo; so is a shape that
        is too small, and what would join an object that is accepted once its mask is there. A shape
        drawn apart from the object that is in progress begins the next one, and the shown mask of
        the former is accepted. If that is refused, the shape replaces what there was.
        """
        before, self._before = self._before, None
        edit, prompts = self._editing.history.last, self.state.prompts
        if edit is None or before is None or edit.before is not before.state:
            return
        if edit.labels is not None or edit.after.prompts != prompts:
            return
        held, shown = before.state.prompts, before.shown
        is_next_shape = is_other_shape and prompts.is_apart_from(held)
        remark = remark_on_added(self._decoding, held, prompts)
        if before.is_accept_pending and not (is_next_shape and shown):
            joins = is_next_shape or prompts.adds_foreground_to(held)
            remark = remark or (_TOO_EARLY if joins else "")
        if remark:
            self._editing.history.replace_last(None)
            self.is_accept_pending = before.is_accept_pending
            self._is_click_accepted = before.is_click_accepted
            # What is accepted once it is there was being decoded, and has to be again.
            masks = shown[0] if shown and not before.is_accept_pending else None
            self._decoding.resume(before.state, masks)
            self.changed.emit()
            self._notifier.warn(remark)
            return
        if shown is not None and is_next_shape:
            self._begin_next(edit, before.state, shown, with_click=before.is_click_accepted)
        elif not held.is_empty:
            return
        prompts = self.state.prompts
        is_accepted = self.accept_on_click or self._is_correction
        if is_accepted and prompts.is_single and not prompts.points_xy:
            self.is_accept_pending = self._is_click_accepted = True
            if not self._decoding.is_pending:
                self._accept_pending()

    def _begin_next(
        self, edit: Edit, held: ObjectState, shown: tuple[Candidates, int], *, with_click: bool
    ) -> None:
        """Accept an object that a shape was drawn apart from, and begin another with the shape."""
        history, usable = self._editing.history, self._decoding.usable(self.state.prompts)[0]
        if usable.box_xyxy is None:
            return  # a click without a drag
        history.replace_last(None)
        try:
            self._write(held, shown, with_click=with_click)
        except TargetError as error:
            history.push(edit)
            self._notifier.warn(str(error))
            return
        state = ObjectState(self.state.prompts.steps[0])  # the shape alone
        history.push(Edit(ObjectState(), state, self._editing.plane_id))
        self._restore(state)
        self.changed.emit()

    def clear(self) -> None:
        """Start the object again; can be undone."""
        self.set_prompts(Prompts())

    def set_gesture(self, is_on: bool) -> None:
        """Begin or end a gesture (a drag), whose changes of the prompts are undone as one."""
        self._editing.history.set_gesture(is_on)

    def continue_with(self, state: ObjectState) -> None:
        """Replace the object by another one, such as a re-edited one; can be undone."""
        state = state.on_slice(self._slice_index)
        self._editing.history.push(Edit(self._decoding.state, state, self._editing.plane_id))
        self._restore(state)
        self.changed.emit()

    def _restore(self, state: ObjectState, masks: Candidates | None = None) -> None:
        """Replace the object without a trace in the history, maybe with its masks."""
        self.is_accept_pending = self._is_click_accepted = False
        if masks is None:
            self._decoding.set_state(state)
        else:
            self._decoding.resume(state, masks)

    # Planes ------------------------------------------------------------------------------------

    def leave_plane(self) -> None:
        """Park the object; on a plane without a key it is dropped."""
        planes = self._planes
        planes.leave(self.state, self._decoding.candidates)
        if planes.key is None:
            self._editing.history.drop_prompts_of(planes.plane_id)

    def enter_plane(self, request: PlaneRequest) -> None:
        """Take up the object that is parked on another plane, with its masks, or start one."""
        self._accepted.clear()
        planes, self._slice_index = self._planes, request.slice_index
        planes.go_to(request.key, request.pixels)
        self._editing.go_to_plane(planes.plane_id, request.target, request.refusal)
        self.is_accept_pending = self._is_click_accepted = False
        self._decoding.resume(*planes.take())

    def forget_masks(self) -> None:
        """Drop the masks of another model, also those of parked objects.

        An accept that waits for masks waits for those of the next model.
        """
        self._accepted.clear()
        self._planes.forget_masks()
        self._decoding.forget_masks()

    # Candidates --------------------------------------------------------------------------------

    def choose(self, index: int) -> None:
        """Choose the candidate to show and accept.

        Raises
        ------
        IndexError
            If there is no such candidate.
        """
        decoding, shown = self._decoding, self._decoding.shown
        if shown is None or not 0 <= index < len(shown[0]):
            raise IndexError(f"There is no candidate {index} to choose.")
        if index != shown[1]:
            before, history = decoding.choose(index), self._editing.history
            if before.level:
                history.push(Edit(before, decoding.state, self._editing.plane_id))
            else:
                history.update_last(before, decoding.state)
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

        A re-edited object is replaced, with what a brush has done to it since. If there are no
        masks for the newest prompts yet, or better ones are being decoded, this happens when they
        come; if a tile is embedded for better ones, the shown mask is accepted without them.

        Returns
        -------
        LabelsEdit or None
            What was written; None if that has to wait, or is done in the background because the
            object is very large, or if a re-edited object stays as it was.

        Raises
        ------
        TargetError
            If there is no mask, no target, or nothing of the mask may be written. The prompts
            stay as they are.
        """
        decoding = self._decoding
        shown, state = decoding.shown, decoding.state
        is_embedding = decoding.refinement is Refinement.EMBEDDING  # which may take long
        self.is_accept_pending = decoding.is_pending and not is_embedding
        if self.is_accept_pending:
            self.changed.emit()
            return None
        if shown is None:
            msg = "There is no mask to accept yet: click on an object or draw a box around it."
            parked = self._planes.newest
            if parked is not None and state.prompts.is_empty:
                number = parked.prompts.slice_index
                msg = f"There is no mask here yet; your unfinished object is on slice {number}."
            if state.prompts.has_foreground and self._embedding.embedded is None:
                msg = "There is no mask to accept yet: it comes when the image is embedded."
            raise TargetError(msg)
        replaced = current_record(state, self._editing.require_target().labels.registry)
        if state.is_as_accepted and replaced is not None:
            self.clear()
            return None
        return self._write(state, shown, with_click=self._is_click_accepted)

    def _write(
        self, state: ObjectState, shown: tuple[Candidates, int], *, with_click: bool
    ) -> LabelsEdit | None:
        replaced = current_record(state, self._editing.require_target().labels.registry)
        (candidates, chosen), ranking = shown, shown[0].ranking
        record = replace(
            replaced or ObjectRecord(class_name=self._editing.classes.current),
            score=score_of(candidates.iou_predictions[chosen]),
            stability=None if ranking is None else float(ranking.features.stability_score[chosen]),
            likeness=None,  # of another mask
            reviewed=False,
            state=state.as_accepted(candidates, chosen),
        )
        new = NewObject(candidates.blocks(chosen), record, replaced, Trim.of(*shown))
        self._accepted.append((state, candidates))
        edit = self._editing.accept(new, shown, state, with_click=with_click)
        for message in () if edit is None else warnings_of_remains(edit):
            self._notifier.warn(message)
        return edit

    def _on_edited(self, edit: Edit) -> None:
        if edit.labels is None or edit.after is edit.before:
            return
        if edit.plane_id != self._editing.plane_id:  # left while the object was written
            self._planes.end(edit.plane_id, edit.before.prompts)
        elif self.state.prompts == edit.before.prompts:  # else another one was started meanwhile
            self._restore(edit.after)

    def _on_restored(self, edit: Edit, state: ObjectState) -> None:
        if edit.plane_id == self._editing.plane_id:
            masks = next((masks for known, masks in self._accepted if known is state), None)
            self._restore(state, masks)
            return
        # The object in progress there, for when the user goes there.
        self._planes.put(edit.plane_id, state)
        key, message = self._planes.key_of(edit.plane_id), ""
        if edit.labels is not None:
            message = f"Object {edit.labels.label_id} was changed on another slice or image."
        if key is not None:
            self.plane_wanted.emit(key, message)
        elif message:
            self._notifier.warn(message)

    def _accept_pending(self) -> None:
        if self.is_accept_pending and self._decoding.shown and not self._decoding.is_pending:
            try:
                self.accept()
            except TargetError as error:
                self._is_click_accepted = False
                self._notifier.warn(str(error))

    # The model's answers -----------------------------------------------------------------------

    def _on_decode_failed(self, error: BaseException) -> None:
        if self._embedding.model.step_down(error):
            return
        self.is_accept_pending = False
        self._notifier.warn(user_message(error, "The masks could not be computed"))
        self.changed.emit()

    def _on_embedding_changed(self) -> None:
        if not self._embedding.is_working and not self._decoding.is_pending:
            self._accept_pending()  # the better masks will not come
