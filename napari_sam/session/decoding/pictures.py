"""Small pictures of candidates: the image around them, with each mask in its color."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile

_MARGIN: Final = 0.2
"""Room around the masks, in their extent."""
_LARGEST: Final = 4.0
"""How much of a plane is shown at most, in extents of the smallest mask."""
_LEAST_PX: Final = 16
_TINT: Final = 0.4
_SHADE: Final = 0.75
"""Brightness of what lies outside of a mask."""


def candidate_pictures(
    plane: ImagePlane,
    candidates: Candidates,
    colors: Sequence[tuple[int, int, int]],
    size: tuple[int, int],
) -> list[NDArray[np.uint8]]:
    """Return a picture of each candidate, all of the same part of the plane.

    The plane is read on the thread that calls this; masks are sampled from low-res logits.
    """
    part = _part(candidates, plane.shape, size)
    rows = part.top - 0.5 + (np.arange(size[0]) + 0.5) * part.height / size[0]
    columns = part.left - 0.5 + (np.arange(size[1]) + 0.5) * part.width / size[1]
    pixels = plane.read(max(size), part)
    image = _resampled(pixels, size)
    pictures = []
    for mask, color in zip(candidates.masks, colors, strict=False):
        inside = _sampled(mask, rows, columns) > 0
        pictures.append(_painted(image, inside, color))
    return pictures


def _part(candidates: Candidates, shape: tuple[int, int], size: tuple[int, int]) -> Tile:
    """Return the part of the plane to show: of the proportions of a picture, around the masks.

    Much larger masks than the smallest one reach beyond it, which tells that they are large.
    """
    boxes = [candidates.bounds_xyxy(number) for number in range(len(candidates))]
    found = sorted((box for box in boxes if box is not None), key=_extent)
    if not found:
        found = [candidates.tile.box_xyxy]
    lows, highs = np.min(found, axis=0)[:2], np.max(found, axis=0)[2:]
    extent = min(float((highs - lows).max()), _LARGEST * _extent(found[0]))
    extent = max(_LEAST_PX, extent * (1 + 2 * _MARGIN))
    middle = np.add(found[0][:2], found[0][2:]) / 2
    aspect = size[1] / size[0]
    height, width = min(shape[0], round(extent)), min(shape[1], round(extent * aspect))
    # Where the plane ends, the other side is cut down as well, so that pixels stay square.
    height, width = min(height, max(1, round(width / aspect))), min(width, round(height * aspect))
    top = min(max(0, round(middle[1] - height / 2)), shape[0] - height)
    left = min(max(0, round(middle[0] - width / 2)), shape[1] - width)
    return Tile(0, top, left, max(1, height), max(1, width))


def _extent(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _resampled(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = (
        ((np.arange(count) + 0.5) * length / count).astype(int)
        for count, length in zip(size, pixels.shape, strict=False)
    )
    return np.asarray(pixels[rows[:, None], columns[None, :]])


def _sampled(
    mask: Candidate, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the logits of a candidate at positions in the plane, interpolated between cells."""
    logits: NDArray[np.float32] = mask.prediction.low_res_logits[mask.index]
    tile, count = mask.tile, len(logits)
    cell_px = tile.side / count
    for axis, places in enumerate((rows, columns)):
        start = (tile.top, tile.left)[axis]
        cells = np.clip((places + 0.5 - start) / cell_px - 0.5, 0, count - 1)
        low = np.minimum(cells.astype(int), count - 2)
        share = (cells - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        first, second = (np.take(logits, low + step, axis=axis) for step in (0, 1))
        logits = first * (1 - share) + second * share
    outside = ((rows < tile.top - 0.5) | (rows > tile.top + tile.height - 0.5))[:, None]
    beside = ((columns < tile.left - 0.5) | (columns > tile.left + tile.width - 0.5))[None, :]
    return np.where(outside | beside, np.float32(-1), logits)


def _painted(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], color: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Tint a mask, draw its outline, and darken what lies around it."""
    solid = np.array(color, np.float32)
    tinted = image * (1 - _TINT) + solid * _TINT
    picture = np.where(mask[..., None], tinted, image * np.float32(_SHADE))
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    picture[mask & ~inner] = solid
    return np.asarray(np.clip(picture, 0, 255), np.uint8)
