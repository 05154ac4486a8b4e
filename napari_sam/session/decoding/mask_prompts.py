"""Regions and outlines as low-res logits of a tile: mask prompts, and limits of masks."""

from typing import Final

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.outlines import clipped_polygon
from napari_sam.session.image.tiles import Tile
from napari_sam.session.prompts.shapes import Outline

_SAMPLES: Final = 4
"""Points sampled in each cell of the low-res logits, along each axis."""
_BEYOND: Final = 8
"""Samples by which an outline may extend beyond the drawn area."""
_CERTAIN: Final = 10.0
"""The logit of a cell entirely inside an object, or outside if negated; about what SAM gives."""
_SLACK: Final = 0.02
"""How far an object may exceed an outline, in sides of its box: outlines are drawn roughly."""
_MAX_SIMPLIFIED: Final = 2**13
"""Vertices that are simplified: that takes the square of their count where they run to and fro."""


def logits_of_region(region: MaskCrop, tile: Tile, low_res_side: int) -> NDArray[np.float32]:
    """Return the mask prompt of a region of the plane."""
    logits = np.full((low_res_side, low_res_side), -_CERTAIN, np.float32)
    # The model's input is a square of which the tile fills the longer side.
    step = tile.side / (low_res_side * _SAMPLES)
    offsets = (np.arange(low_res_side * _SAMPLES) + 0.5) * step - 0.5
    corner, near, places = (tile.top - region.top, tile.left - region.left), [], []
    for start, length in zip(corner, region.mask.shape, strict=True):
        indices = np.rint(offsets + start).astype(int)
        inside = np.flatnonzero((indices >= 0) & (indices < length))
        if not inside.size:
            return logits
        cells = slice(inside[0] // _SAMPLES, inside[-1] // _SAMPLES + 1)
        near.append(cells)
        # One pixel more on each side, in the mask as well, is what lies around it.
        around = indices[cells.start * _SAMPLES : cells.stop * _SAMPLES] + 1
        places.append(around.clip(0, length + 1))
    shares = _shares(np.pad(region.mask, 1)[np.ix_(*places)])
    logits[tuple(near)] = (2 * shares - 1) * _CERTAIN
    return logits


def limit_of_outline(outline: Outline, tile: Tile, low_res_side: int) -> NDArray[np.float32]:
    """Return the upper limit of a mask's logits if it is to stay inside an outline.

    Together with the outline's box as prompt this works better than the outlined area as a mask
    prompt, however weak: that makes masks as large as the drawing (benchmarks/drawn_prompts.py).
    """
    samples = low_res_side * _SAMPLES
    scale = samples / tile.side
    x0, y0, x1, y1 = outline.box_xyxy
    # More than the tile is as good as the whole tile.
    slack = min(_SLACK * ((x1 - x0) * (y1 - y0)) ** 0.5 * scale, samples)
    places = (outline.line_xy - (tile.left - 0.5, tile.top - 0.5)) * scale - 0.5
    # The edges where it is clipped, as wide as they are drawn, must stay outside the tile.
    low, high = -slack - _BEYOND, samples + slack + _BEYOND
    places = clipped_polygon(_simplified(places), (low, low), (high, high))
    canvas = Image.new("1", (samples, samples))
    if len(places):
        line = [(float(x), float(y)) for x, y in places]
        draw = ImageDraw.Draw(canvas)
        draw.polygon(line, fill=1)
        draw.line([*line, line[0]], fill=1, width=max(1, round(2 * slack)), joint="curve")
    return np.asarray(_CERTAIN * (3 * _shares(np.asarray(canvas)) - 1))


def _simplified(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a polygon (N, 2) with fewer vertices, hardly more than a sample off."""
    # Vertices that share half a sample with the one before, of which there may be a million.
    is_elsewhere = (np.diff(np.rint(2 * line), axis=0, prepend=np.nan) != 0).any(axis=1)
    line = line[is_elsewhere] if np.count_nonzero(is_elsewhere) > 2 else line
    if len(line) > _MAX_SIMPLIFIED:
        return line
    closed = np.concatenate([line, line[:1]])
    simpler: NDArray[np.float64] = skimage.measure.approximate_polygon(closed, tolerance=1)[:-1]
    return simpler if len(simpler) > 2 else line


def _shares(samples: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the share of samples in each cell."""
    height, width = (length // _SAMPLES for length in samples.shape)
    cells = samples.reshape(height, _SAMPLES, width, _SAMPLES)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))
