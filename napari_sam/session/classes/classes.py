"""The classes of objects: names and colours in an order, and the one that new objects get."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from psygnal import Signal

from napari_sam.storage.text import single_line

# Told apart also with the common colour-blindnesses (Okabe and Ito 2008, without black), then by
# lightness.
PALETTE: Final = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#9b7fe8", "#a6761d", "#b8e0d2", "#ff9da7", "#7f7f7f"),
)
_COLOR: Final = re.compile(r"#[0-9a-f]{6}")
_HALF: Final = re.compile(r"[\ud800-\udfff]")
"""Half a character, which JSON can name although no text can have it."""


class ClassError(ValueError):
    """A class cannot be called or coloured so, or a file names none; the message says why."""


@dataclass(frozen=True)
class ObjectClass:
    """A class of objects.

    Parameters
    ----------
    name : str
        In any script, as `single_line` returns it.
    color : str
        "#rrggbb".

    Raises
    ------
    ClassError
        If one of them is not like that.
    """

    name: str
    color: str

    def __post_init__(self) -> None:
        # The text formats that objects are exported to keep a name on one line.
        if not is_text(self.name):
            msg = (
                f"A class cannot be called {self.name!r}: it contains an invalid Unicode character."
            )
            raise ClassError(msg)
        if not self.name or self.name != single_line(self.name):
            msg = f"A class cannot be called {self.name!r}: use one line without blanks around it."
            raise ClassError(msg)
        object.__setattr__(self, "color", self.color.lower())
        if not _COLOR.fullmatch(self.color):
            msg = f"The colour of {self.name} must be like #e69f00, not {self.color!r}."
            raise ClassError(msg)


def is_text(text: str) -> bool:
    """Whether no half of a character is in a text: nothing could write that to a file."""
    return not _HALF.search(text)


Classes = tuple[ObjectClass, ...]
Rename = tuple[str, str]
"""The old and the new name of a class."""


def with_class(classes: Classes, name: str, color: str | None = None) -> Classes:
    """Return the classes with one more at the end, in a colour of the palette if none is given."""
    return with_classes(classes, [(name, color)])


def with_classes(classes: Classes, added: Iterable[tuple[str, str | None]]) -> Classes:
    """Return the classes with more at the end."""
    known, used = {one.name for one in classes}, Counter(one.color for one in classes)
    more: list[ObjectClass] = []
    for name, color in added:
        if name in known:
            msg = f"There is a class {name} already: choose another name."
            raise ClassError(msg)
        one = ObjectClass(name, color or min(PALETTE, key=used.__getitem__))
        known.add(name)
        used[one.color] += 1
        more.append(one)
    return (*classes, *more)


def renamed(classes: Classes, old: str, new: str) -> Classes:
    """Return the classes, one of them with another name."""
    if old != new and any(one.name == new for one in classes):
        msg = f"There is a class {new} already: choose another name."
        raise ClassError(msg)
    return tuple(replace(one, name=new) if one.name == old else one for one in classes)


def recolored(classes: Classes, name: str, color: str) -> Classes:
    """Return the classes, one of them in another colour."""
    return tuple(replace(one, color=color) if one.name == name else one for one in classes)


def classes_to_json(classes: Iterable[ObjectClass]) -> list[dict[str, str]]:
    """Return classes as JSON knows them: ``[{"name": ..., "color": "#rrggbb"}, ...]``."""
    return [{"name": one.name, "color": one.color} for one in classes]


def classes_from_json(content: Any) -> Classes:
    """Return what `classes_to_json` made; entries may also be mere names, or have no colour."""
    if not isinstance(content, list):
        msg = "These are no classes: a list of names, or of names with colours, is needed."
        raise ClassError(msg)
    return with_classes((), map(_name_and_color, content))


def _name_and_color(entry: Any) -> tuple[str, str | None]:
    """Return what a file says of one class."""
    given = entry if isinstance(entry, dict) else {"name": entry}
    name, color = given.get("name"), given.get("color")
    # Nothing else is made a text: with references, a short YAML file holds lists without an end.
    if name is None or isinstance(name, (dict, list)):
        msg = "A class needs a name, and there is one without."
        raise ClassError(msg)
    return str(name).strip(), _hex_color(color)


def _hex_color(color: Any) -> str | None:
    """Return a colour as "#rrggbb", which COCO gives as three numbers."""
    if isinstance(color, list) and [type(value) for value in color] == [int] * 3:
        return "#" + "".join(f"{value & 255:02x}" for value in color)
    if color and not isinstance(color, str):
        msg = "A colour must be like #e69f00, or three whole numbers."
        raise ClassError(msg)
    return color or None


@dataclass(frozen=True)
class ClassStep:
    """What the user did to the classes, so that it can be taken back."""

    before: Classes  # all classes that there were then
    after: Classes  # all classes that there were then
    renamed: Rename | None = None  # the old and the new name of a class that it is about

    @property
    def inverse(self) -> ClassStep:
        """The step that takes this one back."""
        back = None if self.renamed is None else (self.renamed[1], self.renamed[0])
        return ClassStep(self.after, self.before, back)

    def apply(self, table: ClassTable) -> None:
        """Do it; classes that objects from elsewhere have brought since then stay, at the end."""
        known = {one.name for one in (*self.before, *self.after)}
        since = (one for one in table.classes if one.name not in known)
        table.replace_all((*self.after, *since), self.renamed)


class ClassTable:
    """The classes of a session, in the order of their numbers, and the current one."""

    changed = Signal()
    """There are other classes, or another one is the current one."""

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
        if name is not None and all(one.name != name for one in self._classes):
            msg = f"There is no class {name}: add it first."
            raise ClassError(msg)
        if name != self._current:
            self._current = name
            self.changed.emit()

    def replace_all(self, classes: Classes, renamed: Rename | None = None) -> None:
        """Have other classes; the current one stays, if it is there, maybe with its new name."""
        before, self._classes = self._classes, tuple(classes)
        if renamed is not None and self._current == renamed[0]:
            self._current = renamed[1]
        if all(one.name != self._current for one in self._classes):
            self._current = None
        if before != self._classes:
            self.changed.emit()

    def ensure(self, classes: Iterable[ObjectClass | str | None]) -> None:
        """Have at least these classes: those that are missing come at the end."""
        known = {one.name for one in self._classes}
        missing: dict[str, str | None] = {}
        for one in classes:
            given = one.name if isinstance(one, ObjectClass) else one or ""
            name = single_line(given)
            if name and name not in known:
                missing.setdefault(name, one.color if isinstance(one, ObjectClass) else None)
        self.replace_all(with_classes(self._classes, missing.items()))
