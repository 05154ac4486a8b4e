"""Named settings of automatic mask generation, for the window and for the command line.

Source of the last two: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643),
appendix D.2 and D.3.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from napari_sam.engine.automatic_settings import AutomaticSettings, Setting

MAX_SHARE: Final = Setting(
    *(0, 1, 0.05),
    "Drop masks that cover a larger share of the image; 1 keeps all. Not a published setting.",
)


class Preset(NamedTuple):
    """Settings for one kind of image.

    Attributes
    ----------
    name : str
        What the user chooses it by.
    settings : AutomaticSettings
        The published settings.
    advice : str
        What differs from the published defaults.
    max_share : float
        Masks that cover a larger share of the image are left out.
    """

    name: str
    settings: AutomaticSettings
    advice: str
    max_share: float = 1.0


_CELLS: Final = AutomaticSettings(
    pred_iou_thresh=0.8, stability_score_thresh=0.9, min_mask_region_area=20
)
CELLS: Final = Preset(
    "cells",
    _CELLS,
    "Lower thresholds (predicted IoU 0.8, stability 0.9), as the borders of cells are fainter than "
    "those of things in photographs. Specks and holes below 20 pixels are removed, and masks that "
    "cover more than 30 % of the image",
    max_share=0.3,
)
"""The preset of the window for 16-bit gray images."""
PRESETS: Final = (
    Preset(
        "natural image",
        AutomaticSettings(),
        "The published defaults: 32 x 32 points, and only masks with high scores",
    ),
    CELLS,
    Preset(
        "few large",
        AutomaticSettings(points_per_side=12, box_nms_thresh=0.5, min_mask_region_area=100),
        "12 x 12 points: takes a seventh of the time, but misses what lies between the points. "
        "Fewer similar masks stay (box overlap 0.5); specks and holes below 100 pixels are removed",
    ),
    Preset(
        "many small",
        replace(_CELLS, crop_n_layers=1, crop_n_points_downscale_factor=2),
        "Like cells, and the four quarters of the image are segmented enlarged as well, with 16 x "
        "16 points each: twice as many points, and the encoder runs five times",
        max_share=0.3,
    ),
)
"""Tried on scikit-image's coins, cell and immunohistochemistry, and on benchmarks/cells.py."""

PROPOSAL_SETTINGS: Final = AutomaticSettings(points_per_side=64, box_nms_thresh=0.9)
"""With which the paper generates masks for object proposals: more, and more similar ones."""

EDGE_SETTINGS: Final = AutomaticSettings(
    points_per_side=16, pred_iou_thresh=0, stability_score_thresh=0
)
"""With which the paper generates masks for edges: few, good or not."""
