"""Pixels of any type and size as those that the model sees, of 8 bits."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.image.intensity import Limits

_NEARLY_ALL: Final = 0.999
"""Share of pixels in few gray levels from which on the contrast is called into question."""
_FEW_LEVELS: Final = 16
"""Fewer gray levels than this, of the 256 that the model sees, are few."""
_FLOAT32_LIMIT: Final = 1e30


def means(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the means of squares of pixels; leftover pixels at the ends join the last squares."""
    if factor == 1:
        return pixels
    edges = [np.arange(0, max(length - factor + 1, 1), factor) for length in pixels.shape[:2]]
    sums = np.add.reduceat(pixels, edges[0], axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, edges[1], axis=1)
    counts = [np.diff(edge, append=n) for edge, n in zip(edges, pixels.shape[:2], strict=True)]
    area = np.multiply.outer(*counts).reshape(*sums.shape[:2], *(1,) * (pixels.ndim - 2))
    return np.asarray(((sums + area // 2) // area).astype(np.uint8))


def has_few_levels(channel: NDArray[np.uint8], is_whole: bool) -> bool:
    """Return whether nearly all pixels share few gray levels, which extreme values cause.

    A part of an image may be dull as it is, unless it holds extreme values itself.
    """
    counts = np.bincount(channel.ravel(), minlength=256)
    outside = (1 - _NEARLY_ALL) * channel.size / 2
    low, high = np.searchsorted(np.cumsum(counts), [outside, channel.size - outside])
    (levels,) = np.nonzero(counts)
    n_levels = high - low + 1
    return bool(n_levels < _FEW_LEVELS and (is_whole or np.ptp(levels) > 8 * n_levels))


def colors_to_uint8(colors: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colors of any type in 8 bits."""
    if colors.dtype == np.uint8:
        return colors
    if colors.dtype.kind == "f":  # napari's convention: floats are 0..1
        return scaled(colors, (0, 1))
    top = 1 if colors.dtype.kind == "b" else np.iinfo(colors.dtype).max
    return scaled(colors, (0, float(top)))


def scaled(values: NDArray[Any], limits: Limits, gamma: float = 1.0) -> NDArray[np.uint8]:
    """Return values from one limit to the other in 8 bits; what is not a number becomes 0."""
    if values.dtype == np.uint8 and (*limits, gamma) == (0, 255, 1):
        return values
    low, high = limits
    # float32 holds every 16-bit integer exactly; wider ones need float64.
    is_small = values.dtype.itemsize <= 2 and max(abs(low), abs(high)) < _FLOAT32_LIMIT
    # Halving both keeps the difference of two huge floats finite.
    span = high / 2 - low / 2
    if not span > 0:
        return np.zeros(values.shape, np.uint8)
    floats: NDArray[Any] = values.astype(np.float32 if is_small else np.float64)
    # Clipped first, and divided before it is multiplied, so that nothing can overflow.
    np.clip(floats, low, high, out=floats)
    shares = np.nan_to_num((floats / 2 - low / 2) / span, copy=False, nan=0)
    if gamma != 1:
        np.power(shares, gamma, out=shares)
    return np.asarray(np.rint(255 * shares).astype(np.uint8))
