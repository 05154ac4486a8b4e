"""How a model is asked for a mask that is expected, and how its masks are cut to be like that."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop

STRENGTH: Final = 0.25
"""Strength of an expected mask as mask prompt: at full strength, models copy it."""
_CUTS: Final = np.linspace(-0.6, 0.9, 16)
"""Where masks may be cut, in mean logits of their published insides; 0 is as published."""
_CUT_COST: Final = 1e-3
"""The overlap that it must gain to be cut elsewhere than published, for each mean logit."""

_IS_LONG: Final = 1.3
"""Ratio of the standard deviations along and across a mask from which on it has a direction."""
_PIXEL_VARIANCE: Final = 1 / 12


def cut_alike(logits: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Return where logits are cut to be most like a known mask; see `cut_at`."""
    worth = [overlap_of(cut_at(logits, cut) > 0, mask) - _CUT_COST * abs(cut) for cut in _CUTS]
    return float(_CUTS[int(np.argmax(worth))])


def cut_at(logits: NDArray[np.float32], cut: float) -> NDArray[np.float32]:
    """Return logits that are positive where the mask is once it is cut elsewhere."""
    inside = logits[logits > 0]
    return logits - np.float32(cut * inside.mean() if inside.size else 0)


def overlap_of(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks on one grid."""
    union = np.count_nonzero(mask | other)
    return np.count_nonzero(mask & other) / union if union else 0.0


def innermost_xy(crop: MaskCrop) -> tuple[float, float]:
    """Return the pixel of a mask, not an empty one, that is farthest from its border."""
    depths = ndimage.distance_transform_edt(np.pad(crop.mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depths.argmax()), depths.shape)
    return float(crop.left + column), float(crop.top + row)


def direction_of(mask: NDArray[np.bool_]) -> float | None:
    """Return the direction of a mask that is long, in radians from rows to columns; else None."""
    places = np.argwhere(mask)
    if len(places) < 2:
        return None
    (across, along), axes = np.linalg.eigh(np.cov(places.T))
    if along < _IS_LONG**2 * max(across, _PIXEL_VARIANCE):
        return None
    return float(np.arctan2(axes[1, 1], axes[0, 1]))
