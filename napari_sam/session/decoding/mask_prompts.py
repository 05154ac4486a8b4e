"""Regions and outlines as low-res logits of a tile: masks to start from, and limits of masks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.measure import approximate_polygon

from napari_sam.session.image.tiles import Tile
from napari_sam.session.prompts.shapes import Outline

_SAMPLES: Final = 4
"""Places looked at in each cell of the low-res logits, along each axis."""
_BEYOND: Final = 8
"""Samples by which an outline may leave what is drawn of it."""
_CERTAIN: Final = 10.0
"""The logit of a cell that lies in an object, or outside, as a whole; about the model's own."""
_SLACK: Final = 0.02
"""How far outside an outline, in sides of its box, an object may end: nobody draws exactly."""


def logits_of_region(
    region: NDArray[np.bool_], top: int, left: int, tile: Tile, low_res_side: int
) -> NDArray[np.float32]:
    """Return the logits that say: the object is this region."""
    # The model's input is a square of which the tile fills the longer side.
    samples = low_res_side * _SAMPLES
    step = tile.side / samples
    offsets = (np.arange(samples) + 0.5) * step - 0.5
    rows = np.rint(offsets + tile.top - top).astype(int)
    columns = np.rint(offsets + tile.left - left).astype(int)
    height, width = region.shape
    is_row, is_column = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    sampled = region[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    inside = _shares(sampled & is_row[:, None] & is_column)
    logits: NDArray[np.float32] = ((2 * inside - 1) * _CERTAIN).astype(np.float32)
    return logits


def limit_of_outline(outline: Outline, tile: Tile, low_res_side: int) -> NDArray[np.float32]:
    """Return what the logits of a mask are at most, if it does not leave an outline.

    Together with the box of the outline as prompt this does better than its area as a mask to
    start from, however weak, which takes the object for as large as it was drawn
    (benchmarks/drawn_prompts.py).
    """
    samples = low_res_side * _SAMPLES
    scale = samples / tile.side
    x0, y0, x1, y1 = outline.box_xyxy
    # More than the tile is the whole tile, too.
    slack = min(_SLACK * ((x1 - x0) * (y1 - y0)) ** 0.5 * scale, samples)
    places = (outline.line_xy - (tile.left - 0.5, tile.top - 0.5)) * scale - 0.5
    # The line along which it is clipped, as wide as it is drawn, must not come into the tile.
    places = _clipped(_simplified(places), -slack - _BEYOND, samples + slack + _BEYOND)
    canvas = Image.new("1", (samples, samples))
    if len(places):
        line = [(float(x), float(y)) for x, y in places]
        draw = ImageDraw.Draw(canvas)
        draw.polygon(line, fill=1)
        draw.line([*line, line[0]], fill=1, width=max(1, round(2 * slack)), joint="curve")
    limit: NDArray[np.float32] = _CERTAIN * (3 * _shares(np.asarray(canvas)) - 1)
    return limit


def _simplified(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a polygon (N, 2) with fewer vertices, off by a sample at most."""
    closed = np.concatenate([line, line[:1]])
    simpler: NDArray[np.float64] = approximate_polygon(closed, tolerance=1)[:-1]
    return simpler if len(simpler) > 2 else line


def _clipped(line: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return what of a polygon (N, 2) lies in the square from low to high; maybe nothing.

    Source: I. E. Sutherland, G. W. Hodgman, "Reentrant polygon clipping" (CACM 17, 1974).
    """
    for axis in (0, 1):
        for sign, limit in ((1.0, low), (-1.0, -high)):
            inside = sign * line[:, axis] >= limit
            if inside.all():
                continue
            kept = []
            for here, there in zip(range(-1, len(line) - 1), range(len(line)), strict=True):
                if inside[here] != inside[there]:
                    a, b = line[here], line[there]
                    share = (sign * limit - a[axis]) / (b[axis] - a[axis])
                    crossing = a + share * (b - a)
                    crossing[axis] = sign * limit
                    kept.append(crossing)
                if inside[there]:
                    kept.append(line[there])
            line = np.array(kept).reshape(-1, 2)
    return line


def _shares(samples: NDArray[np.bool_]) -> NDArray[np.float32]:
    side = len(samples) // _SAMPLES
    cells = samples.reshape(side, _SAMPLES, side, _SAMPLES)
    shares: NDArray[np.float32] = cells.mean(axis=(1, 3), dtype=np.float32)
    return shares
