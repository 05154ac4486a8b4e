"""Keeps a journal of each target, so that a crash or a closed window loses no objects."""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from psygnal import Signal

from napari_sam._qt.building import rest_timer
from napari_sam.controllers.context import WidgetContext
from napari_sam.layers.image_references import reference_of
from napari_sam.layers.target import TargetLayer
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import bulky_work
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.objects.edits import Direction, LabelsEdit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import RecordChange

_LOGGER = logging.getLogger(__name__)
_GROWTH_MS: Final = 2000
"""How long a stack has not grown when the journal of its objects follows it without an edit."""


class JournalRecorder:
    """Records every edit and brush stroke; none of them waits or fails for it."""

    begun = Signal()
    """The edits of another target are recorded."""
    deleted = Signal()
    """A target was deleted; its objects can be restored."""

    def __init__(self, context: WidgetContext) -> None:
        self._binding, self._dispatcher = context.binding, context.dispatcher
        self._messages, self._is_kept = context.messages, context.preferences.journal
        self._journals: dict[TargetLayer, tuple[ImageReference, Journal]] = {}
        self.deleted_paths: set[Path] = set()
        """The journals of targets that the user has deleted since the start."""
        self._target_connections: dict[TargetLayer, Connections] = {}
        self._failed: set[Journal] = set()
        self._grown: set[TargetLayer] = set()
        self._growth_timer = rest_timer(context.widget, _GROWTH_MS, self._catch_up)
        self._classes = context.session.classes.table
        self._connections = Connections(
            (self._classes.changed, self._on_classes_changed),
            (context.binding.target.changed, self._on_target_changed),
            (context.binding.target.deleted, self._on_target_deleted),
        )
        context.session.editing.set_journal(self._record)

    def close(self) -> None:
        """Close all journals.

        An edit that is still being written in the background is recorded even then.
        """
        self._connections.close()
        self._growth_timer.stop()
        for target in self._journals:
            target.recount()  # include the last brush stroke
            self._release(target)

    def keep(
        self, target: TargetLayer, reference: ImageReference, journal: Journal | None = None
    ) -> None:
        """Record the edits of a target from now on; on the GUI thread."""
        has_objects = journal is None and bool(target.registry)
        journal = journal or Journal(reference, target)
        if journal.path is not None:
            self.deleted_paths.discard(journal.path)
        journal.troubled.connect(self._warn)
        self._journals[target] = reference, journal
        self.record_classes(journal)
        if has_objects:
            self._write(target, Journal.buffer)
            threading.Thread(target=self._prepare, args=[target], daemon=True).start()
        self._target_connections[target] = Connections(
            (target.painted, partial(self._on_painted, target)),
            (target.replaced, partial(self._on_replaced, target)),
            (target.grown, partial(self._on_grown, target)),
        )
        self.begun.emit()

    def record_classes(self, journal: Journal) -> None:
        """Record the classes."""
        self._attempt(journal, lambda: journal.record_classes(self._classes.classes))

    def journal_of(self, target: TargetLayer | None) -> Journal | None:
        """Return the journal of a target that is recorded."""
        return None if target is None else self._journals.get(target, (None, None))[1]

    def record_unfinished(self, journal: Journal, unfinished: Sequence[UnfinishedObject]) -> bool:
        """Record the objects in progress; return whether they are in the file."""
        return self._attempt(journal, lambda: journal.record_unfinished(unfinished)) is True

    def _prepare(self, target: TargetLayer) -> None:
        with bulky_work(self._dispatcher):
            self._write(target, Journal.prepare)

    def mark_saved(self, target: TargetLayer, unfinished: UnfinishedObject | None) -> None:
        """Record that all objects of a target are in a session file, and one in progress."""
        self._write(target, lambda journal: journal.mark_saved(unfinished))

    def _release(self, target: TargetLayer) -> None:
        self._target_connections.pop(target).close()
        self._write(target, Journal.close)

    def _on_classes_changed(self) -> None:
        for _, journal in self._journals.values():
            self.record_classes(journal)

    def _on_target_deleted(self, target: TargetLayer) -> None:
        if target not in self._journals:
            return
        # What is in progress goes on without the target.
        self._write(target, lambda journal: journal.record_unfinished(()))
        self._release(target)
        _, journal = self._journals.pop(target)
        self._failed.discard(journal)
        if journal.path is not None:
            self.deleted_paths.add(journal.path)
            self.deleted.emit()

    def _on_target_changed(self) -> None:
        target, image = self._binding.target.labels, self._binding.plane.image
        if not self._is_kept or target is None or image is None:
            return
        if target not in self._journals:
            self.keep(target, reference_of(image))

    def _record(self, edit: LabelsEdit, direction: Direction) -> None:
        if isinstance(edit.target, TargetLayer):
            self._write(edit.target, lambda journal: journal.record(edit, direction))

    def _on_painted(
        self, target: TargetLayer, masks: Sequence[PackedMask], changes: Sequence[RecordChange]
    ) -> None:
        self._write(target, lambda journal: journal.record_paint(masks, changes))

    def _on_replaced(self, target: TargetLayer) -> None:
        """Start another journal; that of the previous labels can still be restored."""
        reference, journal = self._journals[target]
        self.record_unfinished(journal, ())  # as it goes on with the labels
        self._release(target)
        self.keep(target, reference)

    def _on_grown(self, target: TargetLayer) -> None:
        """Let the journal be found for the image as it is now."""
        image, (_, journal) = self._binding.plane.image, self._journals[target]
        if image is not None:
            reference = reference_of(image)
            self._journals[target] = reference, journal
            self._write(target, lambda journal: journal.follow_image(reference))
            self._grown.add(target)
            self._growth_timer.start()

    def _catch_up(self) -> None:
        """Have no crash lose the objects of stacks that have grown, without delaying an edit."""
        for target in self._grown & self._journals.keys():
            catch_up = partial(self._write, target, Journal.catch_up)
            threading.Thread(target=catch_up, daemon=True).start()
        self._grown.clear()

    def _write(self, target: TargetLayer, action: Callable[[Journal], object]) -> None:
        """Write to a journal, on any thread; failures do not reach the edit."""
        journal = self.journal_of(target)
        if journal is not None:
            self._attempt(journal, lambda: action(journal))

    def _attempt(self, journal: Journal, action: Callable[[], object]) -> object:
        """Return what an action returns; None if it fails."""
        try:
            return action()
        except TargetError:
            _LOGGER.info("The labels were gone before they could be recorded")
        except Exception as error:  # the edit matters more than its journal
            _LOGGER.warning("The journal could not be written", exc_info=error)
            if journal not in self._failed:
                self._failed.add(journal)
                self._warn(
                    "The journal could not be written: save the labels, or they would be lost in a "
                    "crash. "
                    f"({error})"
                )
        return None

    def _warn(self, message: str) -> None:
        self._dispatcher.post(lambda: self._messages.warn(message))
