"""What each policy would have made of an accepted object; for a background thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.border import Samples, samples_of
from napari_sam.session.decoding.candidate import Candidate, cell_at
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.cut import Cut
from napari_sam.session.decoding.expected import innermost_xy
from napari_sam.session.decoding.learnt import Learnt, Place, place_at
from napari_sam.session.decoding.learnt_mask import with_border
from napari_sam.session.decoding.ranking import MAX_EXAMPLES, DecodeContext
from napari_sam.session.decoding.recipe import (
    SINGLE,
    Policy,
    as_candidate,
    cut_for,
    decode_recipe,
    decode_tokens,
    tile_for,
)
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.learning.lessons import Lesson, radius_of
from napari_sam.session.objects.labels import LabelsPlane, packed_crops
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

_CUTS: Final = (1.5, 3.0)
"""Logits at which masks are cut, beside 0..."""
_WORTH_CUTTING: Final = 0.3
"""...if their IoU with the object is as large as this."""
_GOOD_ENOUGH: Final = 0.8
"""The IoU with an uncorrected object from which on another mask is as right: the user accepted what
the model made, and might have accepted the other one as well."""
_SAMPLES: Final = 240
"""Places around the masks of an object that tell where it ends."""
_FAR_LARGER: Final = 8.0
"""Ratio of areas from which on a mask is certainly not the object."""

FindTile = Callable[[Tile], EmbeddedTile | None]
"""Returns a tile that is in memory."""


@dataclass(frozen=True, eq=False)
class AcceptedObject:
    """An object as it was accepted, and what is known of its first click."""

    masks: tuple[PackedMask, ...]  # its pixels, whatever other objects have taken of them
    target: LabelsPlane  # where these are
    tile: Tile  # where its mask was decoded
    prompts: Prompts  # those that it was made with
    context: DecodeContext  # what its candidates were ranked by
    # the masks of its first click, if they were shown; none of them was learned
    first: Candidates | None = None
    is_corrected: bool = True  # not just what the model made of a click or a box

    @cached_property
    def crop(self) -> MaskCrop:
        """Its mask in the plane; computed at the first access."""
        return packed_crops(self.masks, self.target)

    @cached_property
    def area_px(self) -> float:
        """The number of its pixels."""
        return float(np.count_nonzero(self.crop.mask))

    @property
    def click_xy(self) -> tuple[float, float]:
        """Its first foreground click inside the mask, or the pixel deepest inside."""
        mask, top, left = self.crop
        points = zip(self.prompts.points_xy, self.prompts.point_labels, strict=True)
        for (x, y), label in points:
            row, column = round(y) - top, round(x) - left
            is_near = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
            if label == FOREGROUND and is_near:
                return x, y
        return innermost_xy(self.crop)


def measure(
    accepted: AcceptedObject,
    pyramid: TilePyramid,
    find: FindTile,
    areas_px: Sequence[float],
    learnt: Learnt | None,
    rest: Callable[[], None],
) -> Lesson | None:
    """Return the lesson of an accepted object; None if none of it is left, or in memory.

    `areas_px` are those of other accepted objects, the last one last; `learnt` is what is known of
    where they end; `rest` is called before each decode, and what it raises ends the work.
    """
    radius_px, least_px = radius_of(areas_px), min(areas_px[-MAX_EXAMPLES:], default=0.0)
    crop = accepted.crop
    if not crop.mask.size:
        return None
    click_xy = accepted.click_xy
    first = _first(accepted, find, click_xy, rest)
    if first is None:
        return None
    judge = _Judge(accepted, click_xy, first, learnt)
    ious: dict[Policy, float] = {}
    places: dict[int, Place] = {}
    for level in range(pyramid.whole.level + 1):
        tile = tile_for(pyramid, click_xy, level)
        embedded = None if tile is None else find(tile)
        if embedded is None:
            continue
        places[level] = place_at(embedded, click_xy)
        for policy, prediction, index in _masks(embedded, click_xy, radius_px, rest):
            iou = 1.0
            for cut in (0.0, *_CUTS) if policy.has_disc else (0.0,):
                if iou >= _WORTH_CUTTING:
                    rest()
                    least = least_px if policy.has_disc else 0.0
                    lower = cut_for(embedded, prediction, index, cut, least)
                    iou = judge.iou_of(as_candidate(embedded, prediction, index, lower))
                ious[policy._replace(cut=cut)] = iou
    samples, moved_iou = _border(judge, pyramid, find, rest)
    ranking = first.ranking
    today_px = None if ranking is None else float(ranking.features.area_px[first.best])
    return Lesson(accepted.area_px, judge.today, ious, places, samples, moved_iou, today_px)


class _Judge:
    """Tells how well masks fit an accepted object, or what is preselected where they stand back."""

    def __init__(
        self,
        accepted: AcceptedObject,
        click_xy: tuple[float, float],
        first: Candidates,
        learnt: Learnt | None,
    ) -> None:
        self.crop, self.click_xy, self.first, self.learnt = accepted.crop, click_xy, first, learnt
        self._accepted = accepted
        self._most = 1.0 if accepted.is_corrected else _GOOD_ENOUGH
        self.today = self._iou_of(first.masks[first.best])
        """The IoU of what is preselected without learning."""

    def iou_of(self, mask: Candidate) -> float:
        """Return the IoU of a mask, or of what is preselected where its size is another one."""
        ranking, best = self.first.ranking, self.first.best
        if self.learnt is not None and ranking is not None:
            area_px = rough_area_px(mask)
            if self.learnt.is_of_another_kind(ranking.features, best, area_px):
                return self.today
        return self._iou_of(mask)

    def _iou_of(self, mask: Candidate) -> float:
        return min(iou_of(_as_wanted(mask, self._accepted, self.click_xy), self.crop), self._most)


def _border(
    judge: _Judge, pyramid: TilePyramid, find: FindTile, rest: Callable[[], None]
) -> tuple[Samples | None, float | None]:
    """Return samples of where an object ends, and the IoU of its mask if that was known before."""
    click_xy, crop, first, learnt = judge.click_xy, judge.crop, judge.first, judge.learnt
    masks, base = list(first.masks), first.masks[first.best]
    policy = None if learnt is None else learnt.recipe.policy
    if learnt is not None and policy is not None:
        tile = tile_for(pyramid, click_xy, policy.level)
        embedded = None if tile is None else find(tile)
        rest()
        made = None
        if embedded is not None:
            made = decode_recipe(embedded, click_xy, learnt.recipe, learnt.least_px)
        if made is not None:
            base = made[0]
            masks.append(base)
    moved_iou = None
    if learnt is not None and learnt.border:
        rest()
        click = Prompts((click_xy,), (FOREGROUND,))
        mask = with_border(base, click, learnt.border) or base
        moved_iou = judge.iou_of(mask)
    parts: list[Samples] = []
    for mask in masks:
        rest()
        if iou_of(mask, crop) >= _WORTH_CUTTING:
            click_cell = cell_at(mask.tile, mask.logits.shape[-1], *click_xy)
            part = samples_of(mask, click_cell, crop, _SAMPLES // len(masks))
            if part is not None:
                parts.append(part)
    return (np.concatenate(parts) if parts else None), moved_iou


def _first(
    accepted: AcceptedObject,
    find: FindTile,
    click_xy: tuple[float, float],
    rest: Callable[[], None],
) -> Candidates | None:
    """Return the masks of the first click without learning."""
    candidates = accepted.first
    if candidates is None:
        embedded = find(accepted.tile)
        if embedded is None:
            return None
        rest()
        click = Prompts((click_xy,), (FOREGROUND,), slice_index=accepted.prompts.slice_index)
        candidates = DecodeRequest(embedded, click, click, accepted.context).all_at_once()
    return candidates


def _masks(
    embedded: EmbeddedTile,
    click_xy: tuple[float, float],
    radius_px: float,
    rest: Callable[[], None],
) -> Iterator[tuple[Policy, MaskPrediction, int]]:
    """Yield the mask of each policy on a tile, before it is cut: a prediction and an index."""
    for has_disc in (False, True) if radius_px else (False,):
        for is_single in (True, False):
            rest()
            prediction = decode_tokens(
                embedded, click_xy, radius_px if has_disc else 0.0, single=is_single
            )
            for index in range(0 if prediction is None else len(prediction)):
                token = SINGLE if is_single else index + 1
                assert prediction is not None
                policy = Policy(embedded.tile.level, token, has_disc)
                yield policy, prediction, index


def _as_wanted(
    mask: Candidate, accepted: AcceptedObject, click_xy: tuple[float, float]
) -> Candidate:
    """Return a mask with as clean an outline as the user wants."""
    return mask.with_cut([click_xy], Cut(accepted.context.clean_strength))


def rough_area_px(mask: Candidate) -> float:
    """Return about the area of a candidate in pixels of the plane, from its low-res logits."""
    cell_px = mask.tile.side / mask.logits.shape[-1]
    return float(np.count_nonzero(mask.logits > 0) * cell_px**2)


def iou_of(mask: Candidate, crop: MaskCrop) -> float:
    """Return the intersection over union of a candidate with a mask in pixels of the plane."""
    area, rough_px = int(np.count_nonzero(crop.mask)), rough_area_px(mask)
    rough = mask.rough_bounds_xyxy
    height, width = crop.mask.shape
    if rough is None or not area:
        return 0.0
    if rough_px > _FAR_LARGER * area:  # no matter how much: to enlarge it takes long
        return area / rough_px
    is_apart = rough[0] > crop.left + width or rough[2] < crop.left
    is_apart |= rough[1] > crop.top + height or rough[3] < crop.top
    if is_apart:
        return 0.0
    total = shared = 0
    for block, top, left in mask.blocks():
        total += int(np.count_nonzero(block))
        shared += int(np.count_nonzero(block & crop.within(top, left, block.shape)))
    return shared / (total + area - shared)
