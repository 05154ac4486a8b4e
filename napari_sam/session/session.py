"""The annotation session: the single owner of the state between an image and its labels."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from psygnal import Signal

from napari_sam.session.candidates import Candidates, ObjectState
from napari_sam.session.edits import LabelsEdit, LabelsPlane, TargetError, plan_object
from napari_sam.session.embeddings import EmbeddedPlane, Embedder
from napari_sam.session.history import Edit, History
from napari_sam.session.image_plane import ImagePlane
from napari_sam.session.jobs import CallbackQueue, Dispatcher, Lane
from napari_sam.session.prompts import Prompts
from napari_sam.session.state import Phase, SessionState, hint_for

if TYPE_CHECKING:
    from napari_sam.model import MaskPrediction, Predictor

_LOGGER = logging.getLogger(__name__)
_POLL_S: Final = 0.05
_OUT_OF_MEMORY: Final = re.compile("out of memory|allocate memory", re.IGNORECASE)
"""What torch's RuntimeErrors say, on an accelerator and on the processor."""


def load_default_predictor() -> Predictor:
    """Load the embedded MobileSAM weights; imports torch, so not for the GUI thread."""
    from napari_sam.model import Predictor, load_model

    return Predictor(load_model("vit_t"), device="auto")


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
        self._note = ""  # says what the phase alone does not

        self._object = ObjectState()
        self._candidates: Candidates | None = None
        self._accept_when_decoded = False

        self._history = History()
        self._in_gesture = False
        self._gesture_edit: Edit | None = None

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
        deadline = time.monotonic() + timeout_s
        while not self.is_idle:
            if time.monotonic() > deadline:
                msg = f"The session was still busy after {timeout_s} s."
                raise TimeoutError(msg)
            self._dispatcher.run_pending(_POLL_S)

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
            is_decoding=self._decode_lane.expects_result,
            can_undo=self._history.can_undo,
            can_redo=self._history.can_redo,
            hint=self._note or hint_for(self._phase, self._object.prompts, self._plane),
            device=self._embedder.device,
        )

    def _publish(self) -> None:
        self._state = self._snapshot()
        self.changed.emit(self._state)

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
        self._plane_id += 1
        self._history.drop_prompts_of_other_planes(self._plane_id)
        self._gesture_edit = None
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
        self._fail(_explain(error, "The model could not be loaded"))

    def _on_encode_failed(self, error: BaseException) -> None:
        self._fail(_explain(error, "The image could not be embedded"))

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
        self._remember(before, after)
        self._set_object(after)
        self._publish()

    def clear_prompts(self) -> None:
        """Start the object anew; can be undone."""
        self.set_prompts(Prompts())

    def begin_gesture(self) -> None:
        """From here to `end_gesture`, changes of the prompts are undone as one (a drag)."""
        self._in_gesture, self._gesture_edit = True, None

    def end_gesture(self) -> None:
        """End what `begin_gesture` began."""
        self._in_gesture, self._gesture_edit = False, None

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
            self._remember_choice(before, self._object)
            self._publish()

    def choose_next(self, step: int = 1) -> None:
        """Choose the candidate `step` places further on, around the end; none: do nothing."""
        chosen = self._chosen()
        if self._candidates is not None and chosen is not None:
            self.choose((chosen + step) % len(self._candidates))

    def _remember(self, before: ObjectState, after: ObjectState) -> None:
        merged = self._gesture_edit
        edit: Edit | None
        if merged is not None and merged is self._history.last:
            is_undone = merged.before.prompts == after.prompts  # dragged away and back
            edit = None if is_undone else Edit(merged.before, after, self._plane_id)
            self._history.replace_last(edit)
        else:
            edit = Edit(before, after, self._plane_id)
            self._history.push(edit)
        self._gesture_edit = edit if self._in_gesture else None

    def _remember_choice(self, before: ObjectState, after: ObjectState) -> None:
        """Have redo bring the choice back with the prompts; it is no edit of its own."""
        last = self._history.last
        if last is not None and last.after is before:
            edit = replace(last, after=after)
            self._history.replace_last(edit)
            if self._gesture_edit is last:
                self._gesture_edit = edit

    def _set_object(self, new: ObjectState) -> None:
        """Make `new` the object being made and have it decoded, without a trace in the history."""
        if not new.prompts.has_foreground:
            self._decode_lane.cancel()
            self._candidates = None
        self._object = new
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

        def decode() -> Candidates:
            prediction: MaskPrediction = embedded.predictor.decode(
                embedded.embedding,
                points_xy=usable.points_array(),
                point_labels=usable.labels_array(),
                box_xyxy=usable.box_array(),
                mask_input=mask_prompt,
            )
            candidates = Candidates(prompts, prediction)
            candidates.crop(candidates.best if choice is None else choice)  # which will be shown
            return candidates

        self._decode_lane.submit(lambda _: decode(), self._on_decoded, self._on_decode_failed)

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
        self.warned.emit(_explain(error, "The masks could not be computed"))
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
        if self._decode_lane.expects_result:
            self._accept_when_decoded = True
            return None
        self._accept_when_decoded = False
        chosen = self._chosen()
        if self._candidates is None or chosen is None:
            msg = "There is no mask to accept yet: click on an object or draw a box around it."
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
        self._gesture_edit = None
        if edit.labels is not None:
            try:
                write(edit.labels)
            except TargetError as error:
                self.warned.emit(str(error))
        if edit.plane_id == self._plane_id:
            self._set_object(state)
        self._publish()


def _explain(error: BaseException, what: str) -> str:
    """Turn an exception from a job into a sentence for the person."""
    _LOGGER.warning("%s", what, exc_info=error)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return f"{what}: not enough memory. Close other programs or use a smaller image."
    if isinstance(error, ValueError):
        return f"{what}: {error}"
    return f"{what} ({type(error).__name__}): {error}"
