"""What a brush added to an object and erased of it; it survives later changes of the object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from napari_sam.session.objects.packed import Mask, PackedMask, Start
from napari_sam.session.objects.pixel_sets import PixelSet


@dataclass(frozen=True, eq=False)
class BrushEdits:
    """Pixels that a brush added to an object beyond its mask, and erased of the mask."""

    painted: tuple[PackedMask, ...] = ()  # both in parts that do not overlap
    erased: tuple[PackedMask, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Memory that the pixels take."""
        return sum(mask.size_bytes for mask in (*self.painted, *self.erased))

    def corrected(self, masks: Iterable[tuple[Mask, Start]]) -> Iterator[tuple[Mask, Start]]:
        """Yield a new mask of the object, in parts that do not overlap, with the brush edits."""
        if not self.painted and not self.erased:
            yield from masks
            return
        missing, erased = PixelSet(self.painted), PixelSet(self.erased)
        for mask, start in masks:
            yield (mask & ~erased.read(start, mask.shape)) | missing.read(start, mask.shape), start
            missing.discard(start, np.ones_like(mask))
        for packed in missing.masks():
            yield packed.mask, packed.start

    def with_pixels(self, read: Callable[[PackedMask], Mask]) -> BrushEdits:
        """Return the edits of an object that has some pixels: those are not erased."""
        own = [(mask.start, mask.mask & read(mask)) for mask in self.erased]
        if not any(pixels.any() for _, pixels in own):
            return self
        erased = PixelSet(self.erased)
        for start, pixels in own:
            erased.discard(start, pixels)
        return BrushEdits(self.painted, erased.masks())

    def with_strokes_since(self, earlier: BrushEdits, later: BrushEdits) -> BrushEdits:
        """Return the edits with what was painted and erased between two others."""
        if earlier is later:
            return self
        return BrushEdits(
            _with_changes(self.painted, earlier.painted, later.painted),
            _with_changes(self.erased, earlier.erased, later.erased),
        )


NOT_BRUSHED: Final = BrushEdits()


def merged_strokes(edits: Sequence[BrushEdits], pixels: Iterable[PackedMask]) -> BrushEdits:
    """Return the brush edits of several objects that are merged, given their present pixels.

    What was erased of one may belong to another: it is not erased of both together.
    """
    painted = PixelSet(mask for brushed in edits for mask in brushed.painted)
    erased = PixelSet(mask for brushed in edits for mask in brushed.erased)
    for mask in pixels:
        erased.discard(mask.start, mask.mask)
    return BrushEdits(painted.masks(), erased.masks())


def _with_changes(
    masks: tuple[PackedMask, ...],
    earlier_masks: tuple[PackedMask, ...],
    later_masks: tuple[PackedMask, ...],
) -> tuple[PackedMask, ...]:
    """Return pixels with those that were added and without those that were removed meanwhile."""
    pixels, earlier, later = PixelSet(masks), PixelSet(earlier_masks), PixelSet(later_masks)
    for mask in later_masks:
        pixels.add(mask.start, mask.mask & ~earlier.read(mask.start, mask.shape))
    for mask in earlier_masks:
        pixels.discard(mask.start, mask.mask & ~later.read(mask.start, mask.shape))
    return pixels.masks()
