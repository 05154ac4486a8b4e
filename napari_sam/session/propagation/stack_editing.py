"""Objects through the slices of a stack: carried on, corrected, cut, extended, cleared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.object_in_progress import ObjectInProgress
from napari_sam.session.objects.brush_history import BrushHistory
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.slice_planning import (
    crop_of,
    slices_of,
)
from napari_sam.session.objects.slices import ObjectSlices
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.propagation.chosen_object import ChosenObject
from napari_sam.session.propagation.corrections import Corrections
from napari_sam.session.propagation.courses import (
    course_beyond,
    course_further,
    course_through,
)
from napari_sam.session.propagation.stack_run import Run, StackPropagation, StackRun
from napari_sam.session.stack import SliceRange, Stack


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
    is_correcting : bool
        Whether clicks correct the chosen object.
    run : StackRun, optional
        The objects that are carried on now.
    question : str
        Whether to go on where an object is deeper than expected; empty if there is none.
    refusal : str
        Why objects cannot be carried on or corrected now; empty if they can.
    """

    n_slices: int = 1
    slice_index: int = 0
    axis_name: str = ""
    label_id: int | None = None
    slices: ObjectSlices | None = None
    is_correcting: bool = False
    run: StackRun | None = None
    question: str = ""
    refusal: str = ""


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
        self._chosen = ChosenObject(editing)
        self.propagation = StackPropagation(editing, decoding, background)
        """Carries objects on in the background."""
        self.corrections = Corrections(
            *(self._chosen, embedding, editing, object_in_progress, self.propagation, background)
        )
        """Corrects the chosen object, slice by slice."""
        # What to do once the object with these prompts is accepted.
        self._then: tuple[Prompts, Callable[[int], None]] | None = None
        self._goal: _Goal | None = None
        self._deep: list[tuple[int, int]] = []  # objects, and slices that they go on beyond
        self._question = ""
        self._wanted: int | None = None  # the slice to show once the object is carried there
        self.propagation.changed.connect(self.changed.emit)
        self.propagation.finished.connect(self._on_finished)
        editing.done.connect(self._on_edited)
        self.corrections.changed.connect(self.changed.emit)
        brush_history.noted.connect(self.corrections.follow)
        editing.changed.connect(self.changed.emit)

    @property
    def state(self) -> StackState:
        """What a view shows."""
        stack, target, record = self._chosen.stack, self._editing.target, self._chosen.record
        n_slices, name = (1, "") if stack is None else (len(stack), stack.axis_name)
        slices = None
        if record is not None and target is not None and target.slice_axis is not None:
            with suppress(TargetError):  # carried along another axis
                slices = slices_of(record, target.slice_axis)
        label_id = None if record is None else record.label_id
        about = n_slices, self._chosen.slice_index, name, label_id, slices, self.corrections.is_on
        return StackState(
            *about, self.propagation.state, self._question, refusal=self._editing.refusal
        )

    def show(self, request: PlaneRequest) -> None:
        """Follow which slice of which stack is shown."""
        if request.plane is not None or self.propagation.state is None:  # else 3-D shows the run
            self._chosen.show(request.stack, request.slice_index)
        self.changed.emit()

    def choose(self, label_id: int | None) -> None:
        """Choose the object that the next steps are about."""
        if label_id != self._chosen.label_id:
            self._chosen.choose(label_id)
            self._question = ""
            self.corrections.switch(False)
            self.changed.emit()

    def require_stack(self) -> Stack:
        """Return the stack that is shown; raise TargetError without one."""
        return self._chosen.require_stack()[0]

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
        end = len(self._chosen.require_stack()[0]) - 1
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
        index = self._chosen.slice_index + step
        if not 0 <= index < len(self._chosen.require_stack()[0]):
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
        """Carry the objects on beyond their expected depth, as far again.

        Raises
        ------
        TargetError
            If one of them is no longer where it was carried to.
        """
        (stack, target), goal = self._chosen.require_stack(), self._goal
        registry, self._question = target.labels.registry, ""
        if goal is not None:
            courses = [
                course_further(record, target, stack, end, goal.first, goal.last)
                for label_id, end in self._deep
                if (record := registry.get(label_id)) is not None
            ]
            if courses:
                self.propagation.start(stack, target, courses, self._embedding.embedder)
        self.changed.emit()

    def dismiss(self) -> None:
        """Leave the objects as deep as they are."""
        self._goal, self._question = None, ""
        self.changed.emit()

    def _with_object(self, action: Callable[[int], None]) -> None:
        """Do something with the object in progress once it is accepted, else the chosen one."""
        decoding = self._decoding
        if not decoding.is_pending and decoding.shown is None:
            action(self._chosen.require_record().label_id)
            return
        self._then = self._object.state.prompts, action
        try:
            edit = self._object.accept()
        except TargetError:
            self._then = None
            raise
        is_waiting = decoding.is_pending or not self._editing.executor.is_idle
        if edit is None and not is_waiting and self._then is not None:  # it was as accepted
            self._then = None
            action(self._chosen.require_record().label_id)

    def _start(self, goal: _Goal) -> None:
        self._carry(*self._chosen.require_stack(), goal)

    def carry(
        self,
        slices: SliceRange,
        target: LabelsPlane,
        label_ids: Sequence[int],
        step: Edit | None,
    ) -> None:
        """Carry objects that were just made through some slices; undone with that step.

        Raises
        ------
        TargetError
            If there is none of them.
        """
        goal = _Goal(tuple(label_ids), slices.indices[0], slices.indices[-1])
        self._carry(slices.stack, target, goal, step)

    def _carry(
        self,
        stack: Stack,
        target: LabelsPlane,
        goal: _Goal,
        step: Edit | None = None,
    ) -> None:
        registry = target.labels.registry
        records = [record for n in goal.label_ids if (record := registry.get(n)) is not None]
        if not records:
            raise TargetError("There is no such object: choose another one.")
        ends = goal.first, goal.last
        courses = [course_through(record, target, stack, *ends) for record in records]
        self._goal, self._question = goal, ""
        if len(records) == 1:
            self._chosen.choose(records[0].label_id)
        self.propagation.start(stack, target, courses, self._embedding.embedder, step)

    def _continue(self, label_id: int, index: int) -> None:
        self._chosen.choose(label_id)
        (stack, target), record = self._chosen.require_stack(), self._chosen.require_record()
        if crop_of(record, target.at_slice(index)).mask.size:
            self.slice_wanted.emit(index)
            return
        shown = self._chosen.slice_index
        course = course_beyond(record, target, shown, index, index, is_forced=True)
        step, self._wanted = self.corrections.reopen(index), index
        self.propagation.start(stack, target, [course], self._embedding.embedder, step)

    def _on_edited(self, edit: Edit) -> None:
        self._drop_question(edit)
        # No other edit corrects a slice: those that are merged or linked stay as they are.
        if edit.labels is not None and edit.after is not edit.before:  # an object was accepted
            self.choose(edit.labels.label_id)
            then, self._then = self._then, None
            if then is not None and then[0] == edit.before.prompts:  # and no other one
                then[1](edit.labels.label_id)
                return
            self.corrections.follow(edit)

    def _drop_question(self, edit: Edit) -> None:
        """Ask no more whether objects go on beyond an end that may be another one now."""
        asked = {label_id for label_id, _ in self._deep} if self._question else set[int]()
        changes = () if edit.labels is None else edit.labels.changes
        records = (record for change in changes for record in (change.before, change.after))
        if any(record is not None and record.label_id in asked for record in records):
            self.dismiss()

    def _on_finished(self, run: Run) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.slice_wanted.emit(wanted)
        goal = self._goal
        if goal is not None and run.is_complete:
            self._deep = [
                (course.label_id, end)
                for course in run.courses
                for end in course.ends_cut_off(run.reached.get(course, ()), goal.first, goal.last)
            ]
            if self._deep:
                label_ids = {label_id for label_id, _ in self._deep}
                self._question = _question_about(run.target, label_ids)
            else:
                self._goal = None


def _question_about(target: LabelsPlane, label_ids: Collection[int]) -> str:
    """Return the question whether to carry objects on."""
    records = [target.labels.registry.get(label_id) for label_id in label_ids]
    slices = [record.slices for record in records if record is not None]
    n_slices = max((len(each.with_object) for each in slices if each is not None), default=0)
    what = f"{len(label_ids)} objects" if len(label_ids) > 1 else f"Object {min(label_ids)}"
    return f"{what}: {n_slices} slices and not ended. Go on?"
