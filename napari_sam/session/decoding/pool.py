"""The masks to choose from, picked out of those of several tiles and of boxes around a click.

A click is ambiguous: it may mean a nucleus, the cell or the tissue. Where the model's masks on one
tile settle that, they are shown as they are. Otherwise all masks that are known of the click are
pooled, and as many as the model gives are shown: likely ones that differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.cut import PUBLISHED, Cut
from napari_sam.session.decoding.features import MaskFeatures, joined
from napari_sam.session.decoding.probing import probe
from napari_sam.session.decoding.ranking import DecodeContext, fills_field, rank
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Box
from napari_sam.session.prompts.prompts import Prompts

_GOOD_SCORE, _GOOD_STABILITY = 0.88, 0.9
"""What a mask has that settles which object is meant."""
_ALIKE: Final = 4.0
"""The ratio of areas up to which a mask may be another object of those accepted."""
_DUPLICATE: Final = 0.75
"""The likeness of two masks of which one is enough."""
_SAME_OBJECT: Final = 0.5
"""The likeness of masks of one object at two resolutions."""
_NEARER: Final = 0.2
"""How much more alike a mask is if it is the chosen one, and not that in its place."""


def is_ambiguous(usable: Prompts) -> bool:
    """Whether prompts are a single click."""
    return usable.size == 1 and usable.box_xyxy is None and usable.has_foreground


def is_settled(candidates: Candidates, context: DecodeContext) -> bool:
    """Whether a mask is clearly an object in sight, as large as accepted ones if there are any."""
    pool = _Pool.of(candidates)
    if pool is None:
        return True
    features = pool.features
    good = (features.iou_predictions >= _GOOD_SCORE) & (features.stability_score >= _GOOD_STABILITY)
    good &= (pool.sides_beyond_view(context) == 0) & ~fills_field(features)
    areas_px = [example.features.area_px[example.accepted] for example in context.examples]
    if areas_px:
        ratios = np.log(np.maximum(features.area_px, 1)[:, None] / np.array(areas_px))
        good &= (abs(ratios) < np.log(_ALIKE)).any(axis=1)
    return bool(good.any())


def widened(
    candidates: Candidates,
    embedded: EmbeddedTile,
    click_xy: tuple[float, float],
    context: DecodeContext,
) -> Candidates:
    """Add small masks to those of a click."""
    pool = _Pool.of(candidates)
    if pool is None:
        return candidates
    small = _Pool(*probe(embedded, click_xy, context.examples))
    return pool.with_masks(small).picked(candidates, context)


def continued(
    before: Candidates, new: Candidates, choice: int | None, context: DecodeContext
) -> Candidates:
    """Add the masks that prompts had on another tile to those on a new one.

    If the user chose one, it continues on the new tile, and the others stay where they are.
    """
    old, fresh = _Pool.of(before), _Pool.of(new)
    if old is None or fresh is None:
        return new
    if choice is not None and choice < len(before):
        return _with_chosen_on(before, new, old, fresh, choice)
    if is_settled(new, context):
        return new
    finer, coarser = sorted((old, fresh), key=lambda pool: pool.masks[0].tile.side)
    # What ends at a border of its tile is whole on the coarser one.
    finer = finer.take(np.flatnonzero(finer.features.border_share == 0))
    return finer.with_masks(coarser.unlike(finer)).picked(new, context)


def _with_chosen_on(
    before: Candidates, new: Candidates, old: _Pool, fresh: _Pool, choice: int
) -> Candidates:
    """Return the masks before, of which the chosen one is that of a new tile; all else stays."""
    kept = before
    if choice == before.learnt and new.learnt is not None:
        index = new.learnt
    else:
        own = [n for n in range(len(new)) if n != new.learnt]
        index = max(own, key=lambda n: box_likeness(old.boxes[choice], fresh.boxes[n]))
        if choice == before.learnt:
            kept = replace(before, base=None, learnt=None, recipe=None)
    order = list(range(len(before)))
    order[choice] = len(before) + index
    pool = old.with_masks(fresh).take(order)
    assert before.ranking is not None  # the old pool is of its features
    ranking = replace(before.ranking, features=pool.features)
    return replace(kept, tile=new.tile, masks=tuple(pool.masks), ranking=ranking)


def found_again(
    candidates: Candidates, choice: int, box: Box, context: DecodeContext, cut: Cut = PUBLISHED
) -> Candidates:
    """Put the mask that the user chose, known by its box, where it was among the candidates.

    `cut` is how it was cut.
    """
    pool, count = _Pool.of(candidates), len(candidates)
    if pool is None or choice >= count:
        return candidates
    likeness = [box_likeness(mask.bounds_xyxy, box) for mask in candidates.all_cut(cut).masks]
    nearest = int(np.argmax(likeness))
    if nearest == choice or likeness[nearest] - likeness[choice] < _NEARER:
        return candidates
    order = list(range(count))
    order[choice], order[nearest] = nearest, choice
    return pool.take(order).candidates(candidates, context)


@dataclass(frozen=True, eq=False)
class _Pool:
    """Masks of one click, with their features."""

    masks: Sequence[Candidate]
    features: MaskFeatures

    @classmethod
    def of(cls, candidates: Candidates) -> _Pool | None:
        """Return the masks of candidates; None if their features are unknown."""
        ranking = candidates.ranking
        return None if ranking is None else cls(candidates.masks, ranking.features)

    @cached_property
    def boxes(self) -> list[Box | None]:
        """About the bounding box of each mask."""
        return [mask.rough_bounds_xyxy for mask in self.masks]

    def take(self, indices: Iterable[int]) -> _Pool:
        """Return some of the masks."""
        indices = [int(index) for index in indices]
        return _Pool([self.masks[k] for k in indices], self.features.take(indices))

    def with_masks(self, other: _Pool) -> _Pool:
        """Return these masks and those of another pool."""
        return _Pool([*self.masks, *other.masks], joined([self.features, other.features]))

    def unlike(self, other: _Pool) -> _Pool:
        """Return the masks that are of no object of another pool."""
        return self.take(
            k
            for k, box in enumerate(self.boxes)
            if all(box_likeness(box, known) < _SAME_OBJECT for known in other.boxes)
        )

    def sides_beyond_view(self, context: DecodeContext) -> NDArray[np.intp]:
        """Return on how many sides each mask leaves the view."""
        return context.sides_beyond_view(self.boxes)

    def candidates(self, like: Candidates, context: DecodeContext) -> Candidates:
        """Return all masks, in this order, as candidates of the same prompts and tile."""
        ranking = rank(self.features, context.examples, self.sides_beyond_view(context))
        return Candidates(like.prompts, like.tile, tuple(self.masks), ranking)

    def picked(self, like: Candidates, context: DecodeContext) -> Candidates:
        """Return as many candidates as others, likely ones that differ, from small to large.

        At least one of them is smaller than the view, if any mask is.
        """
        count, sides = len(like), self.sides_beyond_view(context)
        order = rank(self.features, context.examples, sides).order
        likely, boxes = list[int](), self.boxes
        for k in order:
            if all(box_likeness(boxes[k], boxes[n]) < _DUPLICATE for n in likely):
                likely.append(k)
        likely += [k for k in order if k not in likely]
        small = [k for k in likely if not sides[k]]
        shown = likely[:count]
        if small and small[0] not in shown:
            shown[-1] = small[0]
        areas_px = self.features.area_px
        return self.take(sorted(shown, key=lambda k: areas_px[k])).candidates(like, context)


def box_likeness(box: Box | None, other_box: Box | None) -> float:
    """Return how alike two masks under one click are, 0 to 1, by their boxes."""
    if box is None or other_box is None:
        return 0.0
    width = min(box[2], other_box[2]) - max(box[0], other_box[0])
    height = min(box[3], other_box[3]) - max(box[1], other_box[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other_box)]
    return shared / (sum(areas) - shared)
