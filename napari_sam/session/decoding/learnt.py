"""What was learned from accepted objects, and where it stands back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import as_float32
from napari_sam.session.decoding.border import Samples, fitted
from napari_sam.session.decoding.features import MaskFeatures
from napari_sam.session.decoding.recipe import BorderWeights, Policy, Recipe
from napari_sam.session.embedding.embeddings import EmbeddedTile

_BRIGHTNESS_STEP: Final = 25.0
"""How much brighter or darker than those accepted a place may be, of 255."""
_UNLIKE: Final = 0.05
"""How much less a place may resemble accepted ones than the least similar of them does."""
_SIZE_SCALE: Final = 0.3
"""Difference of the logarithms of areas at which sizes are dissimilar."""
_CLEAR_SCORE, _CLEAR_STABILITY = 0.9, 0.93
"""What a mask has that is clearly an object..."""
_OTHER_SIZE: Final = 4.0
"""...and the ratio of areas from which on it is another one than those accepted."""
_MORE_OTHER: Final = 2.0
"""How many times further apart in size such a mask and the learned one may be than on any accepted
object."""


class Place(NamedTuple):
    """What the model sees at a click."""

    direction: NDArray[np.float32]  # (C,), the image embedding there, of length 1
    brightness: float  # 0 to 255; nan if unknown


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learned, for the masks of first clicks."""

    recipe: Recipe  # whose border is that of `is_fixed` alone; else `border` has it
    n_objects: int  # learned from so many
    is_preselected: bool = False  # whether its mask has been the better one
    areas_px: tuple[float, ...] = ()  # of accepted objects
    refused_px: tuple[float, ...] = ()  # of rejected masks and deleted objects
    # of accepted objects, by level of the tile
    places: Mapping[int, tuple[Place, ...]] = field(default_factory=dict)
    samples: tuple[Samples, ...] = field(default=(), repr=False)  # of where these end
    # areas of masks that are preselected without learning, and of the accepted objects
    size_pairs_px: tuple[tuple[float, float], ...] = ()
    token_policy: Policy | None = None  # what makes masks of many clicks, of which some hit nothing
    # whether an object was accepted with the mask, which is added as it was then
    is_fixed: bool = False

    @cached_property
    def border(self) -> BorderWeights:
        """What is known of where objects end, computed at the first access; empty: nothing."""
        return fitted(self.samples) if self.samples else self.recipe.border

    @property
    def least_px(self) -> float:
        """The area that a mask with a disc has at least; 0 if it may have any."""
        policy = self.recipe.policy
        has_sizes = policy is not None and policy.has_disc and not self.is_fixed
        return min(self.areas_px, default=0.0) if has_sizes else 0.0

    def knows_place(self, place: Place, level: int) -> bool:
        """Whether a click is where accepted objects are alike: in the image and to the model."""
        places = self.places.get(level, ())
        if len(places) < 2:
            return True
        lights = [known.brightness for known in places]
        is_between = min(lights) - _BRIGHTNESS_STEP <= place.brightness
        is_between &= place.brightness <= max(lights) + _BRIGHTNESS_STEP
        if not is_between and not np.isnan([place.brightness, *lights]).any():
            return False
        known = np.stack([place.direction for place in places])
        alike = known @ known.T - 2 * np.eye(len(known))
        least = float(alike.max(axis=1).min())
        return float((known @ place.direction).max()) >= least - _UNLIKE

    def knows_size(self, area_px: float) -> bool:
        """Whether masks of about a size were accepted, and not refused more often."""

        def likeness(areas_px: Sequence[float]) -> float:
            ratios = np.log(area_px / np.maximum(areas_px, 1)) / _SIZE_SCALE
            return float(np.exp(-(ratios**2) / 2).sum())

        if self._is_another_size(area_px):
            return False
        return not self.refused_px or likeness(self.areas_px) >= likeness(self.refused_px)

    def is_of_another_kind(self, features: MaskFeatures, best: int, learnt_px: float) -> bool:
        """Whether the best mask is clearly another object than those accepted.

        Its size is unlike all of them, or differs from `learnt_px`, that of the learned mask, more
        than on any of them.
        """
        is_clear = features.iou_predictions[best] >= _CLEAR_SCORE
        is_clear &= features.stability_score[best] >= _CLEAR_STABILITY
        if not is_clear:
            return False
        area_px = features.area_px[best]
        known = [_factor(*areas_px) for areas_px in self.size_pairs_px]
        differs_more = known and _factor(area_px, learnt_px) > _MORE_OTHER * max(known)
        return bool(differs_more) or self._is_another_size(area_px)

    def _is_another_size(self, area_px: float) -> bool:
        """Whether no accepted object is about as large."""
        ratios = np.log(max(area_px, 1) / np.maximum(self.areas_px, 1))
        return bool(ratios.size and abs(ratios).min() > np.log(_OTHER_SIZE))


def _factor(area_px: float, other_px: float) -> float:
    """Return by which factor the larger one of two areas is larger."""
    small, large = sorted((area_px, other_px))
    return float(large / max(small, 1))


def place_at(embedded: EmbeddedTile, click_xy: tuple[float, float]) -> Place:
    """Return what the model sees at a click on a tile."""
    tile = embedded.tile
    # The array with the fewest places: what objects are, rather than where they end.
    arrays = [array for array in embedded.embedding.to_arrays().values() if array.ndim == 3]
    array = min(arrays, key=lambda array: array.shape[-1] * array.shape[-2])
    share_x = (click_xy[0] + 0.5 - tile.left) / tile.side
    share_y = (click_xy[1] + 0.5 - tile.top) / tile.side
    row, column = (
        min(max(int(share * length), 0), length - 1)
        for share, length in zip((share_y, share_x), array.shape[-2:], strict=True)
    )
    direction = as_float32(array[:, row, column])
    direction = direction / max(float(np.linalg.norm(direction)), 1e-6)
    thumbnail, brightness = embedded.content.thumbnail, np.nan
    if thumbnail is not None:
        height, width = thumbnail.shape[:2]
        y = min(max(int((click_xy[1] + 0.5 - tile.top) / tile.height * height), 0), height - 1)
        x = min(max(int((click_xy[0] + 0.5 - tile.left) / tile.width * width), 0), width - 1)
        brightness = float(thumbnail[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].mean())
    return Place(direction, brightness)
