"""Edits of the target's objects and classes: they are written, journaled, undone and redone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final
from weakref import WeakSet

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.classes.classes import ClassStep, ClassTable
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.segment import whole_crop
from napari_sam.session.jobs import user_message
from napari_sam.session.objects.edits import Direction, LabelsEdit, Overlap
from napari_sam.session.objects.history import Edit, History
from napari_sam.session.objects.labels import Labels, LabelsPlane, TargetError
from napari_sam.session.objects.planning import (
    NewObject,
    Trimming,
    add_objects,
    first_free_label_id,
    plan_label_id,
    plan_object,
    plan_records,
)
from napari_sam.session.objects.records import ObjectRecord, RecordChange
from napari_sam.session.objects.slice_planning import is_beyond, plan_on_plane
from napari_sam.session.objects.trimming import Trim
from napari_sam.storage.pacing import paced

MAX_AREA_AT_ONCE_PX: Final = 2**23
"""Edits of more pixels are written in the background."""
MAX_BLOCKS_AT_ONCE: Final = 200
"""So are edits of more parts or objects, each of which takes its time."""
MAX_RECORDS_AT_ONCE: Final = 1000
"""And changes of more records, for the time that it takes to journal them."""


class Editing:
    """Holds the target and the history; all methods belong to the owner's thread."""

    changed = Signal()
    """Sent when something can be undone or redone, or is being written, that was not before."""
    done = Signal(Edit)
    """Sent when objects were edited."""
    failed = Signal(BaseException)
    """Sent when an edit could not be written in the background."""
    accepted = Signal(ObjectState, tuple, LabelsEdit)
    """Sent when an object was accepted and written at once: the object in progress, its candidates
    and the index of the accepted one, and the edit."""
    restored = Signal(Edit, ObjectState)
    """Sent when an edit was undone or redone, with the object that is in progress again."""
    overlap_changed = Signal()
    """Sent when `overlap` was chosen."""
    target_needed = Signal()
    """Sent when an object has no target: a listener may set one."""

    def __init__(self, decoding: Decoding, background: Background) -> None:
        self._decoding, self._notifier = decoding, background.notifier
        self.executor = background.executor("write", is_bulky=True)
        """Writes what takes seconds; closed, it still completes what it is writing."""
        self.history = History()
        self.classes = ClassTable()
        """The classes; that of every object is among them."""
        self.target: LabelsPlane | None = None
        """Where objects are written."""
        self.refusal = ""
        """Why the shown plane of the image takes no objects."""
        self._former_labels: WeakSet[Labels] = WeakSet()
        self.plane_id = 0
        """The image plane that is annotated."""
        self.overlap = Overlap.KEEP
        """What happens where a new object overlaps existing ones."""
        self._record: Callable[[LabelsEdit, Direction], None] | None = None

    def set_journal(self, record: Callable[[LabelsEdit, Direction], None]) -> None:
        """Pass on every edit, on the thread that makes it, so that a crash loses none."""
        self._record = record

    def set_overlap(self, overlap: Overlap) -> None:
        """Choose what happens where a new object overlaps existing ones."""
        self.overlap = overlap
        self.overlap_changed.emit()

    def set_target(self, target: LabelsPlane | None) -> None:
        """Choose where objects are written."""
        self.target = target
        if target is not None:
            with suppress(TargetError):  # a target that no longer fits is reported when written to
                self._former_labels.add(target.labels)

    @property
    def other_labels(self) -> list[Labels]:
        """The labels that were the target before, but not now, and were not deleted."""
        with suppress(TargetError):
            current = None if self.target is None else self.target.labels
            return [
                labels
                for labels in self._former_labels
                if labels is not current and not labels.is_gone
            ]
        return []

    def go_to_plane(self, plane_id: int, target: LabelsPlane | None, refusal: str = "") -> None:
        """Go to another image plane and its target, or to none, with a refusal if there is one."""
        self.history.set_gesture(False)
        self.refusal = refusal
        self.set_target(target)
        self.plane_id = plane_id

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
            reason = "There is no target to write the object into: choose a Labels layer."
            raise TargetError(self.refusal or reason)
        self._check_idle()
        return self.target

    def _check_idle(self) -> None:
        if not self.executor.is_idle:
            raise TargetError("Objects are still being written: try again in a moment.")

    # Edits ---------------------------------------------------------------------------------

    def accept(
        self,
        new: NewObject,
        shown: tuple[Candidates, int],
        state: ObjectState | None = None,
        *,
        with_click: bool = False,
    ) -> LabelsEdit | None:
        """Write a new object, the candidate that is shown, which ends the object in progress.

        That is the one in another state, if given: one that has been left already.

        In the background if it is very large; else return the edit.
        """
        target, overlap = self.check_free(), self.overlap
        candidates, chosen = shown
        example = None if candidates.ranking is None else candidates.ranking.example(chosen)
        state = self._decoding.state if state is None else state
        edit = Edit(state, ObjectState(), self.plane_id, example=example)
        push = self.history.push_accepted_click if with_click else self.history.push
        registry = target.labels.registry

        def work() -> LabelsEdit:
            if new.replaced is not None and is_beyond(new.replaced, target):
                crop = whole_crop(*shown)
                plan = plan_on_plane(target, new.record, crop, overlap, registry, new.trim)
                return plan.write()
            return plan_object(target, new, overlap, registry).write()

        is_large = candidates.masks[chosen].area_bound_px > MAX_AREA_AT_ONCE_PX
        written = self._run_edit(edit, work, push, is_large=is_large)
        if written is not None:
            self.accepted.emit(state, shown, written)
        return written

    def edit(
        self,
        plan: Callable[[Labels], LabelsEdit],
        records: Sequence[ObjectRecord] = (),
        into: Labels | None = None,
        extended: Edit | None = None,
        *,
        in_background: bool = False,
    ) -> None:
        """Edit objects of the target; `records` are those whose pixels the plan changes.

        Of other labels, if they are given. The step that is extended, if that is the last one, is
        undone together with the edit.
        """
        self._check_idle()
        labels = self.check_free().labels if into is None else into
        area_px = sum(record.area_px for record in records)
        is_large = area_px > MAX_AREA_AT_ONCE_PX or len(records) > MAX_BLOCKS_AT_ONCE
        is_large |= in_background
        push = partial(self.history.extend_last, extended)
        self._run_edit(self._edit(), lambda: plan(labels).write(), push, is_large=is_large)

    def change_records(
        self, records: Sequence[ObjectRecord], step: ClassStep | None = None, **values: Any
    ) -> None:
        """Change values of records in the target, and maybe the classes; undone as one."""
        labels, edit = self.check_free().labels, replace(self._edit(), classes=step)
        is_large = len(records) > MAX_RECORDS_AT_ONCE

        def work() -> LabelsEdit:
            changes = [RecordChange(record, replace(record, **values)) for record in paced(records)]
            return plan_records(labels, changes).write()

        self._run_edit(edit, work, self.history.push, is_large=is_large)

    def change_classes(
        self, step: ClassStep, records: Sequence[ObjectRecord], class_name: str | None
    ) -> None:
        """Change the classes, and the class of objects; undone as one."""
        if records:
            self.change_records(records, step, class_name=class_name)
        else:
            step.apply(self.classes)
            self.history.push(replace(self._edit(), classes=step))
            self.changed.emit()

    def add(
        self,
        records: Sequence[ObjectRecord],
        on_added: Callable[[LabelsEdit], None] = lambda _: None,
        into: LabelsPlane | None = None,
        *,
        keep_remains: bool = False,
        trims: Mapping[int, Trim] | None = None,
    ) -> None:
        """Add objects from elsewhere, in the background; all of them are undone as one.

        They go to the target unless other labels are given. See `add_objects`; those with a trim,
        by the uid of the record, are objects of the target's plane.
        """
        if into is None:
            self.need_target()
        self._check_idle()
        plane, overlap = into or self.check_free(), self.overlap
        labels, registry = plane.labels, plane.labels.registry
        trimming = Trimming(plane, trims or {})

        def push(edit: Edit) -> None:
            self.history.push(edit)
            if edit.labels is not None:
                on_added(edit.labels)

        def work() -> LabelsEdit:
            return add_objects(
                labels, records, overlap, registry, trimming, keep_remains=keep_remains
            )

        self._run_edit(self._edit(), work, push, is_large=True)

    def _edit(self) -> Edit:
        """Return an edit that leaves the object in progress as it is."""
        return Edit(self._decoding.state, self._decoding.state, self.plane_id)

    def _run_edit(
        self,
        edit: Edit,
        work: Callable[[], LabelsEdit],
        push: Callable[[Edit], None],
        *,
        is_large: bool = False,
    ) -> LabelsEdit | None:
        """Plan and write an edit, at once or in the background, and add it to the history."""

        def on_written(labels: LabelsEdit) -> None:
            if edit.classes is not None:
                edit.classes.apply(self.classes)
            self._journal(labels.apply_records())
            self.classes.ensure(_class_names(change.after for change in labels.changes))
            written_edit = replace(edit, labels=labels)
            push(written_edit)
            self.done.emit(written_edit)
            self.changed.emit()

        return self._write(work, on_written, is_large=is_large)

    def _write(
        self,
        work: Callable[[], LabelsEdit],
        on_written: Callable[[LabelsEdit], None],
        direction: Direction = Direction.MADE,
        *,
        is_large: bool,
    ) -> LabelsEdit | None:
        """Write and journal at once, or in the background what takes seconds; one at a time."""

        def write() -> LabelsEdit:
            labels = work()
            self._journal(labels, direction)
            _ = labels.size_bytes  # known from here on, for the history
            return labels

        def on_failed(error: BaseException) -> None:
            reason = str(error) if isinstance(error, TargetError) else ""
            self._notifier.warn(reason or user_message(error, "The object could not be written"))
            self.failed.emit(error)
            self.changed.emit()

        if is_large:
            self.executor.submit(lambda _: write(), on_written, on_failed)
            self.changed.emit()
            return None
        written = write()
        on_written(written)
        return written

    def _journal(self, labels: LabelsEdit | None, direction: Direction = Direction.MADE) -> None:
        if self._record is not None and labels is not None:
            self._record(labels, direction)

    # Undo and redo ---------------------------------------------------------------------------

    def undo(self) -> None:
        """Undo the last edit, of prompts or of objects."""
        self._step(is_undone=True)

    def redo(self) -> None:
        """Redo the edit that was undone last."""
        self._step(is_undone=False)

    def _step(self, *, is_undone: bool) -> None:
        self._check_idle()
        history = self.history
        self._renumber_conflicts(history.last if is_undone else history.redoable, is_undone)
        edit = history.undo() if is_undone else history.redo()
        if edit is None:
            return
        labels, classes = edit.labels, edit.classes
        if labels is not None and labels.target.is_gone:
            self._notifier.warn("Nothing was changed: the Labels layer of this step was deleted.")
            self.changed.emit()
            return
        if labels is not None:
            self._restore(edit, labels, is_undone)
        elif classes is not None:
            (classes.inverse if is_undone else classes).apply(self.classes)
            self._keep_classes_of_target()
        self.restored.emit(edit, edit.before if is_undone else edit.after)
        self.changed.emit()

    def _keep_classes_of_target(self) -> None:
        if self.target is not None:
            with suppress(TargetError):  # a target that no longer fits is reported elsewhere
                self.classes.ensure(_class_names(self.target.labels.registry))

    def _renumber_conflicts(self, edit: Edit | None, is_undone: bool) -> None:
        """Give painted objects whose label_ids an edit needs other ones, so that none is lost."""
        if edit is None or edit.labels is None or edit.labels.target.is_gone:
            return
        labels, verb = edit.labels.target, "undo" if is_undone else "redo"
        for record in edit.labels.conflicts(is_undone=is_undone):
            try:
                label_id = first_free_label_id(labels, labels.registry)
            except TargetError as error:
                raise TargetError(f"Cannot {verb}: {error}") from error
            renumbering = plan_label_id(labels, record, label_id).write()
            self._journal(renumbering)
            self._journal(renumbering.apply_records())
            self.history.renumber(record, label_id)
            self._notifier.warn(
                f"The painted object {record.label_id} was renumbered to {label_id}: {verb} "
                f"restores the former {record.label_id}."
            )

    def _restore(self, edit: Edit, labels: LabelsEdit, is_undone: bool) -> None:
        def on_written(written: LabelsEdit) -> None:
            # Undone or redone again, it restores exactly what was there before.
            rebased = written.rebased(is_undone=is_undone)
            if classes is not None:
                (classes.inverse if is_undone else classes).apply(self.classes)
            corrections = written.apply_records(is_undone=is_undone)
            if corrections is not None:  # and more may change until it is written again
                rebased = replace(rebased, is_exact=False)
            self.history.replace(edit, replace(edit, labels=rebased))
            self._journal(corrections)
            changes = labels.effects(is_undone=is_undone)
            self.classes.ensure(_class_names(change.after for change in changes))
            if classes is not None:
                self._keep_classes_of_target()
            self.changed.emit()

        classes, direction = edit.classes, Direction.UNDONE if is_undone else Direction.REDONE
        is_large = (
            labels.area_px > MAX_AREA_AT_ONCE_PX
            or labels.n_blocks > MAX_BLOCKS_AT_ONCE
            or len(labels.changes) > MAX_RECORDS_AT_ONCE
        )
        try:
            self._write(
                lambda: labels.write(is_undone=is_undone), on_written, direction, is_large=is_large
            )
        except TargetError as error:
            self._notifier.warn(str(error))


def _class_names(records: Iterable[ObjectRecord | None]) -> Iterator[str | None]:
    return (record.class_name for record in records if record is not None)
