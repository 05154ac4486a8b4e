"""Slices beside a corrected one: redone only as far as the correction changes them.

The object is carried from the corrected slice towards the next annotated one until it meets the
masks that were there: the rest of them was right. If it never does, each slice takes one mask of
three: the new one, the one that was there, and one interpolated between the two annotated slices.
Of all ways through them from one annotated slice to the other, that is taken on which the object
moves and changes least abruptly and is surest (R. Bellman, "Dynamic Programming", 1957). A mask
counts less the farther it was carried, and the more its size differs from what it is likely to be.
So what went astray is left where it did, however well the masks beyond agree with each other. But
former masks that surely go on from the annotated slice are left only for surer ones: an object that
divides in the corrected slice was right before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.slices import WEAK, Origin
from napari_sam.session.propagation.evidence import Evidence
from napari_sam.session.propagation.interpolation import centroid, interpolated
from napari_sam.session.propagation.slice_mask import Propagator, SliceMask

_MET: Final = 0.85
"""Overlap with the mask that was there from which on it is the same."""
_FOLLOWS: Final = 0.5
"""Overlap of two slices from which on one mask goes on as the other."""
_AT_ONE_PLACE: Final = 1 / 3
"""Share of the smaller of two masks in the other from which on they may be one object."""
_UNSURE_COST: Final = 0.4
"""What no confidence at all costs, compared with the square of what two slices do not share."""
_FAR_COST: Final = 0.1
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
    sides = [np.sqrt(np.count_nonzero(end.crop.mask)) for end in (corrected, annotated)]
    ways: list[list[_Choice]] = []
    for between in interpolated_between(planes, corrected, annotated, slices):
        index, first, last = between.slice_index, corrected.slice_index, annotated.slice_index
        least = former[index].confidence if index in sure else 0
        share = (index - first) / (last - first)
        known = (carried.get(index), share), (between, 0.5), (former.get(index), 1 - share)
        ways.append(
            [
                _Choice(mask, _own_cost(mask, far, (1 - share) * sides[0] + share * sides[1]))
                for mask, far in known
                if mask is not None and not mask.is_empty and mask.confidence >= least
            ]
        )
    for best in _smoothest(corrected, ways, annotated):
        if best is not carried.get(best.slice_index):
            yield best


def interpolated_between(
    planes: Sequence[ImagePlane], start: SliceMask, end: SliceMask, slices: Sequence[int]
) -> Iterator[SliceMask]:
    """Yield the masks between two annotated ones, as sure as the image has such borders there."""
    measures: list[Evidence] = []
    for index in slices:
        measures = measures or [Evidence.of(n.crop, planes[n.slice_index]) for n in (start, end)]
        share = (index - start.slice_index) / (end.slice_index - start.slice_index)
        crop = interpolated(start.crop, end.crop, share, planes[index].shape)
        confidence = 0.0
        if crop.mask.size:
            evidence = Evidence.of(crop, planes[index])
            of_start, of_end = (evidence.confidence(measure) for measure in measures)
            confidence = (1 - share) * of_start + share * of_end
        yield SliceMask(index, crop, Origin.INTERPOLATED, confidence)


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
        if mask is None or mask.confidence < WEAK or overlap(mask.crop, last.crop) < _FOLLOWS:
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


def _areas(crop: MaskCrop, other: MaskCrop) -> tuple[int, tuple[int, int]]:
    """Return how many pixels two masks share, and how many they have."""
    there = other.within(crop.top, crop.left, crop.mask.shape)
    areas = int(np.count_nonzero(crop.mask)), int(np.count_nonzero(other.mask))
    return int(np.count_nonzero(crop.mask & there)), areas


def _own_cost(mask: SliceMask, far: float, side_px: float) -> float:
    """Return what a mask costs that was carried so far, where a square of that side is expected."""
    size = np.log(np.count_nonzero(mask.crop.mask) / side_px**2)
    unsure = _UNSURE_COST * (1 - mask.confidence)
    return float(unsure + _FAR_COST * far + _SIZE_COST * size**2)


class _Choice(NamedTuple):
    """A mask that a slice may take, and what that costs by itself."""

    mask: SliceMask
    cost: float


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
