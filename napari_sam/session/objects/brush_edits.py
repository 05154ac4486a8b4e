"""What a user has painted on an object, and erased of it: it stays, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.packed import PackedMask, Start, subtract_mask
from napari_sam.session.objects.pixel_sets import PixelSet

if TYPE_CHECKING:
    from napari_sam.session.objects.records import ObjectRecord


@dataclass(frozen=True, eq=False)
class BrushEdits:
    """Pixels that a brush has given to an object beyond its mask, and taken from that."""

    painted: tuple[PackedMask, ...] = ()  # both in parts that do not overlap
    erased: tuple[PackedMask, ...] = ()  # both in parts that do not overlap

    @property
    def size_bytes(self) -> int:
        """How much memory its pixels take."""
        return sum(one.size_bytes for one in (*self.painted, *self.erased))

    def corrected(
        self, masks: Iterable[tuple[NDArray[np.bool_], Start]]
    ) -> Iterator[tuple[NDArray[np.bool_], Start]]:
        """Yield a new mask of the object, in parts that do not overlap, as the brush has it."""
        if not self.painted and not self.erased:
            yield from masks
            return
        missing, erased = PixelSet(self.painted), PixelSet(self.erased)
        for mask, start in masks:
            yield (mask & ~erased.read(start, mask.shape)) | missing.read(start, mask.shape), start
            missing.discard(start, np.ones_like(mask))
        for one in missing.masks():
            yield one.mask, one.start

    def with_strokes_since(self, before: BrushEdits, now: BrushEdits) -> BrushEdits:
        """Return it with what was painted and erased from `before` to `now`."""
        if before is now:
            return self
        return BrushEdits(
            _with_changes(self.painted, before.painted, now.painted),
            _with_changes(self.erased, before.erased, now.erased),
        )


NOT_BRUSHED: Final = BrushEdits()


def updated_by_strokes(
    record: ObjectRecord, strokes: Iterable[tuple[PackedMask, NDArray[Any]]]
) -> BrushEdits:
    """Return what a brush has done to an object, with what was painted just now.

    Only what is background now was erased: what belongs to another object may be its own again
    when that goes. Of an object from elsewhere, whose mask is not known, what lies in its box was.
    """
    before = record.brushed
    painted, erased = PixelSet(before.painted), PixelSet(before.erased)
    was_painted = PixelSet(before.painted)
    for stroke, labels in strokes:
        start, shape = stroke.start, stroke.shape
        is_own = stroke.mask & (labels == record.label_id)
        known = _covered(record.masks, start, shape)
        painted.discard(start, stroke.mask)
        painted.add(start, is_own & ~known)
        if not record.masks:
            known = _in_box(start, shape, record) & ~was_painted.read(start, shape)
        erased.discard(start, is_own)
        erased.add(start, stroke.mask & (labels == 0) & known)
    return BrushEdits(painted.masks(), erased.masks())


def merged_strokes(all_brushed: Iterable[BrushEdits], pixels: Iterable[PackedMask]) -> BrushEdits:
    """Return what a brush has done to one object of several, whose pixels these are now.

    What was erased of one may belong to another one: it is not erased of both together.
    """
    painted, erased = PixelSet(), PixelSet()
    for one in all_brushed:
        for masks, together in ((one.painted, painted), (one.erased, erased)):
            for mask in masks:
                together.add(mask.start, mask.mask)
    for mask in pixels:
        erased.discard(mask.start, mask.mask)
    return BrushEdits(painted.masks(), erased.masks())


def _covered(masks: Iterable[PackedMask], start: Start, shape: Start) -> NDArray[np.bool_]:
    """Return which pixels of a box are in some masks; only those that meet it are unpacked."""
    others = np.ones(shape, np.bool_)
    stop = np.add(start, shape)
    for one in masks:
        if (np.maximum(start, one.start) < np.minimum(stop, np.add(one.start, one.shape))).all():
            subtract_mask(others, start, one.mask, one.start)
    return ~others


def _in_box(start: Start, shape: Start, record: ObjectRecord) -> NDArray[np.bool_]:
    """Return which pixels of a box lie in that of an object."""
    inside = np.zeros(shape, np.bool_)
    inside[
        tuple(
            slice(max(0, first - a), max(0, stop - a))
            for a, first, stop in zip(start, record.start, record.stop, strict=True)
        )
    ] = True
    return inside


def _with_changes(
    own: tuple[PackedMask, ...], before: tuple[PackedMask, ...], now: tuple[PackedMask, ...]
) -> tuple[PackedMask, ...]:
    """Return pixels with those that came and without those that went from `before` to `now`."""
    pixels, was, there = PixelSet(own), PixelSet(before), PixelSet(now)
    for one in now:
        pixels.add(one.start, one.mask & ~was.read(one.start, one.shape))
    for one in before:
        pixels.discard(one.start, one.mask & ~there.read(one.start, one.shape))
    return pixels.masks()
