"""The journal of a target: every edit of its labels on disk as it is made, so that none is lost.

What is in its file is told in `journal.format`.
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

from napari_sam.session.classes.classes import Classes, classes_to_json
from napari_sam.session.journal.entries import Patch, entry, net_effect, patches_of, to_line
from napari_sam.session.journal.files import (
    ImageReference,
    discard,
    new_path,
    remove_old_journals,
)
from napari_sam.session.journal.format import header_of
from napari_sam.session.journal.lines import AppendedLines
from napari_sam.session.objects.direction import Direction
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import RecordChange
from napari_sam.storage.folders import journals_folder

_LOGGER = logging.getLogger(__name__)

_MAX_FOUND_PX: Final = 2**26
"""Objects that were there before are noted if their boxes together are no larger: under 1 s."""
_MAX_WAITING_BYTES: Final = 2**26
"""What a full disk refuses is kept in memory up to here."""
_RETRY_S: Final = 10.0
"""How often a disk is tried for which too much waited."""
_PROBE: Final = bytes(2**20)
_PREPARED_WITHIN_S: Final = 10.0

_Noted = tuple[Direction, Sequence[Patch], Sequence[RecordChange]]


class Journal:
    """Writes down what becomes of some labels; may be told on any thread.

    The file is begun with the first edit or stroke. Nothing here raises for a disk that is full or
    may not be written: what could not be written is tried again with the next edit. If very much
    waits for it, that is given up, and another file begun as soon as there is room; so it is if
    the file is lost, as where somebody empties the folder.
    """

    troubled = Signal(str)
    """Sent on the thread of the edit if edits cannot be written down; once until they can."""

    def __init__(
        self, reference: ImageReference, labels: Labels, folder: Path | None = None
    ) -> None:
        self._reference, self._labels = reference, labels
        self._book = labels.book  # asking for it may not be done on any thread
        self._folder = journals_folder() if folder is None else folder
        self._lines = AppendedLines()
        self._classes: Classes = ()
        self._written_classes: Classes = ()
        self._written_name = ""
        self._label_ids: set[int] = set()
        self._held: list[_Noted] | None = None
        self._lock, self._prepared = threading.Lock(), threading.Event()
        self._has_begun = self._is_troubled = self._is_saved = self._has_gap = False
        self._next_try_s = 0.0

    @classmethod
    def resume(
        cls,
        path: Path,
        sound_bytes: int,
        reference: ImageReference,
        labels: Labels,
        classes: Classes = (),
    ) -> Journal:
        """Go on with a journal that was replayed into these labels."""
        journal = cls(reference, labels, path.parent)
        journal._lines, journal._has_begun = AppendedLines(path, sound_bytes), True
        journal._label_ids = {record.label_id for record in labels.book}
        journal._classes = journal._written_classes = classes
        return journal

    @property
    def path(self) -> Path | None:
        """Its file, once there is one."""
        return self._lines.path

    def hold(self) -> None:
        """Have edits wait in memory until `prepare` is done, rather than do what it does."""
        with self._lock:
            if not self._has_begun and self._held is None:
                self._held = []

    def prepare(self) -> None:
        """Note the objects that are in the labels already, which would hold up the first edit.

        For a thread in the background: no edit waits for it. The file is begun with the first
        edit all the same. A pixel that an edit changes meanwhile may be noted as it is only
        afterwards; the edit's own entry, which follows, says the same of it or what came next.
        """
        self.hold()
        found: list[_Noted] = []
        try:
            if self._held is not None:
                found = self._found()
        finally:
            self._release(found)

    def record(self, edit: LabelsEdit, direction: Direction) -> None:
        """Write down an edit that was just written, taken back or written again."""
        changes = edit.changes
        if direction is Direction.UNDONE:
            changes = tuple(change.inverse for change in reversed(changes))
        with self._lock:
            patches = [
                Patch.of(self._labels.read(block.mask.region), block.mask.start, block.mask)
                for stroke in edit.strokes
                for block in stroke.blocks
            ]
            self._note(direction, patches, changes)

    def record_paint(self, masks: Iterable[PackedMask], changes: Sequence[RecordChange]) -> None:
        """Write down pixels that the user has painted, and what became of the records."""
        with self._lock:
            patches = [
                Patch.of(
                    self._labels.read(mask.region),
                    mask.start,
                    None if mask.area_px == prod(mask.shape) else mask,
                )
                for mask in masks
            ]
            self._note(Direction.PAINTED, patches, changes)

    def note_classes(self, classes: Classes) -> None:
        """Write down which classes there are, in their order and with their colours."""
        with self._lock:
            if classes != self._classes:
                self._classes = classes
                # Where all objects are in a file of the user's, nothing is to be offered.
                if self._has_begun and not self._is_saved and self._goes_on():
                    if self._classes != self._written_classes:
                        self._append_classes()
                    if self.path is not None:
                        self._write()

    def note_saved(self) -> None:
        """Note that everything is in a file of the user's: it is not offered to be restored."""
        with self._lock:
            if self.path is not None or self._held:
                self._note(Direction.SAVED, (), ())

    def close(self) -> None:
        """Note that the program is closed; without an object to bring back the file is removed."""
        if self._held and not self._prepared.wait(_PREPARED_WITHIN_S):
            self._release([])
        with self._lock:
            if self._label_ids and (self.path is not None or self._has_gap):
                if not self._is_saved:
                    self._note(Direction.CLOSED, (), ())
            else:
                if self.path is not None:
                    discard(self.path)
                # An edit that is still being written in the background begins another.
                self._lines, self._has_begun, self._has_gap = AppendedLines(), False, False

    def _note(
        self, direction: Direction, patches: Sequence[Patch], changes: Sequence[RecordChange]
    ) -> None:
        if self._held is not None:
            self._held.append((direction, patches, changes))
            return
        if not self._goes_on():
            return
        if not self._has_begun:
            self._begin(self._found())
        self._append(direction, patches, changes)
        self._write()

    def _release(self, found: Sequence[_Noted]) -> None:
        """Put down what was found, and what was held since then."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None:
                self._begin(found)
                for noted in held:
                    self._append(*noted)
                if held:
                    self._write()
        self._prepared.set()

    def _found(self) -> list[_Noted]:
        """Return the objects that are in the labels already, as they are now."""
        records = list(self._book)
        if sum(prod(record.shape) for record in records) > _MAX_FOUND_PX:
            self.troubled.emit(
                f"The {len(records)} objects that the target has already are too large for the "
                "journal: save the layer, so that they are not lost in a crash."
            )
            return []
        return [
            (Direction.FOUND, patches_of(self._labels, record), (RecordChange(None, record),))
            for record in records
        ]

    def _begin(self, found: Sequence[_Noted]) -> None:
        """Put down the header, the classes, and the objects that are in the labels already."""
        self._has_begun = True
        header = header_of(self._reference, self._labels)
        self._written_name = header["labels"]["name"]
        self._lines.add(to_line(header))
        try:
            remove_old_journals(self._folder)
        except Exception as error:  # what others have left is no reason to write nothing down
            _LOGGER.warning("Old journals could not be removed", exc_info=error)
        if self._classes:
            self._append_classes()
        for noted in found:
            self._append(*noted)

    def _goes_on(self) -> bool:
        """Whether the file has all that there was; another one is begun if it has not."""
        if self._lines.is_lost:
            self._lines, self._has_gap = AppendedLines(), True
        return not self._has_gap or self._begin_anew()

    def _begin_anew(self) -> bool:
        """Begin another file, with everything as it is now, if there is room again."""
        if time.monotonic() < self._next_try_s:
            return False
        self._next_try_s = time.monotonic() + _RETRY_S
        path, before = new_path(self._reference, self._folder), self.path
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_PROBE)
        except OSError as error:
            discard(path)
            self._complain(error)
            return False
        self._lines, self._has_gap = AppendedLines(path), False
        self._label_ids.clear()
        found = self._found()
        self._begin(found)
        if before is not None and (found or not self._book):
            discard(before)
        return True

    def _append(
        self, direction: Direction, patches: Iterable[Patch], changes: Iterable[RecordChange]
    ) -> None:
        if self._is_saved and self._classes != self._written_classes:
            self._append_classes()
        effect = net_effect(changes)
        gone = [label_id for label_id, record in effect.items() if record is None]
        self._label_ids.update(effect)
        self._label_ids.difference_update(gone)
        records = (record for record in effect.values() if record is not None)
        content = entry(direction, patches, records, gone, len(self._label_ids))
        name = self._labels.name
        if name not in ("", self._written_name):
            content["labels_name"] = self._written_name = name
        self._lines.add(to_line(content))
        self._is_saved = direction is Direction.SAVED

    def _append_classes(self) -> None:
        content = entry(Direction.CLASSES, (), (), (), len(self._label_ids))
        self._lines.add(to_line({**content, "classes": classes_to_json(self._classes)}))
        self._written_classes = self._classes

    def _write(self) -> None:
        """Hand everything that is pending to the operating system."""
        try:
            if self.path is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lines.path = new_path(self._reference, self._folder)
            self._lines.write()
            self._is_troubled = False
        except OSError as error:
            if self._lines.waiting_bytes > _MAX_WAITING_BYTES:
                # What follows would be of no use without it: as soon as it can, all is noted again.
                self._lines.clear()
                self._has_gap = True
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._is_troubled:
            self._is_troubled = True
            self.troubled.emit(
                f"What you accept cannot be written down in {self._folder}, and would be lost "
                f"in a crash: save the labels now and then. ({error})"
            )
