"""Classes of objects: a name in any script, and a color."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from napari_sam.formats.files import FileError
from napari_sam.storage.text import single_line

# Distinguishable with the common kinds of color blindness, from each other and from the yellow of
# candidates, light blue and gray of objects without a class: begun after Okabe and Ito (2008), then
# each the farthest from those before, as a search over colors that show on dark images found.
PALETTE: Final = (
    *("#d55e00", "#9b7fe8", "#009e73", "#0072b2", "#ee9900", "#aa1133", "#66ffee"),
    *("#ffccaa", "#006666", "#ff5577", "#cc0088", "#ffbbcc"),
)
_COLOR: Final = re.compile(r"#[0-9a-f]{6}")


class ClassError(FileError):
    """A class has an invalid name or color, or a file names none; the message says why."""


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
        If the name or the color is invalid.

    Examples
    --------
    >>> ObjectClass("nucleus", "#E69F00").color_rgb, ObjectClass.from_rgb("debris", (1, 2, 3))
    ((230, 159, 0), ObjectClass(name='debris', color='#010203'))
    """

    name: str
    color: str

    def __post_init__(self) -> None:
        # The text formats keep a name on one line and do not keep the blanks around it.
        if not self.name or self.name != single_line(self.name):
            raise ClassError(
                f"{self.name!r} is not a class name: use one line of valid characters, no blanks "
                "at its ends."
            )
        object.__setattr__(self, "color", self.color.lower())
        if not _COLOR.fullmatch(self.color):
            raise ClassError(f"The color of {self.name} must be like #e69f00, not {self.color!r}.")

    @classmethod
    def from_rgb(cls, name: str, color_rgb: Iterable[int]) -> ObjectClass:
        """Return a class whose color is given as red, green and blue, 0 to 255.

        Raises
        ------
        ClassError
            If the name or the color is invalid.
        """
        red_green_blue = tuple(color_rgb)
        if len(red_green_blue) != 3 or not all(0 <= value <= 255 for value in red_green_blue):
            msg = f"The color of {name} must be three numbers 0 to 255, not {red_green_blue}."
            raise ClassError(msg)
        return cls(name, "#" + bytes(map(int, red_green_blue)).hex())

    @property
    def color_rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


def classes_to_metadata(classes: Iterable[ObjectClass]) -> list[dict[str, Any]]:
    """Return classes as the metadata of label images and ``.npz`` files has them."""
    return [
        {"name": object_class.name, "color_rgb": object_class.color_rgb} for object_class in classes
    ]


def classes_from_metadata(entries: Iterable[Any]) -> list[ObjectClass]:
    """Return classes from the entries that `classes_to_metadata` makes, if they have names."""
    classes: dict[str, ObjectClass] = {}
    for position, entry in enumerate(entries):
        details = entry if isinstance(entry, dict) else {}
        name = class_named(details.get("name"))
        if name is not None:
            color = color_for(details.get("color_rgb"), position)
            classes.setdefault(name, ObjectClass(name, color))
    return list(classes.values())


def color_in(value: Any) -> str | None:
    """Return the color, "#rrggbb", that a value of a file means; None if it means none.

    Examples
    --------
    >>> color_in("#E69F00"), color_in([1, 2, 3.0]), color_in(-3670006), color_in("red")
    ('#e69f00', '#010203', '#c8000a', None)
    """
    if isinstance(value, int) and not isinstance(value, bool):  # packed, as QuPath once did
        return f"#{value & 0xFFFFFF:06x}"
    if isinstance(value, str):
        color = value.strip().lower()[:7]  # without opacity
        return color if _COLOR.fullmatch(color) else None
    try:
        red_green_blue = [float(part) for part in value][:3]
        return ObjectClass.from_rgb("class", map(round, red_green_blue)).color
    except (OverflowError, TypeError, ValueError):
        return None


def color_for(value: Any, position: int) -> str:
    """Return the color that a value of a file means, or that of the palette at a position."""
    return color_in(value) or PALETTE[position % len(PALETTE)]


def class_named(text: Any) -> str | None:
    r"""Return the name of a class as another program's file gives it; None if it gives none.

    Examples
    --------
    >>> class_named(" cell\n"), class_named("mitotic\ncell"), class_named(" "), class_named(None)
    ('cell', 'mitotic cell', None, None)
    """
    return None if text is None or isinstance(text, dict | list) else single_line(str(text)) or None


def classes_of(
    names: Iterable[str], classes: Iterable[ObjectClass] = ()
) -> tuple[ObjectClass, ...]:
    """Complete a list of classes.

    Parameters
    ----------
    names : iterable of str
        Names that occur, with repetitions.
    classes : iterable of ObjectClass
        The classes that are given already.

    Returns
    -------
    tuple of ObjectClass
        `classes`, then one for each other name in the order in which they first occur, with
        colors of the palette.
    """
    completed = list(classes)
    given = {object_class.name for object_class in completed}
    for name in dict.fromkeys(names):
        if name not in given:
            completed.append(ObjectClass(name, PALETTE[len(completed) % len(PALETTE)]))
    return tuple(completed)
