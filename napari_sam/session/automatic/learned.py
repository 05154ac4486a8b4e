"""Automatic masks by what accepted objects told: the tiles, the mask of a click, the sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Final

import numpy as np

from napari_sam.session.automatic.likeness import most_similar
from napari_sam.session.automatic.masks import AutomaticMask, choose_masks
from napari_sam.session.automatic.request import (
    AutomaticRequest,
    all_tile_masks,
    automatic_tiles,
)
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane

_SIZE_FACTOR: Final = 2.0
"""How much smaller or larger than all accepted objects masks may be."""
_DENSEST: Final = 64
"""Points along each side of a tile, at most."""


def learnt_masks(
    embedder: Embedder,
    plane: ImagePlane,
    learnt: Learnt,
    settings: AutomaticRunSettings,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[AutomaticMask]:
    """Find objects like accepted ones by a grid of clicks, each with the mask that fitted them.

    The best ones come first. Scores decide no more than that: what was learned takes their place.
    """
    pyramid = plane.pyramid(embedder.load().encoder.spec)
    policy = learnt.recipe.policy or learnt.token_policy
    is_whole = policy is None or policy.level >= pyramid.whole.level
    side_px = None if policy is None or is_whole else pyramid.at(policy.level, 0, 0).side
    tiles = automatic_tiles(pyramid.whole, side_px)[1:] or (pyramid.whole,)
    settings = _for_objects(settings, learnt, tiles[0].side)
    request = AutomaticRequest(plane, tiles, settings, policy=policy)
    masks = choose_masks(all_tile_masks(request, embedder, on_progress), pyramid, settings)
    crops = [mask.plane_crop for mask in masks]
    scores = np.array([mask.record.predicted_iou for mask in masks])
    return [masks[index] for index in most_similar(scores, 0, crops.__getitem__)]


def _for_objects(
    settings: AutomaticRunSettings, learnt: Learnt, side_px: int
) -> AutomaticRunSettings:
    """Return settings for tiles of a size: points as dense as small objects need, and areas."""
    smallest_px, largest_px = min(learnt.areas_px), max(learnt.areas_px)
    # Every disc of that size has a point of the grid in it.
    count = min(_DENSEST, ceil(side_px / max(1.0, (2 * smallest_px / np.pi) ** 0.5)))
    published = replace(
        settings.published,
        points_per_side=count,
        point_grids=None,
        crop_n_layers=0,
        pred_iou_thresh=0,
        stability_score_thresh=0,
    )
    return replace(
        settings,
        published=published,
        min_area_px=smallest_px / _SIZE_FACTOR,
        max_area_px=largest_px * _SIZE_FACTOR,
    )
