"""Exact outlines of masks along the edges of pixels, and masks from any outlines.

Coordinates are (x, y) in pixels with the origin at the outer corner of the first pixel, as in
ImageJ, QuPath and COCO: the pixel at row r and column c covers x from c to c + 1 and y from r to
r + 1.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import skimage
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.formats.files import FileError, require_memory

# Differences of such numbers are still finite, or even their products.
_FARTHEST: Final = 1e300
_FAR: Final = 1e150

_MAX_CROSSINGS: Final = 2**24
"""Several times the outline of a whole slide; it takes seconds."""
_MAX_PER_EDGE: Final = 2**10
"""Of an outline with many corners, whose pieces may be joined across the image."""
_AT_ONCE: Final = 2**20
_MAX_CORNERS: Final = 2**17


class PixelPolygon(NamedTuple):
    """A connected piece of a mask: rings (N, 2) that do not repeat their first corner.

    The shell has a positive area by the shoelace formula in (x, y), which GeoJSON calls
    counterclockwise; holes have a negative area.
    """

    shell_xy: NDArray[np.int64]
    holes_xy: tuple[NDArray[np.int64], ...]


class _Edges(NamedTuple):
    """Maximal straight edges in one direction, the object on the right as seen on the screen."""

    start_rc: NDArray[np.int64]  # (N, 2) vertices
    end_rc: NDArray[np.int64]  # (N, 2)
    is_forward: NDArray[np.bool_]  # (N,) towards larger coordinates
    piece: NDArray[np.int64]  # (N,) number of the connected piece that the edge belongs to


def trace_outlines(mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> list[PixelPolygon]:
    """Trace the pieces of a mask, from top to bottom, by their corners only.

    Pixels that touch only at a corner are separate pieces. All rings are simple and touch each
    other at most in single points, so the polygons are valid together (OGC simple features).
    `top` and `left`, the position of the mask's first pixel, are added to the coordinates.

    Examples
    --------
    >>> trace_outlines(np.ones((2, 3), bool))[0].shell_xy.tolist()
    [[0, 0], [3, 0], [3, 2], [0, 2]]
    """
    pieces = np.pad(skimage.measure.label(mask, connectivity=1).astype(np.int64), 1)
    horizontal = _horizontal_edges(pieces)
    across = _horizontal_edges(pieces.T)
    # In the transposed image the object is on the other side, so vertical edges are reversed.
    vertical = _Edges(
        across.end_rc[:, ::-1], across.start_rc[:, ::-1], ~across.is_forward, across.piece
    )
    meets_itself = _corners_of_one_piece(pieces)
    # Around a pixel the edges go right, down, left, up: a forward horizontal edge is followed by
    # a forward vertical one, and that by a backward horizontal one.
    down_or_up = _pair(horizontal, vertical, vertical.is_forward, meets_itself)
    right_or_left = _pair(vertical, horizontal, ~horizontal.is_forward, meets_itself)
    following = right_or_left[down_or_up]
    shells: dict[int, NDArray[np.int64]] = {}
    holes: dict[int, list[NDArray[np.int64]]] = {}
    for ring in _cycles(following):
        corners_rc = np.stack([horizontal.start_rc[ring], horizontal.end_rc[ring]], axis=1)
        ring_xy = corners_rc.reshape(-1, 2)[:, ::-1] + (left, top)
        piece = int(horizontal.piece[ring[0]])
        steps = horizontal.end_rc[ring, 1] - horizontal.start_rc[ring, 1]
        if -np.sum(horizontal.start_rc[ring, 0] * steps) > 0:  # the area, by Green's theorem
            shells[piece] = ring_xy
        else:
            holes.setdefault(piece, []).append(ring_xy)
    return [PixelPolygon(shells[piece], tuple(holes.get(piece, ()))) for piece in sorted(shells)]


def _horizontal_edges(pieces: NDArray[np.int64]) -> _Edges:
    """Find runs along rows where a piece begins or ends, in a padded image of pieces."""
    above, below = pieces[:-1], pieces[1:]
    # Pieces never share an edge, so a pixel's edge is one piece's top or one piece's bottom.
    edges = np.where(above == below, 0, below - above)
    changes = np.diff(edges, axis=1)
    rows, columns = np.nonzero(changes)
    # Each change is the first vertex of a run unless no run follows it.
    kinds = edges[rows, columns + 1]
    first = np.flatnonzero(kinds)
    row = rows[first]
    begin, end = columns[first], columns[first + 1]
    is_top = kinds[first] > 0
    return _Edges(
        np.stack([row, np.where(is_top, begin, end)], axis=1),
        np.stack([row, np.where(is_top, end, begin)], axis=1),
        is_top,
        np.abs(kinds[first]),
    )


def _corners_of_one_piece(pieces: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each vertex whether a piece touches itself there, and there only by a corner."""
    north_west, north_east = pieces[:-1, :-1], pieces[:-1, 1:]
    south_west, south_east = pieces[1:, :-1], pieces[1:, 1:]
    falling = (north_west == south_east) & (north_east == 0) & (south_west == 0)
    rising = (north_east == south_west) & (north_west == 0) & (south_east == 0)
    return np.asarray((falling & (north_west > 0)) | (rising & (north_east > 0)))


def _pair(
    edges: _Edges,
    successors: _Edges,
    follows_forward: NDArray[np.bool_],
    meets_itself: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return for each edge the successor that begins where it ends.

    At a vertex with two of each, pieces that touch by a corner are kept apart: around one pixel,
    a forward edge is followed by the successor that `follows_forward`. One piece that touches
    itself there is joined instead, so that no ring passes the vertex twice.
    """
    width = meets_itself.shape[1]
    end = edges.end_rc[:, 0] * width + edges.end_rc[:, 1]
    start = successors.start_rc[:, 0] * width + successors.start_rc[:, 1]
    is_joined = meets_itself.ravel()[end]
    ends = np.argsort(2 * end + (edges.is_forward ^ is_joined), kind="stable")
    starts = np.argsort(2 * start + follows_forward, kind="stable")
    paired = np.empty(len(ends), np.intp)
    paired[ends] = starts
    return paired


def _cycles(following: NDArray[np.intp]) -> list[list[int]]:
    """Return the cycles of a permutation."""
    successor = following.tolist()
    cycles = []
    for first in range(len(successor)):
        cycle = []
        edge = first
        while successor[edge] >= 0:
            cycle.append(edge)
            successor[edge], edge = -1, successor[edge]
        if cycle:
            cycles.append(cycle)
    return cycles


def closed_polygons(mask: NDArray[np.bool_], top: int, left: int) -> list[list[list[Any]]]:
    """Return the pieces of a mask as GeoJSON has them, with rings closed as RFC 7946 demands."""
    return [
        [[*ring, ring[0]] for ring in map(np.ndarray.tolist, (piece.shell_xy, *piece.holes_xy))]
        for piece in trace_outlines(mask, top, left)
    ]


def ellipse_ring(
    center_xy: Sequence[float] | NDArray[Any], radii_xy: Sequence[float] | NDArray[Any]
) -> NDArray[np.float64]:
    """Return an ellipse by so many corners that no pixel's center is between them and it."""
    angles = np.linspace(0, 2 * np.pi, 64 + int(min(8 * sum(radii_xy), _MAX_CORNERS)))
    return np.asarray(
        center_xy + np.multiply(radii_xy, np.stack([np.cos(angles), np.sin(angles)], axis=1))
    )


def joined_ring(rings_xy: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Join one or more rings into a single one, by slits of no width between near corners.

    The even-odd rule gives the same area, because each slit is passed once in either direction.
    """
    joined, *remaining = rings_xy
    for ring in remaining:
        # Near, not nearest: comparing all pairs of corners would take the square of the memory.
        start = int(np.argmin(np.abs(joined - ring[0]).sum(axis=1)))
        end = int(np.argmin(np.abs(ring - joined[start]).sum(axis=1)))
        rolled = np.roll(ring, -end, axis=0)
        joined = np.concatenate([joined[: start + 1], rolled, rolled[:1], joined[start:]])
    return joined


def union_of(masks: Iterable[MaskCrop]) -> MaskCrop | None:
    """Return the pixels that are in at least one mask; None without a mask."""
    crops = list(masks)
    if len(crops) < 2:
        return crops[0] if crops else None
    top, left = min(crop.top for crop in crops), min(crop.left for crop in crops)
    height = max(crop.top + crop.mask.shape[0] for crop in crops) - top
    width = max(crop.left + crop.mask.shape[1] for crop in crops) - left
    require_memory(height * width, "The mask of an object")
    mask = np.zeros((height, width), np.bool_)
    for crop in crops:
        rows, columns = crop.mask.shape
        y, x = crop.top - top, crop.left - left
        mask[y : y + rows, x : x + columns] |= crop.mask
    return MaskCrop(mask, top, left)


def fill_rings(rings_xy: Iterable[NDArray[Any]], shape: tuple[int, int]) -> MaskCrop | None:
    """Return the pixels of an image whose centers are inside rings, by the even-odd rule.

    The rings (N, 2) are shells and holes alike, with or without their first corner repeated.
    Returned are the mask in its smallest box, its top and its left; None if it has no pixel.
    """
    rings = [np.asarray(ring, np.float64) for ring in rings_xy if len(ring)]
    if not rings:
        return None
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    bounds = np.array([starts.min(axis=0), starts.max(axis=0)])
    if not np.isfinite(bounds).all():
        raise FileError("A polygon has coordinates that are not finite; remove it.")
    if abs(bounds).max() > _FAR:
        starts, ends = (np.clip(corners, -_FAR, _FAR) for corners in (starts, ends))
    # From top to bottom, so that an edge crosses at the same x in either direction.
    is_up = (ends[:, 1] < starts[:, 1])[:, None]
    upper, lower = np.where(is_up, ends, starts), np.where(is_up, starts, ends)
    firsts = np.clip(np.ceil(upper[:, 1] - 0.5), 0, shape[0]).astype(np.int64)
    lasts = np.clip(np.ceil(lower[:, 1] - 0.5), 0, shape[0]).astype(np.int64)

    def crossing(edge: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first column whose center is not left of an edge."""
        start_xy, step_xy = upper[edge], (lower - upper)[edge]
        x = start_xy[:, 0] + (row + 0.5 - start_xy[:, 1]) * step_xy[:, 0] / step_xy[:, 1]
        return np.asarray(np.clip(np.ceil(x - 0.5), 0, shape[1]), np.int64)

    low, high = np.clip([bounds[0, 0], bounds[1, 0] + 1], 0, shape[1]).astype(int).tolist()
    inside = fill_crossings(firsts, lasts, low, high, crossing)
    if inside is None:
        return None
    crop = tight_crop(*inside)
    return crop if crop.mask.size else None


def fill_crossings(
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    low: int,
    high: int,
    crossing: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]],
) -> MaskCrop | None:
    """Return the pixels of lines that lie behind an odd number of edges; None without edges.

    Edges cross the lines from `firsts` to before `lasts`; where, between `low` and `high`,
    `crossing` returns for arrays of edges and lines. Lines are the mask's rows.
    """
    counts = np.maximum(lasts - firsts, 0)
    n_crossings = int(counts.sum())
    if not n_crossings:
        return None
    if n_crossings > max(_MAX_CROSSINGS, _MAX_PER_EDGE * len(counts)):
        raise FileError(
            f"An outline of {len(counts):,} corners is {n_crossings:,} pixels long; simplify it."
        )
    top, bottom = int(firsts[counts > 0].min()), int(lasts[counts > 0].max())
    size = bottom - top, high - low + 1
    require_memory(size[0] * size[1], "The mask of an object")
    toggles = np.zeros(size[0] * size[1], np.uint8)
    ends = np.cumsum(counts)
    for begin in range(0, n_crossings, _AT_ONCE):
        number = np.arange(begin, min(begin + _AT_ONCE, n_crossings))
        edge = np.searchsorted(ends, number, side="right")
        line = number - (ends - counts)[edge] + firsts[edge]
        position = np.clip(crossing(edge, line), low, high)
        np.bitwise_xor.at(toggles, (line - top) * size[1] + position - low, 1)
    inside = np.bitwise_xor.accumulate(toggles.reshape(size), axis=1).view(np.bool_)
    return MaskCrop(inside, top, low)


def clipped_polygon(
    corners_xy: NDArray[np.float64], low_xy: tuple[float, float], high_xy: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the part of a polygon inside a rectangle; empty if there is none.

    The corners (N, 2) are finite, and the first one is not repeated. Several pieces are joined by
    edges along the rectangle's sides, which run there once in either direction.

    Source: I. E. Sutherland, G. W. Hodgman, "Reentrant polygon clipping" (CACM 17, 1974).
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
    return np.asarray(candidates_xy[np.stack([crosses, is_inside], axis=1)])
