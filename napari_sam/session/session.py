"""The annotation session: the single owner of the state between an image and its labels."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from psygnal import Signal

from napari_sam.session.automatic.generator import AutomaticMaskGenerator
from napari_sam.session.batch_prompts.run import BatchPrompting
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder, LoadPredictor
from napari_sam.session.embedding.encoding import Encoding
from napari_sam.session.embedding.store import EmbeddingStore
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box
from napari_sam.session.jobs import CallbackQueue, Dispatcher, run_until, user_message
from napari_sam.session.micro_sam.imported import EmbeddingImports
from napari_sam.session.models.model_choice import ModelChoice, load_predictor
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.accepting import Accepting
from napari_sam.session.objects.class_editing import ClassEditing
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.object_editing import ObjectEditing
from napari_sam.session.plane_registry import PlaneRegistry
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.prefetch.prefetching import Prefetcher
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.state import SessionState, snapshot_of, uniform_reason

_MOMENT_S: Final = 0.02
"""How long to wait for an embedding that was there before; a user does not notice it."""


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
    accepted = Signal(LabelsEdit)
    """Sent on the owner's thread when an object was written into the target."""
    plane_wanted = Signal(object, str)
    """Sent on the owner's thread with the key of a plane on which something was undone or
    repeated, when another one is shown, and with what to say where it cannot be shown."""
    target_needed = Signal()
    """Sent on the owner's thread when an object has no target: a listener may set one."""

    def __init__(
        self,
        load_predictor: LoadPredictor = load_predictor,
        dispatcher: Dispatcher | None = None,
        model: ModelChoice | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        self._dispatcher = CallbackQueue() if dispatcher is None else dispatcher
        self.notifier = Notifier()
        """Sends messages that should not be missed, on the owner's thread."""
        self._encoding = Encoding(
            lambda choice: Embedder(choice, load_predictor, store),
            model or ModelChoice(),
            self._dispatcher,
            self.notifier,
        )
        self._encoding.changed.connect(self._on_encoding_changed)
        self._encoding.model_loaded.connect(self._on_model_loaded)
        self._encoding.model_left.connect(self._on_model_left)
        self._encoding.completed.connect(self._on_embedded)
        self._editing = Editing(self._dispatcher, self.notifier)
        self._editing.changed.connect(self._publish)
        self._editing.done.connect(self._on_edited)
        self._editing.restored.connect(self._on_restored)
        self._decoding = Decoding(
            self._encoding, self._dispatcher, lambda: self._editing.history.memory
        )
        self._decoding.changed.connect(self._publish)
        self._decoding.moved.connect(self._on_object_moved)
        self._decoding.failed.connect(self._on_decode_failed)
        self._accepting = Accepting(
            self._encoding,
            self._decoding,
            self._editing,
            self._need_target,
            self.clear_prompts,
            self.notifier,
        )
        self._decoding.completed.connect(self._accepting.accept_what_was_awaited)
        self.ahead = Prefetcher(self._encoding, self._decoding, self._dispatcher, self.notifier)
        """Embeds what will be needed; here it is switched off, and a preparation paused."""
        self.ahead.changed.connect(self._publish)

        self.classes = ClassEditing(self._editing, lambda: self._decoding.object, self.notifier)
        """The classes of objects: adds, renames, chooses."""
        self.objects = ObjectEditing(
            self._editing, lambda: self._decoding.object, self._take_up, self._need_target
        )
        """The accepted objects: removes, merges, notes, adds, reopens."""
        self.automatic = AutomaticMaskGenerator(
            self._encoding, self._decoding, self._dispatcher, self.notifier
        )
        """Finds everything in an image, or the rest."""
        self.batch_prompts = BatchPrompting(
            self._encoding,
            self._decoding,
            self._editing,
            self._dispatcher,
            self.notifier,
            self._need_target,
        )
        """Finds one object for each of many prompts."""

        self.micro_sam = EmbeddingImports(self._encoding, self._dispatcher, self.notifier)
        """What the user brings along in place of computing it: embeddings by micro-sam."""
        self._request = PlaneRequest()
        self._is_applying = self._is_publishing_due = False
        self._key: Hashable = None
        self._known: set[Hashable] = set()
        self._places = PlaneRegistry()
        self.accept_on_click = False
        """Whether a first click takes the preselected mask at once; one undo takes back both."""
        self._state = self._snapshot()

    # Snapshots and the end ---------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """The newest snapshot."""
        return self._state

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending."""
        return all(
            part.is_idle
            for part in (
                self._encoding,
                self._decoding,
                self._editing,
                self.ahead,
                self.automatic,
                self.batch_prompts,
                self.micro_sam,
            )
        )

    def wait_until_idle(self, timeout_s: float) -> None:
        """Apply results until no job is pending.

        Raises
        ------
        TimeoutError
            If jobs are still pending after `timeout_s` seconds.
        """
        run_until(lambda: self.is_idle, self._dispatcher, timeout_s, "session")

    def settle_writing(self, timeout_s: float) -> None:
        """Wait for objects that are being written, so that it is known what they are.

        What takes longer is written to its end, but nobody hears of it after `close`.
        """
        self._editing.settle(timeout_s)

    def close(self) -> None:
        """Stop all work; the session is of no use afterwards."""
        self._encoding.close()
        self.ahead.close()
        self.automatic.close()
        self.batch_prompts.close()
        self._decoding.close()
        self._editing.close()
        self.micro_sam.close()
        self._dispatcher.close()

    def _snapshot(self) -> SessionState:
        return snapshot_of(self._encoding, self._decoding, self._editing, self.ahead)

    def _publish(self) -> None:
        self._state = self._snapshot()
        if self._is_applying:
            self._is_publishing_due = True
        else:
            self.changed.emit(self._state)

    @contextmanager
    def _published_once(self) -> Iterator[None]:
        """Send `changed` at most once, at the end."""
        self._is_applying, self._is_publishing_due = True, False
        try:
            yield
        finally:
            self._is_applying = False
            if self._is_publishing_due:
                self._publish()

    @property
    def use_feedback(self) -> bool:
        """Whether a decode starts from the mask chosen before the last click of the object."""
        return self._decoding.use_feedback

    @use_feedback.setter
    def use_feedback(self, use: bool) -> None:
        self._decoding.use_feedback = use

    # The image, the model and the embedding --------------------------------------------------

    def preload(self) -> None:
        """Import torch and load the model in the background, before there is an image."""
        self._encoding.preload()

    def set_model(self, choice: ModelChoice) -> None:
        """Go on with another model, device or precision, in the background.

        The file is checked while the model before is still in use; if it cannot be used, a
        warning says so and nothing changes. Image and prompts stay, and are embedded and decoded
        again.
        """
        self._encoding.set_model(choice)

    @property
    def request(self) -> PlaneRequest:
        """What is shown."""
        return self._request

    def show(self, request: PlaneRequest) -> None:
        """Show an image plane with its view, neighbours, target and prompts, in one step.

        Only what differs from the request before is done again, and `changed` is sent once. The
        embedding of another plane is computed at once, in the background; that of a large plane
        is one of a tile, which is chosen from the view and the prompts.

        Raises
        ------
        TargetError
            If the target is not of the image plane's shape.
        """
        self._apply(request, is_other=not request.is_same_plane(self._request))

    def set_image(
        self,
        plane: ImagePlane | None,
        key: Hashable = None,
        view: Box | None = None,
        version: Hashable = None,
    ) -> None:
        """Start on another image plane, or on the same one again; see `PlaneRequest`."""
        self._apply(PlaneRequest(plane, key, version, view), is_other=True)

    def look_at(self, view: Box) -> None:
        """Show another part of the plane: x0, y0, x1, y1 in its pixels.

        Objects are segmented at the resolution of the view; where that needs another tile, it is
        embedded at once, unless an object is in progress.
        """
        self.show(replace(self._request, view=view))

    def set_target(self, target: LabelsPlane | None) -> None:
        """Choose where accepted objects are written.

        Raises
        ------
        TargetError
            If the target is not of the image plane's shape.
        """
        self.show(replace(self._request, target=target))

    def _apply(self, request: PlaneRequest, *, is_other: bool) -> None:
        request.check_target()
        before, self._request = self._request, request
        with self._published_once():
            if is_other:
                self._go_to_plane(request)
            elif request.view is not None and request.view != before.view:
                self._decoding.look_at(request.view)
                if self._encoding.embedded is not None:
                    self.ahead.look_ahead()
                self._publish()
            if request.neighbours != (() if is_other else before.neighbours):
                self.ahead.expect(request.neighbours)
            if request.target is not before.target:
                self._editing.target = request.target
            if request.prompts is not None:
                is_parked = is_other and not self._decoding.object.prompts.is_empty
                if not is_parked and (is_other or request.prompts != before.prompts):
                    self.set_prompts(request.prompts)

    def _go_to_plane(self, request: PlaneRequest) -> None:
        plane, key = request.plane, request.key
        decoding, editing, places = self._decoding, self._editing, self._places
        places.leave(decoding.object, decoding.candidates)
        if places.place is None:
            editing.history.drop_prompts_of(places.plane_id)
        editing.history.end_gesture()
        self._key = None if key is None else (key, request.version)
        places.go_to(key, self._key)
        self.ahead.leave_plane()
        pyramid = None if plane is None else plane.pyramid(self._encoding.choice.spec)
        self._encoding.set_plane(plane, decoding.leave(pyramid, request.view))
        editing.target, editing.plane_id = request.target, places.plane_id
        known, decoding.candidates = places.take()
        self._set_object(known)
        if plane is None:
            if request.refusal:
                self._encoding.refuse(request.refusal)
            self._publish()
        else:
            self._encoding.embed()
            if self._key in self._known:
                self._encoding.settle(_MOMENT_S)

    def embed(self) -> None:
        """Embed the current image plane, unless that is done or under way; retries a failure."""
        self._encoding.embed()

    def cancel_embedding(self) -> None:
        """Stop embedding; prompts are kept, and `embed` starts again."""
        self._encoding.cancel()

    def _on_model_loaded(self, embedder: Embedder) -> None:
        self._decoding.get_ready(
            embedder,
            lambda error: self.notifier.warn(user_message(error, "Masks will take longer")),
        )

    def _on_model_left(self) -> None:
        self._places.forget_masks()
        self._known.clear()
        # An accept that waits for masks waits on for those of the next model.
        self._decoding.forget_masks()
        self.ahead.leave_model()
        self.automatic.leave_model()
        self.batch_prompts.give_up("Another model was chosen")

    def _on_encoding_changed(self) -> None:
        if not self._encoding.is_working and not self._decoding.is_pending:
            self._accepting.accept_what_was_awaited()  # the better masks will not come
        self._publish()

    def _on_embedded(self, embedded: EmbeddedTile) -> None:
        if why := uniform_reason(self._encoding):
            self.notifier.warn(why)
        if self._key is not None:
            self._known.add(self._key)
        self._decoding.request()
        self._publish()
        self.ahead.look_ahead()

    # The object being made -------------------------------------------------------------------

    @property
    def object_being_made(self) -> ObjectState:
        """The prompts of the object being made, with all that undo would bring back."""
        return self._decoding.object

    def _need_target(self) -> None:
        self.target_needed.emit()

    def _take_up(self, state: ObjectState) -> None:
        edit = Edit(self._decoding.object, state, self._editing.plane_id)
        self._editing.history.push(edit)
        self._set_object(state)
        self._publish()

    def set_prompts(self, prompts: Prompts) -> None:
        """Move the object being made to other prompts; masks follow as soon as they can.

        Prompts given before the embedding is ready are kept and decoded when it is.
        """
        decoding = self._decoding
        before = decoding.object
        if prompts == before.prompts:
            return
        shown = decoding.shown if self.use_feedback else None
        after = ObjectState() if prompts.is_empty else before.with_prompts(prompts, shown)
        self._editing.history.push_prompts(Edit(before, after, self._editing.plane_id))
        self._set_object(after, is_dragged=self._editing.history.in_gesture)
        is_click = prompts.points_xy and prompts.size == 1 and prompts.has_foreground
        if self.accept_on_click and before.prompts.is_empty and is_click:
            self._accepting.accept_click()
        self._publish()

    def clear_prompts(self) -> None:
        """Start the object again; can be undone."""
        self.set_prompts(Prompts())

    def begin_gesture(self) -> None:
        """From here to `end_gesture`, changes of the prompts are undone as one (a drag)."""
        self._editing.history.begin_gesture()

    def end_gesture(self) -> None:
        """End what `begin_gesture` began."""
        self._editing.history.end_gesture()

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
            self._editing.history.amend(before, decoding.object)
            decoding.improve()
            self._publish()

    def choose_next(self, step: int = 1) -> None:
        """Choose the candidate `step` places further on, around the end; none: do nothing."""
        shown = self._decoding.shown
        if shown is not None:
            candidates, chosen = shown
            self.choose((chosen + step) % len(candidates))

    def hover(self, prompts: Prompts | None) -> None:
        """Preview the masks of prompts that are not given yet, as long as the object has none.

        The newest ones win; a preview never waits behind another and never delays a real decode
        by more than the one it is at.

        Parameters
        ----------
        prompts : Prompts, optional
            None ends the preview.
        """
        self._decoding.hover(prompts)

    def _set_object(self, new: ObjectState, *, is_dragged: bool = False) -> None:
        """Make `new` the object being made and have it decoded, without a trace in the history."""
        self._accepting.forget()
        self._decoding.set_object(new, is_dragged=is_dragged)

    def _on_object_moved(self, before: ObjectState, after: ObjectState) -> None:
        self._editing.history.amend(before, after)

    def _on_decode_failed(self, error: BaseException) -> None:
        if self._encoding.try_to_step_down(error):
            return
        self._accepting.stop_waiting()
        self.notifier.warn(user_message(error, "The masks could not be computed"))
        self._publish()

    # Accepted objects --------------------------------------------------------------------------

    @property
    def plane(self) -> ImagePlane | None:
        """The image plane that is annotated."""
        return self._encoding.plane

    @property
    def target(self) -> LabelsPlane | None:
        """Where accepted objects are written; None as long as there is nothing."""
        return self._editing.target

    def accept(self) -> LabelsEdit | None:
        """Write the chosen candidate into the target as a new object, and start the next one.

        An object that was reopened is replaced, with what a brush has done to it since. If masks
        for the newest prompts are still on their way, this happens when they come.

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
        return self._accepting.accept()

    def _on_edited(self, edit: Edit) -> None:
        labels, decoding = edit.labels, self._decoding
        if labels is not None and edit.after is not edit.before:
            if edit.plane_id != self._editing.plane_id:  # left while it was written
                self._places.end(edit.plane_id, edit.before.prompts)
            elif decoding.object.prompts == edit.before.prompts:
                self._set_object(edit.after)  # another one may have been begun meanwhile
            self._publish()
            self.accepted.emit(labels)
        else:
            self._publish()

    # Undo and redo -----------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last change of the prompts or of objects.

        Raises
        ------
        TargetError
            If objects are still being written.
        """
        self._editing.undo()

    def redo(self) -> None:
        """Repeat what was undone last.

        Raises
        ------
        TargetError
            If objects are still being written.
        """
        self._editing.redo()

    def _on_restored(self, edit: Edit, state: ObjectState) -> None:
        if edit.plane_id == self._editing.plane_id:
            self._set_object(state)
            return
        # The object that is being made there, when somebody goes there.
        self._places.put(edit.plane_id, state)
        place, message = self._places.place_of(edit.plane_id), ""
        if edit.labels is not None:
            message = (
                f"Object {edit.labels.label_id} was changed, on another slice or image than the "
                "one shown."
            )
        if place is not None:
            self.plane_wanted.emit(place, message)
        elif message:
            self.notifier.warn(message)
