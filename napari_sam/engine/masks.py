"""Masks within their bounding boxes."""

from collections.abc import Sequence
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

    @property
    def edges_xyxy(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in the image, where pixels have their centers at whole numbers."""
        height, width = self.mask.shape
        return self.left - 0.5, self.top - 0.5, self.left + width - 0.5, self.top + height - 0.5

    def within(self, top: int, left: int, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Return the mask in a window (h, w) of the image, of which `top`, `left` is the corner."""
        window = np.zeros(shape, bool)
        y, x = self.top - top, self.left - left
        height, width = self.mask.shape
        part = window[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
        rows, columns = max(0, -y), max(0, -x)
        part[:] = self.mask[rows : rows + part.shape[0], columns : columns + part.shape[1]]
        return window


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


def crop_in_image(
    mask: npt.NDArray[np.bool_], top: int, left: int, shape: tuple[int, int]
) -> MaskCrop:
    """Cut a mask down to its bounding box, and off where an image (H, W) ends."""
    y, x = max(0, -top), max(0, -left)
    part = mask[y : max(y, shape[0] - top), x : max(x, shape[1] - left)]
    return tight_crop(part, top + y, left + x)


def scaled_crop(crop: MaskCrop, scale_yx: tuple[float, float]) -> MaskCrop:
    """Return a mask in an image whose pixels are so many times as high and wide."""
    starts, indices = [], []
    for start, length, scale in zip((crop.top, crop.left), crop.mask.shape, scale_yx, strict=True):
        first, end = round(start * scale), round((start + length) * scale)
        places = np.arange(first, max(first + 1, end)) + 0.5
        starts.append(first)
        indices.append(np.clip((places / scale).astype(int) - start, 0, length - 1))
    return MaskCrop(crop.mask[np.ix_(*indices)], *starts)


def joined_crop(crops: Sequence[MaskCrop]) -> MaskCrop:
    """Return masks of an image, none of them empty, as one."""
    if len(crops) == 1:
        return crops[0]
    top, left = min(crop.top for crop in crops), min(crop.left for crop in crops)
    bottom = max(crop.top + crop.mask.shape[0] for crop in crops)
    right = max(crop.left + crop.mask.shape[1] for crop in crops)
    joined = np.zeros((bottom - top, right - left), bool)
    for crop in crops:
        joined |= crop.within(top, left, joined.shape)
    return MaskCrop(joined, top, left)


def extent(mask: npt.NDArray[np.bool_], axis: int) -> tuple[int, int]:
    """Return the half-open range along `axis` that holds every True; there is at least one."""
    flags = np.asarray(mask.any(axis=1 - axis))
    return int(flags.argmax()), len(flags) - int(flags[::-1].argmax())


def run_counts(crop: MaskCrop, size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Return the lengths of a mask's runs, column after column, as COCO counts them.

    Parameters
    ----------
    crop : MaskCrop
        The mask.
    size : tuple of int
        (H, W) of the image.

    Returns
    -------
    ndarray
        (n,) int64; background and mask in turn. The first run is background and may have length 0.
    """
    height, width = size
    rows, columns = crop.mask.shape
    begins_or_ends = np.empty((rows + 1, columns), bool)
    if rows > 0:
        begins_or_ends[[0, -1]] = crop.mask[[0, -1]]
        np.not_equal(crop.mask[1:], crop.mask[:-1], out=begins_or_ends[1:-1])
    # Rather a sort of these few than all pixels in the order of columns.
    row, column = np.divmod(np.flatnonzero(begins_or_ends), columns)
    changes = np.sort((crop.left + column) * height + crop.top + row)
    # A run that reaches the bottom goes on at the top of the next column.
    same = np.flatnonzero(changes[1:] == changes[:-1])
    changes = np.delete(changes, np.concatenate([same, same + 1]))
    counts = np.diff(changes, prepend=0, append=height * width)
    return counts[:-1] if counts[-1] == 0 else counts


def run_text(counts: npt.NDArray[np.integer]) -> str:
    """Write the lengths of runs as text, as COCO's files have them.

    From the fourth on, each is the difference from the last but one, the run before it of the
    same kind. It goes into groups of five bits, the lowest first, the last of which carries the
    sign; a sixth bit says that another group follows, and 48 makes it a printable character.

    Parameters
    ----------
    counts : ndarray
        (n,) integers, from `run_counts`.

    Returns
    -------
    str
        ASCII.
    """
    values: list[int] = counts.tolist()
    text = bytearray()
    for index, count in enumerate(values):
        value = count - values[index - 2] if index > 2 else count
        while True:
            group, value = value & 31, value >> 5
            if value == (-1 if group & 16 else 0):
                text.append(48 + group)
                break
            text.append(48 + group + 32)
    return text.decode("ascii")
