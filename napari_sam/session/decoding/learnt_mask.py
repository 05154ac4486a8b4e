"""The mask that what was learned from accepted objects adds to those of a first click."""

from dataclasses import replace
from typing import Final

import numpy as np

from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.features import MaskFeatures, joined, measure_features
from napari_sam.session.decoding.learnt import Learnt, place_at
from napari_sam.session.decoding.ranking import MaskBefore, Ranking
from napari_sam.session.decoding.recipe import Recipe, as_candidate, decode_recipe
from napari_sam.session.embedding.embeddings import EmbeddedTile

_CORRECTED_CUT: Final = 2.0
"""The logit at which corrections of a mask are cut that a disc made."""


def with_learnt(
    candidates: Candidates, embedded: EmbeddedTile, click_xy: tuple[float, float], learnt: Learnt
) -> Candidates:
    """Add the mask of a click that was learned, unless it is among the candidates.

    It is preselected if it has been the better one, where the click is like those accepted.
    """
    ranking = candidates.ranking
    if ranking is None:
        return candidates
    made = decode_recipe(embedded, click_xy, learnt.recipe, learnt.least_px)
    if made is None:
        return candidates
    mask, recipe = made
    features, index = ranking.features, len(candidates)
    if not learnt.is_fixed:
        index = _index_of(mask, candidates)
    is_extra = index == len(candidates)
    if is_extra:
        features = joined([features, _features_of(mask, embedded)])
    order = ranking.order
    is_first = learnt.is_preselected and _is_alike(
        learnt, features, index, candidates.best, embedded, click_xy
    )
    if is_first:
        order = (index, *(n for n in order if n != index))
    elif is_extra:
        order = (*order, index)
    reason = ranking.reason
    if is_first and index != candidates.best:
        reason = f"learned from {learnt.n_objects} objects"
    return replace(
        candidates,
        masks=(*candidates.masks, mask) if is_extra else candidates.masks,
        ranking=Ranking(order, reason, features),
        base=candidates,
        learnt=index,
        recipe=recipe if is_extra else None,
    )


def corrected(
    candidates: Candidates, embedded: EmbeddedTile, recipe: Recipe, before: MaskBefore | None
) -> Candidates:
    """Preselect what the token makes of a correction that made the learned mask before.

    Its score tells as little then as at the first click. Where a disc was the mask prompt, what is
    decoded from that is too large, and is cut higher, as one more mask. It stays behind if it has
    become larger although the user excluded something.
    """
    ranking, index = candidates.ranking, recipe.policy.token - 1
    if ranking is None or not 0 <= index < len(candidates):
        return candidates
    made, reason = candidates, "made like the learned mask before"
    if recipe.policy.has_disc:
        recipe = recipe._replace(policy=recipe.policy._replace(cut=_CORRECTED_CUT))
        published = candidates.masks[index].published
        mask = as_candidate(embedded, published, index, _CORRECTED_CUT)
        if not (mask.logits > 0).any():
            return candidates
        index = len(candidates)
        features = joined([ranking.features, _features_of(mask, embedded)])
        made = replace(
            candidates,
            masks=(*candidates.masks, mask),
            ranking=Ranking((*ranking.order, index), ranking.reason, features),
            base=candidates,
            learnt=index,
            recipe=recipe,
        )
    assert made.ranking is not None
    features, order = made.ranking.features, made.ranking.order
    if before is not None and before.is_excluding and before.grew(features.area_px)[index]:
        return made
    return replace(
        made, ranking=Ranking((index, *(n for n in order if n != index)), reason, features)
    )


def _features_of(mask: Candidate, embedded: EmbeddedTile) -> MaskFeatures:
    """Return the features of a mask alone."""
    tile = embedded.tile
    area_px = tile.height * tile.width
    content = embedded.content
    return measure_features(mask.published, content.thumbnail, area_px, edges=content.edges)


def _index_of(mask: Candidate, candidates: Candidates) -> int:
    """Return the index of a candidate that is the same mask; their number if there is none."""
    return next(
        (
            index
            for index, other in enumerate(candidates.masks)
            if other.tile == mask.tile and np.array_equal(other.logits, mask.logits)
        ),
        len(candidates),
    )


def _is_alike(
    learnt: Learnt,
    features: MaskFeatures,
    index: int,
    best: int,
    embedded: EmbeddedTile,
    click_xy: tuple[float, float],
) -> bool:
    """Whether a click, and the masks that it has, are like those that were learned from."""
    if not learnt.knows_size(float(features.area_px[index])):
        return False
    if learnt.is_of_another_kind(features, best):
        return False
    return learnt.knows_place(place_at(embedded, click_xy))
