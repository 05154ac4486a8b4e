"""Masks within their bounding boxes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PixelBox = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels."""


class MaskCrop(NamedTuple):
    """A mask's bounding box.

    Attributes
    ----------
    mask : ndarray
        (h, w) bool; (0, 0) if the mask is empty.
    top, left : int
        Row and column of its first pixel in the image; 0 if the mask is empty.
    """

    mask: npt.NDArray[np.bool_]
    top: int
    left: int


def tight_crop(mask: npt.NDArray[np.bool_], top: int = 0, left: int = 0) -> MaskCrop:
    """Cut a mask down to its bounding box.

    Parameters
    ----------
    mask : ndarray
        (h, w) bool, a part of the image.
    top, left : int
        Row and column of its first pixel in the image.

    Returns
    -------
    MaskCrop
        A copy.
    """
    if not mask.any():
        return MaskCrop(np.zeros((0, 0), bool), 0, 0)
    (y0, y1), (x0, x1) = extent(mask, 0), extent(mask, 1)
    return MaskCrop(np.array(mask[y0:y1, x0:x1]), top + y0, left + x0)


def extent(mask: npt.NDArray[np.bool_], axis: int) -> tuple[int, int]:
    """Return the half-open range along `axis` that holds every True; there is at least one."""
    flags = np.asarray(mask.any(axis=1 - axis))
    return int(flags.argmax()), len(flags) - int(flags[::-1].argmax())
