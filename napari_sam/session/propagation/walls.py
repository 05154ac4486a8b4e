"""Masks whose borders lie on the walls between objects, as on membranes of cells that touch.

Gray values tell the two sides of a wall apart no better than two places of one side: what there is
to follow is the wall itself, darker or brighter than both sides. Beside the border of a mask, the
pixels are flooded from both sides, along the walls' crest (S. Beucher and C. Lantuéjoul, "Use of
Watersheds in Contour Detection", 1979). Where there is no wall the border stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.decoding.cut import pieces_with
from napari_sam.session.decoding.expected import overlap_of
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.propagation.patches import Patch
from napari_sam.session.propagation.snapping import near

_BAND_PX: Final = 5.0
"""How far a border may move..."""
_MOST_DEEP: Final = 0.6
"""...and to which share of the greatest depth of its mask."""
_WALL_PX: Final = 4
"""Half the width of what is too wide for a wall."""
_SMOOTH_PX: Final = 1.0
_NOISE: Final = 2.0
"""How many times as high as the median of all places a wall is."""
_AWAY_PX: Final = 2.5
_RING_PX: Final = 8.0
"""Between these distances from the border, gray values count for a side of it."""
_HIGHER: Final = 1.5
"""By how many standard deviations of a side a wall differs from its mean."""
_LEAST_SHARE: Final = 0.4
"""Of the border of a known mask that must be on walls."""
_LEAST_IOU: Final = 0.8
"""How much a known mask must overlap with the mask between the walls..."""
_MOST_OFF_PX: Final = 3.0
"""...of which it may be drawn so far inside or outside."""
_LEAST_HEIGHT: Final = 0.5
"""How high a wall must be to divide a mask, compared with those around the known one."""
_LEAST_PIECE: Final = 0.03
"""Share of the mask that a piece must have."""
_MARGIN_PX: Final = 10


@dataclass(frozen=True)
class Walls:
    """Walls that the border of a known mask follows.

    Parameters
    ----------
    sign : int
        -1 if they are darker than what they divide, 1 if brighter.
    height : float
        By how many gray values, in the median.
    inside_px : float
        How far inside of the crest the mask ends.
    """

    sign: int
    height: float
    inside_px: float

    @classmethod
    def of(cls, crop: MaskCrop, plane: ImagePlane) -> Walls | None:
        """Return the walls that a mask follows; None if most of its border is on none."""
        patch = Patch.in_detail(crop, _MARGIN_PX, plane)
        if patch is None:
            return None
        mask = patch.mask(crop)
        both = (cls._of_sign(sign, mask, patch.gray) for sign in (-1, 1))
        return next((walls for walls in both if walls is not None), None)

    @classmethod
    def _of_sign(
        cls, sign: int, mask: NDArray[np.bool_], gray: NDArray[np.float32]
    ) -> Walls | None:
        heights = _heights(sign, gray)
        at_crest = _flooded(mask, heights)
        border = at_crest & ndimage.binary_dilation(~at_crest)
        if _share(sign, at_crest, border, gray) < _LEAST_SHARE:
            return None
        n_more = np.count_nonzero(at_crest) - np.count_nonzero(mask)
        inside_px = float(n_more / np.count_nonzero(border))
        is_like = overlap_of(_shrunk(at_crest, inside_px), mask) >= _LEAST_IOU
        if not is_like or abs(inside_px) > _MOST_OFF_PX:
            return None
        height = np.median(ndimage.maximum_filter(heights, 3)[border])
        return cls(sign, float(height), inside_px)

    def shared(self, other: Walls) -> Walls | None:
        """Return walls halfway between those of two masks; None if they differ."""
        if self.sign != other.sign:
            return None
        height = (self.height + other.height) / 2
        return Walls(self.sign, height, (self.inside_px + other.inside_px) / 2)

    def followed(self, crop: MaskCrop, plane: ImagePlane) -> MaskCrop:
        """Return a mask with its border on the walls beside it, and no others within."""
        patch = Patch.in_detail(crop, _MARGIN_PX, plane)
        if patch is None:
            return crop
        mask = _shrunk(patch.mask(crop), -self.inside_px)
        if not mask.any():
            return crop
        heights = _heights(self.sign, patch.gray)
        at_crest = self._main_piece(_flooded(mask, heights), heights, mask)
        window = patch.window
        return tight_crop(_shrunk(at_crest, self.inside_px), window.top, window.left)

    def _main_piece(
        self, mask: NDArray[np.bool_], heights: NDArray[np.float32], expected: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return, of the pieces into which walls divide a mask, that most like the expected one."""
        pieces, _ = ndimage.label(mask & (heights < _LEAST_HEIGHT * self.height))
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        large = np.flatnonzero(sizes >= max(1.0, _LEAST_PIECE * sizes.sum()))
        if len(large) < 2:
            return mask
        markers = np.where(np.isin(pieces, large), pieces, 0)
        divided = watershed(heights, markers, mask=mask)
        return max((divided == n for n in large), key=lambda piece: overlap_of(piece, expected))


def _share(
    sign: int, mask: NDArray[np.bool_], border: NDArray[np.bool_], gray: NDArray[np.float32]
) -> float:
    """Return at how much of a border the image is darker, or brighter, than on both its sides."""
    crest = ndimage.maximum_filter(_smooth(sign, gray), 3)
    is_wall = border
    for side in mask, ~mask:
        depth = ndimage.distance_transform_edt(side)
        mean, variance, is_known = near((depth > _AWAY_PX) & (depth <= _RING_PX), sign * gray)
        is_wall = is_wall & is_known & (crest > mean + _HIGHER * np.sqrt(variance))
    n_wall, n_border = int(np.count_nonzero(is_wall)), int(np.count_nonzero(border))
    return n_wall / max(1, n_border)


def _smooth(sign: int, gray: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(sign * ndimage.gaussian_filter(gray, _SMOOTH_PX, mode="nearest"))


def _heights(sign: int, gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how many gray values walls rise; 0 where none does by more than the noise."""
    heights = ndimage.white_tophat(_smooth(sign, gray), size=2 * _WALL_PX + 1)
    return np.where(heights > _NOISE * np.median(heights), heights, np.float32(0))


def _flooded(mask: NDArray[np.bool_], heights: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return a mask with its border on the walls beside it."""
    inner = ndimage.distance_transform_edt(mask)
    outer = ndimage.distance_transform_edt(~mask)
    core = inner > min(_BAND_PX, _MOST_DEEP * inner.max())
    markers = np.where(core, 1, np.where(outer > _BAND_PX, 2, 0))
    if not (markers == 2).any():
        return mask
    flooded = watershed(heights, markers) == 1
    flooded = ndimage.binary_opening(flooded, np.ones((3, 3))) | core
    return np.asarray(pieces_with(flooded, core))


def _shrunk(mask: NDArray[np.bool_], by_px: float) -> NDArray[np.bool_]:
    """Return a mask with its border so far inside, or outside if that is negative."""
    if abs(by_px) < 0.5 or not mask.any():
        return mask
    if by_px > 0:
        return np.asarray(ndimage.distance_transform_edt(mask) > by_px + 0.5)
    return np.asarray(ndimage.distance_transform_edt(~mask) <= 0.5 - by_px)
