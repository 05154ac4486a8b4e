"""Objects through the slices of a stack: carried on, corrected, cut, extended, cleared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.object_in_progress import ObjectInProgress
from napari_sam.session.objects.brush_history import BrushHistory
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slice_planning import (
    NOWHERE,
    SliceEdit,
    crop_of,
    plan_slices,
    slices_of,
)
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.propagation.courses import (
    Course,
    course_after,
    course_beyond,
    course_through,
)
from napari_sam.session.propagation.stack_run import Run, StackPropagation, StackRun
from napari_sam.session.stack import Stack

_NO_STACK: Final = "The image has no slices to carry objects through."


@dataclass(frozen=True)
class StackState:
    """What a view shows of the stack.

    Parameters
    ----------
    n_slices : int
        Number of slices; 1 without a stack.
    slice_index : int
        The slice that is shown.
    axis_name : str
        The name of the axis along which the slices follow; empty if unknown.
    label_id : int, optional
        The chosen object.
    slices : ObjectSlices, optional
        What is known of its slices.
    run : StackRun, optional
        The objects that are carried on now.
    question : str
        Whether to go on where an object is deeper than expected; empty if there is none.
    """

    n_slices: int = 1
    slice_index: int = 0
    axis_name: str = ""
    label_id: int | None = None
    slices: ObjectSlices | None = None
    run: StackRun | None = None
    question: str = ""


@dataclass(frozen=True, eq=False)
class _Goal:
    """Where the user wants objects carried to."""

    label_ids: tuple[int, ...]
    first: int
    last: int


class StackEditing:
    """Does what the user asks for with objects of several slices; each step can be undone.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """`state` changed."""
    slice_wanted = Signal(int)
    """Another slice is to be shown."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        decoding: Decoding,
        editing: Editing,
        object_in_progress: ObjectInProgress,
        brush_history: BrushHistory,
        background: Background,
    ) -> None:
        self._embedding, self._decoding, self._editing = embedding, decoding, editing
        self._object, self._notifier = object_in_progress, background.notifier
        self.propagation = StackPropagation(editing, background)
        """Carries objects on in the background."""
        self._stack: Stack | None = None
        self._slice_index = 0
        self._label_id: int | None = None
        self._then: Callable[[int], None] | None = None  # once the object in progress is accepted
        self._goal: _Goal | None = None
        self._question = ""
        self._wanted: int | None = None  # the slice to show once the object is carried there
        self._is_own_edit = False
        self.propagation.changed.connect(self.changed.emit)
        self.propagation.finished.connect(self._on_finished)
        editing.done.connect(self._on_edited)
        brush_history.noted.connect(self._correct)
        editing.changed.connect(self.changed.emit)

    @property
    def state(self) -> StackState:
        """What a view shows."""
        stack, target, record = self._stack, self._editing.target, self._record
        n_slices, name = (1, "") if stack is None else (len(stack), stack.axis_name)
        slices = None
        if record is not None and target is not None and target.slice_axis is not None:
            with suppress(TargetError):  # carried along another axis
                slices = slices_of(record, target.slice_axis)
        label_id = None if record is None else record.label_id
        run, question = self.propagation.state, self._question
        return StackState(n_slices, self._slice_index, name, label_id, slices, run, question)

    def show(self, request: PlaneRequest) -> None:
        """Follow which slice of which stack is shown."""
        if request.plane is not None or self.propagation.state is None:  # else 3-D shows the run
            self._stack, self._slice_index = request.stack, request.slice_index
        self.changed.emit()

    def choose(self, label_id: int | None) -> None:
        """Choose the object that the next steps are about."""
        if label_id != self._label_id:
            self._label_id, self._question = label_id, ""
            self.changed.emit()

    # Carrying objects on -----------------------------------------------------------------------

    def propagate(
        self, label_ids: Sequence[int] = (), first: int | None = None, last: int | None = None
    ) -> None:
        """Carry objects on to other slices, in the background; undone as one.

        Without label_ids, the object in progress, which is accepted first, or the chosen one.

        Parameters
        ----------
        first, last : int, optional
            The range of slices, both included; to the ends of the stack by default.

        Raises
        ------
        TargetError
            If there is no stack, no object, or no mask to accept.
        """
        end = len(self._require()[0]) - 1
        first, last = (0 if first is None else first), (end if last is None else last)
        if label_ids:
            self._start(_Goal(tuple(label_ids), first, last))
        else:
            self._with_object(lambda label_id: self._start(_Goal((label_id,), first, last)))

    def continue_in_next(self, step: int = 1) -> None:
        """Carry the object on to the next slice, and show that; one that is there stays as it is.

        Raises
        ------
        TargetError
            As for `propagate`, and if the object is not on the shown slice.
        """
        index = self._slice_index + step
        if not 0 <= index < len(self._require()[0]):
            raise TargetError("This is the last slice in this direction.")
        self._with_object(lambda label_id: self._continue(label_id, index))

    def stop(self) -> None:
        """Stop within a slice, and keep what there is."""
        self._goal = None
        self.propagation.stop()

    def abort(self, reason: str) -> None:
        """End a run, keep what is written, and warn with the reason."""
        if self.propagation.state is not None:
            self.propagation.abort()
            self._notifier.warn(f"{reason}: objects are carried no further.")

    def leave_step(self, edit: Edit | None) -> None:
        """End a run whose step is about to be undone."""
        if edit is not None and edit is self.propagation.step:
            self.propagation.abort()

    def go_on(self) -> None:
        """Carry the objects on beyond their expected depth, as far again."""
        goal, self._question = self._goal, ""
        if goal is not None:
            self._start(goal, is_deeper=True)

    def dismiss(self) -> None:
        """Leave the objects as deep as they are."""
        self._goal, self._question = None, ""
        self.changed.emit()

    # Corrections -------------------------------------------------------------------------------

    def clear_slice(self) -> None:
        """Take the chosen object off the shown slice: it is not there."""
        index = self._slice_index
        step = self._take_off(self._require_record(), {index: _cleared(index)})
        record = self._record
        if record is not None:
            self._update_around(record, [index], step)

    def set_range(self, first: int, last: int) -> None:
        """Cut the chosen object to a range of slices, or extend it to there.

        Raises
        ------
        TargetError
            If there is no chosen object, or nothing would be left of it.
        """
        (stack, target), record = self._require(), self._require_record()
        known = slices_of(record, target.slice_axis or 0)
        indices = [entry.slice_index for entry in known.with_object]
        low, high = indices[0], indices[-1]
        if not first <= last or first > high or last < low:
            raise TargetError("Nothing would be left of the object: delete it instead.")
        cut = {index: None for index in indices if not first <= index <= last}
        beyond = {index: None for index in known.cleared if first <= index <= last}
        ends = ((first - 1, first > low), (last + 1, last < high))
        anchors = {index: _cleared(index) for index, is_cut in ends if is_cut}
        step = self._take_off(record, {**cut, **beyond, **anchors})
        sides = ((low, first, low - 1), (high, high + 1, last))
        courses = [
            course_beyond(self._require_record(), target, *side, is_forced=True)
            for side in sides
            if side[1] <= side[2]
        ]
        if courses:
            self.propagation.start(stack, target, courses, self._embedding.embedder, step)

    def _take_off(
        self, record: ObjectRecord, entries: Mapping[int, ObjectSlice | None]
    ) -> Edit | None:
        """Erase an object on some slices, of which this is known then; return the step."""
        _, target = self._require()
        edits = [
            SliceEdit(index, target.at_slice(index), NOWHERE, entry)
            for index, entry in sorted(entries.items())
        ]
        if not edits:
            return None
        overlap = self._editing.overlap
        self._is_own_edit = True
        try:
            self._editing.edit(
                lambda labels: plan_slices(labels, labels.registry, record, edits, overlap)
            )
        finally:
            self._is_own_edit = False
        return self._editing.history.last

    def _correct(self, edit: Edit) -> None:
        """Bring computed slices up to date after the user has changed others."""
        if edit.labels is None or self._is_own_edit or self.propagation.is_writing:
            return
        for change in edit.labels.changes:
            before, after = change.before, change.after
            if after is None or after.slices is None or before is None:
                continue
            known = before.slices or ObjectSlices(after.slices.axis)
            corrected = [
                entry.slice_index
                for entry in after.slices
                if entry.is_anchor and known.get(entry.slice_index) is not entry
            ]
            # Strokes stay steps of their own, which the viewer's own undo can follow.
            self._update_around(after, corrected, None if edit.stroke_ids else edit)

    def _update_around(
        self, record: ObjectRecord, corrected: Sequence[int], step: Edit | None
    ) -> None:
        stack, target = self._stack, self._editing.target
        if stack is not None and target is not None and record.slices is not None:
            with suppress(TargetError):  # carried along another axis
                course = course_after(record, target, stack, corrected)
                if course is not None:
                    self.propagation.start(stack, target, [course], self._embedding.embedder, step)

    # Objects -----------------------------------------------------------------------------------

    def _require(self) -> tuple[Stack, LabelsPlane]:
        if self._stack is None:
            raise TargetError(self._editing.refusal or _NO_STACK)
        return self._stack, self._editing.require_target()

    @property
    def _record(self) -> ObjectRecord | None:
        """The record of the chosen object."""
        target = self._editing.target
        if target is None or self._label_id is None:
            return None
        with suppress(TargetError):  # a target that no longer fits is reported when written to
            return target.labels.registry.get(self._label_id)
        return None

    def _require_record(self) -> ObjectRecord:
        record = self._record
        if record is None:
            raise TargetError("Choose an object first: click on its row in the table.")
        return record

    def _with_object(self, action: Callable[[int], None]) -> None:
        """Do something with the object in progress once it is accepted, else the chosen one."""
        decoding = self._decoding
        if not decoding.is_pending and decoding.shown is None:
            action(self._require_record().label_id)
            return
        self._then = action
        try:
            edit = self._object.accept()
        except TargetError:
            self._then = None
            raise
        is_waiting = decoding.is_pending or not self._editing.executor.is_idle
        if edit is None and not is_waiting and self._then is not None:  # it was as accepted
            self._then = None
            action(self._require_record().label_id)

    def _start(self, goal: _Goal, *, is_deeper: bool = False) -> None:
        stack, target = self._require()
        registry = target.labels.registry
        records = [record for n in goal.label_ids if (record := registry.get(n)) is not None]
        if not records:
            raise TargetError("There is no such object: choose another one.")
        ends = goal.first, goal.last
        courses = [course_through(r, target, stack, *ends, is_deeper=is_deeper) for r in records]
        self._goal, self._question = goal, ""
        self._label_id = records[0].label_id if len(records) == 1 else self._label_id
        self.propagation.start(stack, target, courses, self._embedding.embedder)

    def _continue(self, label_id: int, index: int) -> None:
        self._label_id = label_id
        (stack, target), record = self._require(), self._require_record()
        if crop_of(record, target.at_slice(index)).mask.size:
            self.slice_wanted.emit(index)
            return
        course = course_beyond(record, target, self._slice_index, index, index, is_forced=True)
        self._wanted = index
        self.propagation.start(stack, target, [course], self._embedding.embedder)

    def _on_edited(self, edit: Edit) -> None:
        if edit.labels is not None and edit.after is not edit.before:  # an object was accepted
            self.choose(edit.labels.label_id)
            action, self._then = self._then, None
            if action is not None:
                action(edit.labels.label_id)
                return
        self._correct(edit)

    def _on_finished(self, run: Run) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.slice_wanted.emit(wanted)
        goal = self._goal
        if goal is not None and run.is_complete:
            deep = [course for course in run.courses if _is_cut_off(course, run, goal)]
            if deep:
                n_slices = max(course.last - course.first for course in deep) + 1
                what = f"Object {deep[0].label_id}" if len(deep) == 1 else f"{len(deep)} objects"
                self._question = f"{what}: {n_slices} slices and not ended. Go on?"
            else:
                self._goal = None


def _cleared(index: int) -> ObjectSlice:
    return ObjectSlice(index, Origin.CLEARED)


def _is_cut_off(course: Course, run: Run, goal: _Goal) -> bool:
    """Whether an object reached a limit in depth that lies within the range that is wanted."""
    reached = run.reached.get(course, set())
    return (course.first > goal.first and course.first in reached) or (
        course.last < goal.last and course.last in reached
    )
