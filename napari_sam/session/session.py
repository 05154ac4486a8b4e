"""The annotation session: the single owner of the state between an image and its labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Final

from psygnal import Signal

from napari_sam.session.ahead import AheadEmbedding
from napari_sam.session.candidates import Candidates, ObjectState, decode
from napari_sam.session.edits import LabelsEdit, LabelsPlane, TargetError, plan_object
from napari_sam.session.embeddings import EmbeddedPlane, Embedder, LoadPredictor
from napari_sam.session.encoding import Encoding
from napari_sam.session.history import Edit, History
from napari_sam.session.image_plane import ImagePlane
from napari_sam.session.jobs import CallbackQueue, Dispatcher, Lane, explain, run_until
from napari_sam.session.model_choice import ModelChoice, load_predictor
from napari_sam.session.preview import HoverPreview
from napari_sam.session.prompts import Prompts
from napari_sam.session.state import SessionState, hint_for
from napari_sam.session.store import EmbeddingStore

_MAX_LEFT: Final = 100
"""Objects put away on other planes; the masks of one take a megabyte."""


class AnnotationSession:
    """Image plane and prompts in, candidates and labels out; Qt-free, drives the model in threads.

    All methods belong to one thread, the owner's. Work runs on two threads of the session's own,
    and its results come back through the `dispatcher`.

    Parameters
    ----------
    load_predictor : callable, optional
        Makes the `Predictor` of a model; called on the encode thread.
    dispatcher : Dispatcher, optional
        How results reach the owner's thread. By default they wait for `wait_until_idle`.
    model : ModelChoice, optional
        The model to begin with. By default the embedded one, on the best device.
    store : EmbeddingStore, optional
        Where embeddings outlive the session; the caller's to close. By default they do not.

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
        load_predictor: LoadPredictor = load_predictor,
        dispatcher: Dispatcher | None = None,
        model: ModelChoice | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        self._dispatcher = CallbackQueue() if dispatcher is None else dispatcher
        self._decode_lane = Lane("napari-sam-decode", self._dispatcher)
        self._encoding = Encoding(
            lambda choice: Embedder(choice, load_predictor, store),
            model or ModelChoice(),
            self._dispatcher,
        )
        self._encoding.changed.connect(self._publish)
        self._encoding.model_loaded.connect(self._on_model_loaded)
        self._encoding.model_left.connect(self._on_model_left)
        self._encoding.completed.connect(self._on_embedded)
        self._encoding.warned.connect(self.warned.emit)
        self._preview = HoverPreview(self._decode_lane, self._publish)

        self._ahead = AheadEmbedding(
            self._dispatcher, lambda: not (self._encoding.is_idle and self._decode_lane.is_idle)
        )
        self._upcoming: tuple[ImagePlane, ...] = ()

        self._key: Hashable = None
        self._left: dict[Hashable, tuple[ObjectState, Candidates | None]] = {}
        self._plane_id = 0
        self._target: LabelsPlane | None = None
        self._object = ObjectState()
        self._candidates: Candidates | None = None
        self._accept_when_decoded = False
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
        return self._encoding.is_idle and self._decode_lane.is_idle and self._ahead.is_idle

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
        self._encoding.close()
        self._ahead.close()
        self._decode_lane.close()
        self._dispatcher.close()

    def _snapshot(self) -> SessionState:
        encoding = self._encoding
        return SessionState(
            phase=encoding.phase,
            progress=encoding.progress,
            prompts=self._object.prompts,
            candidates=self._candidates,
            chosen=self._chosen(),
            preview=self._preview.shown,
            is_decoding=self._is_decoding,
            can_undo=self._history.can_undo,
            can_redo=self._history.can_redo,
            hint=encoding.note or hint_for(encoding.phase, self._object.prompts, encoding.plane),
            has_image=encoding.plane is not None,
            model=encoding.choice,
            wish=encoding.wish,
            is_checking=encoding.is_checking,
            runtime=encoding.runtime,
            devices=encoding.devices,
        )

    def _publish(self) -> None:
        self._state = self._snapshot()
        self.changed.emit(self._state)

    @property
    def _is_decoding(self) -> bool:
        # Without prompts the lane works on a preview; before the embedding, on getting ready.
        is_about_prompts = (
            self._encoding.embedded is not None and self._object.prompts.has_foreground
        )
        return is_about_prompts and self._decode_lane.expects_result

    def _chosen(self) -> int | None:
        if self._candidates is None:
            return None
        choice = self._object.choice
        return self._candidates.best if choice is None else choice

    # The image, the model and the embedding --------------------------------------------------

    def preload(self) -> None:
        """Import torch and load the model in the background, before there is an image."""
        self._encoding.preload()

    def set_model(self, choice: ModelChoice) -> None:
        """Go on with another model, device or precision, in the background.

        The file is checked while the model before is still in use; if it cannot be used, `warned`
        says so and nothing changes. Image and prompts stay, and are embedded and decoded again.
        """
        self._encoding.set_model(choice)

    def set_image(self, plane: ImagePlane | None, key: Hashable = None) -> None:
        """Start on another image plane: its embedding is computed at once, in the background.

        Parameters
        ----------
        plane : ImagePlane, optional
            None: no image.
        key : hashable, optional
            Tells this plane, with its present pixels, from all others. The object that is being
            made on a plane is put away under its key when the plane is left, and is back with its
            masks, not decoded again, when the plane is set again. Without a key it is dropped.
        """
        self._leave_image(plane, key)
        if plane is None:
            self._publish()
        else:
            self._encoding.embed()

    def embed_ahead(self, planes: Sequence[ImagePlane]) -> None:
        """Embed other planes too, once the current one is ready and whenever nothing else is done.

        Parameters
        ----------
        planes : sequence of ImagePlane
            Those that will probably be set next, the likeliest first.
        """
        self._upcoming = tuple(planes)
        if self._encoding.embedded is not None:
            self._ahead.start(self._encoding.embedder, self._upcoming)

    def refuse_image(self, reason: str) -> None:
        """Say why the image that was chosen cannot be segmented, in place of `set_image`."""
        self._leave_image(None, None)
        self._encoding.refuse(reason)
        self._publish()

    def _leave_image(self, new: ImagePlane | None, key: Hashable) -> None:
        if self._key is not None and not self._object.prompts.is_empty:
            self._left[self._key] = self._object, self._candidates
            if len(self._left) > _MAX_LEFT:
                del self._left[next(iter(self._left))]
        self._key = key
        self._ahead.stop()
        self._upcoming = ()
        self._encoding.set_plane(new)
        self._target = None
        self._preview.want(None)
        self._plane_id += 1
        self._history.drop_prompts_of_other_planes(self._plane_id)
        known, self._candidates = self._left.pop(key, (ObjectState(), None))
        self._set_object(known)

    def embed(self) -> None:
        """Embed the current image plane, unless that is done or under way; retries a failure."""
        self._encoding.embed()

    def cancel_embedding(self) -> None:
        """Stop embedding; prompts are kept, and `embed` starts again."""
        self._encoding.cancel()

    def _on_model_loaded(self, embedder: Embedder) -> None:
        # While the image is embedded, there is nothing to decode.
        self._decode_lane.submit(
            lambda _: embedder.warm_up(),
            lambda _: None,
            lambda error: self.warned.emit(explain(error, "Masks will take longer")),
        )

    def _on_model_left(self) -> None:
        self._left.clear()
        self._ahead.stop()
        # An accept that waits for masks waits on for those of the next model.
        self._decode_lane.cancel()
        self._candidates = None
        self._preview.allow(None)

    def _on_embedded(self, embedded: EmbeddedPlane) -> None:
        if embedded.is_constant:
            self.warned.emit(
                "All pixels of this image look the same to SAM: check the slice and the layer's "
                "contrast limits."
            )
        self._request_decode()
        self._publish()
        self._ahead.start(self._encoding.embedder, self._upcoming)

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
        self._preview.want(prompts)

    def _set_object(self, new: ObjectState) -> None:
        """Make `new` the object being made and have it decoded, without a trace in the history."""
        if not new.prompts.has_foreground:
            self._decode_lane.cancel()
            self._candidates = None
        self._object = new
        self._accept_when_decoded = False
        self._request_decode()

    def _request_decode(self) -> None:
        embedded, plane = self._encoding.embedded, self._encoding.plane
        if embedded is None or plane is None:
            self._preview.allow(None)
            return
        prompts, choice = self._object.prompts, self._object.choice
        self._preview.allow(embedded if prompts.is_empty else None, plane.shape)
        usable, _ = prompts.within(plane.shape)
        if not usable.has_foreground:
            self._decode_lane.cancel()
            self._candidates = None
            return
        if self._candidates is not None and self._candidates.prompts == prompts:
            self._decode_lane.cancel()  # what is under way is of prompts that were taken back
            return
        mask_prompt = self._object.mask_prompt(embedded.weights) if self.use_feedback else None

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
        if self._encoding.try_to_step_down(error):
            return
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
        plane = self._encoding.plane
        if target is not None and plane is not None and target.shape != plane.shape:
            msg = (
                f"The target labels are {target.shape} pixels large, the image {plane.shape}:"
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
            if self._object.prompts.has_foreground and self._encoding.embedded is None:
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
