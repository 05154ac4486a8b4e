"""Settings of automatic mask generation for kinds of images, under names."""

from __future__ import annotations

from typing import Final

from napari_sam.model.automatic_settings import AutomaticSettings

PRESETS: Final = {
    "natural-image": AutomaticSettings(),
    # Faint borders are less stable, specks are no cells.
    "cells": AutomaticSettings(
        pred_iou_thresh=0.8, stability_score_thresh=0.9, min_mask_region_area=20
    ),
    # What is large is hit by few points, and by several: those that nearly agree are one object.
    "few-large": AutomaticSettings(
        points_per_side=12, box_nms_thresh=0.5, min_mask_region_area=100
    ),
    # Four enlarged parts beside the whole image, each with half as many points per side.
    "many-small": AutomaticSettings(
        points_per_side=48,
        pred_iou_thresh=0.8,
        stability_score_thresh=0.9,
        crop_n_layers=1,
        crop_n_points_downscale_factor=2,
    ),
}
"""The first one is as published."""
