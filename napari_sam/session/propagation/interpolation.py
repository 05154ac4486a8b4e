"""Masks between two annotated slices, without any model.

Shapes are interpolated as signed distances to their borders (S. Raya and J. Udupa, "Shape-Based
Interpolation of Multidimensional Objects", 1990), moved along the line between their centroids.
What is long and has turned, as a rod in a film, is turned on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, crop_in_image
from napari_sam.session.decoding.expected import direction_of, overlap_of

_LEAST_TURN: Final = 0.05
"""In radians: what turns less is interpolated as well as it is."""
_TURN_GAIN: Final = 0.05
"""By how much more of the union two masks must overlap once one of them is turned."""


class Interpolation:
    """The masks between two that are not empty.

    Parameters
    ----------
    first, last : MaskCrop
        Two masks of the same plane.
    shape : tuple of int
        (H, W) of the plane.
    """

    def __init__(self, first: MaskCrop, last: MaskCrop, shape: tuple[int, int]) -> None:
        ends = first, last
        self._shape = shape
        self._middles = [centroid(crop) for crop in ends]
        self._centers = [np.rint(middle).astype(int) for middle in self._middles]
        places = list(zip(ends, self._centers, strict=True))
        self._reach = max(_reach(crop, center) for crop, center in places)
        turn = _turn_between(first, last)
        if turn:
            self._reach = int(np.ceil(self._reach * np.sqrt(2)))  # corners come to lie farther out
        self._distances = [
            _signed_distances(_around(crop, center, self._reach, shape)) for crop, center in places
        ]
        self._turn = turn if turn and _gain(self._distances, turn) >= _TURN_GAIN else 0.0

    def at(self, share: float) -> MaskCrop:
        """Return the mask at a share of the way: 0 at the first mask to 1 at the last."""
        distances, centers = self._distances, self._centers
        place = np.rint((1 - share) * centers[0] + share * centers[1]).astype(int)
        if self._turn:
            middles, turn = self._middles, self._turn
            middle = (1 - share) * middles[0] + share * middles[1]
            offsets = [exact - center for exact, center in zip(middles, centers, strict=True)]
            turns = share * turn, (share - 1) * turn
            distances = [
                _turned(*one, middle - place) for one in zip(distances, turns, offsets, strict=True)
            ]
        mask = (1 - share) * distances[0] + share * distances[1] > 0
        top, left = place - self._reach
        return crop_in_image(mask, int(top), int(left), self._shape)


def centroid(crop: MaskCrop) -> NDArray[np.float64]:
    """Return row and column of the middle of a mask in the plane."""
    rows, columns = np.nonzero(crop.mask)
    return np.array([crop.top + rows.mean(), crop.left + columns.mean()])


def _turn_between(first: MaskCrop, last: MaskCrop) -> float:
    """Return by how much what is long turns, in radians from rows to columns; else 0.

    Of the two ways round, the shorter.
    """
    start, end = direction_of(first.mask), direction_of(last.mask)
    if start is None or end is None:
        return 0.0
    turn = (end - start + pi / 2) % pi - pi / 2
    return turn if abs(turn) >= _LEAST_TURN else 0.0


def _gain(distances: Sequence[NDArray[np.float32]], turn: float) -> float:
    """Return by how much more the second of two masks overlaps with the first, turned."""
    first, last = distances
    still = np.zeros(2)
    turned = _turned(first, turn, still, still)
    return overlap_of(turned > 0, last > 0) - overlap_of(first > 0, last > 0)


def _turned(
    distances: NDArray[np.float32],
    turn: float,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Turn signed distances around one place, which comes to lie in another.

    Both are given from the middle of the square.
    """
    sine, cosine = np.sin(turn), np.cos(turn)
    back = np.array([[cosine, sine], [-sine, cosine]])
    middle = (np.array(distances.shape) - 1) / 2
    offset = middle + start - back @ (middle + end)
    turned = ndimage.affine_transform(distances, back, offset, order=1, mode="nearest")
    return np.asarray(turned, np.float32)


def _reach(crop: MaskCrop, center: NDArray[np.int_]) -> int:
    """Return how far a mask extends from a place along either axis, and one pixel more."""
    height, width = crop.mask.shape
    y, x = center - (crop.top, crop.left)
    return int(max(y, x, height - y, width - x)) + 1


def _around(
    crop: MaskCrop, center: NDArray[np.int_], reach: int, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return a mask in the middle of a square; what the plane cuts off goes on beyond it."""
    square = np.zeros((2 * reach + 1, 2 * reach + 1), bool)
    top, left = (crop.top, crop.left) - center + reach
    height, width = crop.mask.shape
    bottom, right = top + height, left + width
    square[top:bottom, left:right] = crop.mask
    if crop.top == 0:
        square[:top] = square[top]
    if crop.top + height == shape[0]:
        square[bottom:] = square[bottom - 1]
    if crop.left == 0:
        square[:, :left] = square[:, left, None]
    if crop.left + width == shape[1]:
        square[:, right:] = square[:, right - 1, None]
    return square


def _signed_distances(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how far inside a mask each pixel is; negative outside."""
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    return np.asarray(inside - outside, np.float32)
