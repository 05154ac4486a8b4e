"""What a user can choose about finding everything in an image; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings

LOWEST_PRED_IOU: Final = 0.5
"""Masks of a lower predicted quality are not kept, unless that is asked for."""


class OverlapOrder(StrEnum):
    """Which of two found masks has the pixels that both cover."""

    SMALLER = "smaller on top"
    BETTER = "higher score on top"
    FIRST = "found first on top"


@dataclass(frozen=True)
class AutomaticRunSettings:
    """The published settings of automatic mask generation, and which sizes are wanted."""

    points_per_side: int = 32
    points_per_batch: int = 16
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: float = 0
    min_area_px: float = 0  # masks with fewer or more pixels of the plane are left out
    max_area_px: float = inf  # masks with fewer or more pixels of the plane are left out
    max_share: float = 1.0  # masks that cover a larger share of the plane are left out
    # which mask shows, and gets the pixels, where two of them overlap
    layering: OverlapOrder = OverlapOrder.SMALLER

    def published(self) -> AutomaticSettings:
        """Return the published settings among them; imports torch."""
        from napari_sam.engine.automatic_settings import AutomaticSettings

        names = {field.name for field in fields(AutomaticSettings)}
        return AutomaticSettings(**{name: v for name, v in vars(self).items() if name in names})

    def needs_another_search(self, searched: AutomaticRunSettings) -> bool:
        """Whether masks found with other settings do not tell what these would find."""
        return any(
            getattr(self, name) != getattr(searched, name) for name in _DECIDE_WHAT_IS_DECODED
        ) or self.pred_iou_thresh < min(searched.pred_iou_thresh, LOWEST_PRED_IOU)


_DECIDE_WHAT_IS_DECODED: Final = (
    "points_per_side",
    "stability_score_offset",
    "crop_n_layers",
    "crop_overlap_ratio",
    "crop_n_points_downscale_factor",
)


class Preset(NamedTuple):
    """Settings with a name."""

    name: str
    settings: AutomaticRunSettings
    advice: str


_CELLS: Final = AutomaticRunSettings(
    pred_iou_thresh=0.8, stability_score_thresh=0.9, min_mask_region_area=20, max_share=0.3
)
PRESETS: Final = (
    Preset(
        "natural image",
        AutomaticRunSettings(),
        "The published defaults: 32 x 32 points, and only masks of high scores",
    ),
    Preset(
        "cells",
        _CELLS,
        "Lower scores pass (predicted IoU 0.8, stability 0.9), as cells have fainter borders than "
        "things in photographs; no specks or holes below 20 pixels, and nothing that covers a "
        "third of the image",
    ),
    Preset(
        "few large",
        AutomaticRunSettings(points_per_side=12, box_nms_thresh=0.5, min_mask_region_area=100),
        "12 x 12 points, which takes a seventh of the time and misses what lies between them; of "
        "masks that are alike, fewer stay (box NMS 0.5); no specks or holes below 100 pixels",
    ),
    Preset(
        "many small",
        replace(_CELLS, crop_n_layers=1, crop_n_points_downscale_factor=2),
        "As for cells, and the four quarters of the image are looked at enlarged, too, with 16 x "
        "16 points each: twice as many points, and as many more steps as there are quarters",
    ),
)
"""Tried on scikit-image's coins, cell and immunohistochemistry, and on benchmarks/cells.py."""
