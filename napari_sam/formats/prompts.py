"""Prompts that a file gives, each for one object."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from napari_sam.formats.files import FileError


class PromptKind(StrEnum):
    """The meaning of a prompt's vertices."""

    POINT = "point"
    """Each vertex is a point of the object."""
    BOX = "box"
    ELLIPSE = "ellipse"
    """The vertices are the corners of its bounding rectangle, in order."""
    POLYGON = "polygon"
    LINE = "line"


_MIN_VERTICES: Final = {PromptKind.BOX: 2, PromptKind.ELLIPSE: 4, PromptKind.POLYGON: 3}


@dataclass(frozen=True)
class FilePrompt:
    """A prompt for one object.

    Parameters
    ----------
    kind : PromptKind
        The meaning of the vertices.
    vertices_xy : tuple of (float, float)
        x (column) and y (row); pixel centers have integers.
    slice_index : tuple of int
        Index of the plane along the axes before the last two; empty for every plane.
    class_name : str, optional
        The class of the object.
    """

    kind: PromptKind
    vertices_xy: tuple[tuple[float, float], ...]
    slice_index: tuple[int, ...] = ()
    class_name: str | None = None

    def __post_init__(self) -> None:
        least = _MIN_VERTICES.get(self.kind, 1)
        if len(self.vertices_xy) < least:
            raise FileError(
                f"a prompt of kind {self.kind} needs at least {least} vertices, not "
                f"{len(self.vertices_xy)}"
            )
        if not all(math.isfinite(value) for vertex in self.vertices_xy for value in vertex):
            raise ValueError(f"{self.vertices_xy} has a coordinate that is not a number")


def box_prompt(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    class_name: str | None,
    slice_index: tuple[int, ...] = (),
) -> FilePrompt:
    """Return the prompt of a box, whose origin is the outer corner of the first pixel."""
    if x0 == x1 or y0 == y1:
        raise FileError("the box has no area")
    corners = (x0 - 0.5, y0 - 0.5), (x1 - 0.5, y1 - 0.5)
    return FilePrompt(PromptKind.BOX, corners, slice_index, class_name)


def is_upright(vertices: Sequence[tuple[float, float]]) -> bool:
    """Return whether the vertices are the corners of a rectangle along the axes."""
    pairs = zip(vertices, [*vertices[1:], vertices[0]], strict=True)
    return len(vertices) == 4 and all(
        abs(x0 - x1) < 1e-6 or abs(y0 - y1) < 1e-6 for (x0, y0), (x1, y1) in pairs
    )
