"""Clip polygons to a rectangle.

Source: I. E. Sutherland, G. W. Hodgman, "Reentrant polygon clipping" (CACM 17, 1974).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Differences of such numbers are still finite.
_FARTHEST: Final = 1e300


def clipped_polygon(
    corners_xy: NDArray[np.float64], low_xy: tuple[float, float], high_xy: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the part of a polygon inside a rectangle; empty if there is none.

    The corners (N, 2) are finite, and the first one is not repeated. Several pieces are joined by
    edges along the rectangle's sides, which run there once in either direction.
    """
    if ((low_xy <= corners_xy) & (corners_xy <= high_xy)).all():
        return corners_xy
    corners_xy = np.clip(corners_xy, -_FARTHEST, _FARTHEST)
    for axis in (0, 1):
        corners_xy = _cut(corners_xy, axis, low_xy[axis], corners_xy[:, axis] >= low_xy[axis])
        corners_xy = _cut(corners_xy, axis, high_xy[axis], corners_xy[:, axis] <= high_xy[axis])
    return corners_xy


def _cut(
    corners_xy: NDArray[np.float64], axis: int, bound: float, is_inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the corners on one side of a line, and the points where the polygon crosses it."""
    previous_xy, was_inside = np.roll(corners_xy, 1, axis=0), np.roll(is_inside, 1)
    crosses = is_inside != was_inside
    # From the inner end: from a corner far away, nothing would be left of the fraction.
    inner_xy = np.where(is_inside[:, None], corners_xy, previous_xy)[crosses]
    outer_xy = np.where(is_inside[:, None], previous_xy, corners_xy)[crosses]
    steps_xy = outer_xy - inner_xy
    shares = (bound - inner_xy[:, axis]) / steps_xy[:, axis]
    on_line_xy = np.empty_like(corners_xy)
    on_line_xy[crosses] = inner_xy + shares[:, None] * steps_xy
    on_line_xy[crosses, axis] = bound
    candidates_xy = np.stack([on_line_xy, corners_xy], axis=1)
    cut_xy: NDArray[np.float64] = candidates_xy[np.stack([crosses, is_inside], axis=1)]
    return cut_xy
