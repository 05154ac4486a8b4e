"""Where objects are carried to, given the slices that are known of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.objects.labels import NOWHERE, LabelsPlane, TargetError
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slice_planning import crop_of, slices_of
from napari_sam.session.objects.slices import ObjectSlices, Origin
from napari_sam.session.propagation.former_masks import FormerMasks
from napari_sam.session.propagation.propagate import depth_limit, within_depth
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.session.stack import Stack


@dataclass(frozen=True, eq=False)
class Course:
    """Where an object is carried to.

    Parameters
    ----------
    label_id, uid : int
        The object.
    annotated : mapping of int to MaskCrop
        What it starts from, by slice; an empty mask where it is not.
    first, last : int
        The slices that it is carried to at the most, both included.
    computed : frozenset of int
        The slices that it is on by an earlier run: where it no longer comes, it is erased.
    is_forced : bool
        Whether it does not end before.
    former : mapping of int to SliceMask
        What it was by an earlier run, of which stays what fits the corrected slices.
    corrected : collection of int
        Those.
    """

    label_id: int
    uid: int
    annotated: Mapping[int, MaskCrop]
    first: int
    last: int
    computed: frozenset[int] = frozenset()
    is_forced: bool = False
    former: Mapping[int, SliceMask] = field(default_factory=dict)
    corrected: Collection[int] = ()

    @property
    def n_slices(self) -> int:
        """The most slices that it may come to."""
        n_annotated = sum(self.first <= index <= self.last for index in self.annotated)
        return max(0, self.last - self.first + 1 - n_annotated)

    def ends_cut_off(self, reached: Collection[int], first: int, last: int) -> list[int]:
        """Return the ends of the course within a range at which it was still there."""
        starts = [index for index, crop in self.annotated.items() if crop.mask.size]
        within = (
            (self.first, first < self.first < min(starts)),
            (self.last, max(starts) < self.last < last),
        )
        return [end for end, is_within in within if is_within and end in reached]


def likely_depth(annotated: Mapping[int, MaskCrop], slice_distance_px: float | None) -> int | None:
    """Return how far an object is likely to extend beyond its masks; None through time."""
    if slice_distance_px is None:
        return None
    largest = max(annotated.values(), key=lambda crop: int(np.count_nonzero(crop.mask)))
    return depth_limit(largest, 1, slice_distance_px)


def course_through(
    record: ObjectRecord,
    target: LabelsPlane,
    stack: Stack,
    first: int,
    last: int,
) -> Course:
    """Return the course of an object through a range, no deeper than is likely.

    Raises
    ------
    TargetError
        If the object is on none of the slices.
    """
    known = slices_of(record, target.slice_axis or 0)
    annotated = _annotated(record, target, known)
    indices = _with_mask(record, annotated)
    depth = likely_depth(annotated, stack.slice_distance_px)
    first, last = within_depth(first, last, indices, depth)
    return _course(record, known, annotated, first, last)


def course_further(
    record: ObjectRecord, target: LabelsPlane, stack: Stack, end: int, first: int, last: int
) -> Course:
    """Return the course on from an end of an object through a range, no deeper than is likely.

    What it was before that end stays: an object of many slices is carried through each once.

    Raises
    ------
    TargetError
        If the object is not on that slice.
    """
    known = slices_of(record, target.slice_axis or 0)
    is_first = all(entry.slice_index >= end for entry in known.with_object)
    first, last = (first, end - 1) if is_first else (end + 1, last)
    course = course_beyond(record, target, end, first, last, is_forced=False)
    annotated = _annotated(record, target, known) | dict(course.annotated)
    depth = likely_depth(annotated, stack.slice_distance_px)
    first, last = within_depth(first, last, [end], depth)
    cleared = dict.fromkeys(known.cleared, NOWHERE)
    return replace(course, annotated={**course.annotated, **cleared}, first=first, last=last)


def course_after(
    record: ObjectRecord,
    target: LabelsPlane,
    stack: Stack,
    corrected: Collection[int],
    added: Collection[int] = (),
) -> Course | None:
    """Return the course that brings computed slices up to date after others were corrected.

    It reaches to the nearest annotated or cleared slices, and changes what does not fit the
    corrected ones. None if nothing beside was computed.
    `added` are those of the corrected slices that the object was not on: where one lies beyond all
    others, an object that was propagated had been ended too soon, and is carried on from there.
    """
    known = slices_of(record, target.slice_axis or 0)
    computed = [entry.slice_index for entry in known if not entry.is_anchor]
    others = [entry.slice_index for entry in known.with_object]
    was_propagated = any(entry.origin is Origin.PROPAGATED for entry in known)
    ends: list[int] = []
    for index in corrected:
        before, after = known.span_around(index)
        low = -1 if before is None else before
        high = len(stack) if after is None else after
        below = any(low < n < index for n in computed)
        above = any(index < n < high for n in computed)
        is_carried = was_propagated and index in added
        is_first = all(n >= index for n in others)
        is_last = all(n <= index for n in others)
        ends += [low + 1] if below or (is_carried and is_first) else []
        ends += [high - 1] if above or (is_carried and is_last) else []
    if not ends:
        return None
    annotated = _annotated(record, target, known)
    reach = [*ends, *corrected]
    course = course_through(record, target, stack, min(reach), max(reach)) if annotated else None
    if course is None:
        return None
    course = _course(record, known, annotated, course.first, course.last)
    former = FormerMasks(record, target, known, course.computed)
    return replace(course, former=former, corrected=frozenset(corrected))


def course_beyond(
    record: ObjectRecord, target: LabelsPlane, start: int, first: int, last: int, *, is_forced: bool
) -> Course:
    """Return the course from the mask on one slice on, whoever made that.

    Raises
    ------
    TargetError
        If the object is not on that slice.
    """
    crop = crop_of(record, target.at_slice(start))
    if not crop.mask.size:
        raise TargetError(
            f"Object {record.label_id} is not on this slice: go to one that it is on."
        )
    return Course(record.label_id, record.uid, {start: crop}, first, last, is_forced=is_forced)


def _course(
    record: ObjectRecord,
    known: ObjectSlices,
    annotated: Mapping[int, MaskCrop],
    first: int,
    last: int,
) -> Course:
    computed = frozenset(
        entry.slice_index
        for entry in known
        if first <= entry.slice_index <= last
        and entry.origin in (Origin.INTERPOLATED, Origin.PROPAGATED)
    )
    return Course(record.label_id, record.uid, annotated, first, last, computed)


def _annotated(
    record: ObjectRecord, target: LabelsPlane, known: ObjectSlices
) -> dict[int, MaskCrop]:
    """Return the masks to start from: those of the user, and automatic ones."""
    masks = {}
    for entry in known:
        if entry.origin is Origin.CLEARED:
            masks[entry.slice_index] = NOWHERE
        elif entry.origin in (Origin.ANNOTATED, Origin.AUTOMATIC):
            plane = target.at_slice(entry.slice_index)
            masks[entry.slice_index] = crop_of(record, plane)
    return masks


def _with_mask(record: ObjectRecord, annotated: Mapping[int, MaskCrop]) -> list[int]:
    """Return the slices with a mask, of which there must be one."""
    indices = [index for index, crop in annotated.items() if crop.mask.size]
    if not indices:
        raise TargetError(
            f"Object {record.label_id} has no annotated slice: make one with a click first."
        )
    return indices
