"""Drawn prompts: outlines around an object, scribbles along it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam.session.image.tiles import Box

Vertices = tuple[tuple[float, float], ...]
"""x (column), y (row) of each; pixel centers have whole numbers."""

_ELLIPSE_VERTICES: Final = 64
_POINTS_OF_SCRIBBLE: Final = 5
"""Masks are best with so many, of 1, 3, 5, 8 and 12 (benchmarks/drawn_prompts.py)."""


class OutlineKind(StrEnum):
    """How the vertices of an outline are connected."""

    POLYGON = "polygon"
    ELLIPSE = "ellipse"
    """The vertices are the corners of a rectangle that the ellipse fills, in order."""


@dataclass(frozen=True)
class Outline:
    """A closed line around an object.

    Parameters
    ----------
    vertices_xy : tuple of (float, float)
        In pixels of the image plane; the first one is not repeated.
    kind : OutlineKind
        How they are connected.

    Raises
    ------
    ValueError
        If a coordinate is not finite, or there are too few of them, or not four for an ellipse.
    """

    vertices_xy: Vertices
    kind: OutlineKind = OutlineKind.POLYGON

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", OutlineKind(self.kind))
        object.__setattr__(self, "vertices_xy", _vertices(self.vertices_xy))
        count = len(self.vertices_xy)
        if count < 3 or (self.kind is OutlineKind.ELLIPSE and count != 4):
            msg = f"An outline needs three vertices or more, an ellipse four, not {count}."
            raise ValueError(msg)

    @property
    def line_xy(self) -> NDArray[np.float64]:
        """The (N, 2) x, y of a polygon that is the line, or comes very near to it."""
        vertices = np.array(self.vertices_xy)
        if self.kind is OutlineKind.POLYGON:
            return vertices
        angles = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)[:, None]
        along, across = (vertices[1] - vertices[0]) / 2, (vertices[3] - vertices[0]) / 2
        line: NDArray[np.float64] = (
            vertices.mean(axis=0) + np.cos(angles) * along + np.sin(angles) * across
        )
        return line

    @property
    def box_xyxy(self) -> Box:
        """x0, y0, x1, y1 of the smallest rectangle around it."""
        (x0, y0), (x1, y1) = self.line_xy.min(axis=0), self.line_xy.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)


@dataclass(frozen=True)
class Scribble:
    """A line along which everything belongs to the object, or nothing.

    Parameters
    ----------
    vertices_xy : tuple of (float, float)
        In pixels of the image plane.
    label : int
        1 foreground, 0 background.

    Raises
    ------
    ValueError
        If there is no vertex, or a coordinate is not finite.
    """

    vertices_xy: Vertices
    label: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", int(self.label))
        object.__setattr__(self, "vertices_xy", _vertices(self.vertices_xy))
        if not self.vertices_xy or self.label not in (0, 1):
            msg = "A scribble needs vertices, and 1 (foreground) or 0 (background) as its label."
            raise ValueError(msg)

    @property
    def points_xy(self) -> Vertices:
        """Points along it, as far from each other as from its ends."""
        vertices = np.array(self.vertices_xy)
        lengths = np.hypot(*np.diff(vertices, axis=0).T)
        reached = np.concatenate([[0], np.cumsum(lengths)])
        # The ends are where a stroke of the mouse leaves the object most easily.
        at = (np.arange(_POINTS_OF_SCRIBBLE) + 1) / (_POINTS_OF_SCRIBBLE + 1) * reached[-1]
        xs, ys = (np.interp(at, reached, places) for places in vertices.T)
        return _vertices(zip(xs, ys, strict=True)) if reached[-1] > 0 else self.vertices_xy[:1]


def _vertices(places_xy: object) -> Vertices:
    vertices = tuple((float(x), float(y)) for x, y in places_xy)  # type: ignore[attr-defined]
    if not np.isfinite(vertices).all():
        raise ValueError("Coordinates of a drawn line must be finite numbers.")
    return vertices


def axis_aligned_box(corners_xy: ArrayLike) -> Box | None:
    """Return x0, y0, x1, y1 of a (4, 2) rectangle whose sides follow the axes; else None."""
    corners = np.asarray(corners_xy, float)
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    tolerance = 1e-6 * max(x1 - x0, y1 - y0, 1)
    to_x = np.minimum(abs(corners[:, 0] - x0), abs(corners[:, 0] - x1))
    to_y = np.minimum(abs(corners[:, 1] - y0), abs(corners[:, 1] - y1))
    if len(corners) != 4 or max(to_x.max(), to_y.max()) > tolerance:
        return None
    return float(x0), float(y0), float(x1), float(y1)
