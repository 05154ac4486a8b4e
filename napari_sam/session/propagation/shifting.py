"""Where an object of one slice lies on the next, by its gray values."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, crop_in_image
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.propagation.patches import Patch, Window

_SMOOTH_PX: Final = 1.0
_MARGIN: Final = 0.25
"""How much more than the box of the object is compared, as a share of its longer side."""
_RADIUS: Final = 0.6
"""How far it is looked for, in sides of its box..."""
_LEAST_PX, _MOST_PX = 3, 24
"""...and within which limits, in pixels of the grid."""
_FAR_COST: Final = 0.05
"""How much better the match has to be as far away as it is looked for."""


def shifted(crop: MaskCrop, plane: ImagePlane, next_plane: ImagePlane) -> MaskCrop:
    """Return a mask where the next slice looks most like this one around it.

    By normalized cross-correlation of the object and its surroundings.
    """
    side_px = max(crop.mask.shape)
    margin = _MARGIN * side_px
    inner = Window.around(crop, margin, plane.shape)
    radius = int(np.clip(round(_RADIUS * side_px / inner.step), _LEAST_PX, _MOST_PX))
    patch = Patch.read(plane, inner)
    wide = Window.around(crop, margin + radius * inner.step, plane.shape)
    weights = _weights(patch.mask(crop), margin / inner.step)
    after = _smooth(_resampled(Patch.read(next_plane, wide), inner, patch, radius))
    dy, dx = _best_shift(_smooth(patch.gray), weights, after, radius)
    top, left = crop.top + dy * inner.step, crop.left + dx * inner.step
    return crop_in_image(crop.mask, top, left, plane.shape)


def _weights(mask: NDArray[np.bool_], reach: float) -> NDArray[np.float32]:
    """Return which pixels count: the object and what is around it."""
    distances = ndimage.distance_transform_edt(~mask)
    return np.asarray(distances <= max(2.0, reach), np.float32)


def _smooth(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(gray, _SMOOTH_PX, mode="nearest"))


def _resampled(wide: Patch, inner: Window, patch: Patch, radius: int) -> NDArray[np.float32]:
    """Return the gray of the next slice on the grid of a patch, `radius` wider on each side."""
    rows, columns = (
        (start + (np.arange(-radius, length + radius) + 0.5) * inner.step - wide_start)
        // wide.window.step
        for start, length, wide_start in (
            (inner.top, patch.gray.shape[0], wide.window.top),
            (inner.left, patch.gray.shape[1], wide.window.left),
        )
    )
    height, width = wide.gray.shape
    places = rows.astype(int).clip(0, height - 1), columns.astype(int).clip(0, width - 1)
    return np.asarray(wide.gray[np.ix_(*places)])


def _best_shift(
    gray: NDArray[np.float32],
    weights: NDArray[np.float32],
    after: NDArray[np.float32],
    radius: int,
) -> tuple[int, int]:
    """Return by how many rows and columns a patch moved; 0, 0 where nothing tells."""
    total = float(weights.sum())
    weighted = weights * (gray - (weights * gray).sum() / total)
    spread = float((weighted * gray).sum())
    after = after - after.mean()
    sums = scipy.signal.correlate(after, weights, mode="valid", method="fft")
    squares = scipy.signal.correlate(after**2, weights, mode="valid", method="fft")
    products = scipy.signal.correlate(after, weighted, mode="valid", method="fft")
    spreads = np.maximum(squares - sums**2 / total, 0)
    if spread < total or (spreads < total).all():  # less than one gray level
        return 0, 0
    likeness = products / np.sqrt(np.maximum(spreads, total) * spread)
    offsets = np.arange(-radius, radius + 1)
    likeness = likeness - _FAR_COST * (offsets[:, None] ** 2 + offsets**2) / radius**2
    row, column = np.unravel_index(np.argmax(likeness), likeness.shape)
    return int(offsets[row]), int(offsets[column])
