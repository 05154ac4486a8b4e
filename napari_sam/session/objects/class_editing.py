"""What the user does to the classes of a session: each step can be undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_sam.session.classes.classes import (
    Classes,
    ClassStep,
    ClassTable,
    ObjectClass,
    recolored,
    renamed,
    with_class,
)
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.notifier import Notifier
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.records import ObjectRecord, RecordChange


class ClassEditing:
    """Adds, renames, recolours and removes classes, and updates the objects of the target."""

    def __init__(self, editing: Editing, decoding: Decoding, notifier: Notifier) -> None:
        self._editing, self._decoding, self._notifier = editing, decoding, notifier

    @property
    def table(self) -> ClassTable:
        """The classes and the current one."""
        return self._editing.classes

    def choose(self, name: str | None) -> None:
        """Choose the class of the next accepted objects; no step to be undone."""
        self.table.choose(name)

    def add(self, name: str, color: str | None = None) -> None:
        """Add a class at the end, and make it the current one."""
        self._change(with_class(self.table.classes, name, color))
        self.table.choose(name)

    def rename(self, old: str, new: str) -> None:
        """Give a class another name, and with it all its objects in the target."""
        if new != old:
            self._change(renamed(self.table.classes, old, new), old, new)

    def recolor(self, name: str, color: str) -> None:
        """Give a class another colour, "#rrggbb"."""
        self._change(recolored(self.table.classes, name, color))

    def remove(self, name: str) -> None:
        """Remove a class: its objects in the target stay, without a class."""
        left = tuple(one for one in self.table.classes if one.name != name)
        self._change(left, name, None)

    def load(self, classes: Classes) -> None:
        """Go on with classes from elsewhere, in their order and colours.

        Those of the classes before that objects of the target have follow at the end.
        """
        names = {one.name for one in classes}
        used = {record.class_name for record in self._records()}
        kept = [one for one in self.table.classes if one.name in used - names]
        self._change((*classes, *kept))

    def ensure(self, classes: Iterable[ObjectClass | str | None]) -> None:
        """Have at least these classes, which objects have already; no step to be undone."""
        self.table.ensure(classes)

    def _records(self) -> Iterable[ObjectRecord]:
        target = self._editing.target
        return () if target is None else target.labels.book

    def _change(self, classes: Classes, old: str | None = None, new: str | None = None) -> None:
        """Have these classes, and objects of one class be of another or of none."""
        records = [record for record in self._records() if old and record.class_name == old]
        changes = [RecordChange(one, replace(one, class_name=new)) for one in records]
        if changes or classes != self.table.classes:
            step = ClassStep(self.table.classes, classes, (old, new) if old and new else None)
            self._editing.change_classes(step, changes, self._decoding.state)
            self._tell_of_others(old)

    def _tell_of_others(self, name: str | None) -> None:
        """Say that objects of other targets still have a class: it comes back with them."""
        books = (labels.book for labels in self._editing.other_labels if name)
        count = sum(record.class_name == name for book in books for record in book)
        if count:
            objects = "1 object" if count == 1 else f"{count} objects"
            self._notifier.warn(
                f"{objects} in other label layers still of class {name}: choose each of these "
                "layers as the target, and give its objects another class."
            )
