"""What is known of an object on each slice of a stack that it was carried through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from napari_sam.session.decoding.object_state import ObjectState

WEAK: Final = 0.65
"""Confidence below which a slice is worth a look; at 0.5 an object ends."""


class Origin(StrEnum):
    """Where the mask of a slice comes from."""

    ANNOTATED = "annotated"
    """The user made it, or has corrected it."""
    CLEARED = "cleared"
    """The user has said that the object is not on the slice."""
    INTERPOLATED = "interpolated"
    """It lies between two annotated slices."""
    PROPAGATED = "propagated"
    """The model carried it on from a slice beside it."""
    AUTOMATIC = "automatic"
    """It is an automatic mask, linked to those of other slices."""


@dataclass(frozen=True)
class ObjectSlice:
    """An object on one slice.

    Parameters
    ----------
    slice_index : int
        Which slice.
    origin : Origin
        Who made its mask.
    confidence : float
        How surely it is the object, 0 to 1; 1 for what the user made.
    state : ObjectState, optional
        The prompts of an annotated slice, if it has any.
    """

    slice_index: int
    origin: Origin = Origin.ANNOTATED
    confidence: float = 1.0
    state: ObjectState | None = None

    @property
    def is_anchor(self) -> bool:
        """Whether the user decided what is on the slice: nothing is recomputed there."""
        return self.origin in (Origin.ANNOTATED, Origin.CLEARED)

    @property
    def is_weak(self) -> bool:
        """Whether it is computed, and so little sure that it is worth a look."""
        return not self.is_anchor and self.confidence < WEAK


@dataclass(frozen=True)
class ObjectSlices:
    """The slices of an object along one axis of its labels.

    Parameters
    ----------
    axis : int
        The axis of the labels along which the slices follow each other.
    slices : tuple of ObjectSlice
        Those that are annotated, cleared or computed, in their order; no two of one index.
    """

    axis: int
    slices: tuple[ObjectSlice, ...] = ()

    def __iter__(self) -> Iterator[ObjectSlice]:
        return iter(self.slices)

    def get(self, slice_index: int) -> ObjectSlice | None:
        """Return what is known of a slice; None if nothing is."""
        return next((entry for entry in self.slices if entry.slice_index == slice_index), None)

    def updated(self, entries: Iterable[ObjectSlice]) -> ObjectSlices:
        """Return them with other entries for some slices."""
        merged = {entry.slice_index: entry for entry in (*self.slices, *entries)}
        return replace(self, slices=tuple(merged[index] for index in sorted(merged)))

    def without(self, slice_indices: Iterable[int]) -> ObjectSlices:
        """Return them without some slices."""
        gone = frozenset(slice_indices)
        kept = tuple(entry for entry in self.slices if entry.slice_index not in gone)
        return replace(self, slices=kept)

    @property
    def with_object(self) -> tuple[ObjectSlice, ...]:
        """The slices that the object is on."""
        return tuple(entry for entry in self.slices if entry.origin is not Origin.CLEARED)

    @property
    def cleared(self) -> tuple[int, ...]:
        """The slices that the user has said it is not on."""
        return tuple(e.slice_index for e in self.slices if e.origin is Origin.CLEARED)

    @property
    def weakest(self) -> ObjectSlice | None:
        """The computed slice of the least confidence; None without any."""
        computed = [entry for entry in self.slices if not entry.is_anchor]
        return min(computed, key=lambda entry: entry.confidence, default=None)

    def next_weak(self, slice_index: int, step: int = 1) -> int | None:
        """Return the weakest slice, or on a weak one the next surer one; None if none is computed.

        After the surest of the weak ones follows the weakest again.
        """
        if self.weakest is None:
            return None
        weak = sorted((entry for entry in self if entry.is_weak), key=lambda e: e.confidence)
        order = [entry.slice_index for entry in weak] or [self.weakest.slice_index]
        if slice_index not in order:
            return order[0]
        return order[(order.index(slice_index) + step) % len(order)]

    def changed_since(self, known: ObjectSlices) -> tuple[list[int], list[int]]:
        """Return the slices that the object has left, and the others that have changed."""
        were_on = {entry.slice_index for entry in known.with_object}
        are_on = {entry.slice_index: entry for entry in self.with_object}
        changed = []
        for index, entry in are_on.items():
            former = known.get(index)
            about = entry.origin, entry.confidence
            if former is None or about != (former.origin, former.confidence):
                changed.append(index)
        return sorted(were_on - set(are_on)), changed

    def span_around(self, slice_index: int) -> tuple[int | None, int | None]:
        """Return the nearest anchors before and after a slice; None where there is none."""
        anchors = [entry.slice_index for entry in self.slices if entry.is_anchor]
        before = max((index for index in anchors if index < slice_index), default=None)
        after = min((index for index in anchors if index > slice_index), default=None)
        return before, after


def merged_slices(slices: Iterable[ObjectSlices | None]) -> ObjectSlices | None:
    """Return the slices of objects that become one; the first to know a slice has the say.

    None if one of them is not known by its slices, or they follow another axis.
    """
    known = list(slices)
    first = known[0] if known else None
    for other in known[1:]:
        if first is None or other is None or other.axis != first.axis:
            return None
        first = other.updated(first)
    return first


def slices_in_words(indices: Iterable[int]) -> str:
    """Return slices as a text.

    Examples
    --------
    >>> slices_in_words([4]), slices_in_words([2, 4, 5, 6])
    ('slice 4', 'slices 2, 4 to 6')
    """
    spans: list[list[int]] = []
    for index in sorted(indices):
        if spans and spans[-1][-1] == index - 1:
            spans[-1].append(index)
        else:
            spans.append([index])
    texts = [str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in spans]
    is_one = len(spans) == 1 and len(spans[0]) == 1
    return f"slice{'' if is_one else 's'} {', '.join(texts)}"
