"""Recipes for the mask of a first click: which tile, which of the model's masks, which disc.

A click alone does not tell how large an object is. A disc as large as the accepted ones, around the
click and as the mask prompt of one more decode, does.
"""

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import Capability
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Tile, TilePyramid

_STEEPNESS, _CERTAIN = 2.0, 8.0
"""The logit of a disc per cell from its edge, and the largest."""
_FAR_SMALLER: Final = 0.8
"""Share of the area of the smallest accepted object below which a mask is too small..."""
_CLEAR: Final = 0.5
"""...unless it is as stable as this: then it is of a small object."""
_LOWEST_CUT: Final = -4.0
SINGLE: Final = 0
"""The token of the single mask that a model gives where it is not asked for several."""


class Policy(NamedTuple):
    """How the mask of a first click is made, whatever the size of the objects."""

    level: int  # of the tile
    token: int  # `SINGLE`, or which of the model's masks, from 1
    has_disc: bool  # whether a disc is the mask prompt
    cut: float = 0.0  # the logit above which a pixel belongs to the mask; published is 0


BorderWeights = tuple[float, ...]
"""What is known of where objects end: the weights that `border.fitted` returns; empty: nothing."""


class Recipe(NamedTuple):
    """How a mask is made that is none of the model's own."""

    policy: Policy | None = None  # of the first click; None: it was preselected without learning
    radius_px: float = 0.0  # of the disc, in pixels of the plane; 0 without one
    border: BorderWeights = ()  # how the border is moved then


def tile_for(pyramid: TilePyramid, click_xy: tuple[float, float], level: int) -> Tile | None:
    """Return the tile of a level that holds a click with a margin; None if none does."""
    tile = pyramid.around((*click_xy, *click_xy), min(level, pyramid.whole.level))
    return tile if tile.level == level else None


def disc_logits(
    tile: Tile, click_xy: tuple[float, float], radius_px: float, low_res_side: int
) -> NDArray[np.float32]:
    """Return a disc around a click as the mask prompt of a tile."""
    cell_px = tile.side / low_res_side
    places = (np.arange(low_res_side, dtype=np.float32) + 0.5) * cell_px - 0.5
    away_y = places[:, None] + tile.top - click_xy[1]
    away_x = places[None, :] + tile.left - click_xy[0]
    depth = (radius_px - np.hypot(away_y, away_x)) / cell_px
    return np.asarray(np.clip(_STEEPNESS * depth, -_CERTAIN, _CERTAIN), np.float32)


def decode_tokens(
    embedded: EmbeddedTile, click_xy: tuple[float, float], radius_px: float, *, single: bool
) -> MaskPrediction | None:
    """Decode a click, with a disc if it has a radius; None where the model takes none."""
    decoder, disc = embedded.decoder, None
    if radius_px:
        if Capability.MASK_PROMPT not in decoder.spec.capabilities:
            return None
        disc = disc_logits(embedded.tile, click_xy, radius_px, decoder.spec.low_res_side)
    return decoder.decode(
        embedded.embedding,
        points_xy=embedded.to_pixels(np.array([click_xy], np.float32)),
        point_labels=np.ones(1, np.int64),
        mask_input=disc,
        multimask_output=not single,
    )


def mask_alone(prediction: MaskPrediction, index: int, cut: float) -> MaskPrediction:
    """Return one of the masks of a prediction, cut at a logit."""
    logits = prediction.low_res_logits[index : index + 1]
    return replace(
        prediction,
        low_res_logits=logits - np.float32(cut) if cut else logits,
        iou_predictions=prediction.iou_predictions[index : index + 1],
    )


def with_logits(
    mask: Candidate, logits: NDArray[np.float32], iou_prediction: float | None = None
) -> Candidate:
    """Return a mask alone, with other low-res logits, and maybe another score."""
    alone = replace(mask_alone(mask.published, mask.index, 0), low_res_logits=logits[None])
    if iou_prediction is not None:
        alone = replace(alone, iou_predictions=np.array([iou_prediction], np.float32))
    return replace(mask, published=alone, index=0, levels={})


def as_candidate(
    embedded: EmbeddedTile, prediction: MaskPrediction, index: int, cut: float
) -> Candidate:
    """Return one of the masks of a prediction as a candidate, cut at a logit."""
    alone = mask_alone(prediction, index, cut)
    return Candidate(alone, 0, embedded.tile, embedded.weights, picture=embedded.picture)


def cut_for(
    embedded: EmbeddedTile, prediction: MaskPrediction, index: int, cut: float, least_px: float
) -> float:
    """Return where to cut a mask of a prediction: lower, where it would almost vanish.

    A disc larger than the object makes logits that are hardly above the cut. If they are unclear,
    the mask gets at least `least_px` pixels of the plane.
    """
    logits = prediction.low_res_logits[index]
    cell_px = embedded.tile.side / logits.shape[-1]
    area_px = np.count_nonzero(logits > cut) * cell_px**2
    if not least_px or area_px >= _FAR_SMALLER * least_px:
        return cut
    inner, outer = (np.count_nonzero(logits > cut + shift) for shift in (1, -1))
    count = min(round(least_px / cell_px**2), logits.size - 1)
    if inner and inner >= _CLEAR * outer:
        return cut
    return max(float(np.partition(logits.ravel(), -count - 1)[-count - 1]), _LOWEST_CUT)


def decode_recipe(
    embedded: EmbeddedTile,
    click_xy: tuple[float, float],
    recipe: Recipe,
    least_px: float = 0.0,
) -> tuple[Candidate, Recipe] | None:
    """Return the mask of a click by a recipe; None if the model has no such mask, or it is empty.

    With it comes the recipe that makes it, whose cut is lower where the mask would be too small:
    `least_px` is the area of the smallest accepted object. One decode, a pure function, for the
    decode thread.
    """
    policy = recipe.policy
    assert policy is not None
    single = policy.token == SINGLE
    radius_px = recipe.radius_px if policy.has_disc else 0.0
    prediction = decode_tokens(embedded, click_xy, radius_px, single=single)
    index = 0 if single else policy.token - 1
    if prediction is None or index >= len(prediction):
        return None
    cut = cut_for(embedded, prediction, index, policy.cut, least_px)
    mask = as_candidate(embedded, prediction, index, cut)
    made = recipe._replace(policy=policy._replace(cut=cut))
    return (mask, made) if (mask.logits > 0).any() else None


def decode_clicks(
    decoder: MaskDecoder,
    policy: Policy,
    embedding: ImageEmbedding,
    points_xy: NDArray[np.float64],
) -> list[MaskPrediction]:
    """Return the mask of each of many clicks, (N, 2) in pixels of the embedding's image.

    Without a disc: where there may be no object, it would be taken for one.
    """
    is_single = policy.token == SINGLE
    predictions = decoder.decode_batch(
        embedding,
        points_xy[:, None],
        np.ones((len(points_xy), 1)),
        multimask_output=not is_single,
    )
    index = 0 if is_single else policy.token - 1
    return [mask_alone(prediction, index, 0) for prediction in predictions]
