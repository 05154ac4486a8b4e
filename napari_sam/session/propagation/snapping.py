"""Masks whose borders lie where the gray values of the image change.

Models see an object at a resolution of their own, and their borders waver by a pixel or two, which
is much of what is thin, and adds up from slice to slice. Beside a border, each pixel belongs to the
side whose gray is nearer to its own: means of the surroundings on either side, as a neighbor may
touch an object in one place and the background in another (after S. Lankton and A. Tannenbaum,
"Localizing Region-Based Active Contours", 2008). Where both sides are alike the border stays.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.decoding.cut import pieces_with
from napari_sam.session.decoding.expected import overlap_of
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.propagation.patches import Patch

_ROUNDS: Final = 2
_BAND_PX: Final = 2.0
"""How far a border may move in a round."""
_AWAY_PX: Final = 1.5
"""From which distance on gray values count for a side: at the border they are mixed."""
_RING_PX: Final = 8.0
"""Up to which they count for the outside."""
_NEAR_PX: Final = 13
"""Side of the square that is a pixel's surroundings."""
_MARGIN_PX: Final = _RING_PX + _NEAR_PX / 2
_LEAST_SHARE: Final = 0.02
"""Of the surroundings that either side must have for its mean to count."""
_DIFFERENT: Final = 2.5
"""By how many standard deviations both sides must differ."""
_SMOOTH_PX: Final = 1.0
_MOST: Final = 0.5
"""Share of the border of a known mask at which both sides must differ."""
_MOST_OFF_PX: Final = 0.75
"""How far inside or outside of these borders a known mask may be drawn in the mean..."""
_LEAST_IOU: Final = 0.8
"""...and how much it must overlap with the mask there."""


def snapped(crop: MaskCrop, plane: ImagePlane) -> MaskCrop:
    """Return a mask with its border where gray values change, if they clearly do beside it.

    An object so large that it is compared on a coarser grid stays as it is.
    """
    patch = Patch.in_detail(crop, _MARGIN_PX, plane)
    if patch is None:
        return crop
    mask = patch.mask(crop)
    for _ in range(_ROUNDS):
        if mask.any():
            mask = _Sides(mask, patch.gray).moved
    return tight_crop(mask, patch.window.top, patch.window.left)


def is_at_borders(crop: MaskCrop, plane: ImagePlane) -> bool:
    """Whether a known mask ends where gray values change, along most of its border.

    If the user wants objects larger or smaller than that, other masks must be, too.
    """
    patch = Patch.in_detail(crop, _MARGIN_PX, plane)
    if patch is None:
        return False
    mask = patch.mask(crop)
    border = mask & ~ndimage.binary_erosion(mask)
    sides = _Sides(mask, patch.gray)
    n_border = np.count_nonzero(border)
    if np.count_nonzero(border & sides.are_told) < _MOST * n_border:
        return False
    after = sides.moved
    n_moved = abs(np.count_nonzero(after) - np.count_nonzero(mask))
    return bool(overlap_of(after, mask) >= _LEAST_IOU and n_moved <= _MOST_OFF_PX * n_border)


class _Sides:
    """Which pixels beside the border of a mask belong to which side."""

    def __init__(self, mask: NDArray[np.bool_], gray: NDArray[np.float32]) -> None:
        self._mask = mask
        self._inner = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        outer = ndimage.distance_transform_edt(~mask)
        inside, variance_in, is_known_in = near(self._inner > _AWAY_PX, gray)
        ring = (outer > _AWAY_PX) & (outer <= _RING_PX)
        outside, variance_out, is_known_out = near(ring, gray)
        smooth = ndimage.gaussian_filter(gray, _SMOOTH_PX, mode="nearest")
        spread = np.sqrt((variance_in + variance_out) / 2)
        is_different = abs(inside - outside) > _DIFFERENT * spread
        self.are_told = is_different & is_known_in & is_known_out
        """Where gray values tell the sides apart."""
        self._is_inside = abs(smooth - inside) < abs(smooth - outside)
        self._is_beside = (self._inner <= _BAND_PX) & (outer <= _BAND_PX)

    @property
    def moved(self) -> NDArray[np.bool_]:
        """The mask with its border where gray values change, as far as that is near."""
        open_pixels = self._is_beside & self.are_told
        mask = np.where(open_pixels, self._is_inside, self._mask)
        most = ndimage.uniform_filter(mask.astype(np.float32), 3, mode="nearest") > 0.5
        mask = np.where(open_pixels, most, self._mask)
        core = mask & (self._inner > _BAND_PX)
        return np.asarray(ndimage.binary_fill_holes(pieces_with(mask, core)))


def near(
    side: NDArray[np.bool_], gray: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return mean and variance of a side around each pixel, and whether enough of it is there."""
    weights = side.astype(np.float32)
    share, total, squares = (
        ndimage.uniform_filter(values, _NEAR_PX, mode="constant")
        for values in (weights, weights * gray, weights * gray**2)
    )
    share = np.maximum(share, 1e-4)
    mean = total / share
    return mean, np.maximum(squares / share - mean**2, 1), share > _LEAST_SHARE
