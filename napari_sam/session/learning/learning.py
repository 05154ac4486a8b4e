"""Learns from accepted objects what the first click of the next one means."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.pool import is_ambiguous
from napari_sam.session.decoding.ranking import DecodeContext
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.jobs import Job, log_failure
from napari_sam.session.learning.image_lessons import (
    MAX_LESSONS,
    ImageLessons,
    LearningTask,
    MadeObject,
)
from napari_sam.session.learning.kept import lessons_from_json, lessons_to_json, not_among
from napari_sam.session.learning.lessons import (
    LEAST_OBJECTS,
    Knowledge,
    Lesson,
    knowledge_of,
    scored,
)
from napari_sam.session.learning.measuring import AcceptedObject, measure
from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import registry_of
from napari_sam.session.objects.records import ObjectRegistry


class Learning:
    """Learns from each object that is accepted, on a thread of its own that yields to all others.

    What it knows follows from the objects that are in the target: undone and deleted ones do not
    count, and re-edited ones count as they are now. All methods belong to the owner's thread.
    """

    changed = Signal()
    """`knowledge` changed, or whether it is used."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        decoding: Decoding,
        editing: Editing,
        background: Background,
    ) -> None:
        self._embedding, self._decoding, self._editing = embedding, decoding, editing
        self._background = background
        self._executor = background.executor("learning")
        self._images: WeakKeyDictionary[ObjectRegistry, ImageLessons] = WeakKeyDictionary()
        self._registry: ObjectRegistry | None = None  # of the target
        self._kept: tuple[Lesson, ...] = ()  # of images that were annotated before
        self._before: tuple[Lesson, ...] = ()  # these and those of other targets
        self._first: Candidates | None = None  # the masks of the first click of the object
        self._fitted: Learnt | None = None  # whose border was computed here
        self.is_on = True
        """Whether what was learned is used, and more is learned."""
        self.knowledge = Knowledge()
        """What was learned."""
        decoding.completed.connect(self._note_first)
        editing.accepted.connect(self._on_accepted)
        editing.done.connect(self._on_edited)
        editing.restored.connect(self._on_restored)

    @property
    def learnt(self) -> Learnt | None:
        """What was learned for first clicks; None as long as that is nothing."""
        return self.knowledge.learnt if self.is_on else None

    def switch(self, is_on: bool) -> None:
        """Set whether what was learned is used, and more is learned."""
        if is_on != self.is_on:
            self.is_on = is_on
            if not is_on:
                self._executor.cancel()
                self._fitted = None  # if it was under way
            self.changed.emit()
            self._continue()

    def forget(self) -> None:
        """Forget everything."""
        self._executor.cancel()
        self._images.clear()
        self._kept = self._before = ()
        self._update()

    def to_json(self) -> dict[str, Any]:
        """Return what was learned, to be kept; empty if that is nothing."""
        return lessons_to_json(self._all_lessons(), self._model_name)

    def keep(self, content: Any) -> None:
        """Know what `to_json` returned for other images, unless it is of another model.

        It takes the place of what was kept before, and has to prove itself on each image.
        """
        self._kept = lessons_from_json(content, self._model_name)
        self._before = self._lessons_before()
        self._update()

    @property
    def _model_name(self) -> str:
        return self._embedding.embedder.choice.name

    def _all_lessons(self) -> list[Lesson]:
        image, registry = self._image, self._registry
        here = [] if image is None or registry is None else image.valid(registry)
        return [*self._before, *here]

    def _lessons_before(self) -> tuple[Lesson, ...]:
        """Return the lessons of other images; those that are kept as well count once."""
        made: list[Lesson] = []
        others: list[Lesson] = []
        for registry, image in self._images.items():
            lessons = image.valid(registry)
            made += lessons
            if registry is not self._registry:
                others += lessons
        return (*not_among(self._kept, made), *others)[-MAX_LESSONS:]

    def follow_target(self) -> None:
        """Begin anew on another target: what was learned has to prove itself there."""
        registry = registry_of(self._editing.target)
        if registry is self._registry:
            return
        self._executor.cancel()
        self._registry = registry
        self._before = self._lessons_before()
        self._update()

    def refuse(self, areas_px: Sequence[float]) -> None:
        """Learn that masks of these sizes were rejected."""
        image = self._image
        if image is not None:
            image.rejected_px = [*image.rejected_px, *map(float, areas_px)][-MAX_LESSONS:]
            self._update()

    @property
    def _image(self) -> ImageLessons | None:
        """What was learned on the image that is annotated."""
        if self._registry is None:
            return None
        return self._images.setdefault(self._registry, ImageLessons())

    # What happens to objects -------------------------------------------------------------------

    def _note_first(self) -> None:
        """Remember the masks of a first click, as they are if nothing was learned."""
        candidates = self._decoding.candidates
        if candidates is not None and is_ambiguous(candidates.prompts):
            self._first = candidates.unlearnt

    def _on_accepted(
        self, state: ObjectState, shown: tuple[Candidates, int], labels: LabelsEdit
    ) -> None:
        self.follow_target()
        plane, image, target = self._embedding.plane, self._image, self._editing.target
        record = labels.changes[-1].after
        candidates, first, self._first = shown[0], self._first, None
        if not self.is_on or plane is None or image is None or target is None or record is None:
            return
        if is_ambiguous(candidates.prompts):
            first = candidates.unlearnt
        elif first is not None and not state.prompts.extends(first.prompts):
            first = None
        tile, context = candidates.masks[shown[1]].tile, self._context_before()
        is_corrected = state.prompts.size > 1 or bool(state.level)
        accepted = AcceptedObject(
            record.masks, target, tile, state.prompts, context, first, is_corrected
        )
        made = MadeObject(record.uid, record.label_id, record.masks)
        image.add_task(LearningTask(made, accepted, plane, self._embedding.embedder))
        self._continue()

    def _context_before(self) -> DecodeContext:
        """Return what candidates were ranked by until an object was accepted just now."""
        context, last = self._decoding.context, self._editing.history.last
        example = None if last is None else last.example
        examples = tuple(known for known in context.examples if known is not example)
        return replace(context, examples=examples, learnt=None, corrected_from=None)

    def _on_edited(self, edit: Edit) -> None:
        """Remember which objects were deleted."""
        image = self._image
        if edit.labels is None or image is None or edit.example is not None:
            return
        changes = edit.labels.changes
        gone = [change.before for change in changes if change.before and not change.after]
        image.deleted = [*image.deleted, *gone][-MAX_LESSONS:]
        self._update()

    def _on_restored(self, edit: Edit, _: ObjectState) -> None:
        """Let objects count that are there again, and no others."""
        if edit.labels is not None:
            self._update()

    # Learning --------------------------------------------------------------------------------

    def _continue(self) -> None:
        """Learn from the next object once there are some, unless one is under way."""
        image, registry = self._image, self._registry
        if image is None or registry is None or not self.is_on or self._executor.expects_result:
            return
        if self._fit_border():
            return
        tasks = image.due(registry)
        if not tasks or len(self._all_lessons()) + len(tasks) < LEAST_OBJECTS:
            return
        task, brushed = tasks[0]
        # What follows is not to know the object, which may have been learned from already.
        known_here = image.valid(registry, before=task.made)
        known = [*self._before, *known_here]
        is_new = len(known_here) == self.knowledge.n_here  # what is known was computed without it
        learnt = (self.knowledge if is_new else knowledge_of(known_here, self._before)).border
        # The first few have but each other to tell the size of a disc.
        n_waiting = max(LEAST_OBJECTS - len(known), 1)
        waiting = [other.accepted for other, _ in tasks[1:n_waiting]]
        pyramid = task.plane.pyramid(task.embedder.spec)
        find = partial(task.embedder.find, task.plane)

        def work(job: Job) -> Lesson | None:
            rest = partial(self._background.yield_to_foreground, job)
            areas_px = [lesson.area_px for lesson in known]
            areas_px += [accepted.area_px for accepted in waiting]
            lesson = measure(task.as_painted(brushed), pyramid, find, areas_px, learnt, rest)
            return None if lesson is None else scored(lesson, known)

        on_measured = partial(self._on_measured, task, brushed)
        self._executor.submit(work, on_measured, partial(self._on_failed, task, brushed))

    def _fit_border(self) -> bool:
        """Begin to compute where objects end, so that no click has to; False if that is done."""
        learnt = self.knowledge.learnt
        if learnt is None or not learnt.samples or learnt is self._fitted:
            return False
        self._fitted = learnt

        def on_failed(error: BaseException) -> None:
            log_failure(error, "Where objects end could not be learned")
            self._continue()

        self._executor.submit(lambda _: learnt.border, lambda _: self._continue(), on_failed)
        return True

    def _on_measured(self, task: LearningTask, brushed: BrushEdits, lesson: Lesson | None) -> None:
        image = self._image
        if image is not None and task in image.tasks:
            image.finish(task, brushed, lesson)
            self._update()
        else:
            self._continue()

    def _on_failed(self, task: LearningTask, brushed: BrushEdits, error: BaseException) -> None:
        log_failure(error, "Nothing could be learned from an object")
        self._on_measured(task, brushed, None)

    def _update(self) -> None:
        image, registry = self._image, self._registry
        if image is None or registry is None:
            self.knowledge = knowledge_of((), self._before)
        else:
            refused_px = image.refused_px(registry)
            self.knowledge = knowledge_of(image.valid(registry), self._before, refused_px)
        self.changed.emit()
        self._continue()
