"""One object from its prompts without a session, with the masks that the widget would show."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.pool import is_ambiguous
from napari_sam.session.decoding.ranking import DecodeContext
from napari_sam.session.decoding.recipe import tile_for
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.decoding.tile_choice import initial_tile, refined_tile
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.prompts.prompts import Prompts

StartMask = Callable[[Tile, int], NDArray[np.float32]]
"""Returns the low-res logits of a tile, of that side, to decode from."""


def segment(
    embed: Callable[[Tile], EmbeddedTile],
    pyramid: TilePyramid,
    prompts: Prompts,
    *,
    start: StartMask | None = None,
    multimask: bool = True,
    may_move: bool = True,
    clean_strength: float = 0.0,
    learnt: Learnt | None = None,
) -> Candidates:
    """Decode prompts as the widget does while the whole plane is in view.

    No accepted objects influence the ranking, but `learnt` adds a mask to those of a click. With
    `may_move`, the object is decoded again on another tile where its mask is cut off or tiny.
    Outlines are cleaned with `clean_strength`, 0 to 1. Raises ValueError without prompts inside
    the plane.
    """
    usable, remarks = prompts.within(pyramid.shape)
    if usable.is_empty:
        raise ValueError(" ".join(remarks) or "There is no prompt.")
    state = ObjectState(prompts)
    tile = initial_tile(pyramid, usable, pyramid.whole, None) if may_move else pyramid.whole
    candidates, learnt_on = None, None
    policy = None if learnt is None else learnt.recipe.policy
    if policy is not None and is_ambiguous(usable):
        learnt_tile = tile_for(pyramid, usable.points_xy[0], policy.level)
        learnt_on = None if learnt_tile is None else embed(learnt_tile)
    while True:
        embedded, state = embed(tile), state.on_tile(tile)
        mask_prompt = None if start is None else start(tile, embedded.decoder.spec.low_res_side)
        candidates = DecodeRequest(
            embedded,
            prompts,
            usable,
            DecodeContext(clean_strength=clean_strength, learnt=learnt),
            mask_prompt,
            before=candidates,
            multimask=multimask,
            learnt_on=learnt_on,
        ).all_at_once()
        if not may_move:
            return candidates
        better = refined_tile(pyramid, state, candidates, candidates.best, pyramid.whole)
        if better is None:
            return candidates
        tile = better


def whole_crop(candidates: Candidates, index: int) -> MaskCrop:
    """Return a candidate in pixels of the plane within its bounding box, however large it is."""
    blocks = list(candidates.blocks(index))
    if not blocks:
        return candidates.crop(index)
    top, left = min(block.top for block in blocks), min(block.left for block in blocks)
    bottom = max(block.top + block.mask.shape[0] for block in blocks)
    right = max(block.left + block.mask.shape[1] for block in blocks)
    mask = np.zeros((bottom - top, right - left), bool)
    for block in blocks:
        (height, width), y, x = block.mask.shape, block.top - top, block.left - left
        mask[y : y + height, x : x + width] = block.mask
    return tight_crop(mask, top, left)
