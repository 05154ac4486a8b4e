"""Where the slices of a stack are in a strip: a bar for each, or for several that share a pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from napari_sam.session.objects.slices import ObjectSlice, Origin

_WIDEST_PX: Final = 24
"""Few slices do not fill the strip: bars are no wider."""
_WIDE_ENOUGH_PX: Final = 5
"""Where the bars of a stack are narrower, the part of it around the object is shown."""
_MOST_AROUND: Final = 6
"""How many times as long as the object that part may be."""
_KINDS: Final = {Origin.CLEARED: "not here"}
"""Origins by the words for them, where these are others than their names."""


def slice_text(entry: ObjectSlice) -> str:
    """Return in words what is known of an object on a slice."""
    text = f"{entry.slice_index} · {_KINDS.get(entry.origin, entry.origin.value)}"
    return text if entry.is_anchor else f"{text} · {entry.confidence:.2f}"


@dataclass(frozen=True)
class SliceColumn:
    """A bar: slices that are next to each other, with what is known of an object there."""

    first: int
    last: int  # included
    entry: ObjectSlice  # the least sure one of them that the object is on
    is_annotated: bool  # whether one of them is
    is_cleared: bool

    @property
    def text(self) -> str:
        """What is known of them, in words."""
        if self.first == self.last:
            return f"Slice {slice_text(self.entry)}"
        return f"Slices {self.first}-{self.last} · least sure: {slice_text(self.entry)}"


@dataclass(frozen=True)
class SliceScale:
    """Slices side by side in some pixels: those of a stack, or of a part of it."""

    first: int
    n_slices: int
    width_px: int

    @property
    def last(self) -> int:
        """The last slice."""
        return self.first + self.n_slices - 1

    @cached_property
    def slice_px(self) -> float:
        """Width of a slice, maybe less than a pixel."""
        return min(_WIDEST_PX, max(1, self.width_px) / max(1, self.n_slices))

    @cached_property
    def bar_px(self) -> float:
        """Width of a bar."""
        return max(1.0, self.slice_px)

    def x_of(self, slice_index: int) -> float:
        """Return where the bar of a slice begins."""
        x = (slice_index - self.first) * self.slice_px
        return x if self.slice_px >= 1 else float(int(x))

    def slice_at(self, x: float) -> int:
        """Return the slice at a position, the first or last one beyond the ends."""
        return min(max(self.first, self.first + int(x / self.slice_px)), self.last)

    def columns(self, entries: Iterable[ObjectSlice]) -> list[SliceColumn]:
        """Return the bars of an object, from left to right; none where it is not known."""
        seen = [entry for entry in entries if self.first <= entry.slice_index <= self.last]
        if self.slice_px >= 1:
            return [_column([entry]) for entry in seen]
        by_pixel: dict[float, list[ObjectSlice]] = {}
        for entry in seen:
            by_pixel.setdefault(self.x_of(entry.slice_index), []).append(entry)
        return [_column(group) for group in by_pixel.values()]

    def part_around(self, first: int, last: int, before: SliceScale) -> SliceScale:
        """Return the part of a stack in which a range has bars wide enough to be clicked on.

        The part that was shown before is kept where it will do, so that bars rarely move.
        """
        if self.slice_px >= _WIDE_ENOUGH_PX:
            return self
        kept = SliceScale(before.first, before.n_slices, self.width_px)
        length = last - first + 1
        is_inside = self.first <= kept.first < first and last < kept.last <= self.last
        is_near = length * _MOST_AROUND >= kept.n_slices
        if is_inside and (is_near or kept.slice_px >= _WIDE_ENOUGH_PX):
            return kept
        wanted = max(2 * length, int(self.width_px / _WIDE_ENOUGH_PX))
        if wanted >= self.n_slices:
            return self
        start = min(max(self.first, (first + last + 1 - wanted) // 2), self.last + 1 - wanted)
        return SliceScale(start, wanted, self.width_px)


def _column(entries: list[ObjectSlice]) -> SliceColumn:
    with_object = [entry for entry in entries if entry.origin is not Origin.CLEARED]
    return SliceColumn(
        entries[0].slice_index,
        entries[-1].slice_index,
        min(with_object or entries, key=lambda entry: entry.confidence),
        any(entry.origin is Origin.ANNOTATED for entry in entries),
        len(with_object) < len(entries),
    )
