"""Edits of the classes by the user; each can be undone."""

from collections.abc import Iterable

from napari_sam.session.background import Notifier
from napari_sam.session.classes.classes import Classes, ClassStep, recolored, renamed, with_classes
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.records import ObjectRecord, counted


class ClassEditing:
    """Adds, renames, recolors and removes classes, and updates the objects of the target."""

    def __init__(self, editing: Editing, notifier: Notifier) -> None:
        self._editing, self._notifier = editing, notifier
        self.table = editing.classes
        """The classes and the current one; no mere choice and nothing objects bring is undone."""

    def add(self, name: str, color: str | None = None) -> None:
        """Add a class at the end, and make it the current one."""
        classes = with_classes(self.table.classes, [(name, color)])
        self._change(classes, chosen=(self.table.current, name))

    def rename(self, old: str, new: str) -> None:
        """Rename a class, also on its objects in the target."""
        if new != old:
            self._change(renamed(self.table.classes, old, new), old, new)

    def recolor(self, name: str, color: str) -> None:
        """Give a class another color, "#rrggbb"."""
        self._change(recolored(self.table.classes, name, color))

    def remove(self, name: str) -> None:
        """Remove a class; its objects in the target are kept, without a class."""
        remaining = tuple(entry for entry in self.table.classes if entry.name != name)
        chosen = (name if self.table.current == name else None), None
        self._change(remaining, name, None, chosen)

    def load(self, classes: Classes) -> None:
        """Replace the classes by others, in their order and colors.

        Those that objects of the target have are kept, at the end.
        """
        names = {loaded.name for loaded in classes}
        used = {record.class_name for record in self._records()}
        kept = [entry for entry in self.table.classes if entry.name in used - names]
        self._change((*classes, *kept))

    def _records(self) -> Iterable[ObjectRecord]:
        target = self._editing.target
        return () if target is None else target.labels.registry

    def _change(
        self,
        classes: Classes,
        old: str | None = None,
        new: str | None = None,
        chosen: tuple[str | None, str | None] = (None, None),
    ) -> None:
        """Replace the classes, and move the objects of one class to another or to none."""
        records = [record for record in self._records() if old and record.class_name == old]
        if records or classes != self.table.classes:
            rename = (old, new) if old and new else None
            step = ClassStep(self.table.classes, classes, rename, chosen)
            self._editing.change_classes(step, records, new)
            self._warn_of_other_targets(old)

    def _warn_of_other_targets(self, name: str | None) -> None:
        """Warn of objects in other targets that still have a class: it comes back with them."""
        registries = (labels.registry for labels in self._editing.other_labels if name)
        n_objects = sum(record.class_name == name for objects in registries for record in objects)
        if n_objects:
            have = "has" if n_objects == 1 else "have"
            self._notifier.warn(
                f"{counted(n_objects)} in other layers still {have} the class {name}: make those "
                "the target to change it."
            )
