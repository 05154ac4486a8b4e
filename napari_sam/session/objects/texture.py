"""The texture of an object, which tells kinds apart that are alike in size and brightness."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_SCALES: Final = (0.1, 0.2, 0.4)
"""How coarse structures are, as shares of the object's radius: it may be enlarged or not."""
_SHELLS: Final = (1 / 3, 2 / 3)
"""Where the rim of an object ends and its core begins, as shares of its greatest depth."""
_LARGEST_RADIUS: Final = 24
"""In pixels; larger objects are made smaller, as that tells the same."""
N_TEXTURES: Final = len(_SCALES) + 2


def texture_of(mask: NDArray[np.bool_], gray: NDArray[np.float32]) -> list[float]:
    """Return how strong structures of an object are, by scale, and how bright it is by depth.

    Parameters
    ----------
    mask : (h, w) bool ndarray
        The object, not empty.
    gray : (h, w) float32 ndarray
        The image there, with a margin around the object.

    Returns
    -------
    list of float
        Logarithms of the strengths, from fine to coarse; then the brightness of the core and of
        what is around that, compared with that of the whole, in units of its spread.
    """
    radius = (np.count_nonzero(mask) / np.pi) ** 0.5
    step = int(radius // _LARGEST_RADIUS) or 1
    mask, gray, radius = _smaller(mask, step) > 0, _smaller(gray, step), radius / step
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    depth /= depth.max()
    inside, fine = depth > _SHELLS[0], gray
    if not inside.any():
        inside = mask
    values = []
    for scale in _SCALES:
        coarse = ndimage.gaussian_filter(gray, scale * radius)
        values.append(float(np.log1p((fine - coarse)[inside].std())))
        fine = coarse
    light, spread = gray[mask].mean(), gray[mask].std() + 1
    shells = depth > _SHELLS[1], (depth > _SHELLS[0]) & (depth <= _SHELLS[1])
    return values + [
        float((gray[shell].mean() - light) / spread) if shell.any() else 0.0 for shell in shells
    ]


def _smaller(pixels: NDArray[np.generic], step: int) -> NDArray[np.float32]:
    """Return the means of squares of pixels; those left over at the ends are left out."""
    height, width = (length // step for length in pixels.shape)
    squares = pixels[: height * step, : width * step].reshape(height, step, width, step)
    return np.asarray(squares.mean(axis=(1, 3), dtype=np.float32))
