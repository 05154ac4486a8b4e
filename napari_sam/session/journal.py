"""The journal of a target: every edit of its labels on disk as it is made, so that none is lost.

A journal is one file of JSON lines, in UTF-8, only ever appended to; one per target and program,
in the folder of `journals_folder`. Each line is an object whose last key, `crc`, is the CRC-32 of
all that precedes it in the line, so that a line torn by a crash, or damaged, is told from a sound
one. Each has `at`, the seconds since the epoch.

The first line, the header, has `format` (1), `image` (an `ImageReference`) and `labels` (`shape`
and `dtype`). Each other line is an entry:

- `direction`: a `Direction`, that is how it came about;
- `patches`: the pixels *as they are afterwards*, so that an entry means the same whatever was
  before. Each is `[start, shape, mask, values]`: a box in the labels; which of its pixels, null
  for all; their labels. `mask` is base64 of zlib of the box's bits (C order, most significant
  first), `values` one integer or base64 of zlib of one integer per pixel, in the labels' type,
  little-endian;
- `records`: the object records that are new or changed. What is not there is None, False or
  empty; `masks` has `[start, shape, area_px, mask]` each;
- `gone`: the label_ids whose records are no longer there;
- `n_objects`: how many objects there are afterwards.

The last entry of a program that was closed, rather than killed, is one of direction `closed`, or
`saved` if all objects are in a file of the person's. Neither changes anything.

Files are named by image, by when they were begun, and by the program that writes to them:
`<key>.<time>.<host>-<pid>-<start>.sam-journal.jsonl`. A program that goes on with a journal
renames it first. Every line is handed to the operating system at once: a killed program loses
nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from psygnal import Signal

from napari_sam.session.edits import LabelsEdit
from napari_sam.session.journal_entries import (
    Direction,
    Patch,
    entry,
    net_effect,
    patches_of,
    to_line,
)
from napari_sam.session.journal_files import (
    ImageReference,
    discard,
    journals_folder,
    new_path,
    remove_old_journals,
)
from napari_sam.session.labels import Labels
from napari_sam.session.objects import RecordChange
from napari_sam.session.packed import PackedMask

_LOGGER = logging.getLogger(__name__)

FORMAT: Final = 1
"""The version of the format that is written."""

_MAX_FOUND_PX: Final = 2**26
"""Objects that were there before are noted if their boxes together are no larger: under 1 s."""


class Journal:
    """Writes down what becomes of some labels; may be told on any thread.

    The file is begun with the first edit or stroke. Nothing here raises for a disk that is full or
    may not be written: what could not be written is tried again with the next edit.

    Parameters
    ----------
    reference : ImageReference
        The image that the labels are of.
    labels : Labels
        The labels.
    folder : Path, optional
        `journals_folder` by default.
    """

    troubled = Signal(str)
    """Sent once, on the thread of the edit, if edits cannot be written down."""

    def __init__(
        self, reference: ImageReference, labels: Labels, folder: Path | None = None
    ) -> None:
        self.path: Path | None = None
        """Its file, once there is one."""
        self._reference, self._labels = reference, labels
        self._book = labels.book  # asking for it may not be done on any thread
        self._folder = journals_folder() if folder is None else folder
        self._label_ids: set[int] = set()
        self._pending: list[bytes] = []
        self._sound_bytes = 0
        self._lock = threading.Lock()
        self._has_begun = self._is_troubled = self._is_saved = False

    @classmethod
    def resume(
        cls, path: Path, sound_bytes: int, reference: ImageReference, labels: Labels
    ) -> Journal:
        """Go on with a journal that was replayed into these labels.

        Parameters
        ----------
        path : Path
            Its file, as `claim` has named it.
        sound_bytes : int
            How much of it could be read; the rest is cut off with the next edit.
        reference : ImageReference
            The image that the labels are of.
        labels : Labels
            The labels.
        """
        journal = cls(reference, labels, path.parent)
        journal.path, journal._sound_bytes, journal._has_begun = path, sound_bytes, True
        journal._label_ids = {record.label_id for record in labels.book}
        return journal

    def prepare(self) -> None:
        """Note the objects that are in the labels already, which would hold up the first edit.

        For a thread in the background; the file is begun with the first edit all the same.
        """
        with self._lock:
            self._begin()

    def record(self, edit: LabelsEdit, direction: Direction) -> None:
        """Write down an edit that was just written, taken back or written again."""
        changes = edit.changes
        if direction is Direction.UNDONE:
            changes = tuple(change.inverse for change in reversed(changes))
        with self._lock:
            self._begin()
            patches = [
                Patch.of(self._labels.read(block.mask.region), block.mask.start, block.mask)
                for stroke in edit.strokes
                for block in stroke.blocks
            ]
            self._append(direction, patches, changes)
            self._write()

    def record_paint(self, masks: Iterable[PackedMask], changes: Sequence[RecordChange]) -> None:
        """Write down pixels that the person has painted, and what became of the records."""
        with self._lock:
            self._begin()
            patches = [
                Patch.of(
                    self._labels.read(mask.region),
                    mask.start,
                    None if mask.area_px == prod(mask.shape) else mask,
                )
                for mask in masks
            ]
            self._append(Direction.PAINTED, patches, changes)
            self._write()

    def note_saved(self) -> None:
        """Note that everything is in a file of the person's: it is not offered to be restored."""
        with self._lock:
            if self.path is not None:
                self._append(Direction.SAVED, (), ())
                self._write()

    def close(self) -> None:
        """Note that the program is closed; without an object to bring back the file is removed."""
        with self._lock:
            if self._label_ids and self.path is not None:
                if not self._is_saved:
                    self._append(Direction.CLOSED, (), ())
                    self._write()
            else:
                if self.path is not None:
                    discard(self.path)
                # An edit that is still being written in the background begins another.
                self.path, self._sound_bytes, self._has_begun = None, 0, False
                self._pending.clear()

    def _begin(self) -> None:
        """Put down the header, and the objects that are in the labels already."""
        if self._has_begun:
            return
        self._has_begun = True
        labels = {"shape": list(self._labels.shape), "dtype": str(self._labels.dtype)}
        header = {"format": FORMAT, "image": asdict(self._reference), "labels": labels}
        self._pending.append(to_line({**header, "at": time.time()}))
        try:
            remove_old_journals(self._folder)
        except Exception as error:  # what others have left is no reason to write nothing down
            _LOGGER.warning("Old journals could not be removed", exc_info=error)
        records = list(self._book)
        if sum(float(np.prod(record.shape)) for record in records) > _MAX_FOUND_PX:
            self._complain(
                f"The {len(records)} objects that the target has already are too large for the "
                "journal: save the layer, so that they are not lost in a crash."
            )
            return
        for record in records:
            found = patches_of(self._labels, record)
            self._append(Direction.FOUND, found, (RecordChange(None, record),))

    def _append(
        self, direction: Direction, patches: Iterable[Patch], changes: Iterable[RecordChange]
    ) -> None:
        effect = net_effect(changes)
        gone = [label_id for label_id, record in effect.items() if record is None]
        self._label_ids.update(effect)
        self._label_ids.difference_update(gone)
        records = (record for record in effect.values() if record is not None)
        content = entry(direction, patches, records, gone, len(self._label_ids))
        self._pending.append(to_line(content))
        self._is_saved = direction is Direction.SAVED

    def _write(self) -> None:
        """Hand everything that is pending to the operating system."""
        try:
            if self.path is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self.path = new_path(self._reference, self._folder)
            with self.path.open("r+b" if self._sound_bytes else "wb", buffering=0) as file:
                # A line that a full disk has torn, or a crash, must not lie between sound ones.
                file.truncate(self._sound_bytes)
                file.seek(self._sound_bytes)
                while self._pending:
                    line = memoryview(self._pending[0])
                    while line:
                        line = line[file.write(line) :]
                    self._sound_bytes += len(self._pending.pop(0))
        except OSError as error:
            self._complain(
                f"What you accept cannot be written down in {self._folder}, and would be lost in "
                f"a crash: save the labels now and then. ({error})"
            )

    def _complain(self, message: str) -> None:
        if not self._is_troubled:
            self._is_troubled = True
            self.troubled.emit(message)
