"""Batch prompts in the background, written into the target as one edit."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.batch_prompts.decode import BatchPrompt, BatchResult, decode_batch_prompts
from napari_sam.session.batch_prompts.on_slices import SlicePrompts, SlicesResult, decode_on_slices
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.planning import first_free_label_id
from napari_sam.session.objects.records import covered_left_out
from napari_sam.session.propagation.stack_editing import StackEditing
from napari_sam.session.stack import SliceRange

_NOTHING: Final = "There is nothing to segment: choose an image, and prompts on it."


@dataclass(frozen=True)
class BatchPromptsState:
    """The progress of a batch."""

    # number of prompts; of slices at the most, while objects are carried on
    total: int
    share: float = 0.0  # share that is done, 0 to 1
    is_stopping: bool = False  # whether it ends as soon as possible
    is_carrying: bool = False  # whether the objects are there, and carried through slices


class _DecodedBatch(NamedTuple):
    """The results of a batch, to be written."""

    results: Sequence[BatchResult | SlicesResult]
    target: LabelsPlane
    class_name: str | None
    total: int  # number of prompts
    n_found: int  # of which so many have a mask
    is_stopped: bool
    slices: SliceRange | None  # those to carry the objects through


class BatchPrompting:
    """Segments one object per prompt of a batch and writes all of them (undone in one step).

    It rests while the object in progress needs the model, and its results wait while something
    else is written. They go to the target that was in use at the start. All methods belong to the
    owner's thread.
    """

    changed = Signal()
    """`state` changed."""
    finished = Signal(str)
    """The objects are written; with a summary."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        decoding: Decoding,
        editing: Editing,
        stack: StackEditing,
        background: Background,
    ) -> None:
        self._embedding, self._decoding, self._editing = embedding, decoding, editing
        self._stack, self._background = stack, background
        self._notifier = background.notifier
        self._executor = background.executor("batch-prompts")
        self._stop = threading.Event()
        self._decoded: _DecodedBatch | None = None  # waits to be written
        self._editing.changed.connect(self._write_decoded)
        stack.propagation.changed.connect(self._follow_propagation)
        self.state: BatchPromptsState | None = None
        """The progress; None without a batch."""

    def start(self, prompts: Sequence[BatchPrompt]) -> None:
        """Segment one object per prompt on the current plane, and write them into the target.

        Objects without a class get the current one. `finished` or a warning reports the end. The
        overlap that is set then applies; where other objects keep their pixels, the object with
        the highest score comes first.
        """
        plane, embedder = self._embedding.plane, self._embedding.embedder
        if plane is None or not prompts:
            raise TargetError(self._editing.refusal or _NOTHING)

        def decode(**options: Any) -> list[BatchResult]:
            return decode_batch_prompts(embedder, plane, prompts, **options)

        self._start(len(prompts), decode)

    def start_on_slices(self, prompts: SlicePrompts, indices: range) -> None:
        """Segment the prompts of several slices, and carry the objects through all of these.

        Masks of neighboring slices that overlap are one object from the start. In all else as
        `start`; all of it is undone in one step.
        """
        self._editing.need_target()  # without one, no stack is known
        embedder, stack = self._embedding.embedder, self._stack.require_stack()

        def decode(**options: Any) -> list[SlicesResult]:
            return decode_on_slices(embedder, stack, prompts, **options)

        total = sum(map(len, prompts.values()))
        if not total:
            raise TargetError(self._editing.refusal or _NOTHING)
        self._start(total, decode, SliceRange(stack, indices))

    def _start(
        self,
        total: int,
        decode: Callable[..., Sequence[BatchResult | SlicesResult]],
        slices: SliceRange | None = None,
    ) -> None:
        if self.state is not None:
            raise TargetError("A batch is already running: stop it first, or wait.")
        target, class_name = self._editing.require_target(), self._editing.classes.current
        about = {"in_sight": self._decoding.in_sight, "context": self._decoding.context}
        self._stop.clear()
        self._show(BatchPromptsState(total))

        def on_decoded(results: Sequence[BatchResult | SlicesResult]) -> None:
            n_found = sum(result.n_prompts for result in results)
            is_stopped = self._stop.is_set()
            batch = results, target, class_name, total, n_found, is_stopped, slices
            self._decoded = _DecodedBatch(*batch)
            self._write_decoded()

        self._executor.submit(
            lambda job: decode(**about, report=partial(self._report, job)),
            on_decoded,
            self._on_failed,
            self._on_progress,
        )

    def stop(self) -> None:
        """End soon, and write the objects that are segmented by then."""
        if self.state is None:
            return
        if self.state.is_carrying:
            self._stack.stop()
        else:
            self._stop.set()
            self._show(replace(self.state, is_stopping=True))

    def abort(self, reason: str) -> None:
        """Stop and write nothing, unless all objects are segmented; warn with the reason."""
        if self.state is not None and self._decoded is None and not self.state.is_carrying:
            self._executor.cancel()
            self._show(None)
            self._notifier.warn(f"{reason}: no objects were added. Start again.")

    def _report(self, job: Job, share: float) -> bool:
        job.report(share)
        self._background.yield_to_foreground(job, self._stop.is_set)
        return not self._stop.is_set()

    def _show(self, state: BatchPromptsState | None) -> None:
        self.state = state
        self.changed.emit()

    def _on_progress(self, share: float) -> None:
        if self.state is not None:
            self._show(replace(self.state, share=share))

    def _on_failed(self, error: BaseException) -> None:
        self._show(None)
        self._notifier.warn(user_message(error, "Batch prompts failed"))

    def _write_decoded(self) -> None:
        """Write the results as soon as nothing else is being written."""
        if self._decoded is None or not self._editing.executor.is_idle:
            return
        batch, self._decoded = self._decoded, None
        self._show(None)
        try:
            self._write(batch)
        except TargetError as error:
            self._notifier.warn(str(error))

    def _write(self, batch: _DecodedBatch) -> None:
        target, labels = batch.target, batch.target.labels
        if not batch.results:
            msg = "No objects were found at these prompts."
            if batch.is_stopped:
                msg = "Stopped before any object was segmented."
            raise TargetError(msg)
        if labels.is_gone:
            msg = "The labels layer for these objects was deleted: none were added. Start again."
            raise TargetError(msg)
        current = self._editing.target
        is_elsewhere = True
        with suppress(TargetError):  # another target, which cannot be written to yet
            is_elsewhere = current is None or current.labels is not labels
        first_label_id = first_free_label_id(labels, labels.registry)
        best_first = sorted(batch.results, key=lambda result: result.predicted_iou, reverse=True)
        if self._editing.overlap is Overlap.REPLACE:
            best_first.reverse()  # the last one keeps all of its pixels
        classes, class_name = self._editing.classes, batch.class_name
        if class_name not in (None, *(entry.name for entry in classes.classes)):
            class_name = classes.current  # that of the start is gone
        records = [
            result.record(target, first_label_id + result.index, class_name)
            for result in best_first
        ]

        def on_added(edit: LabelsEdit) -> None:
            self.finished.emit(_summary(batch, edit.n_made, is_elsewhere))
            if batch.slices is not None and not batch.is_stopped:
                made = [change.after for change in edit.changes if change.before is None]
                label_ids = [record.label_id for record in made if record is not None]
                self._carry(batch.slices, target, label_ids)

        pairs = zip(records, best_first, strict=True)
        trims = {record.uid: result.trim for record, result in pairs}
        self._editing.add(records, on_added, into=target, trims=trims)

    def _carry(self, slices: SliceRange, target: LabelsPlane, label_ids: Sequence[int]) -> None:
        """Carry new objects through slices, as a part of the step that they were made in."""
        if label_ids:
            self._show(BatchPromptsState(1, is_carrying=True))
            self._stack.carry(slices, target, label_ids, self._editing.history.last)

    def _follow_propagation(self) -> None:
        if self.state is not None and self.state.is_carrying:
            run = self._stack.propagation.state
            if run is None:
                self._show(None)
            else:
                total = max(1, run.total)
                self._show(BatchPromptsState(total, run.done / total, run.is_stopping, True))


def _summary(batch: _DecodedBatch, added: int, is_elsewhere: bool) -> str:
    missed, count = max(0, batch.total - batch.n_found), len(batch.results)
    text = f"{added} of {count + missed} objects added."
    if added > 1:
        text += " One Undo removes them all."
    if is_elsewhere:
        text += " They are in the labels layer that was the target at the start."
    if count > added:
        text += f" {covered_left_out(count - added)}."
    if missed:
        text += f" {missed} not {'processed' if batch.is_stopped else 'found'}."
    return text
