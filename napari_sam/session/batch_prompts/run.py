"""Many objects at once, in the background, written into the target as one edit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psygnal import Signal

from napari_sam.session.batch_prompts.decode import BatchPrompt, BatchResult, decode_batch_prompts
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.jobs import (
    Dispatcher,
    Job,
    LatestWinsExecutor,
    user_message,
    yield_to_foreground,
)
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.planning import free_label_ids


@dataclass(frozen=True)
class BatchPromptsState:
    """How far the search for many objects is."""

    total: int  # how many are wanted
    share: float = 0.0  # how much is done, 0 to 1
    is_stopping: bool = False  # whether it ends as soon as it can


class _Found(NamedTuple):
    """What was found, and what was asked for."""

    objects: list[BatchResult]
    target: LabelsPlane
    class_name: str | None
    total: int
    is_stopped: bool


class BatchPrompting:
    """Finds one object for each of many prompts, and writes all of them; undone as one.

    It rests while the object that is being made needs the model, and what it has found waits while
    something else is written. It goes to the target that was in use when it began. All methods
    belong to the owner's thread.
    """

    changed = Signal()
    """`state` is another one."""
    finished = Signal(str)
    """All is written; with a sentence on what was."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        decoding: Decoding,
        editing: Editing,
        dispatcher: Dispatcher,
        notifier: Notifier,
    ) -> None:
        self._embedding, self._decoding, self._editing = embedding, decoding, editing
        self._notifier = notifier
        self._lane = LatestWinsExecutor("napari-sam-batch-prompts", dispatcher)
        self._stop = threading.Event()
        self._found: _Found | None = None  # waits to be written
        self._editing.changed.connect(self._write_found)
        self.state: BatchPromptsState | None = None
        """How far it is; None while nothing is looked for."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is looked for."""
        return self._lane.is_idle and self._found is None

    def close(self) -> None:
        """Stop at once; nothing more is written."""
        self._editing.changed.disconnect(self._write_found)
        self._found = None
        self._lane.close()

    def find(self, objects: Sequence[BatchPrompt]) -> None:
        """Find these objects on the current plane, and write them into the target.

        Those that have no class get the current one.

        `finished` or a warning tells the end. The overlap that is set at the end counts; where the
        others keep their pixels, the object with the highest score comes first.
        """
        plane = self._embedding.plane
        if self.state is not None:
            msg = "Objects are being looked for already: stop that first, or wait."
            raise TargetError(msg)
        if plane is None or not objects:
            msg = "There is nothing to look for: choose an image, and prompts on this slice."
            raise TargetError(msg)
        target = self._editing.require_target()
        embedder, in_sight = self._embedding.embedder, self._decoding.in_sight
        memory = self._editing.history.memory
        class_name = self._editing.classes.current
        self._stop.clear()
        self._show(BatchPromptsState(len(objects)))

        def work(job: Job) -> list[BatchResult]:
            return decode_batch_prompts(
                embedder,
                plane,
                objects,
                in_sight=in_sight,
                memory=memory,
                report=lambda share: self._report(job, share),
            )

        self._lane.submit(
            work,
            lambda found: self._on_found(
                _Found(found, target, class_name, len(objects), self._stop.is_set())
            ),
            self._on_failed,
            self._on_progress,
        )

    def stop(self) -> None:
        """End soon; what was found by then is written."""
        self._stop.set()
        if self.state is not None:
            self._show(BatchPromptsState(self.state.total, self.state.share, is_stopping=True))

    def give_up(self, why: str) -> None:
        """End soon and write nothing, unless all is found; a warning says why."""
        if self.state is not None and self._found is None:
            self._lane.cancel()
            self._show(None)
            self._notifier.warn(f"{why}: no objects were added. Start again.")

    def _report(self, job: Job, share: float) -> bool:
        job.report(share)
        yield_to_foreground(
            job,
            lambda: not (self._embedding.is_idle and self._decoding.is_idle),
            self._stop.is_set,
        )
        return not self._stop.is_set()

    def _show(self, state: BatchPromptsState | None) -> None:
        self.state = state
        self.changed.emit()

    def _on_progress(self, share: float) -> None:
        if self.state is not None:
            self._show(BatchPromptsState(self.state.total, share, self.state.is_stopping))

    def _on_failed(self, error: BaseException) -> None:
        self._show(None)
        self._notifier.warn(user_message(error, "The objects could not be found"))

    def _on_found(self, found: _Found) -> None:
        self._found = found
        self._write_found()

    def _write_found(self) -> None:
        """Write what waits, as soon as nothing else is being written."""
        if self._found is None or not self._editing.is_idle:
            return
        found, self._found = self._found, None
        self._show(None)
        try:
            self._write(found)
        except TargetError as error:
            self._notifier.warn(str(error))

    def _write(self, found: _Found) -> None:
        target, labels = found.target, found.target.labels
        if not found.objects:
            msg = "Nothing was found there."
            if found.is_stopped:
                msg = "Stopped before anything was found."
            raise TargetError(msg)
        if labels.is_gone:
            msg = "The labels layer the objects were for is gone: none were added. Start again."
            raise TargetError(msg)
        in_use = self._editing.target
        is_elsewhere = in_use is None or in_use.labels is not labels
        first = free_label_ids(labels, labels.registry)
        best_first = sorted(found.objects, key=lambda one: one.predicted_iou, reverse=True)
        if self._editing.overlap is Overlap.REPLACE:
            best_first.reverse()  # whoever comes last keeps all of its pixels
        class_name = self._class_now(found.class_name)
        records = [one.record(target, first + one.index, class_name) for one in best_first]

        def on_added(edit: LabelsEdit) -> None:
            self.finished.emit(_summary(found, edit.n_made, is_elsewhere))

        self._editing.add(records, self._decoding.state, on_added, into=target)

    def _class_now(self, name: str | None) -> str | None:
        """Return the class that was current at the beginning; if it is gone, that of now."""
        classes = self._editing.classes
        if name is None or any(one.name == name for one in classes.classes):
            return name
        return classes.current


def _summary(found: _Found, added: int, is_elsewhere: bool) -> str:
    total, count = found.total, len(found.objects)
    text = f"{added} of {total} objects added; one Undo takes them back."
    if is_elsewhere:
        text += " They are in the labels layer that was the target when this began."
    if count > added:
        text += f" {count - added} left out, being on other objects."
    if total > count:
        text += f" {total - count} not {'looked for' if found.is_stopped else 'found'}."
    return text
