"""The annotation session: the single owner of the state between an image and its labels."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_sam.session.automatic.generator import AutomaticMaskGenerator
from napari_sam.session.automatic.known_examples import KnownExamples
from napari_sam.session.automatic.review import AutomaticReview
from napari_sam.session.background import Background
from napari_sam.session.batch_prompts.run import BatchPrompting
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.active_model import ActiveModel
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder, LoadPredictor
from napari_sam.session.embedding.store import EmbeddingStore
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile
from napari_sam.session.jobs import CallbackQueue, Dispatcher, run_until
from napari_sam.session.learning.learning import Learning
from napari_sam.session.micro_sam.imported import ImportedEmbeddings
from napari_sam.session.models.model_choice import ModelChoice, load_predictor
from napari_sam.session.object_in_progress import ObjectInProgress
from napari_sam.session.objects.brush_history import BrushHistory
from napari_sam.session.objects.class_editing import ClassEditing
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit, is_with_stroke
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.object_editing import ObjectEditing
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.predicted_classes.run import PredictedClasses
from napari_sam.session.prefetch.prefetcher import Prefetcher
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.propagation.stack_editing import StackEditing
from napari_sam.session.state import SessionState, snapshot_of, uniform_reason
from napari_sam.session.tracks.editing import TrackEditing
from napari_sam.session.words.run import WordSearch


class AnnotationSession:
    """Image plane and prompts in, candidates and labels out; Qt-free, drives the model in threads.

    All methods belong to one thread, the owner's. Work runs on threads of the session's own, and
    its results come back through the `dispatcher`.

    Parameters
    ----------
    load_predictor : callable, optional
        Makes the `Predictor` of a model; called on the encode thread.
    dispatcher : Dispatcher, optional
        How results reach the owner's thread. By default they wait for `wait_until_idle`.
    model : ModelChoice, optional
        The model to begin with. By default the bundled one, on the best device.
    store : EmbeddingStore, optional
        Keeps embeddings beyond the session; the caller closes it. By default nothing keeps them.

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
    repeated, when another one is shown, and with the message for where it cannot be shown."""
    target_needed = Signal()
    """Sent on the owner's thread when an object has no target: a listener may set one."""

    def __init__(
        self,
        load_predictor: LoadPredictor = load_predictor,
        dispatcher: Dispatcher | None = None,
        model: ModelChoice | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        dispatcher = CallbackQueue() if dispatcher is None else dispatcher
        self.background = background = Background(dispatcher)
        """Runs the jobs of the session, and those of a widget around it."""
        self.notifier = notifier = background.notifier
        """Sends messages that should not be missed, on the owner's thread."""
        active_model = ActiveModel(
            lambda choice: Embedder(choice, load_predictor, store),
            model or ModelChoice(),
            background,
        )
        self.embedding = embedding = CurrentEmbedding(active_model, background)
        """The embedding of the current image plane, and the model in use."""
        self._decoding = decoding = Decoding(
            embedding,
            background,
            lambda: self.editing.history.accepted_examples(self.editing.target),
            lambda: self.learning.learnt,
        )
        self.editing = editing = Editing(decoding, background)
        """Writes edits into the target, and undoes them."""
        editing.changed.connect(self._publish)  # before the parts that write what waits
        self.brush_history = BrushHistory(editing, decoding)
        """The strokes of the viewer's brush, as steps that can be undone."""
        self.object_in_progress = ObjectInProgress(embedding, decoding, editing, notifier)
        """The object that the user is making: its prompts, candidates, choice and acceptance."""
        self.classes = ClassEditing(editing, notifier)
        """The classes of objects: adds, renames, chooses."""
        self.objects = ObjectEditing(editing, decoding, self.object_in_progress.continue_with)
        """The accepted objects: removes, merges, notes, adds, re-edits."""
        self.stack = StackEditing(
            *(embedding, decoding, editing, self.object_in_progress, self.brush_history),
            background,
        )
        """Objects through the slices of a stack."""
        self.tracks = TrackEditing(editing, background)
        """Objects through the frames of a film."""
        self.learning = Learning(embedding, decoding, editing, background)
        """Learns from accepted objects what the next first click means."""
        self.prefetch = Prefetcher(embedding, decoding, background)
        """Embeds the likely next slices, and all slices on request."""
        self.automatic = AutomaticMaskGenerator(embedding, background)
        """Generates automatic masks, and offers them."""
        self.known_examples = KnownExamples(embedding, self.automatic)
        """The examples that automatic masks were last compared with."""
        self.automatic_review = AutomaticReview(self.automatic, editing, background)
        """Accepts and rejects automatic masks."""
        self.batch_prompts = BatchPrompting(embedding, decoding, editing, self.stack, background)
        """Segments one object per prompt of a batch."""
        self.words = WordSearch(active_model, background, lambda: self.request)
        """Finds what words name."""
        self.predicted_classes = PredictedClasses(
            embedding, editing, background, lambda: self.request
        )
        """Predicts the classes of objects from those that the user has classed."""
        self.request = PlaneRequest()
        """What is shown."""
        self._is_applying = self._is_publishing_due = False
        self._connect()
        self.state = snapshot_of(embedding, decoding, editing, self.objects, self.prefetch)
        """The newest snapshot."""

    def _connect(self) -> None:
        self.embedding.changed.connect(self._publish)
        self.embedding.model_left.connect(self._on_model_left)
        self.embedding.model_loaded.connect(self._on_model_loaded)
        self.embedding.completed.connect(self._on_embedded)
        self.editing.done.connect(self._on_edited)
        self.editing.target_needed.connect(self.target_needed.emit)
        self.brush_history.changed.connect(self._publish)
        self.object_in_progress.changed.connect(self._publish)
        self.object_in_progress.plane_wanted.connect(self.plane_wanted.emit)
        self.prefetch.changed.connect(self._publish)
        self.automatic_review.changed.connect(self._publish)
        self.automatic_review.mask_rejected.connect(
            lambda mask: self.learning.refuse([mask.area_px])
        )

    # Snapshots and the end ---------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending."""
        return self.background.is_idle

    def wait_until_idle(self, timeout_s: float) -> None:
        """Apply results until no job is pending.

        Raises
        ------
        TimeoutError
            If jobs are still pending after `timeout_s` seconds.
        """
        run_until(lambda: self.is_idle, self.background.dispatcher, timeout_s, "session")

    def close(self) -> None:
        """Stop all work; the session is of no use afterwards."""
        self.automatic_review.close()
        self.background.close()

    def _publish(self) -> None:
        self.state = snapshot_of(
            *(self.embedding, self._decoding, self.editing, self.objects, self.prefetch),
            is_accept_pending=self.object_in_progress.is_accept_pending,
            is_rejected_last=self.automatic_review.is_rejected_last,
        )
        if self._is_applying:
            self._is_publishing_due = True
        else:
            self.changed.emit(self.state)

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

    # The image and the model -----------------------------------------------------------------

    def set_model(self, choice: ModelChoice) -> None:
        """Go on with another model, device or precision, in the background.

        The file is checked while the model before is still in use; if it cannot be used, a
        warning says so and nothing changes. Image and prompts stay, and are embedded and decoded
        again.
        """
        self.embedding.model.request(choice)

    def show(self, request: PlaneRequest) -> None:
        """Show an image plane with its view, neighbors, target and prompts, in one step.

        Only what differs from the request before is done again, and `changed` is sent once. The
        embedding of another plane is computed at once, in the background; that of a large plane
        is one of a tile, which is chosen from the view and the prompts.

        Raises
        ------
        TargetError
            If the target is not of the image plane's shape.
        """
        self._apply(request, is_other=not request.is_same_plane(self.request))

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
        self.show(replace(self.request, view=view))

    def set_target(self, target: LabelsPlane | None) -> None:
        """Choose where accepted objects are written.

        Raises
        ------
        TargetError
            If the target is not of the image plane's shape.
        """
        self.show(replace(self.request, target=target))

    def set_prompts(self, prompts: Prompts) -> None:
        """Move the object in progress to other prompts; see `ObjectInProgress.set_prompts`.

        While clicks correct an object in the stack, a click of its own goes to that. A first click
        is joined by the box that holds it, of those that words found.
        """
        if not self.stack.corrections.correct(prompts):
            is_first = self.object_in_progress.state.prompts.is_empty
            joined = self.words.joined(prompts) if is_first else prompts
            self.object_in_progress.set_prompts(joined, click=prompts)

    def _apply(self, request: PlaneRequest, *, is_other: bool) -> None:
        request.check_target()
        before, self.request = self.request, request
        with self._published_once():
            if is_other:
                self._go_to_plane(request)
            elif request.view is not None and request.view != before.view:
                self._decoding.look_at(request.view)
                if self.embedding.embedded is not None:
                    self.prefetch.update()
                self._publish()
            if request.neighbors != (() if is_other else before.neighbors):
                self.prefetch.expect(request.neighbors)
            if request.target is not before.target:
                self.editing.set_target(request.target)
                self.learning.follow_target()
            # Those of a parked object may have changed meanwhile: by a script, in another slice.
            if request.prompts is not None and (is_other or request.prompts != before.prompts):
                self.set_prompts(request.prompts)
        self.stack.show(request)
        if is_other or request.target is not before.target:
            self.predicted_classes.follow_plane()

    def _go_to_plane(self, request: PlaneRequest) -> None:
        plane, embedding = request.plane, self.embedding
        self.object_in_progress.leave_plane()
        self.prefetch.leave_plane()
        pyramid = None if plane is None else plane.pyramid(embedding.embedder.spec)
        tile = self._decoding.set_plane(pyramid, request.view)
        embedding.set_plane(plane, tile, request.pixels, request.refusal)
        self.object_in_progress.enter_plane(request)
        if plane is None:
            self._publish()
        else:
            embedding.embed()

    def _on_model_left(self) -> None:
        self.object_in_progress.forget_masks()
        self.learning.forget()
        if tile := self._plan_tiles():
            self.embedding.set_tile(tile)
        self.prefetch.leave_model()
        self.automatic.leave_model()
        self.batch_prompts.abort("Another model was chosen")
        self.stack.abort("Another model was chosen")
        self.predicted_classes.follow()

    def _on_model_loaded(self) -> None:
        if tile := self._plan_tiles():
            self.embedding.want(tile)

    def _plan_tiles(self) -> Tile | None:
        """Divide the plane again if the model has other sizes; return the tile to embed then."""
        plane, spec = self.embedding.plane, self.embedding.embedder.spec
        if plane is None or spec == self._decoding.spec:
            return None
        return self._decoding.replan(plane.pyramid(spec), self.request.view)

    def _on_embedded(self, embedded: EmbeddedTile) -> None:
        if why := uniform_reason(self.embedding):
            self.notifier.warn(why)
        self._decoding.request()
        self._publish()
        self.prefetch.update()

    def import_embeddings(self, path: Path, image: Any) -> ImportedEmbeddings:
        """Use embeddings that micro-sam stored of an image in place of computing them."""
        return ImportedEmbeddings(path, image, self.embedding, self.background)

    # Objects -----------------------------------------------------------------------------------

    def accept(self) -> LabelsEdit | None:
        """Write the chosen candidate into the target; see `ObjectInProgress.accept`.

        While clicks correct an object of the stack, each is accepted already.
        """
        state = self.object_in_progress.state
        is_begun = not state.prompts.is_empty or state.reedited is not None
        if self.stack.corrections.is_on and not is_begun:
            return None
        return self.object_in_progress.accept()

    def undo(self) -> None:
        """Undo the last change of the prompts or of objects, or the rejection of a mask.

        Raises
        ------
        TargetError
            If objects are still being written.
        """
        self.brush_history.catch_up()
        if self.automatic_review.is_rejected_last:
            self.automatic_review.restore_last_rejected()
            return
        edit = self.editing.history.last
        self.stack.leave_step(edit)
        self.editing.undo()
        if is_with_stroke(edit, self.editing.history.last):
            with suppress(TargetError):  # still being undone
                self.editing.undo()

    def redo(self) -> None:
        """Repeat what was undone last.

        Raises
        ------
        TargetError
            If objects are still being written.
        """
        self.brush_history.catch_up()
        history = self.editing.history
        edit = history.redoable
        self.editing.redo()
        if is_with_stroke(history.redoable, edit):
            with suppress(TargetError):  # still being repeated
                self.editing.redo()

    def _on_edited(self, edit: Edit) -> None:
        self._publish()
        if edit.labels is not None and edit.after is not edit.before:
            self.accepted.emit(edit.labels)
