"""Fill COCO's polygons with exactly the pixels that pycocotools gives them, in little memory.

pycocotools takes memory for each fifth of a pixel along the edges, and crashes if there are too
many of them, or pixels in the image.

As in the C code of https://github.com/cocodataset/cocoapi (``rleFrPoly``), corners are rounded to
fifths of a pixel, and an edge is a chain of such points, one for each step along its longer axis.
A column's pixels are inside after an odd number of edges that pass the column's middle.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.formats.files import FileError
from napari_sam.formats.outlines import clipped_polygon, fill_crossings, union_of

_SCALE: Final = 5


def fill_polygons(polygons: Iterable[Sequence[float]], shape: tuple[int, int]) -> MaskCrop | None:
    """Return the pixels of an image that are in at least one polygon [x, y, x, y, ...].

    Returned are the mask in its smallest box, its top and its left; None if it has no pixel.
    """
    near = [_near_image(polygon, shape) for polygon in polygons]
    # Some tools write polygons with fewer than three corners, which have no area.
    filled = [_filled(corners_xy, shape) for corners_xy in near if len(corners_xy) > 2]
    return union_of(crop for crop in filled if crop is not None)


def _near_image(polygon: Sequence[float], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a polygon's corners (N, 2), clipped far outside its image, so that they are small.

    The margin leaves polygons unchanged that merely extend beyond the image.
    """
    corners_xy = np.array(polygon[: len(polygon) // 2 * 2], np.float64).reshape(-1, 2)
    if not np.isfinite(corners_xy).all():
        raise FileError("a polygon has coordinates that are not finite; remove it")
    height, width = shape
    return clipped_polygon(corners_xy, (-width, -height), (2 * width, 2 * height))


def _filled(corners_xy: NDArray[np.float64], shape: tuple[int, int]) -> MaskCrop | None:
    """Return the pixels of one polygon by the even-odd rule; None if it has no pixel."""
    height, width = shape
    # Towards zero, as in C.
    x, y = np.trunc(_SCALE * corners_xy.T + 0.5).astype(np.int64)
    low, high = max(int(y.min()), 0) // _SCALE, max(int(y.max()), 0) // _SCALE + 1
    end_x, end_y = np.roll(x, -1), np.roll(y, -1)
    width_px, height_px = abs(end_x - x), abs(end_y - y)
    is_steep = height_px > width_px
    # In the direction of its longer axis, so that an edge has the same points either way.
    is_back = np.where(is_steep, end_y < y, end_x < x)
    start_x, end_x = np.where(is_back, end_x, x), np.where(is_back, x, end_x)
    start_y, end_y = np.where(is_back, end_y, y), np.where(is_back, y, end_y)
    rises = np.where(is_steep, end_x - start_x, end_y - start_y)
    slopes = rises / np.maximum(np.maximum(width_px, height_px), 1)
    # The middle of column c lies between the fifths 5c + 2 and 5c + 3.
    firsts = np.maximum((np.minimum(start_x, end_x) + 2) // _SCALE, 0)
    lasts = np.minimum((np.maximum(start_x, end_x) + 2) // _SCALE, width)

    def crossing(edge: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row that begins below the upper one of the two fifths."""
        slope, before = slopes[edge], _SCALE * column + 2
        edge_x, edge_y = start_x[edge], start_y[edge]
        flat_y = edge_y + slope * (before - edge_x) + 0.5
        upper_y = np.trunc(np.minimum(flat_y, edge_y + slope * (before + 1 - edge_x) + 0.5))
        steep = np.flatnonzero(is_steep[edge])
        if steep.size:
            steps = _steps_before(edge_x[steep], slope[steep], before[steep])
            upper_y[steep] = edge_y[steep] + steps
        rows = np.ceil(np.clip((upper_y + 0.5) / _SCALE - 0.5, 0, height))
        return np.asarray(rows, np.int64)

    inside = fill_crossings(firsts, lasts, min(low, height), min(high, height), crossing)
    if inside is None:
        return None
    crop = tight_crop(inside.mask.T, inside.left, inside.top)
    return crop if crop.mask.size else None


def _steps_before(
    start_x: NDArray[np.int64], slope: NDArray[np.float64], before: NDArray[np.int64]
) -> NDArray[Any]:
    """Return how many steps down steep edges stay on their side of the fifth after `before`."""
    is_right = slope > 0

    def has_passed(step: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray((start_x + slope * step + 0.5 >= before + 1) == is_right)

    step = np.ceil((before + 0.5 - start_x) / slope)
    # The quotient is rounded, and so are the points.
    for _ in range(2):
        step -= has_passed(step - 1)
    for _ in range(2):
        step += ~has_passed(step)
    return step - 1
