"""Edits of the target's objects and classes: they are written, journalled, undone and redone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from weakref import WeakSet

from psygnal import Signal

from napari_sam.session.classes.classes import ClassStep, ClassTable
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import Dispatcher, LatestWinsExecutor, user_message
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.edits import Direction, LabelsEdit, Overlap
from napari_sam.session.objects.history import Edit, History
from napari_sam.session.objects.labels import Labels, LabelsPlane, TargetError
from napari_sam.session.objects.planning import (
    free_label_ids,
    plan_label_id,
    plan_records,
)
from napari_sam.session.objects.records import ObjectRecord, RecordChange
from napari_sam.session.objects.writing import NewObject, add_objects, plan_object

RecordEdit = Callable[[LabelsEdit, Direction], None]
"""Writes an edit to the journal, on the thread that makes the edit."""

MAX_AREA_AT_ONCE_PX: Final = 2**23
"""Edits of more pixels are written in the background."""
MAX_BLOCKS_AT_ONCE: Final = 200
"""So are edits of more parts or objects, each of which takes its time."""


class Editing:
    """Holds the target and the history; all methods belong to the owner's thread."""

    changed = Signal()
    """Sent when something can be undone or redone, or is being written, that was not before."""
    done = Signal(Edit)
    """Sent when objects were edited."""
    restored = Signal(Edit, ObjectState)
    """Sent when an edit was undone or redone, with the object that is in progress again."""
    target_needed = Signal()
    """Sent when an object has no target: a listener may set one."""

    def __init__(self, dispatcher: Dispatcher, notifier: Notifier) -> None:
        self._notifier = notifier
        self._lane = LatestWinsExecutor("napari-sam-write", dispatcher)
        self.history = History()
        self.classes = ClassTable()
        """The classes; that of every object is among them."""
        self._target: LabelsPlane | None = None
        self._former_labels: WeakSet[Labels] = WeakSet()
        self.plane_id = 0
        """The image plane that is annotated."""
        self.overlap = Overlap.KEEP
        """What happens where a new object overlaps existing ones."""
        self.record: RecordEdit | None = None
        """Writes every edit to a journal as it is made, so that a crash loses none."""

    @property
    def target(self) -> LabelsPlane | None:
        """Where objects are written."""
        return self._target

    @target.setter
    def target(self, target: LabelsPlane | None) -> None:
        self._target = target
        if target is not None:
            with suppress(TargetError):  # a target that no longer fits is reported when written to
                self._former_labels.add(target.labels)

    @property
    def other_labels(self) -> list[Labels]:
        """The labels that were a target before, are none now, and were not deleted."""
        with suppress(TargetError):
            current = None if self._target is None else self._target.labels
            return [
                labels
                for labels in self._former_labels
                if labels is not current and not labels.is_gone
            ]
        return []

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written."""
        return self._lane.is_idle

    def settle(self, timeout_s: float) -> None:
        """Wait for objects that are being written, and apply what is finished by then."""
        self._lane.settle(timeout_s)

    def close(self) -> None:
        """Stop for good; objects that are being written are written completely."""
        self._lane.close()

    def go_to_plane(self, plane_id: int, target: LabelsPlane | None) -> None:
        """Go to another image plane and its target."""
        self.history.set_gesture(False)
        self.target, self.plane_id = target, plane_id

    def need_target(self) -> None:
        """Ask for a target unless there is one."""
        if self.target is None:
            self.target_needed.emit()

    def require_target(self) -> LabelsPlane:
        """Return the target, asking for one; raise TargetError if it cannot be written to."""
        self.need_target()
        return self.check_free()

    def check_free(self) -> LabelsPlane:
        """Return the target if it can be written to now."""
        if self.target is None:
            raise TargetError("There is no target to write the object into: choose a Labels layer.")
        self._check_idle()
        return self.target

    def _check_idle(self) -> None:
        if not self._lane.is_idle:
            raise TargetError("Objects are still being written: try again in a moment.")

    # Edits ---------------------------------------------------------------------------------

    def accept(
        self,
        new: NewObject,
        state: ObjectState,
        shown: tuple[Candidates, int],
        *,
        with_click: bool = False,
    ) -> LabelsEdit | None:
        """Write a new object, which ends the object in progress."""
        target, overlap = self.check_free(), self.overlap
        candidates, chosen = shown
        example = None if candidates.ranking is None else candidates.ranking.example(chosen)
        edit = Edit(state, ObjectState(), self.plane_id, example=example)
        push = self.history.push_accepted_click if with_click else self.history.push
        registry = target.labels.registry

        def work() -> LabelsEdit:
            return plan_object(target, new, overlap, registry).write()

        is_large = candidates.area_bound_px(chosen) > MAX_AREA_AT_ONCE_PX
        return self._run_edit(edit, work, push, is_large=is_large)

    def edit(
        self,
        plan: Callable[[Labels], LabelsEdit],
        records: Sequence[ObjectRecord],
        state: ObjectState,
    ) -> None:
        """Edit objects of the target; `records` are those whose pixels the plan changes."""
        labels = self.check_free().labels
        area_px = sum(record.area_px for record in records)
        is_large = area_px > MAX_AREA_AT_ONCE_PX or len(records) > MAX_BLOCKS_AT_ONCE
        edit = Edit(state, state, self.plane_id)
        self._run_edit(edit, lambda: plan(labels).write(), self.history.push, is_large=is_large)

    def change_classes(
        self, step: ClassStep, changes: Sequence[RecordChange], state: ObjectState
    ) -> None:
        """Change the classes, and the records of their objects; undone as one."""
        edit = Edit(state, state, self.plane_id, classes=step)
        if changes:
            labels = self.check_free().labels
            step.apply(self.classes)
            planned = plan_records(labels, changes)
            self._run_edit(edit, planned.write, self.history.push)
        else:
            step.apply(self.classes)
            self.history.push(edit)
            self.changed.emit()

    def add(
        self,
        records: Sequence[ObjectRecord],
        state: ObjectState,
        on_added: Callable[[LabelsEdit], None],
        into: LabelsPlane | None = None,
        *,
        keep_remains: bool = False,
    ) -> None:
        """Add objects from elsewhere, in the background; all of them are undone as one.

        They go to the target unless other labels are given. See `add_objects`.
        """
        self._check_idle()
        labels, overlap = (into or self.check_free()).labels, self.overlap
        registry = labels.registry

        def push(edit: Edit) -> None:
            self.history.push(edit)
            if edit.labels is not None:
                on_added(edit.labels)

        def work() -> LabelsEdit:
            return add_objects(labels, records, overlap, registry, keep_remains=keep_remains)

        self._run_edit(Edit(state, state, self.plane_id), work, push, is_large=True)

    def _run_edit(
        self,
        edit: Edit,
        work: Callable[[], LabelsEdit],
        push: Callable[[Edit], None],
        *,
        is_large: bool = False,
    ) -> LabelsEdit | None:
        """Plan and write an edit, at once or in the background, and add it to the history."""

        def write() -> LabelsEdit:
            labels = work()
            self._journal(labels, Direction.MADE)
            return labels

        def on_written(labels: LabelsEdit) -> None:
            self._journal(labels.apply_records(), Direction.MADE)
            self.classes.ensure(_class_names(change.after for change in labels.changes))
            written_edit = replace(edit, labels=labels)
            push(written_edit)
            self.done.emit(written_edit)
            self.changed.emit()

        if is_large:
            self._write(write, on_written)
            return None
        written = write()
        on_written(written)
        return written

    def _write(self, work: Callable[[], LabelsEdit], on_done: Callable[[LabelsEdit], None]) -> None:
        """Write in the background what takes seconds; one edit at a time."""

        def on_failed(error: BaseException) -> None:
            self._notifier.warn(user_message(error, "The object could not be written"))
            self.changed.emit()

        self._lane.submit(lambda _: work(), on_done, on_failed)
        self.changed.emit()

    def _journal(self, labels: LabelsEdit | None, direction: Direction) -> None:
        if self.record is not None and labels is not None:
            self.record(labels, direction)

    # Undo and redo ---------------------------------------------------------------------------

    def undo(self) -> None:
        """Undo the last edit, of prompts or of objects."""
        self._step(Direction.UNDONE)

    def redo(self) -> None:
        """Redo the edit that was undone last."""
        self._step(Direction.REDONE)

    def _step(self, direction: Direction) -> None:
        self._check_idle()
        history, is_undone = self.history, direction is Direction.UNDONE
        self._renumber_conflicts(history.last if is_undone else history.redoable, direction)
        edit = history.undo() if is_undone else history.redo()
        if edit is not None:
            self._restore(edit, direction)

    def _renumber_conflicts(self, edit: Edit | None, direction: Direction) -> None:
        """Give painted objects whose label_ids an edit needs other ones, so that none is lost."""
        if edit is None or edit.labels is None or edit.labels.target.is_gone:
            return
        labels, is_undone = edit.labels.target, direction is Direction.UNDONE
        verb = "undo" if is_undone else "redo"
        for record in edit.labels.conflicts(is_undone=is_undone):
            try:
                label_id = free_label_ids(labels, labels.registry)
            except TargetError as error:
                raise TargetError(f"Cannot {verb}: {error}") from error
            renumbering = plan_label_id(labels, record, label_id).write()
            self._journal(renumbering, Direction.MADE)
            self._journal(renumbering.apply_records(), Direction.MADE)
            self._notifier.warn(
                f"The painted object {record.label_id} was renumbered to {label_id}, so that "
                f"{verb} can restore the original object {record.label_id}."
            )

    def _restore(self, edit: Edit, direction: Direction) -> None:
        is_undone, labels = direction is Direction.UNDONE, edit.labels
        if labels is not None and labels.target.is_gone:
            self._notifier.warn("Nothing was changed: the Labels layer of this step was deleted.")
            self.changed.emit()
            return
        if edit.classes is not None:
            (edit.classes.inverse if is_undone else edit.classes).apply(self.classes)
        if labels is not None:
            self._restore_labels(edit, labels, direction)
        if edit.classes is not None and self.target is not None:
            with suppress(TargetError):  # a target that no longer fits is reported elsewhere
                self.classes.ensure(_class_names(self.target.labels.registry))
        self.restored.emit(edit, edit.before if is_undone else edit.after)
        self.changed.emit()

    def _restore_labels(self, edit: Edit, labels: LabelsEdit, direction: Direction) -> None:
        is_undone = direction is Direction.UNDONE

        def write() -> LabelsEdit:
            written = labels.write(is_undone=is_undone)
            self._journal(written, direction)
            return written

        def on_written(written: LabelsEdit) -> None:
            # Undone or redone again, it restores exactly what was there before.
            rebased = written.rebased(is_undone=is_undone)
            self.history.replace(edit, replace(edit, labels=rebased))
            self._journal(written.apply_records(is_undone=is_undone), Direction.MADE)
            changes = labels.effects(is_undone=is_undone)
            self.classes.ensure(_class_names(change.after for change in changes))
            self.changed.emit()

        if labels.area_px > MAX_AREA_AT_ONCE_PX or labels.n_blocks > MAX_BLOCKS_AT_ONCE:
            self._write(write, on_written)
            return
        try:
            on_written(write())
        except TargetError as error:
            self._notifier.warn(str(error))


def _class_names(records: Iterable[ObjectRecord | None]) -> Iterator[str | None]:
    return (record.class_name for record in records if record is not None)
