"""Classes of objects: a name in any script, and a colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from napari_sam.formats.files import ExportError
from napari_sam.storage.text import single_line

# Told apart also with the common colour-blindnesses (Okabe and Ito 2008, without black).
PALETTE_RGB: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


@dataclass(frozen=True)
class ExportClass:
    """A class of objects.

    Parameters
    ----------
    name : str
        In any script, as `single_line` returns it.
    color_rgb : tuple of int
        Red, green and blue, 0 to 255.
    """

    name: str
    color_rgb: tuple[int, int, int]

    def __post_init__(self) -> None:
        # The text formats keep a name on one line and do not keep the blanks around it.
        if not self.name or self.name != single_line(self.name):
            msg = (
                f"A class cannot be named {self.name!r}: use one line of whole characters, without "
                "blanks around it."
            )
            raise ExportError(msg)
        if len(self.color_rgb) != 3 or not all(0 <= value <= 255 for value in self.color_rgb):
            msg = f"The colour of {self.name} must be three numbers 0 to 255, not {self.color_rgb}."
            raise ExportError(msg)


def class_named(text: Any) -> str | None:
    r"""Return the name of the class that somebody else's file calls so; None if it names none.

    Examples
    --------
    >>> class_named(" cell\n"), class_named("mitotic\ncell"), class_named(" "), class_named(None)
    ('cell', 'mitotic cell', None, None)
    """
    return None if text is None else single_line(str(text)) or None


def classes_of(
    names: Iterable[str], classes: Iterable[ExportClass] = ()
) -> tuple[ExportClass, ...]:
    """Complete a list of classes.

    Parameters
    ----------
    names : iterable of str
        Names that occur, with repetitions.
    classes : iterable of ExportClass
        Those known already.

    Returns
    -------
    tuple of ExportClass
        `classes`, then one for each other name in the order in which they first occur, with
        colours of the palette.
    """
    classes = tuple(classes)
    known = {one.name for one in classes}
    missing = [name for name in dict.fromkeys(names) if name not in known]
    return (
        *classes,
        *(
            ExportClass(name, PALETTE_RGB[number % len(PALETTE_RGB)])
            for number, name in enumerate(missing, start=len(classes))
        ),
    )
