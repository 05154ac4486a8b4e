"""Writing objects into the target, taking them back, and the history of everything done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar
from weakref import WeakSet

from psygnal import Signal

from napari_sam.session.classes.classes import ClassStep, ClassTable
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import Dispatcher, LatestWinsExecutor, user_message
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.direction import Direction
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.history import Edit, History
from napari_sam.session.objects.labels import Labels, LabelsPlane, TargetError
from napari_sam.session.objects.planning import (
    plan_merge,
    plan_number,
    plan_records,
    plan_removal,
)
from napari_sam.session.objects.records import ObjectRecord, RecordChange
from napari_sam.session.objects.renumbering import conflicting_objects, with_free_label_ids
from napari_sam.session.objects.writing import NewObject, free_label_ids, plan_object, write_objects

_T = TypeVar("_T")

Record = Callable[[LabelsEdit, Direction], None]
"""Writes down an edit as it is made, on the thread that makes it."""

MAX_AREA_AT_ONCE_PX: Final = 2**23
"""What has more pixels is written in the background."""
MAX_BLOCKS_AT_ONCE: Final = 200
"""So is what has more parts or objects, each of which takes time of its own."""


class Editing:
    """Holds the target and the history; all methods belong to the owner's thread."""

    changed = Signal()
    """Something can be undone, or is being written, that was not before, or the reverse."""
    done = Signal(Edit)
    """An edit of objects was made."""
    restored = Signal(Edit, ObjectState)
    """An edit was undone or repeated, and the object being made is this one now."""
    target_needed = Signal()
    """There is no target to write an object into: a listener may set one."""

    def __init__(self, dispatcher: Dispatcher, notifier: Notifier) -> None:
        self._notifier = notifier
        self._lane = LatestWinsExecutor("napari-sam-write", dispatcher)
        self.history = History()
        self.classes = ClassTable()
        """The classes of objects; whichever an object has is among them."""
        self._target: LabelsPlane | None = None
        self._known_labels: WeakSet[Labels] = WeakSet()
        self.plane_id = 0
        """The image plane that is annotated."""
        self.overlap = Overlap.KEEP
        """What happens where a new object lies on others."""
        self.record: Record | None = None
        """Where everything done to objects is written down, so that a crash takes none of it."""

    @property
    def target(self) -> LabelsPlane | None:
        """Where objects are written."""
        return self._target

    @target.setter
    def target(self, target: LabelsPlane | None) -> None:
        self._target = target
        if target is not None:
            with suppress(TargetError):  # that it fits no longer is told when it is written to
                self._known_labels.add(target.labels)

    @property
    def other_labels(self) -> list[Labels]:
        """The labels that were a target before, are none now, and were not deleted."""
        with suppress(TargetError):
            now = None if self._target is None else self._target.labels
            return [one for one in self._known_labels if one is not now and not one.is_gone]
        return []

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written."""
        return self._lane.is_idle

    def settle(self, timeout_s: float) -> None:
        """Wait for what is being written, and note it at once if it is written by then."""
        self._lane.settle(timeout_s)

    def close(self) -> None:
        """Stop for good; what is being written is written to its end."""
        self._lane.close()

    def go_to_plane(self, plane_id: int, target: LabelsPlane | None) -> None:
        """Go to another image plane and its target."""
        self.history.end_gesture()
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
        """Return the target, if it can be written to now."""
        if self.target is None:
            msg = "There is no target to write the object into: choose a Labels layer."
            raise TargetError(msg)
        self._check_idle()
        return self.target

    def _check_idle(self) -> None:
        if not self._lane.is_idle:
            msg = "Objects are still being written: try again in a moment."
            raise TargetError(msg)

    # Edits ---------------------------------------------------------------------------------

    def accept(
        self,
        new: NewObject,
        state: ObjectState,
        shown: tuple[Candidates, int],
        *,
        with_click: bool = False,
    ) -> LabelsEdit | None:
        """Write a new object; the object being made, in this state, ends with it."""
        target, overlap = self.check_free(), self.overlap
        candidates, chosen = shown
        example = None if candidates.ranking is None else candidates.ranking.example(chosen)
        edit = Edit(state, ObjectState(), self.plane_id, example=example)
        push = self.history.push_accepted_click if with_click else self.history.push
        book = target.labels.book

        def work() -> tuple[LabelsEdit, bool]:
            return _written(plan_object(target, new, overlap, book))

        is_large = candidates.area_bound_px(chosen) > MAX_AREA_AT_ONCE_PX
        return self._make(edit, work, is_large, push)

    def remove(self, records: Sequence[ObjectRecord], state: ObjectState) -> None:
        """Delete objects of the target."""
        labels = self.check_free().labels
        self._plan(lambda: plan_removal(labels, records), records, state)

    def merge(self, records: Sequence[ObjectRecord], state: ObjectState) -> None:
        """Make one object of several: the first one."""
        labels = self.check_free().labels
        self._plan(lambda: plan_merge(labels, records), records, state)

    def change(self, changes: Sequence[RecordChange], state: ObjectState) -> None:
        """Note something else of objects."""
        labels = self.check_free().labels
        self._plan(lambda: plan_records(labels, changes), (), state)

    def change_classes(
        self, step: ClassStep, changes: Sequence[RecordChange], state: ObjectState
    ) -> None:
        """Have other classes, and note what that makes of objects; undone as one."""
        edit = Edit(state, state, self.plane_id, classes=step)
        if changes:
            labels = self.check_free().labels
            step.apply(self.classes)
            planned = plan_records(labels, changes)
            self._make(edit, lambda: (planned, True), False, self.history.push)
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
        """Write objects from elsewhere, in the background; all of them are undone as one.

        They go to the target, unless it is said into which labels. See `write_objects`.
        """
        self._check_idle()
        labels, overlap = (into or self.check_free()).labels, self.overlap
        book = labels.book
        edit = Edit(state, state, self.plane_id)

        def push(made: Edit) -> None:
            self.history.push(made)
            if made.labels is not None:
                on_added(made.labels)

        def work() -> tuple[LabelsEdit, bool]:
            return write_objects(labels, records, overlap, book, keep_remains=keep_remains)

        self._make(edit, work, True, push)

    def _plan(
        self,
        plan: Callable[[], LabelsEdit],
        records: Sequence[ObjectRecord],
        state: ObjectState,
    ) -> None:
        def work() -> tuple[LabelsEdit, bool]:
            return _written(plan())

        area_px = sum(record.area_px for record in records)
        is_large = area_px > MAX_AREA_AT_ONCE_PX or len(records) > MAX_BLOCKS_AT_ONCE
        self._make(Edit(state, state, self.plane_id), work, is_large, self.history.push)

    def _know_classes(self, records: Iterable[ObjectRecord | None]) -> None:
        self.classes.ensure(record.class_name for record in records if record is not None)

    def _write_down(self, labels: LabelsEdit | None, direction: Direction) -> None:
        if self.record is not None and labels is not None:
            self.record(labels, direction)

    def _make(
        self,
        edit: Edit,
        work: Callable[[], tuple[LabelsEdit, bool]],
        is_large: bool,
        push: Callable[[Edit], None],
    ) -> LabelsEdit | None:
        def make() -> tuple[LabelsEdit, bool]:
            labels, is_exact = work()
            self._write_down(labels, Direction.MADE)
            return labels, is_exact

        def on_written(written: tuple[LabelsEdit, bool]) -> None:
            labels, is_exact = written
            self._write_down(labels.note(is_exact=is_exact), Direction.MADE)
            self._know_classes(change.after for change in labels.changes)
            made = replace(edit, labels=labels)
            push(made)
            self.done.emit(made)
            self.changed.emit()

        if is_large:
            self._write(make, on_written)
            return None
        written = make()
        on_written(written)
        return written[0]

    def _write(self, work: Callable[[], _T], on_done: Callable[[_T], None]) -> None:
        """Do in the background what takes seconds; one such thing at a time."""

        def on_failed(error: BaseException) -> None:
            self._notifier.warn(user_message(error, "The object could not be written"))
            self.changed.emit()

        self._lane.submit(lambda _: work(), on_done, on_failed)
        self.changed.emit()

    # Undo and redo ---------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last edit, of prompts or of objects."""
        self._check_idle()
        last = self.history.last
        if last is not None and last.labels is not None and not last.labels.target.is_gone:
            self._make_way(last.labels)
        edit = self.history.undo()
        if edit is not None:
            self._restore(edit, edit.before, Direction.UNDONE)

    def _make_way(self, undone: LabelsEdit) -> None:
        """Give what was painted with the numbers of objects that come back other ones."""
        labels = undone.target
        for stranger in conflicting_objects(undone):
            edit, is_exact = _written(plan_number(labels, stranger, free_label_ids(labels, 1)))
            self._write_down(edit, Direction.MADE)
            self._write_down(edit.note(is_exact=is_exact), Direction.MADE)
            self._notifier.warn(
                f"What was painted as object {stranger.label_id} is object {edit.label_id} now: "
                "undo brings that one back."
            )

    def redo(self) -> None:
        """Repeat what was undone last."""
        self._check_idle()
        following = self.history.following
        if following:
            # The user may have painted with the number meanwhile.
            self.history.replace_following(with_free_label_ids(following))
        edit = self.history.redo()
        if edit is not None:
            self._restore(edit, edit.after, Direction.REDONE)

    def _restore(self, edit: Edit, state: ObjectState, direction: Direction) -> None:
        labels = edit.labels
        is_undone = direction is Direction.UNDONE
        if labels is not None and labels.target.is_gone:
            self._notifier.warn("The labels layer it was written to is gone: nothing was changed.")
            self.changed.emit()
            return
        if edit.classes is not None:
            (edit.classes.inverse if is_undone else edit.classes).apply(self.classes)
        if labels is not None:

            def write() -> LabelsEdit:
                done = (labels.erase if is_undone else labels.write)()
                self._write_down(done, direction)
                return done

            def on_written(done: LabelsEdit) -> None:
                # That it is repeated, or undone, brings back exactly what there was before.
                self.history.replace(
                    edit, replace(edit, labels=done.from_records(is_undone=is_undone))
                )
                settle = done.forget if is_undone else done.note
                corrected = settle(is_exact=done is labels)
                self._write_down(corrected, Direction.MADE)
                self._know_classes(one.before if is_undone else one.after for one in labels.changes)
                self.changed.emit()

            if labels.area_px > MAX_AREA_AT_ONCE_PX or labels.n_blocks > MAX_BLOCKS_AT_ONCE:
                self._write(write, on_written)
            else:
                try:
                    on_written(write())
                except TargetError as error:
                    self._notifier.warn(str(error))
        if edit.classes is not None and self.target is not None:
            with suppress(TargetError):  # that it fits no longer is told elsewhere
                self._know_classes(self.target.labels.book)
        self.restored.emit(edit, state)
        self.changed.emit()


def _written(planned: LabelsEdit) -> tuple[LabelsEdit, bool]:
    """Write an edit; return what was written, and whether that is all of it."""
    done = planned.write()
    return done, done is planned
