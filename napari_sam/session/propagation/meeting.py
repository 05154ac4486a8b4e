"""Slices beside a corrected one: redone only as far as the correction changes them.

The object is carried from the corrected slice towards the next annotated one until it meets the
masks that were there: the rest of them was right. If it never does, each slice takes that mask of
three which the others support most: the new one, the one that was there, and one interpolated
between the two annotated slices. The nearer a slice is to the corrected one, the more the new mask
counts, and the former one the less. But former masks that surely go on from the annotated slice
are left only for surer ones: an object that divides in the corrected slice was right before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.slices import WEAK, Origin
from napari_sam.session.propagation.evidence import Evidence
from napari_sam.session.propagation.interpolation import interpolated
from napari_sam.session.propagation.slice_mask import Propagator, SliceMask

_MET: Final = 0.85
"""Overlap with the mask that was there from which on it is the same."""
_FOLLOWS: Final = 0.5
"""Overlap of two slices from which on one mask goes on as the other."""
_AT_ONE_PLACE: Final = 1 / 3
"""Share of the smaller of two masks in the other from which on they may be one object."""
_NEAR, _BETWEEN, _FAR = 1.2, 0.7, 0.2
"""How much a mask counts beside the slice that it was carried from, if it is interpolated, and
beside the slice that the other one was carried from."""


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
    for between in interpolated_between(planes, corrected, annotated, slices):
        index, first, last = between.slice_index, corrected.slice_index, annotated.slice_index
        share = (index - first) / (last - first)
        counts = _NEAR - share * (_NEAR - _FAR), _BETWEEN, _FAR + share * (_NEAR - _FAR)
        known = zip((carried.get(index), between, former.get(index)), counts, strict=True)
        best = _most_supported(
            [
                (mask, count)
                for mask, count in known
                if mask is not None
                and not mask.is_empty
                and mask.confidence >= (former[index].confidence if index in sure else 0)
            ]
        )
        if best is not None and best is not carried.get(index):
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


def _most_supported(masks: Sequence[tuple[SliceMask, float]]) -> SliceMask | None:
    """Return the mask that overlaps most with all, by how much they count; None without any."""

    def support(mask: SliceMask) -> float:
        return sum(count * overlap(mask.crop, other.crop) for other, count in masks)

    return max((mask for mask, _ in masks), key=support, default=None)
