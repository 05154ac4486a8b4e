"""The prompts of one object on one slice: points, a box, an outline, scribbles; frozen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.image.tiles import clipped_box
from napari_sam.session.prompts.shapes import Outline, Scribble

FOREGROUND: Final = 1
BACKGROUND: Final = 0
MAX_POINTS: Final = 200
"""Points of one object: each takes a model milliseconds and a megabyte, and a dozen suffice."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of one object on one slice, in pixels of the image plane.

    Hashable, so that a prediction can be remembered by the prompts it came from.

    Parameters
    ----------
    points_xy : tuple of (float, float)
        x (column), y (row) of each point; pixel centers have whole numbers.
    point_labels : tuple of int
        One per point: 1 foreground, 0 background.
    box_xyxy : tuple of four floats, optional
        x0, y0, x1, y1; sorted, so that x0 <= x1 and y0 <= y1. That of the outline, if there is
        one.
    outline : Outline, optional
        A line around the object, within which its masks end.
    scribbles : tuple of Scribble
        Lines along which points lie.
    slice_index : int
        Position of the image plane in its stack; 0 for a 2-D image, and without any prompt.

    Raises
    ------
    ValueError
        If there is not one label per point, a label is neither 0 nor 1, or a coordinate is not
        finite.
    """

    points_xy: tuple[tuple[float, float], ...] = ()
    point_labels: tuple[int, ...] = ()
    box_xyxy: tuple[float, float, float, float] | None = None
    outline: Outline | None = None
    scribbles: tuple[Scribble, ...] = ()
    slice_index: int = 0

    def __post_init__(self) -> None:
        if len(self.points_xy) != len(self.point_labels):
            raise ValueError(
                f"{len(self.points_xy)} points but {len(self.point_labels)} point labels: "
                "give one label (1 foreground, 0 background) per point."
            )
        if not set(self.point_labels) <= {FOREGROUND, BACKGROUND}:
            msg = f"Point labels must be 1 (foreground) or 0 (background), not {self.point_labels}."
            raise ValueError(msg)
        points = tuple((float(x), float(y)) for x, y in self.points_xy)
        box = self.box_xyxy
        if box is None and self.outline is not None:
            box = self.outline.box_xyxy
        coordinates = [value for point in points for value in point]
        if box is not None:
            x0, y0, x1, y1 = corners = [float(value) for value in box]
            coordinates += corners
            box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        if not np.isfinite(coordinates).all():
            raise ValueError("Prompt coordinates must be finite numbers.")
        object.__setattr__(self, "points_xy", points)
        object.__setattr__(self, "point_labels", tuple(int(label) for label in self.point_labels))
        object.__setattr__(self, "box_xyxy", box)
        object.__setattr__(self, "scribbles", tuple(self.scribbles))
        # Two objects without prompts are equal, wherever they are.
        object.__setattr__(self, "slice_index", 0 if self.is_empty else int(self.slice_index))

    @property
    def is_empty(self) -> bool:
        """Whether there is no prompt at all."""
        return self.size == 0

    @property
    def size(self) -> int:
        """Number of points, scribbles and boxes; an outline is its box."""
        return len(self.points_xy) + len(self.scribbles) + (self.box_xyxy is not None)

    @property
    def bounds_xyxy(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the smallest rectangle around all prompts; there must be one."""
        corners = [] if self.box_xyxy is None else [self.box_xyxy[:2], self.box_xyxy[2:]]
        drawn = [vertex for scribble in self.scribbles for vertex in scribble.vertices_xy]
        xs, ys = zip(*self.points_xy, *drawn, *corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def has_foreground(self) -> bool:
        """Whether any prompt tells where the object is, rather than where it is not."""
        labels = {*self.point_labels, *(scribble.label for scribble in self.scribbles)}
        return self.box_xyxy is not None or FOREGROUND in labels

    @property
    def is_single(self) -> bool:
        """Whether there is one prompt, which tells where the object is."""
        return self.size == 1 and self.has_foreground

    def is_apart_from(self, others: Prompts) -> bool:
        """Whether the box lies apart from that of others, or from their foreground points."""
        points = [*compress(others.points_xy, others.point_labels)]
        corners = [(x, y, x, y) for x, y in points]
        boxes = corners if others.box_xyxy is None else [others.box_xyxy]
        if self.box_xyxy is None or not boxes:
            return False
        x0, y0, x1, y1 = self.box_xyxy
        return all(x1 < a0 or a1 < x0 or y1 < b0 or b1 < y0 for a0, b0, a1, b1 in boxes)

    def points_array(self) -> NDArray[np.float32] | None:
        """Return the points as an (N, 2) float32 array of x, y, or None without points."""
        return np.array(self.points_xy, np.float32) if self.points_xy else None

    def labels_array(self) -> NDArray[np.int64] | None:
        """Return the point labels as an (N,) int64 array, or None without points."""
        return np.array(self.point_labels, np.int64) if self.point_labels else None

    def box_array(self) -> NDArray[np.float32] | None:
        """Return the box as a (4,) float32 array x0, y0, x1, y1, or None without a box."""
        return None if self.box_xyxy is None else np.array(self.box_xyxy, np.float32)

    def extends(self, earlier: Prompts) -> bool:
        """Whether these are the `earlier` prompts with something added and nothing changed."""
        if self.size <= earlier.size:
            return False
        if not earlier.is_empty and self.slice_index != earlier.slice_index:
            return False
        if (earlier.box_xyxy, earlier.outline) not in (
            (None, None),
            (self.box_xyxy, self.outline),
        ):
            return False
        return not earlier._marks - self._marks

    def only_exclude_from(self, earlier: Prompts) -> bool:
        """Whether these are the `earlier` prompts with background added, and nothing else."""
        return self.adds_clicks_to(earlier) and not self.adds_foreground_to(earlier)

    def adds_clicks_to(self, earlier: Prompts) -> bool:
        """Whether these are the `earlier` prompts with marks added, and no box."""
        return self.box_xyxy == earlier.box_xyxy and self.extends(earlier)

    def adds_foreground_to(self, earlier: Prompts) -> bool:
        """Whether a foreground point or scribble is not among the `earlier` prompts."""
        added = self._marks - earlier._marks
        return FOREGROUND in {m.label if isinstance(m, Scribble) else m[1] for m in added}

    @property
    def _marks(self) -> Counter[Scribble | tuple[Any, int]]:
        points = zip(self.points_xy, self.point_labels, strict=True)
        return Counter([*points, *self.scribbles])

    @property
    def as_points(self) -> Prompts:
        """The same, with points along the scribbles in place of these."""
        drawn = [(point, line.label) for line in self.scribbles for point in line.points_xy]
        return replace(
            self,
            points_xy=(*self.points_xy, *(point for point, _ in drawn)),
            point_labels=(*self.point_labels, *(label for _, label in drawn)),
            scribbles=(),
        )

    @property
    def steps(self) -> tuple[Prompts, ...]:
        """The prompts as they may have been added one by one: the box, points, then scribbles."""
        box = replace(self, points_xy=(), point_labels=(), scribbles=())
        points = replace(self, scribbles=())
        return (
            *([] if box.is_empty else [box]),
            *(
                replace(
                    box, points_xy=self.points_xy[:count], point_labels=self.point_labels[:count]
                )
                for count in range(1, len(self.points_xy) + 1)
            ),
            *(
                replace(points, scribbles=self.scribbles[:count])
                for count in range(1, len(self.scribbles) + 1)
            ),
        )

    def on_slice(self, slice_index: int) -> Prompts:
        """Return the same prompts on another slice."""
        return replace(self, slice_index=slice_index)

    def within(self, shape: tuple[int, int]) -> tuple[Prompts, tuple[str, ...]]:
        """Keep the prompts that an image plane of this shape can use.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the image plane in pixels.

        Returns
        -------
        usable : Prompts
            Points inside the plane, those along scribbles included, and the part of the box inside
            it; empty if there are more than `MAX_POINTS` points.
        remarks : tuple of str
            One sentence for each kind of prompt that was left out; empty if all are used.
        """
        if self.scribbles:
            return self.as_points.within(shape)
        height, width = shape
        remarks = []
        inside = [-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5 for x, y in self.points_xy]
        outside = inside.count(False)
        if len(inside) - outside > MAX_POINTS:
            return Prompts(), (
                f"{len(inside) - outside:,} points are too many for one object (at most "
                f"{MAX_POINTS}): remove some, or use Batch.",
            )
        if outside:
            points = "1 point" if outside == 1 else f"{outside} points"
            remarks.append(f"Ignored {points} outside the image: click on the image.")
        box = self.box_xyxy
        if box is not None:
            box = clipped_box(box, shape)
            if not (box[0] < box[2] and box[1] < box[3]):
                box = None
                remarks.append("The shape has no area inside the image: draw it around an object.")
        usable = replace(
            self,
            points_xy=tuple(compress(self.points_xy, inside)),
            point_labels=tuple(compress(self.point_labels, inside)),
            box_xyxy=box,
            outline=None if box is None else self.outline,
        )
        return usable, tuple(remarks)
