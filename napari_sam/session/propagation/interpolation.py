"""Masks between two annotated slices, without any model.

Shapes are interpolated as signed distances to their borders (S. Raya and J. Udupa, "Shape-Based
Interpolation of Multidimensional Objects", 1990), moved along the line between their centroids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, crop_in_image


def interpolated(first: MaskCrop, last: MaskCrop, share: float, shape: tuple[int, int]) -> MaskCrop:
    """Return the mask between two that are not empty.

    Parameters
    ----------
    first, last : MaskCrop
        Two masks of the same plane.
    share : float
        0 at the first mask to 1 at the last.
    shape : tuple of int
        (H, W) of the plane.
    """
    centers = [np.rint(_centroid(crop)).astype(int) for crop in (first, last)]
    reach = max(_reach(crop, center) for crop, center in zip((first, last), centers, strict=True))
    distances = [
        _signed_distances(_around(crop, center, reach, shape))
        for crop, center in zip((first, last), centers, strict=True)
    ]
    mask = (1 - share) * distances[0] + share * distances[1] > 0
    top, left = np.rint((1 - share) * centers[0] + share * centers[1]).astype(int) - reach
    return crop_in_image(mask, int(top), int(left), shape)


def _centroid(crop: MaskCrop) -> NDArray[np.float64]:
    """Return row and column of the middle of a mask in the plane."""
    rows, columns = np.nonzero(crop.mask)
    return np.array([crop.top + rows.mean(), crop.left + columns.mean()])


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
