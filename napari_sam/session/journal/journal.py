"""The journal of a target: every edit of its labels, on disk as it is made, so that none is lost.

The format of its file is described in `journal.entries`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Final

from psygnal import Signal

from napari_sam.session.classes.classes import Classes
from napari_sam.session.journal.entries import Patch, patches_of
from napari_sam.session.journal.files import discard, new_path, remove_old_journals
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.journal.writer import Entry, EntryWriter
from napari_sam.session.objects.edits import Direction, LabelsEdit
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import RecordChange
from napari_sam.storage.folders import journals_folder
from napari_sam.storage.pacing import paced, resting_with

_LOGGER = logging.getLogger(__name__)

_MAX_FOUND_PX: Final = 2**26
"""Existing objects are journaled if their boxes together are no larger: under 1 s."""
_MAX_WAITING_BYTES: Final = 2**26
"""Entries that a full disk refuses are kept in memory up to here."""
_RETRY_S: Final = 10.0
"""How often a disk is tried again for which too much waited."""
_PROBE: Final = bytes(2**20)
_PREPARED_WITHIN_S: Final = 10.0


class Journal:
    """Writes every change of some labels to a file; its methods may be called on any thread.

    The file is begun with the first edit or stroke. Nothing here raises for a disk that is full or
    cannot be written: entries that could not be written are tried again with the next edit. If
    very much waits, it is given up, and another file is begun as soon as there is room; so it is
    if the file is lost, for example because its folder was emptied.
    """

    troubled = Signal(str)
    """Sent on the thread of the edit if entries cannot be written; once until they can."""

    def __init__(
        self, reference: ImageReference, labels: Labels, folder: Path | None = None
    ) -> None:
        self._reference, self._labels = reference, labels
        self._registry = labels.registry  # which may not be asked for on any thread
        self._folder = journals_folder() if folder is None else folder
        self._writer = EntryWriter(reference, labels)
        self._buffer: list[Entry] | None = None
        self._lock, self._prepared = threading.Lock(), threading.Event()
        self._has_begun = self._is_troubled = self._has_gap = False
        self._next_try_s = 0.0
        self._former_paths: list[Path] = []  # removed once another file says the same

    @classmethod
    def resume(
        cls,
        path: Path,
        sound_bytes: int,
        reference: ImageReference,
        labels: Labels,
        classes: Classes = (),
        unfinished: tuple[UnfinishedObject, ...] = (),
    ) -> Journal:
        """Continue a journal that was replayed into these labels."""
        journal = cls(reference, labels, path.parent)
        journal._writer.resume(path, sound_bytes, classes, unfinished)
        journal._has_begun = True
        return journal

    @property
    def path(self) -> Path | None:
        """Its file, once there is one."""
        return self._writer.lines.path

    def buffer(self) -> None:
        """Keep entries in memory until `prepare` is done, rather than do its work first."""
        with self._lock:
            if not self._has_begun and self._buffer is None:
                self._buffer = []

    def prepare(self) -> None:
        """Journal the objects that are in the labels already, which would delay the first edit.

        For a background thread: no edit waits for it. The file is still begun with the first edit.
        A pixel that an edit changes in the meantime may be recorded only as it is afterwards; the
        edit's own entry, which follows, says the same of it or what came next.
        """
        self.buffer()
        try:
            if self._buffer is not None:
                self._append_existing(self._found())
        finally:
            with self._lock:
                self._flush_buffer()
            self._prepared.set()

    def record(self, edit: LabelsEdit, direction: Direction) -> None:
        """Record an edit that was just written, undone or redone."""
        changes = edit.effects(is_undone=direction is Direction.UNDONE)
        with self._lock:
            patches = [
                Patch.of(self._labels.read(block.mask.region), block.mask)
                for stroke in edit.strokes
                for block in stroke.blocks
            ]
            self._add(direction, patches, changes)

    def record_paint(self, masks: Iterable[PackedMask], changes: Sequence[RecordChange]) -> None:
        """Record pixels that the user painted, and the changes of the records."""
        with self._lock:
            patches = [
                Patch.of(self._labels.read(mask.region), mask, is_full=mask.is_full)
                for mask in masks
            ]
            self._add(Direction.PAINTED, patches, changes)

    def record_classes(self, classes: Classes) -> None:
        """Record the classes, in their order and with their colors."""
        with self._lock:
            former = self._writer.set_classes(classes)
            # With all objects in one of the user's files, there is nothing to restore.
            is_due = classes != former and self._has_begun and not self._writer.is_saved
            if is_due and self._ensure_file():
                self._writer.append_classes()
                if self.path is not None:
                    self._write()

    def record_unfinished(self, unfinished: Sequence[UnfinishedObject]) -> bool:
        """Record the objects in progress, the newest last; return whether the file has them.

        If it has not, they go along with the next entry; recorded again, they are tried again.
        """
        with self._lock:
            self._writer.set_unfinished(unfinished)
            if self._buffer is None and self._writer.is_unfinished_due:
                self._add(Direction.UNFINISHED, (), ())
            is_waiting = bool(unfinished) and self._writer.lines.waiting_bytes > 0
            return not (is_waiting or self._writer.is_unfinished_due)

    def mark_saved(self, unfinished: UnfinishedObject | None = None) -> None:
        """Record that the user has saved everything to a file: it is not offered for restoring.

        That includes one object in progress, if it is given.
        """
        with self._lock:
            if self.path is not None or self._buffer:
                self._writer.note_saved(unfinished)
                self._add(Direction.SAVED, (), ())

    def follow_image(self, reference: ImageReference) -> None:
        """Go on in another file, as image and labels have more slices: with the next edit.

        Or with `catch_up`, which any thread may call once there are no more slices for a while.
        """
        with self._lock:
            self._reference = reference
            self._writer.follow_image(reference)
            self._has_gap, self._next_try_s = self._has_begun, 0.0

    def catch_up(self) -> None:
        """Begin the file that is due, with everything as it is now."""
        with self._lock:
            if self._has_gap and not self._writer.is_saved and self._ensure_file():
                self._write()

    def close(self) -> None:
        """Record that the program is closed; without objects to restore, remove the file."""
        if self._buffer:
            self._prepared.wait(_PREPARED_WITHIN_S)
        with self._lock:
            self._flush_buffer()
            if self._writer.has_content and (self.path is not None or self._has_gap):
                if not self._writer.is_saved or self._writer.unsaved_unfinished:
                    self._add(Direction.CLOSED, (), ())
            else:
                if self.path is not None:
                    discard(self.path)
                self._discard_former()
                # An edit that is still being written in the background begins another file.
                self._writer.use_file(None)
                self._has_begun = self._has_gap = False

    def _add(
        self, direction: Direction, patches: Sequence[Patch], changes: Sequence[RecordChange]
    ) -> None:
        if self._buffer is not None:
            self._buffer.append((direction, patches, changes))
            return
        if not self._ensure_file():
            return
        if not self._has_begun:
            self._begin(self._found())
        self._writer.append(direction, patches, changes)
        self._write()

    def _append_existing(self, entries: Iterable[Entry]) -> None:
        """Append entries for existing objects, unless the journal is closed in between."""
        with self._lock:
            if self._buffer is None:
                return
            self._begin(())
            lines = self._writer.lines
        for content in paced(entries):
            # An edit, which goes into the buffer meanwhile, waits for one entry, not for all.
            with self._lock, resting_with(None):
                if self._buffer is None or self._writer.lines is not lines:
                    return
                self._writer.append(*content)

    def _flush_buffer(self) -> None:
        """Append the entries that were buffered, and buffer no more."""
        buffered, self._buffer = self._buffer, None
        if buffered is not None and not self._has_begun:
            self._begin(())
        for content in buffered or ():
            self._add(*content)
        if buffered is not None and self._writer.is_unfinished_due:
            self._add(Direction.UNFINISHED, (), ())

    def _found(self) -> list[Entry]:
        """Return entries for the objects that are in the labels already, as they are now."""
        records = list(self._registry)
        if sum(prod(record.shape) for record in records) > _MAX_FOUND_PX:
            self.troubled.emit(
                f"The {len(records)} objects are too large for the journal: save the labels, or "
                "a crash may lose them."
            )
            return []
        return [
            (Direction.FOUND, patches_of(self._labels, record), (RecordChange(None, record),))
            for record in paced(records)
        ]

    def _begin(self, entries: Sequence[Entry]) -> None:
        """Append the header, the classes, and the first entries."""
        self._has_begun = True
        try:
            remove_old_journals(self._folder)
        except Exception as error:  # whatever lies in the folder must not prevent a new journal
            _LOGGER.warning("Old journals could not be removed", exc_info=error)
        self._writer.begin(entries)

    def _ensure_file(self) -> bool:
        """Return whether the file has all entries; begin another one if it has not."""
        if self._writer.lines.is_lost:
            self._writer.use_file(None)
            self._has_gap = True
        return not self._has_gap or self._restart()

    def _restart(self) -> bool:
        """Begin another file, with everything as it is now, if there is room again."""
        if time.monotonic() < self._next_try_s:
            return False
        self._next_try_s = time.monotonic() + _RETRY_S
        path, former_path = new_path(self._reference, self._folder), self.path
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_PROBE)
        except OSError as error:
            discard(path)
            self._report_trouble(error)
            return False
        self._writer.use_file(path)
        self._has_gap = False
        found = self._found()
        self._begin(found)
        if self._writer.is_unfinished_due:
            self._writer.append(Direction.UNFINISHED, (), ())
        if former_path is not None and (found or not self._registry):
            self._former_paths.append(former_path)
        return True

    def _write(self) -> None:
        """Hand all waiting lines to the operating system."""
        lines = self._writer.lines
        try:
            if lines.path is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                lines.use_path(new_path(self._reference, self._folder))
            lines.write()
            self._is_troubled = False
            self._discard_former()
        except OSError as error:
            if lines.waiting_bytes > _MAX_WAITING_BYTES:
                # Later entries would be of no use without these: everything is journaled again
                # as soon as possible.
                lines.clear()
                self._has_gap = True
            self._report_trouble(error)

    def _discard_former(self) -> None:
        while self._former_paths:
            discard(self._former_paths.pop())

    def _report_trouble(self, error: OSError) -> None:
        if not self._is_troubled:
            self._is_troubled = True
            self.troubled.emit(
                "The journal could not be written: save the labels, or they would be lost in a "
                "crash. "
                f"({self._folder}: {error})"
            )
