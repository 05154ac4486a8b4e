"""An object on all slices of a range, given the slices that are annotated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.propagation.meeting import corrected_between, interpolated_between
from napari_sam.session.propagation.slice_mask import Propagator, SliceMask

NO_MASKS: Final[Mapping[int, SliceMask]] = MappingProxyType({})


def propagate(
    planes: Sequence[ImagePlane],
    annotated: Mapping[int, MaskCrop],
    propagator: Propagator,
    *,
    on_slice: Callable[[SliceMask], object] | None = None,
    first: int = 0,
    last: int | None = None,
    max_depth: int | None = None,
    is_forced: bool = False,
) -> dict[int, SliceMask]:
    """Carry an object from its annotated slices to all others, and return its masks there.

    Between two annotated slices it is interpolated; beyond the outermost ones it is carried on
    until it ends.

    Parameters
    ----------
    planes : sequence of ImagePlane
        All slices; each is read when it is needed.
    annotated : mapping of int to MaskCrop
        The masks of the annotated slices, by slice; an empty one says that the object is not there.
    propagator : Propagator
        Carries the object on beyond the outermost annotated slices.
    on_slice : callable, optional
        Called with the `SliceMask` of each slice as soon as it is known, those between annotated
        slices first. What it raises ends the run.
    first, last : int
        The range of slices, both included; all by default.
    max_depth : int, optional
        The most slices beyond the outermost masks; `depth_limit` tells what is likely.
    is_forced : bool
        Whether the object ends only where the model finds no mask at all.

    Returns
    -------
    dict of int to SliceMask
        The masks of all slices that the object came to, without the annotated ones, by slice. An
        empty one says that the object is not there: it ends before.

    Raises
    ------
    ValueError
        If no annotated slice has a mask, or a slice is not in the stack.

    Examples
    --------
    Several objects, one after the other: a slice is embedded once as long as its embedding is in
    memory, or in an `EmbeddingStore`.

    >>> import numpy as np
    >>> from napari_sam.engine.masks import tight_crop
    >>> from napari_sam.session import Embedder, Projection, propagate, stack_planes
    >>> volume = np.full((3, 64, 64), 60, np.uint8)
    >>> volume[:, 10:26, 10:26] = volume[:2, 36:52, 36:52] = 200
    >>> labels = np.zeros(volume.shape, np.uint8)
    >>> labels[1, 10:26, 10:26], labels[1, 36:52, 36:52] = 1, 2
    >>> planes, projection = stack_planes(volume), Projection(Embedder())
    >>> for label_id in (1, 2):
    ...     def write(mask):
    ...         region = mask.crop.within(0, 0, planes[0].shape)
    ...         labels[mask.slice_index][region] = label_id
    ...     annotated = {1: tight_crop(labels[1] == label_id)}
    ...     found = propagate(planes, annotated, projection, on_slice=write)
    >>> [np.unique(plane).tolist() for plane in labels]
    [[0, 1, 2], [0, 1, 2], [0, 1]]
    >>> sorted(found)
    [0]
    """
    found: dict[int, SliceMask] = {}
    for mask in propagated(
        *(planes, annotated, propagator),
        first=first,
        last=last,
        max_depth=max_depth,
        is_forced=is_forced,
    ):
        found[mask.slice_index] = mask
        if on_slice is not None:
            on_slice(mask)
    return found


def propagated(
    planes: Sequence[ImagePlane],
    annotated: Mapping[int, MaskCrop],
    propagator: Propagator,
    *,
    first: int = 0,
    last: int | None = None,
    max_depth: int | None = None,
    is_forced: bool = False,
    former: Mapping[int, SliceMask] = NO_MASKS,
    corrected: Collection[int] = (),
) -> Iterator[SliceMask]:
    """Yield what `propagate` returns, each mask as it becomes known; the last of a slice counts.

    Beside a `corrected` slice, what the object was there, its `former` masks, stays as far as it
    fits the correction.
    """
    stop = len(planes) - 1 if last is None else last
    known = sorted(index for index, crop in annotated.items() if crop.mask.size)
    if not known:
        raise ValueError("Annotate the object on at least one slice first.")
    if min(annotated) < 0 or max(annotated) >= len(planes):
        raise ValueError(f"The stack has the slices 0 to {len(planes) - 1}.")
    first, stop = within_depth(first, stop, known, max_depth)
    for index, other in pairwise(sorted(annotated)):
        if annotated[index].mask.size and annotated[other].mask.size:
            ends = SliceMask(index, annotated[index]), SliceMask(other, annotated[other])
            between = range(max(first, index + 1), min(stop + 1, other))
            if any(n in former for n in between) and (index in corrected) != (other in corrected):
                if other in corrected:
                    ends, between = ends[::-1], between[::-1]
                yield from corrected_between(planes, *ends, between, former, propagator)
            else:
                yield from interpolated_between(planes, *ends, between)
    for index in known:
        start = SliceMask(index, annotated[index])
        for direction in (1, -1):
            if slices := _open_slices(annotated, index, direction, first, stop):
                yield from propagator.outward(planes, start, slices, is_forced=is_forced)


def _open_slices(
    annotated: Mapping[int, MaskCrop], index: int, direction: int, first: int, last: int
) -> range:
    """Return the slices to carry an object on to: up to the next annotated one, if that is empty.

    None if the object is interpolated there.
    """
    ahead = [other for other in annotated if (other - index) * direction > 0]
    end = last + 1 if direction > 0 else first - 1
    if ahead:
        nearest = min(ahead) if direction > 0 else max(ahead)
        if annotated[nearest].mask.size:
            return range(0)
        end = min(end, nearest) if direction > 0 else max(end, nearest)
    return range(index + direction, end, direction)


def within_depth(
    first: int, last: int, known: Iterable[int], max_depth: int | None
) -> tuple[int, int]:
    """Return the ends of a range, no farther than that beyond the slices that are known."""
    if max_depth is None:
        return first, last
    known = tuple(known)
    return max(first, min(known) - max_depth), min(last, max(known) + max_depth)


def depth_limit(crop: MaskCrop, pixel_size: float, slice_distance: float) -> int:
    """Return how many slices an object is likely to extend to either side at most.

    Twice the diameter of a disc of its area, in the units of the image.
    """
    diameter = 2 * np.sqrt(np.count_nonzero(crop.mask) / np.pi) * pixel_size
    return max(1, int(np.ceil(2 * diameter / slice_distance)))
