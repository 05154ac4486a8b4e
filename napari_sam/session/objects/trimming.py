"""What other objects leave of a mask, without the loose pixels and fringes along them.

A mask that reaches into its neighbor is cut there. Beyond the neighbor, pixels of it are left that
nobody meant, and around it a line of single pixels, as two masks never end at quite the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

import numpy as np
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.cleaning import largest_speck
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.packed import Mask

_NEAR_PX: Final = 2
"""How near the pixels of other objects a line is a fringe..."""
_LINE_PX: Final = 3
"""...and of how many pixels at least: a round mask has single ones at its ends."""
_AROUND: Final = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Trim:
    """How clean the rest of a mask is to be where others keep their pixels."""

    strength: float = 0.0  # as that of clean outlines; 0 leaves all of it
    clicks_xy: tuple[tuple[float, float], ...] = ()  # in the plane: pieces with one are kept
    cell_px: float = 1.0  # the side of a cell of the low-res logits, in pixels of the plane

    @classmethod
    def of(cls, candidates: Candidates, index: int) -> Trim:
        """Return how a candidate is trimmed: as its outline is cleaned."""
        mask = candidates.masks[index]
        cell_px = mask.tile.side / mask.logits.shape[-1]
        return cls(mask.cut.clean_strength, tuple(candidates.clicks_xy), cell_px)

    def trimmed(self, crop: MaskCrop, plane: LabelsPlane, label_id: int) -> MaskCrop:
        """Return a mask in a plane without what is not worth keeping beside other objects.

        Its pixels that others have stay: the mask is cut there when it is written.
        """
        mask, top, left = crop
        rows, columns = (slice(a, a + n) for a, n in zip(crop[1:], mask.shape, strict=True))
        if self.strength <= 0 or not mask.any():
            return crop
        pixels = plane.read(rows, columns)
        taken = (pixels != 0) & (pixels != label_id)
        free = mask & ~taken
        if not free.any() or not (mask & taken).any():
            return crop
        kept = self._without_loose(_without_fringe(free, taken), top, left)
        return MaskCrop(kept | (mask & taken), top, left) if kept.any() else crop

    def all_trimmed(
        self, crops: Iterable[MaskCrop], plane: LabelsPlane, label_id: int
    ) -> Iterator[MaskCrop]:
        """Yield a mask in a plane, trimmed; one in several crops is too large, and stays."""
        crops = iter(crops)
        first = list(islice(crops, 2))
        if len(first) == 1:
            yield self.trimmed(first[0], plane, label_id)
        else:
            yield from chain(first, crops)

    def _without_loose(self, mask: Mask, top: int, left: int) -> Mask:
        """Return the pieces with a click; without any, the largest one and others of some size."""
        pieces, count = ndimage.label(mask)
        if count <= 1:
            return mask
        areas = np.bincount(pieces.ravel())
        areas[0] = 0
        is_kept = np.zeros(len(areas), np.bool_)
        for x, y in self.clicks_xy:
            row, column = round(y) - top, round(x) - left
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                is_kept[pieces[row, column]] = True
        is_kept[0] = False
        if not is_kept.any():
            is_kept = areas > largest_speck(areas.sum(), self.strength, self.cell_px)
            is_kept[areas.argmax()] = True
        return np.asarray(is_kept[pieces])


def _without_fringe(free: Mask, taken: Mask) -> Mask:
    """Return the free pixels of a mask without lines of single pixels along taken ones."""
    thin = free & ~_wide(free) & _grown(taken, _NEAR_PX)
    if not thin.any():
        return free
    lines, _ = ndimage.label(thin, _AROUND)
    is_line = np.bincount(lines.ravel()) >= _LINE_PX
    is_line[0] = False
    return np.asarray(free & ~is_line[lines])


def _wide(mask: Mask) -> Mask:
    """Return the pixels of a mask that are in squares of two by two; quicker than scipy."""
    squares = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    wide = np.zeros_like(mask)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            wide[rows, columns] |= squares
    return wide


def _grown(mask: Mask, px: int) -> Mask:
    """Return a mask with all around it, up to so many pixels away; quicker than scipy."""
    for axes in ((0, 1), (1, 0)):
        for _ in range(px):
            lines = mask.transpose(axes)
            grown = lines.copy()
            grown[1:] |= lines[:-1]
            grown[:-1] |= lines[1:]
            mask = grown.transpose(axes)
    return mask


NOT_TRIMMED: Final = Trim()
