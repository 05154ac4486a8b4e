"""Objects carried through a stack in the background, and written as they become known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from psygnal import Signal

from napari_sam.engine.spec import Capability
from napari_sam.session.background import Background
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import NOWHERE, Labels, LabelsPlane, TargetError
from napari_sam.session.objects.slice_planning import SliceEdit, plan_slices
from napari_sam.session.objects.slices import ObjectSlice
from napari_sam.session.objects.trimming import Trim
from napari_sam.session.propagation.courses import Course
from napari_sam.session.propagation.projection import Projection
from napari_sam.session.propagation.propagate import propagated
from napari_sam.session.propagation.remembering import Remembering
from napari_sam.session.propagation.slice_mask import Propagator, SliceMask
from napari_sam.session.stack import LazyPlanes, Stack

_MAX_AT_ONCE: Final = 32
_SHARE_AT_ONCE: Final = 1 / 16
"""How many slices are written at once, of those that an object has: each time, its whole record
goes to the journal."""


@dataclass(frozen=True)
class StackRun:
    """The progress of a run."""

    done: int  # how many masks are known
    total: int  # how many there are at the most
    n_objects: int
    is_stopping: bool = False

    @property
    def summary(self) -> str:
        """The progress in words."""
        of_objects = f" · {self.n_objects} objects" if self.n_objects > 1 else ""
        slices = f"{self.done} of at most {self.total} slices{of_objects}"
        return "Stopping…" if self.is_stopping else slices


@dataclass(eq=False)
class Run:
    """Objects that are carried through a stack together."""

    stack: Stack
    target: LabelsPlane
    courses: tuple[Course, ...]
    step: Edit | None  # what it is undone with, once that is written
    with_memory: bool = False  # by what the model remembers of other slices, if it can
    waiting: dict[Course, list[SliceMask]] = field(default_factory=dict)  # not written yet
    reached: dict[Course, set[int]] = field(default_factory=dict)  # the slices of each
    done: int = 0
    is_after_stroke: bool = False  # it follows from what the brush has just painted
    is_over: bool = False
    is_complete: bool = False  # rather than stopped, or failed

    @property
    def n_objects(self) -> int:
        """How many objects are carried on."""
        return len({course.label_id for course in self.courses})


def carried(
    planes: Sequence[ImagePlane],
    courses: Sequence[Course],
    propagator: Propagator,
    left: Collection[int] = (),
) -> Iterator[tuple[Course, SliceMask]]:
    """Yield the masks of several objects in turns, with their courses.

    Objects are mostly on the same slices at a time, whose embeddings are in memory then. Those
    whose label_ids are in `left` by then are carried no further.
    """
    runs = {
        course: propagated(
            planes,
            course.annotated,
            propagator,
            first=course.first,
            last=course.last,
            is_forced=course.is_forced,
            former=course.former,
            corrected=course.corrected,
        )
        for course in courses
    }
    while runs:
        for course, masks in list(runs.items()):
            mask = None if course.label_id in left else next(masks, None)
            if mask is None:
                del runs[course]
            else:
                yield course, mask


def _propagator(run: Run, embedder: Embedder, report: Callable[[float], None]) -> Propagator:
    """Return what carries the objects of a run on, with a model that is loaded first."""
    if run.with_memory and Capability.MEMORY in embedder.load().encoder.spec.capabilities:
        return Remembering(embedder, report)
    return Projection(embedder, report, run.n_objects)


class StackPropagation:
    """Carries objects through a stack and writes their slices, which are undone as one.

    Runs that are started meanwhile follow. It rests while the object in progress needs the model.
    All methods belong to the owner's thread.
    """

    changed = Signal()
    """`state` changed."""
    finished = Signal(Run)
    """A run is written, as far as it came."""

    def __init__(self, editing: Editing, decoding: Decoding, background: Background) -> None:
        self._editing, self._decoding, self._background = editing, decoding, background
        self._notifier = background.notifier
        self._executor = background.executor("propagate")
        self._stop = threading.Event()
        self._with_memory = False
        self._left: set[int] = set()  # objects that the present run is to carry no further
        self._run: Run | None = None
        self._next: list[tuple[Run, Embedder]] = []
        self.is_writing = False
        """Whether it is writing slices at this moment."""
        editing.changed.connect(self._write_waiting)

    @property
    def state(self) -> StackRun | None:
        """The progress; None without a run."""
        run = self._run
        if run is None:
            return None
        total = sum(course.n_slices for course in run.courses)
        return StackRun(run.done, total, run.n_objects, self._stop.is_set())

    @property
    def step(self) -> Edit | None:
        """The step that the present run is undone with."""
        return None if self._run is None else self._run.step

    def remember(self, is_on: bool) -> None:
        """Have the next runs carry objects on by what the model remembers of other slices.

        A model that remembers nothing projects masks, as ever.
        """
        self._with_memory = is_on

    def start(
        self,
        stack: Stack,
        target: LabelsPlane,
        courses: Sequence[Course],
        embedder: Embedder,
        extended: Edit | None = None,
        *,
        is_after_stroke: bool = False,
    ) -> Run:
        """Carry objects on; as a part of the step that is extended, if that is the last one.

        An object that is carried on already takes the new course.
        """
        self._left |= {course.label_id for course in courses}
        run = Run(
            *(stack, target, tuple(courses), extended, self._with_memory),
            is_after_stroke=is_after_stroke,
        )
        self._next.append((run, embedder))
        self._start_next()
        self.changed.emit()
        return run

    def stop(self) -> None:
        """End within a slice, and keep what is known by then."""
        self._next.clear()
        if self._run is not None:
            self._stop.set()
            self.changed.emit()

    def abort(self) -> None:
        """End at once; keep what is written."""
        self._next.clear()
        if self._run is not None:
            self._executor.cancel()
            self._run = None
            self.changed.emit()

    def _start_next(self) -> None:
        if self._run is not None or not self._next:
            return
        (run, embedder), *self._next = self._next
        self._run = run
        self._stop, self._left = threading.Event(), set()
        stop, left, planes = self._stop, self._left, LazyPlanes(run.stack)

        def work(job: Job) -> bool:
            def rest(_: float = 0) -> None:
                self._background.yield_to_foreground(job, stop.is_set)

            rest()
            propagator = _propagator(run, embedder, rest)
            for result in carried(planes, run.courses, propagator, left):
                job.report(result)
                rest()
                if stop.is_set():
                    return False
            return True

        def on_done(is_complete: bool) -> None:
            run.is_complete = is_complete
            self._end(run)

        def on_failed(error: BaseException) -> None:
            self._notifier.warn(user_message(error, "The object could not be carried on"))
            self._end(run)

        self._executor.submit(work, on_done, on_failed, lambda result: self._add(run, *result))

    def _add(self, run: Run, course: Course, mask: SliceMask) -> None:
        if run is not self._run or course.label_id in self._left:
            return
        reached = run.reached.setdefault(course, set())
        run.done += mask.slice_index not in reached
        reached.add(mask.slice_index)
        run.waiting.setdefault(course, []).append(mask)
        self._write_waiting()
        self.changed.emit()

    def _end(self, run: Run) -> None:
        if run is self._run:
            run.is_over = True
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what is known, some slices at a time, while nothing else is being written."""
        run, is_idle = self._run, self._editing.executor.is_idle
        if run is None or not is_idle or self.is_writing:
            return
        self.is_writing = True
        try:
            for course in run.courses:
                masks = run.waiting.get(course, [])
                n_reached = len(run.reached.get(course, ()))
                n_due = min(_MAX_AT_ONCE, n_reached * _SHARE_AT_ONCE)
                if course.label_id not in self._left and (run.is_over or len(masks) >= n_due > 0):
                    run.waiting.pop(course, None)
                    self._write(run, course, masks)
        except TargetError as error:
            self._notifier.warn(str(error))
            self.abort()
        finally:
            self.is_writing = False
        if run.is_over and run is self._run:
            self._run = None
            self.finished.emit(run)
            self._start_next()
            self.changed.emit()

    def _write(self, run: Run, course: Course, masks: Sequence[SliceMask]) -> None:
        target, labels = run.target, run.target.labels
        if labels.is_gone:
            raise TargetError("The labels layer was deleted: the object was carried no further.")
        record = labels.registry.get(course.label_id)
        if record is None or record.uid != course.uid:  # it was deleted meanwhile
            self._left.add(course.label_id)
            return
        masks = tuple({mask.slice_index: mask for mask in masks}.values())  # the last of each
        slices = record.slices or ()
        anchors = {entry.slice_index for entry in slices if entry.is_anchor}
        overlap, trim = self._editing.overlap, Trim(self._decoding.options.clean_strength)
        edits = [
            SliceEdit(
                index := mask.slice_index,
                target.at_slice(index),
                mask.crop,
                None if mask.is_empty else ObjectSlice(index, mask.origin, mask.confidence),
                trim,
            )
            for mask in masks
        ]
        if run.is_over and run.is_complete:
            stale = course.computed - run.reached.get(course, set())
            edits += [
                SliceEdit(index, target.at_slice(index), NOWHERE, None) for index in sorted(stale)
            ]
        # What the user made meanwhile stays.
        edits = [edit for edit in edits if edit.slice_index not in anchors]
        if edits:

            def plan(_: Labels) -> LabelsEdit:
                return plan_slices(labels, labels.registry, record, edits, overlap)

            self._editing.edit(plan, into=labels, extended=run.step)
            if run.step is None and run.is_after_stroke:
                self._editing.history.join_stroke()
            run.step = self._editing.history.last
