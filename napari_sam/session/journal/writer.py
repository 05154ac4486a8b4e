"""The lines of a journal, one for each entry."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from napari_sam.session.classes.classes import Classes, classes_to_json
from napari_sam.session.journal.entries import FORMAT, Patch, entry, to_line
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.lines import AppendedLines
from napari_sam.session.journal.unfinished import UnfinishedObject, unfinished_to_json
from napari_sam.session.objects.edits import Direction
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.records import ObjectRecord, RecordChange, net_effect

_LONG_LINE_BYTES: Final = 2**24
"""Entries with longer lines are divided."""
_BESIDE_OBJECTS: Final = frozenset({Direction.CLASSES, Direction.UNFINISHED, Direction.CLOSED})
"""Entries that change no objects: these are still in one of the user's files, if they were."""
Entry = tuple[Direction, Sequence[Patch], Sequence[RecordChange]]
"""What was done, the pixels afterwards, and the changes of the records."""


class EntryWriter:
    """Appends entries to the lines of a journal, and knows what these say so far."""

    def __init__(self, reference: ImageReference, labels: Labels) -> None:
        self._reference, self._labels = reference, labels
        self.lines = AppendedLines()
        self.classes: Classes = ()
        self._written_classes: Classes = ()
        self._written_name = ""
        self.label_ids: set[int] = set()
        """The objects to be restored."""
        self._unfinished: tuple[UnfinishedObject, ...] = ()
        self._written_unfinished: tuple[UnfinishedObject, ...] = ()
        self._saved_unfinished: UnfinishedObject | None = None
        self.is_saved = False
        """Whether all objects were in one of the user's files with the last entry."""
        self._are_objects_saved = False  # maybe in an earlier one, with none changed since

    def resume(
        self,
        path: Path,
        sound_bytes: int,
        classes: Classes,
        unfinished: tuple[UnfinishedObject, ...] = (),
    ) -> None:
        """Continue a journal that was replayed into the labels."""
        self.lines = AppendedLines(path, sound_bytes)
        self._unfinished = self._written_unfinished = unfinished
        self.label_ids = {record.label_id for record in self._labels.registry}
        self.classes = self._written_classes = classes

    def set_classes(self, classes: Classes) -> Classes:
        """Set the classes that are to be written next; return those before."""
        former, self.classes = self.classes, classes
        return former

    def set_unfinished(self, unfinished: Iterable[UnfinishedObject]) -> None:
        """Set the objects in progress that are to be written next."""
        self._unfinished = tuple(entry.without_masks for entry in unfinished)

    @property
    def unsaved_unfinished(self) -> tuple[UnfinishedObject, ...]:
        """The objects in progress, without one that is in a file of the user's with all others."""
        saved = self._saved_unfinished if self._are_objects_saved else None
        return tuple(unfinished for unfinished in self._unfinished if unfinished != saved)

    @property
    def is_unfinished_due(self) -> bool:
        """Whether the last entry says something else of the objects in progress."""
        return self.unsaved_unfinished != self._written_unfinished

    @property
    def has_content(self) -> bool:
        """Whether there are objects, accepted or in progress."""
        return bool(self.label_ids or self.unsaved_unfinished)

    def note_saved(self, unfinished: UnfinishedObject | None) -> None:
        """Note which object in progress is in the user's file that the next entry tells of."""
        self._saved_unfinished = unfinished and unfinished.without_masks

    def follow_image(self, reference: ImageReference) -> None:
        """Name another image in the next header: the same one with more slices."""
        self._reference = reference

    def use_file(self, path: Path | None) -> None:
        """Write to another file, or to none yet."""
        self.lines = AppendedLines(path)

    def begin(self, entries: Iterable[Entry]) -> None:
        """Append the header, the classes, and entries for the objects that exist already."""
        labels = self._labels
        self._written_name = labels.name
        header = {
            "format": FORMAT,
            "image": asdict(self._reference),
            "labels": {
                "shape": list(labels.shape),
                "dtype": str(labels.dtype),
                "name": self._written_name,
            },
            "at": time.time(),
        }
        self.label_ids.clear()
        self.lines.add(to_line(header))
        self._written_classes, self._written_unfinished = (), ()
        self.append_classes()
        for content in entries:
            self.append(*content)

    def append(
        self, direction: Direction, patches: Iterable[Patch], changes: Iterable[RecordChange]
    ) -> None:
        """Append an entry; a very large one in parts, as long lines are not read."""
        patches, changes = list(patches), list(changes)
        if self.is_saved:
            self.append_classes()
        effect = net_effect(changes)
        gone = [label_id for label_id, record in effect.items() if record is None]
        self.label_ids.update(effect)
        self.label_ids.difference_update(gone)
        records = [record for record in effect.values() if record is not None]
        if direction is Direction.MADE and self._unfinished:
            self._drop_finished(records)
        if direction not in _BESIDE_OBJECTS:
            self._are_objects_saved = direction is Direction.SAVED
        content = self._entry(direction, patches, records, gone)
        name = self._labels.name
        if name not in ("", self._written_name):
            content["labels_name"] = name
        line = to_line(content)
        if len(line) > _LONG_LINE_BYTES and (len(patches) > 1 or len(changes) > 1):
            half, rest = len(patches) // 2, len(changes) // 2
            self.append(direction, patches[:half], changes[:rest])
            self.append(direction, patches[half:], changes[rest:])
            return
        self._written_name = name or self._written_name
        self._add(line, direction)

    def _drop_finished(self, records: Sequence[ObjectRecord]) -> None:
        """Drop the objects in progress that these are, as they were accepted."""
        self._unfinished = tuple(
            unfinished
            for unfinished in self._unfinished
            if not any(map(unfinished.is_finished_by, records))
        )

    def _entry(
        self,
        direction: Direction,
        patches: Iterable[Patch] = (),
        records: Iterable[ObjectRecord] = (),
        gone: Iterable[int] = (),
    ) -> dict[str, Any]:
        """Return an entry; those of existing objects say nothing of the objects in progress."""
        content = entry(direction, patches, records, gone, len(self.label_ids))
        if self._are_objects_saved:
            content["is_saved"] = True
        if self.unsaved_unfinished and direction is not Direction.FOUND:
            content["unfinished"] = list(map(unfinished_to_json, self.unsaved_unfinished))
        return content

    def _add(self, line: bytes, direction: Direction) -> None:
        self.lines.add(line)
        self.is_saved = direction is Direction.SAVED
        is_told = direction is not Direction.FOUND
        self._written_unfinished = self.unsaved_unfinished if is_told else ()

    def append_classes(self) -> None:
        """Append an entry with the classes if they are not the last that were written."""
        if self.classes != self._written_classes:
            content = self._entry(Direction.CLASSES)
            line = to_line({**content, "classes": classes_to_json(self.classes)})
            self._add(line, Direction.CLASSES)
            self._written_classes = self.classes
