"""What a user has painted on an object, and erased of it: it stays, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.packed import PackedMask, Start
from napari_sam.session.objects.pixel_sets import PixelSet


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
