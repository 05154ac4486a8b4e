"""Slices beside a corrected one: redone only as far as the correction changes them.

The object is carried from the corrected slice towards the next annotated one until it meets the
masks that were there: the rest of them was right. If it never does, each slice takes one mask of
three: the new one, the one that was there, and one interpolated between the two annotated slices.
Of all ways through them from one annotated slice to the other, that is taken on which the object
moves and changes least abruptly and is surest (R. Bellman, "Dynamic Programming", 1957). A mask
counts less the farther it was carried, and the more its size differs from what it is likely to be.
So what went astray is left where it did, however well the masks beyond agree with each other. But
former masks that surely go on from the annotated slice, as large as there, are left only for surer
ones: an object that divides in the corrected slice was right before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.slices import WEAK, Origin
from napari_sam.session.propagation.borders import Border
from napari_sam.session.propagation.evidence import Evidence
from napari_sam.session.propagation.interpolation import Interpolation, centroid
from napari_sam.session.propagation.slice_mask import Propagator, SliceMask

_MET: Final = 0.85
"""Overlap with the mask that was there from which on it is the same."""
_FOLLOWS: Final = 0.5
"""Overlap of two slices from which on one mask goes on as the other."""
_LIKE_SIZE: Final = 1.15
"""How many times as large, or as small, it may have become by then: some shrink as they go."""
_AT_ONE_PLACE: Final = 1 / 3
"""Share of the smaller of two masks in the other from which on they may be one object."""
_UNSURE_COST: Final = 0.4
"""What no confidence at all costs, compared with the square of what two slices do not share."""
_FAR_COST: Final = 0.05
"""What a mask costs beside the slice that the other one was carried from; halfway, if neither."""
_SIZE_COST: Final = 1.0
"""What it costs to be larger or smaller by a factor of e than between the annotated slices."""


def corrected_between(
    planes: Sequence[ImagePlane],
    corrected: SliceMask,
    annotated: SliceMask,
    slices: Sequence[int],
    former: Mapping[int, SliceMask],
    propagator: Propagator,
) -> Iterator[SliceMask]:
    """Yield the object on slices between a corrected one and an annotated one.

    Parameters
    ----------
    planes : sequence of ImagePlane
        All slices of the stack.
    corrected, annotated : SliceMask
        The slice that the user has just corrected, and the next one that was annotated before.
    slices : sequence of int
        Those between them, the one beside the corrected slice first.
    former : mapping of int to SliceMask
        What the object was there before the correction.
    propagator : Propagator
        Carries the object on.

    Yields
    ------
    SliceMask
        Some slices twice: at first as they are carried on, and again if that did not last.
    """
    carried: dict[int, SliceMask] = {}
    for mask in propagator.outward(planes, corrected, slices):
        there = former.get(mask.slice_index)
        if there is not None and overlap(mask.crop, there.crop) >= _MET:
            rest = slices[slices.index(mask.slice_index) :]
            yield from (former[index] for index in rest if index in former)
            return
        carried[mask.slice_index] = mask
        yield mask
    sure = _sure_from(annotated, slices[::-1], former, corrected)
    stretch = _Stretch(planes, corrected, annotated)
    ways = [
        stretch.choices(index, carried.get(index), former.get(index), is_sure=index in sure)
        for index in slices
    ]
    for best in _smoothest(corrected, ways, annotated):
        if best is not carried.get(best.slice_index):
            yield best


def interpolated_between(
    planes: Sequence[ImagePlane], start: SliceMask, end: SliceMask, slices: Sequence[int]
) -> Iterator[SliceMask]:
    """Yield the masks between two annotated ones, as sure as the image has such borders there."""
    stretch = _Stretch(planes, start, end)
    for index in slices:
        yield stretch.interpolated(index)


class _Stretch:
    """What is likely of an object on the slices between two annotated ones."""

    def __init__(self, planes: Sequence[ImagePlane], start: SliceMask, end: SliceMask) -> None:
        self._planes, self._start, self._end = planes, start, end
        self._start_px, self._end_px = _size(start) ** 0.5, _size(end) ** 0.5

    @cached_property
    def _measures(self) -> list[Evidence]:
        ends = self._start, self._end
        return [Evidence.of(known.crop, self._planes[known.slice_index]) for known in ends]

    @cached_property
    def _interpolation(self) -> Interpolation:
        shape = self._planes[self._start.slice_index].shape
        return Interpolation(self._start.crop, self._end.crop, shape)

    @cached_property
    def _border(self) -> Border:
        """What both masks end at: then those between do, too."""
        ends = self._start, self._end
        first, last = (Border.of(known.crop, self._planes[known.slice_index]) for known in ends)
        return first.shared(last)

    def share(self, index: int) -> float:
        """Return how far a slice is on the way from one end to the other, 0 to 1."""
        first, last = self._start.slice_index, self._end.slice_index
        return (index - first) / (last - first)

    def interpolated(self, index: int) -> SliceMask:
        """Return the mask between both, as sure as the image has such borders there."""
        crop = self._interpolation.at(self.share(index))
        crop = self._border.followed(crop, self._planes[index])
        confidence = self._confidence(crop, index) if crop.mask.size else 0.0
        return SliceMask(index, crop, Origin.INTERPOLATED, confidence)

    def choices(
        self, index: int, carried: SliceMask | None, former: SliceMask | None, *, is_sure: bool
    ) -> list[_Choice]:
        """Return the masks that a slice may take; beside a sure former one, only surer ones."""
        share, between = self.share(index), self.interpolated(index)
        known = [(between, between.confidence, 0.5)]
        for mask, far in (carried, share), (former, 1 - share):
            if mask is not None:
                known.append((mask, self._confidence(mask.crop, index), far))
        least = known[-1][1] if is_sure else -1
        return [
            _Choice(mask, self._size_cost(mask) + _UNSURE_COST * (1 - confidence) + _FAR_COST * far)
            for mask, confidence, far in known
            if not mask.is_empty and (mask is former or confidence > least)
        ]

    def _confidence(self, crop: MaskCrop, index: int) -> float:
        """Return how much the image there is like that under the masks of both ends."""
        evidence, share = Evidence.of(crop, self._planes[index]), self.share(index)
        of_start, of_end = (evidence.confidence(measure) for measure in self._measures)
        return (1 - share) * of_start + share * of_end

    def _size_cost(self, mask: SliceMask) -> float:
        """Return what it costs to be larger or smaller than halfway between both."""
        share = self.share(mask.slice_index)
        side_px = (1 - share) * self._start_px + share * self._end_px
        return float(_SIZE_COST * np.log(_size(mask) / side_px**2) ** 2)


def _sure_from(
    annotated: SliceMask,
    slices: Sequence[int],
    former: Mapping[int, SliceMask],
    corrected: SliceMask,
) -> set[int]:
    """Return the slices, beginning beside the annotated one, through which the object surely went.

    None if it came to lie beside the corrected mask: then it went astray, however sure it was.
    """
    sure: set[int] = set()
    last = annotated
    for index in slices:
        mask = former.get(index)
        if mask is None or mask.confidence < WEAK or not _is_like(annotated, mask):
            return sure
        if overlap(mask.crop, last.crop) < _FOLLOWS:
            return sure
        sure.add(index)
        last = mask
    shared, areas = _areas(last.crop, corrected.crop)
    return sure if shared >= _AT_ONE_PLACE * min(areas) else set()


def overlap(crop: MaskCrop, other: MaskCrop) -> float:
    """Return the intersection over union of two masks of a plane."""
    shared, areas = _areas(crop, other)
    union = sum(areas) - shared
    return shared / union if union else 0.0


def _is_like(mask: SliceMask, other: SliceMask) -> bool:
    """Whether two masks are about as large."""
    return 1 / _LIKE_SIZE <= _size(mask) / max(1, _size(other)) <= _LIKE_SIZE


def _size(mask: SliceMask) -> int:
    return int(np.count_nonzero(mask.crop.mask))


def _areas(crop: MaskCrop, other: MaskCrop) -> tuple[int, tuple[int, int]]:
    """Return how many pixels two masks share, and how many they have."""
    there = other.within(crop.top, crop.left, crop.mask.shape)
    areas = int(np.count_nonzero(crop.mask)), int(np.count_nonzero(other.mask))
    return int(np.count_nonzero(crop.mask & there)), areas


class _Choice(NamedTuple):
    """A mask that a slice may take."""

    mask: SliceMask
    cost: float  # by itself


def _smoothest(
    start: SliceMask, ways: Sequence[Sequence[_Choice]], end: SliceMask
) -> Sequence[SliceMask]:
    """Return a mask of each slice, if it has any, so that they lead most smoothly to the end."""
    n_slices = abs(end.slice_index - start.slice_index)
    motion = (centroid(end.crop) - centroid(start.crop)) / n_slices
    paths: list[tuple[float, tuple[SliceMask, ...]]] = [(0.0, (start,))]
    for choices in (*(choices for choices in ways if choices), (_Choice(end, 0),)):
        ahead = []
        for mask, own in choices:
            costs = [cost + _abruptness(path[-1], mask, motion) for cost, path in paths]
            best = int(np.argmin(costs))
            ahead.append((costs[best] + own, (*paths[best][1], mask)))
        paths = ahead
    return paths[0][1][1:-1]


def _abruptness(mask: SliceMask, following: SliceMask, motion: NDArray[np.float64]) -> float:
    """Return how far an object is from what it was on another slice, at rest or moved evenly."""
    rows, columns = np.rint(motion * abs(following.slice_index - mask.slice_index)).astype(int)
    crop = mask.crop
    moved = MaskCrop(crop.mask, crop.top + int(rows), crop.left + int(columns))
    return (1 - max(overlap(place, following.crop) for place in (crop, moved))) ** 2
