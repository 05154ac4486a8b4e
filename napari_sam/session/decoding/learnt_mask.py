"""The mask that what was learned from accepted objects adds to those of a first click."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.border import moved
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates, clicked_cells
from napari_sam.session.decoding.features import MaskFeatures, joined, measure_features
from napari_sam.session.decoding.honoring import honoring
from napari_sam.session.decoding.learnt import Learnt, place_at
from napari_sam.session.decoding.pool import box_likeness
from napari_sam.session.decoding.ranking import HIGHEST_SCORE, MaskBefore, Ranking
from napari_sam.session.decoding.recipe import (
    BorderWeights,
    Recipe,
    as_candidate,
    decode_recipe,
    with_logits,
)
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Box
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

_CORRECTED_CUT: Final = 2.0
"""The logit at which corrections of a mask are cut that a disc made."""


def with_learnt(
    candidates: Candidates,
    embedded: EmbeddedTile,
    usable: Prompts,
    learnt: Learnt,
    wanted_box: Box | None = None,
) -> Candidates:
    """Add the mask of a click that was learned, unless it is among the candidates.

    It is preselected if it has been the better one, where the click is like those accepted.
    `wanted_box` is around the learned mask that the user chose, if that is made again.
    """
    ranking = candidates.ranking
    made = None if ranking is None else _made(candidates, embedded, usable, learnt, wanted_box)
    if ranking is None or made is None:
        return candidates
    mask, recipe = made
    index, best = len(candidates), candidates.best
    if not learnt.is_fixed:
        index = _index_of(mask, candidates)
    if index == len(candidates):
        extended = _with_one_more(candidates, ranking, mask, recipe, embedded)
    else:
        extended = replace(candidates, base=candidates, learnt=index, recipe=None)
    assert extended.ranking is not None
    features, click_xy = extended.ranking.features, usable.points_xy[0]
    is_first = learnt.is_preselected and _is_alike(
        learnt, features, index, best, embedded, click_xy
    )
    if not is_first:
        return extended
    reason = ranking.reason if index == best else f"learned from {learnt.n_objects} objects"
    return _preselecting(extended, extended.ranking, index, reason)


def still_learnt(
    candidates: Candidates, before: Candidates, embedded: EmbeddedTile
) -> Candidates | None:
    """Add the learned mask that a click had on another tile; None if it had none of its own."""
    ranking = candidates.ranking
    if ranking is None or before.learnt is None or before.recipe is None:
        return None
    mask = before.masks[before.learnt]
    made = _with_one_more(candidates, ranking, mask, before.recipe, embedded)
    if before.best != before.learnt or before.ranking is None or made.ranking is None:
        return made
    return _preselecting(made, made.ranking, len(candidates), before.ranking.reason)


def _with_one_more(
    candidates: Candidates,
    ranking: Ranking,
    mask: Candidate,
    recipe: Recipe,
    embedded: EmbeddedTile,
) -> Candidates:
    """Return candidates with a learned mask as the last one, and how it is made."""
    index, reason = len(candidates), ranking.reason
    features = joined([ranking.features, _features_of(mask, embedded)])
    if reason == HIGHEST_SCORE and mask.iou_prediction > max(candidates.iou_predictions):
        reason = "highest score of the model's own masks"
    return replace(
        candidates,
        masks=(*candidates.masks, mask),
        ranking=Ranking((*ranking.order, index), reason, features),
        base=candidates,
        learnt=index,
        recipe=recipe,
    )


def _preselecting(candidates: Candidates, ranking: Ranking, index: int, reason: str) -> Candidates:
    """Return candidates of which one is preselected, for a reason."""
    order = (index, *(n for n in ranking.order if n != index))
    return replace(candidates, ranking=Ranking(order, reason, ranking.features))


def _made(
    candidates: Candidates,
    embedded: EmbeddedTile,
    usable: Prompts,
    learnt: Learnt,
    wanted_box: Box | None,
) -> tuple[Candidate, Recipe] | None:
    """Return the mask of a click that was learned, and how it is made."""
    recipe, border = learnt.recipe, learnt.border
    if recipe.policy is not None:
        made = decode_recipe(embedded, usable.points_xy[0], recipe, learnt.least_px)
        if made is None or not border:
            return made
        mask, recipe = made
    else:
        mask = candidates.masks[_nearest(candidates, wanted_box)]
    bordered = with_border(mask, usable, border)
    if bordered is None:
        return None if recipe.policy is None else (mask, recipe._replace(border=()))
    return bordered, recipe._replace(border=border)


def _nearest(candidates: Candidates, wanted_box: Box | None) -> int:
    """Return the index of the mask whose border was moved, given the box around what came of it."""
    if wanted_box is None:
        return candidates.best
    return int(np.argmax([box_likeness(mask.bounds_xyxy, wanted_box) for mask in candidates.masks]))


def corrected(
    candidates: Candidates,
    embedded: EmbeddedTile,
    recipe: Recipe,
    before: MaskBefore | None,
    usable: Prompts,
    former: NDArray[np.float32] | None = None,
) -> Candidates:
    """Preselect what is made of a correction like the learned mask before, as one more mask.

    `former` are the logits of the mask that is corrected. It stays behind if it has become larger
    although the user excluded something.
    """
    ranking, reason = candidates.ranking, "made like the learned mask before"
    if ranking is None:
        return candidates
    index = candidates.best if recipe.policy is None else recipe.policy.token - 1
    if not 0 <= index < len(candidates):
        return candidates
    own = candidates.masks[index]
    mask: Candidate | None = own
    if recipe.policy is None:
        mask = _bordered_as_before(own, recipe.border, usable, former)
    elif recipe.policy.has_disc:
        # Its score tells as little as at the first click, and what comes of a disc is too large.
        recipe = Recipe(recipe.policy._replace(cut=_CORRECTED_CUT), recipe.radius_px)
        mask = as_candidate(embedded, own.published, index, _CORRECTED_CUT)
    if mask is None or not (mask.logits > 0).any():
        return candidates
    made = candidates
    if mask is not own:
        index = len(candidates)
        made = _with_one_more(candidates, ranking, mask, recipe, embedded)
    assert made.ranking is not None
    areas_px = made.ranking.features.area_px
    if before is not None and before.is_excluding and before.grew(areas_px)[index]:
        return made
    return _preselecting(made, made.ranking, index, reason)


def _bordered_as_before(
    mask: Candidate, border: BorderWeights, usable: Prompts, former: NDArray[np.float32] | None
) -> Candidate | None:
    """Return a mask whose border was moved once it keeps to all clicks.

    Elsewhere it stays: what the model makes of the correction is worse. Where a click or a box
    means more than that, or the former logits are unknown, the border of its mask is moved.
    """
    if former is None or usable.box_xyxy is not None:
        return with_border(mask, usable, border)
    clicks = clicked_cells(usable, mask.tile, former.shape[-1])
    logits = honoring(former, clicks)
    if any((logits[cell] > 0) != bool(label) for cell, label in clicks):
        return with_border(mask, usable, border)
    return with_logits(mask, logits)


def with_border(mask: Candidate, usable: Prompts, border: BorderWeights) -> Candidate | None:
    """Return a mask with its border moved; None if that is of no use. See `border.moved`."""
    clicks = clicked_cells(usable, mask.tile, mask.logits.shape[-1])
    inside = [click for click in clicks if click[1] == FOREGROUND]
    if not inside:
        return None
    return moved(mask, [*inside, *(click for click in clicks if click not in inside)], border)


def _features_of(mask: Candidate, embedded: EmbeddedTile) -> MaskFeatures:
    """Return the features of a mask alone."""
    thumbnail = embedded.content.thumbnail
    if mask.picture is not None and mask.tile != embedded.tile:
        thumbnail = mask.picture.pixels
    edges = None if mask.picture is None else mask.picture.edges
    area_px = mask.tile.height * mask.tile.width
    return measure_features(mask.published, thumbnail, area_px, edges=edges)


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
    area_px = float(features.area_px[index])
    if not learnt.knows_size(area_px):
        return False
    if learnt.is_of_another_kind(features, best, area_px):
        return False
    return learnt.knows_place(place_at(embedded, click_xy), embedded.tile.level)
