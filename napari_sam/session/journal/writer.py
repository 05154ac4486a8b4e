"""The lines of a journal, one for each entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_sam.session.classes.classes import Classes, classes_to_json
from napari_sam.session.journal.entries import Patch, entry, net_effect, to_line
from napari_sam.session.journal.files import ImageReference
from napari_sam.session.journal.format import header_of
from napari_sam.session.journal.lines import AppendedLines
from napari_sam.session.objects.direction import Direction
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.records import RecordChange

Entry = tuple[Direction, Sequence[Patch], Sequence[RecordChange]]
"""What was done, the pixels afterwards, and the changes of the records."""


class EntryWriter:
    """Appends entries to the lines of a journal, and knows what these say so far."""

    def __init__(self, reference: ImageReference, labels: Labels) -> None:
        self._reference, self._labels = reference, labels
        self.lines = AppendedLines()
        self._classes: Classes = ()
        self._written_classes: Classes = ()
        self._written_name = ""
        self._label_ids: set[int] = set()
        self.is_saved = False
        """Whether all objects were in a file of the user's with the last entry."""

    def resume(self, path: Path, sound_bytes: int, classes: Classes) -> None:
        """Continue a journal that was replayed into the labels."""
        self.lines = AppendedLines(path, sound_bytes)
        self._label_ids = {record.label_id for record in self._labels.registry}
        self._classes = self._written_classes = classes

    def use_file(self, path: Path | None) -> None:
        """Write to another file, or to none yet."""
        self.lines = AppendedLines(path)

    def set_classes(self, classes: Classes) -> bool:
        """Set the classes; return whether they are other ones than before."""
        former, self._classes = self._classes, classes
        return classes != former

    @property
    def has_objects(self) -> bool:
        """Whether there is an object to be restored."""
        return bool(self._label_ids)

    @property
    def has_new_classes(self) -> bool:
        """Whether the classes are other ones than the last that were written."""
        return self._classes != self._written_classes

    def begin(self, entries: Iterable[Entry]) -> None:
        """Append the header, the classes, and entries for the objects that exist already."""
        header = header_of(self._reference, self._labels)
        self._written_name = header["labels"]["name"]
        self._label_ids.clear()
        self.lines.add(to_line(header))
        if self._classes:
            self.append_classes()
        for found in entries:
            self.append(*found)

    def append(
        self, direction: Direction, patches: Iterable[Patch], changes: Iterable[RecordChange]
    ) -> None:
        """Append an entry."""
        if self.is_saved and self.has_new_classes:
            self.append_classes()
        effect = net_effect(changes)
        gone = [label_id for label_id, record in effect.items() if record is None]
        self._label_ids.update(effect)
        self._label_ids.difference_update(gone)
        records = (record for record in effect.values() if record is not None)
        content = entry(direction, patches, records, gone, len(self._label_ids))
        name = self._labels.name
        if name not in ("", self._written_name):
            content["labels_name"] = self._written_name = name
        self.lines.add(to_line(content))
        self.is_saved = direction is Direction.SAVED

    def append_classes(self) -> None:
        """Append an entry with the classes."""
        content = entry(Direction.CLASSES, (), (), (), len(self._label_ids))
        self.lines.add(to_line({**content, "classes": classes_to_json(self._classes)}))
        self._written_classes = self._classes
