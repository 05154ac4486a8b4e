"""The annotation session: the single owner of the state between an image and its labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.session.candidates import Candidates, ObjectState, decode
from napari_sam.session.edits import LabelsEdit, LabelsPlane, TargetError, plan_object
from napari_sam.session.embeddings import EmbeddedPlane, Embedder, load_default_predictor
from napari_sam.session.history import Edit, History
from napari_sam.session.image_plane import ImagePlane
from napari_sam.session.jobs import CallbackQueue, Dispatcher, Lane, explain, run_until
from napari_sam.session.prompts import Prompts
from napari_sam.session.state import Phase, SessionState, hint_for

if TYPE_CHECKING:
    from napari_sam.model import Predictor


class AnnotationSession:
    """Image plane and prompts in, candidates and labels out; Qt-free, drives the model in threads.

    All methods belong to one thread, the owner's. Work runs on two threads of the session's own,
    and its results come back through the `dispatcher`.

    Parameters
    ----------
    load_predictor : callable, optional
        Makes the `Predictor`; called once, on the encode thread.
    dispatcher : Dispatcher, optional
        How results reach the owner's thread. By default they wait for `wait_until_idle`.

    Examples
    --------
    >>> import numpy as np
    >>> from skimage import data
    >>> from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts
    >>> session = AnnotationSession()
    >>> session.set_image(ImagePlane(data.coins()))
    >>> session.set_target(ArrayPlane(np.zeros((303, 384), np.uint16)))
    >>> session.set_prompts(Prompts(points_xy=((104, 68),), point_labels=(1,)))
    >>> session.wait_until_idle(60)
    >>> session.accept().label_id
    1
    >>> session.close()
    """

    # Queued: a listener that changes the state has every listener hear the older snapshot first.
    changed = Signal(SessionState, reemission="queued")
    """Sent on the owner's thread with the new snapshot after every change."""
    warned = Signal(str)
    """Sent on the owner's thread with a message that should not be missed."""
    accepted = Signal(LabelsEdit)
    """Sent on the owner's thread when an object was written into the target."""

    def __init__(
        self,
        load_predictor: Callable[[], Predictor] = load_default_predictor,
        dispatcher: Dispatcher | None = None,
    ) -> None:
        self._dispatcher = CallbackQueue() if dispatcher is None else dispatcher
        self._encode_lane = Lane("napari-sam-encode", self._dispatcher)
        self._decode_lane = Lane("napari-sam-decode", self._dispatcher)
        self._embedder = Embedder(load_predictor)

        self._plane: ImagePlane | None = None
        self._plane_id = 0
        self._embedded: EmbeddedPlane | None = None
        self._target: LabelsPlane | None = None
        self._phase = Phase.NO_IMAGE
        self._progress = 0.0
        self._is_warm = False
        self._note = ""  # says what the phase alone does not

        self._object = ObjectState()
        self._candidates: Candidates | None = None
        self._accept_when_decoded = False
        self._hover: Prompts | None = None
        self._preview: Candidates | None = None

        self._history = History()

        self.use_feedback = True
        """Whether a decode starts from the mask chosen before the last click of the object."""
        self.overwrite = False
        """Whether accepting takes pixels of other objects too."""
        self._state = self._snapshot()

    # Snapshots and the end ---------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """The newest snapshot."""
        return self._state

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending."""
        return self._encode_lane.is_idle and self._decode_lane.is_idle

    def wait_until_idle(self, timeout_s: float) -> None:
        """Apply results until no job is pending.

        Raises
        ------
        TimeoutError
            If jobs are still pending after `timeout_s` seconds.
        """
        run_until(lambda: self.is_idle, self._dispatcher, timeout_s, "session")

    def close(self) -> None:
        """Stop all work; the session is of no use afterwards."""
        self._encode_lane.close()
        self._decode_lane.close()
        self._dispatcher.close()

    def _snapshot(self) -> SessionState:
        return SessionState(
            phase=self._phase,
            progress=self._progress,
            prompts=self._object.prompts,
            candidates=self._candidates,
            chosen=self._chosen(),
            preview=self._preview,
            is_decoding=self._is_decoding,
            can_undo=self._history.can_undo,
            can_redo=self._history.can_redo,
            hint=self._note or hint_for(self._phase, self._object.prompts, self._plane),
            can_embed=self._plane is not None and self._phase in (Phase.CANCELLED, Phase.FAILED),
            device=self._embedder.device,
        )

    def _publish(self) -> None:
        self._state = self._snapshot()
        self.changed.emit(self._state)

    @property
    def _is_decoding(self) -> bool:
        # Without prompts the lane works on a preview; before the embedding, on getting ready.
        is_about_prompts = self._embedded is not None and self._object.prompts.has_foreground
        return is_about_prompts and self._decode_lane.expects_result

    def _chosen(self) -> int | None:
        if self._candidates is None:
            return None
        choice = self._object.choice
        return self._candidates.best if choice is None else choice

    # The image and its embedding -----------------------------------------------------------

    def preload(self) -> None:
        """Import torch and load the model in the background, before there is an image."""
        if self._plane is None and self._encode_lane.is_idle:
            self._encode_lane.submit(
                lambda _: self._embedder.load(), lambda _: self._publish(), self._on_load_failed
            )

    def set_image(self, plane: ImagePlane | None) -> None:
        """Start on another image plane: its embedding is computed at once, in the background.

        Prompts, candidates and target of the plane before are dropped.

        Parameters
        ----------
        plane : ImagePlane, optional
            None: no image.
        """
        self._leave_image()
        self._plane = plane
        if plane is None:
            self._publish()
        else:
            self.embed()

    def refuse_image(self, reason: str) -> None:
        """Say why the image that was chosen cannot be segmented, in place of `set_image`."""
        self._leave_image()
        self._phase, self._note = Phase.FAILED, reason
        self._publish()

    def _leave_image(self) -> None:
        self._encode_lane.cancel()
        self._plane = self._embedded = self._target = None
        self._hover = self._preview = None
        self._plane_id += 1
        self._history.drop_prompts_of_other_planes(self._plane_id)
        self._phase, self._progress, self._note = Phase.NO_IMAGE, 0.0, ""
        self._set_object(ObjectState())

    def embed(self) -> None:
        """Embed the current image plane, unless that is done or under way; retries a failure."""
        plane = self._plane
        if plane is None or self._phase in (Phase.LOADING, Phase.EMBEDDING, Phase.READY):
            return
        self._phase = Phase.EMBEDDING if self._embedder.device else Phase.LOADING
        self._progress, self._note = 0.0, ""
        self._encode_lane.submit(
            lambda job: self._embedder.embed(plane, job),
            self._on_encoded,
            self._on_encode_failed,
            self._on_encode_progress,
        )
        self._publish()

    def cancel_embedding(self) -> None:
        """Stop embedding; prompts are kept, and `embed` starts again."""
        if self._state.is_working:
            self._encode_lane.cancel()
            self._phase, self._progress = Phase.CANCELLED, 0.0
            self._publish()

    def _on_encode_progress(self, fraction: float) -> None:
        if not self._is_warm:
            self._is_warm = True
            self._decode_lane.submit(
                lambda _: self._embedder.warm_up(),
                lambda _: None,
                lambda error: self.warned.emit(explain(error, "Masks will take longer")),
            )
        self._phase, self._progress = Phase.EMBEDDING, fraction
        self._publish()

    def _on_encoded(self, embedded: EmbeddedPlane) -> None:
        self._embedded = embedded
        self._phase, self._progress = Phase.READY, 1.0
        if embedded.is_constant:
            self.warned.emit(
                "All pixels of this image look the same to SAM: check the slice and the layer's "
                "contrast limits."
            )
        self._request_decode()
        self._publish()

    def _on_load_failed(self, error: BaseException) -> None:
        self._fail(explain(error, "The model could not be loaded"))

    def _on_encode_failed(self, error: BaseException) -> None:
        self._fail(explain(error, "The image could not be embedded"))

    def _fail(self, note: str) -> None:
        self._phase, self._progress, self._note = Phase.FAILED, 0.0, note
        self.warned.emit(self._note)
        self._publish()

    # The object being made -------------------------------------------------------------------

    def set_prompts(self, prompts: Prompts) -> None:
        """Move the object being made to other prompts; masks follow as soon as they can.

        Prompts given before the embedding is ready are kept and decoded when it is.
        """
        if prompts == self._object.prompts:
            return
        before = self._object
        shown = None
        if self.use_feedback and self._candidates is not None:
            shown = self._candidates, self._chosen() or 0
        after = ObjectState() if prompts.is_empty else before.with_prompts(prompts, shown)
        self._history.push_prompts(Edit(before, after, self._plane_id))
        self._set_object(after)
        self._publish()

    def clear_prompts(self) -> None:
        """Start the object anew; can be undone."""
        self.set_prompts(Prompts())

    def begin_gesture(self) -> None:
        """From here to `end_gesture`, changes of the prompts are undone as one (a drag)."""
        self._history.begin_gesture()

    def end_gesture(self) -> None:
        """End what `begin_gesture` began."""
        self._history.end_gesture()

    def choose(self, index: int) -> None:
        """Choose the candidate to show and accept.

        Raises
        ------
        IndexError
            If there is no such candidate.
        """
        if self._candidates is None or not 0 <= index < len(self._candidates):
            msg = f"There is no candidate {index} to choose."
            raise IndexError(msg)
        if index != self._chosen():
            before, self._object = self._object, self._object.with_choice(index)
            self._history.amend(before, self._object)
            self._publish()

    def choose_next(self, step: int = 1) -> None:
        """Choose the candidate `step` places further on, around the end; none: do nothing."""
        chosen = self._chosen()
        if self._candidates is not None and chosen is not None:
            self.choose((chosen + step) % len(self._candidates))

    def hover(self, prompts: Prompts | None) -> None:
        """Preview the masks of prompts that are not given yet, as long as the object has none.

        The newest ones win; a preview never waits behind another and never delays a real decode
        by more than the one it is at.

        Parameters
        ----------
        prompts : Prompts, optional
            None ends the preview.
        """
        self._hover = prompts
        if prompts is None:
            self._drop_preview()
        else:
            self._request_preview()

    def _drop_preview(self) -> None:
        if self._preview is not None:
            self._preview = None
            self._publish()

    def _request_preview(self) -> None:
        hover, embedded, plane = self._hover, self._embedded, self._plane
        is_wanted = hover is not None and self._object.prompts.is_empty
        if not is_wanted or hover is None or embedded is None or plane is None:
            return
        usable, _ = hover.within(plane.shape)
        if not usable.has_foreground:
            self._drop_preview()
        elif self._decode_lane.is_idle:
            self._decode_lane.submit(
                lambda _: decode(embedded, hover, usable, None, None),
                self._on_previewed,
                self._on_preview_failed,
            )

    def _on_preview_failed(self, error: BaseException) -> None:
        # Each move of the mouse would say it again.
        explain(error, "The preview could not be computed")
        self._drop_preview()

    def _on_previewed(self, preview: Candidates) -> None:
        if self._hover is not None and self._object.prompts.is_empty:
            self._preview = preview
            self._publish()
            if self._hover != preview.prompts:  # the cursor has moved on meanwhile
                self._request_preview()

    def _set_object(self, new: ObjectState) -> None:
        """Make `new` the object being made and have it decoded, without a trace in the history."""
        if not new.prompts.has_foreground:
            self._decode_lane.cancel()
            self._candidates = None
        self._object = new
        self._preview = self._preview if new.prompts.is_empty else None
        self._accept_when_decoded = False
        self._request_decode()

    def _request_decode(self) -> None:
        if self._embedded is None or self._plane is None:
            return
        usable, _ = self._object.prompts.within(self._plane.shape)
        if not usable.has_foreground:
            self._decode_lane.cancel()
            self._candidates = None
            return
        prompts, choice, embedded = self._object.prompts, self._object.choice, self._embedded
        mask_prompt = self._object.mask_prompt() if self.use_feedback else None

        self._decode_lane.submit(
            lambda _: decode(embedded, prompts, usable, mask_prompt, choice),
            self._on_decoded,
            self._on_decode_failed,
        )

    def _on_decoded(self, candidates: Candidates) -> None:
        self._candidates = candidates
        if self._accept_when_decoded:
            try:  # waits once more if these are not yet the masks of the newest prompts
                self.accept()
            except TargetError as error:
                self.warned.emit(str(error))
        self._publish()

    def _on_decode_failed(self, error: BaseException) -> None:
        self._accept_when_decoded = False
        self._candidates = None  # those on screen are of other prompts
        self.warned.emit(explain(error, "The masks could not be computed"))
        self._publish()

    # Accepted objects --------------------------------------------------------------------------

    def set_target(self, target: LabelsPlane | None) -> None:
        """Choose where accepted objects are written.

        Raises
        ------
        TargetError
            If the target is not of the image plane's shape.
        """
        if target is not None and self._plane is not None and target.shape != self._plane.shape:
            msg = (
                f"The target labels are {target.shape} pixels large, the image {self._plane.shape}:"
                " choose labels of the image's size."
            )
            raise TargetError(msg)
        self._target = target

    def accept(self) -> LabelsEdit | None:
        """Write the chosen candidate into the target as a new object, and start the next one.

        If masks for the newest prompts are still on their way, this happens when they come.

        Returns
        -------
        LabelsEdit or None
            What was written; None if that has to wait.

        Raises
        ------
        TargetError
            If there is no mask, no target, or nothing of the mask may be written. The prompts
            stay as they are.
        """
        if self._is_decoding:
            self._accept_when_decoded = True
            return None
        self._accept_when_decoded = False
        chosen = self._chosen()
        if self._candidates is None or chosen is None:
            msg = "There is no mask to accept yet: click on an object or draw a box around it."
            if self._object.prompts.has_foreground and self._embedded is None:
                msg = "There is no mask to accept yet: it comes when the image is embedded."
            raise TargetError(msg)
        if self._target is None:
            msg = "There is no target to write the object into: choose a Labels layer."
            raise TargetError(msg)
        crop = self._candidates.crop(chosen)
        labels = plan_object(self._target, crop.mask, crop.top, crop.left, overwrite=self.overwrite)
        labels.apply()
        self._history.push(Edit(self._object, ObjectState(), self._plane_id, labels))
        self._set_object(ObjectState())
        self._publish()
        self.accepted.emit(labels)
        return labels

    # Undo and redo -----------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last change of the prompts or the last accepted object."""
        edit = self._history.undo()
        if edit is not None:
            self._restore(edit, edit.before, LabelsEdit.revert)

    def redo(self) -> None:
        """Repeat what was undone last."""
        edit = self._history.redo()
        if edit is not None:
            if edit.labels is not None:
                # The person may have painted with the number meanwhile.
                edit = replace(edit, labels=edit.labels.with_free_label_id())
                self._history.replace_last(edit)
            self._restore(edit, edit.after, LabelsEdit.apply)

    def _restore(self, edit: Edit, state: ObjectState, write: Callable[[LabelsEdit], None]) -> None:
        if edit.labels is not None:
            try:
                write(edit.labels)
            except TargetError as error:
                self.warned.emit(str(error))
        if edit.plane_id == self._plane_id:
            self._set_object(state)
        elif edit.labels is not None:
            what = "taken back" if write is LabelsEdit.revert else "written again"
            self.warned.emit(
                f"Object {edit.labels.label_id}, on another slice or image than the one shown, was "
                f"{what}."
            )
        self._publish()
