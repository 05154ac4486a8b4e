"""The classes of a session: their order, and the current one, which new objects get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal

from napari_sam.formats.classes import PALETTE, ClassError, ObjectClass
from napari_sam.formats.left_out import LeftOut
from napari_sam.storage.text import single_line

Classes = tuple[ObjectClass, ...]
Rename = tuple[str, str]
"""The old and the new name of a class."""


def with_classes(classes: Classes, added: Iterable[tuple[str, str | None]]) -> Classes:
    """Return the classes with others at the end: names, with colors or None for the palette's."""
    names = {entry.name for entry in classes}
    n_used = Counter(entry.color for entry in classes)
    new_classes: list[ObjectClass] = []
    for name, color in added:
        if name in names:
            raise _name_taken(name)
        new_class = ObjectClass(name, color or min(PALETTE, key=n_used.__getitem__))
        names.add(name)
        n_used[new_class.color] += 1
        new_classes.append(new_class)
    return (*classes, *new_classes)


def _name_taken(name: str) -> ClassError:
    return ClassError(f"There is already a class '{name}': choose another name.")


def renamed(classes: Classes, old: str, new: str) -> Classes:
    """Return the classes with one of them renamed."""
    if old != new and any(entry.name == new for entry in classes):
        raise _name_taken(new)
    return tuple(replace(entry, name=new) if entry.name == old else entry for entry in classes)


def recolored(classes: Classes, name: str, color: str) -> Classes:
    """Return the classes with one of them in another color."""
    return tuple(replace(entry, color=color) if entry.name == name else entry for entry in classes)


def classes_to_json(classes: Iterable[ObjectClass]) -> list[dict[str, str]]:
    """Return classes as JSON: ``[{"name": ..., "color": "#rrggbb"}, ...]``."""
    return [{"name": entry.name, "color": entry.color} for entry in classes]


def classes_from_json(content: Any, left_out: LeftOut | None = None) -> Classes:
    """Return classes from JSON; entries may also be mere names, or have no color.

    An entry that cannot be read is left out if there is something to count it in.
    """
    if not isinstance(content, list):
        msg = "This is not a list of classes: give names, with or without colors."
        raise ClassError(msg)
    if left_out is None:
        return with_classes((), map(_name_and_color, content))
    read: dict[str, str | None] = {}
    for number, entry in enumerate(content, start=1):
        with left_out.unreadable(f"class {number}"):
            name, color = _name_and_color(entry)
            if name in read:
                raise _name_taken(name)
            read[ObjectClass(name, color or PALETTE[0]).name] = color
    return with_classes((), read.items())


def _name_and_color(entry: Any) -> tuple[str, str | None]:
    """Return the name and the color of a class in a file."""
    values = entry if isinstance(entry, dict) else {"name": entry}
    name, color = values.get("name"), values.get("color")
    # Nothing else is converted to text: with references, a short YAML file has endless lists.
    if name is None or isinstance(name, (dict, list)):
        raise ClassError("It has no name.")
    return str(name).strip(), _hex_color(color)


def _hex_color(color: Any) -> str | None:
    """Return a color as "#rrggbb", which COCO gives as three numbers."""
    if isinstance(color, list) and [type(value) for value in color] == [int] * 3:
        return ObjectClass.from_rgb("a class", color).color
    if color and not isinstance(color, str):
        raise ClassError("A color must be like #e69f00, or three whole numbers from 0 to 255.")
    return color or None


@dataclass(frozen=True)
class ClassStep:
    """A change of the classes, which can be undone."""

    before: Classes  # all classes before
    after: Classes  # all classes after
    renamed: Rename | None = None  # the old and the new name of the class that it renames
    chosen: tuple[str | None, str | None] = (None, None)  # the current class before and after

    @property
    def inverse(self) -> ClassStep:
        """The step that reverts this one."""
        rename = None if self.renamed is None else (self.renamed[1], self.renamed[0])
        return ClassStep(self.after, self.before, rename, self.chosen[::-1])

    def apply(self, table: ClassTable) -> None:
        """Change the classes; those that objects have brought since are kept, at the end.

        The current class changes as well, unless the user has chosen another one since.
        """
        current = table.current
        names = {entry.name for entry in (*self.before, *self.after)}
        added_since = (entry for entry in table.classes if entry.name not in names)
        table.replace_all((*self.after, *added_since), self.renamed)
        if current == self.chosen[0]:
            table.choose(self.chosen[1])


class ClassTable:
    """The classes of a session, in the order of their numbers, and the current one."""

    changed = Signal()
    """Sent when the classes or the current one changed."""

    def __init__(self) -> None:
        self._classes: Classes = ()
        self._current: str | None = None

    @property
    def classes(self) -> Classes:
        """All classes, in the order of their numbers."""
        return self._classes

    @property
    def current(self) -> str | None:
        """The name of the class that the next accepted object gets; None: no class."""
        return self._current

    def name_of(self, number: int) -> str | None:
        """Return the name of a class by its number, from 1; None if there is none."""
        return self._classes[number - 1].name if 1 <= number <= len(self._classes) else None

    def choose(self, name: str | None) -> None:
        """Choose the class of the next accepted objects."""
        if name is not None and all(entry.name != name for entry in self._classes):
            raise ClassError(f"There is no class '{name}': add it first.")
        if name != self._current:
            self._current = name
            self.changed.emit()

    def replace_all(self, classes: Classes, renamed: Rename | None = None) -> None:
        """Replace the classes; the current one is kept if possible, maybe under its new name."""
        former, self._classes = self._classes, tuple(classes)
        if renamed is not None and self._current == renamed[0]:
            self._current = renamed[1]
        if all(entry.name != self._current for entry in self._classes):
            self._current = None
        if former != self._classes:
            self.changed.emit()

    def ensure(self, classes: Iterable[ObjectClass | str | None]) -> None:
        """Add the classes, or names of classes, that are missing, at the end."""
        names = {entry.name for entry in self._classes}
        missing: dict[str, str | None] = {}
        for entry in dict.fromkeys(classes):  # thousands of objects have few classes
            color = entry.color if isinstance(entry, ObjectClass) else None
            name = single_line(entry.name if isinstance(entry, ObjectClass) else entry or "")
            if name and name not in names:
                missing.setdefault(name, color)
        if missing:
            self.replace_all(with_classes(self._classes, missing.items()))
