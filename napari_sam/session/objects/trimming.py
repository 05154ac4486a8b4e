"""What other objects leave of a mask, without the loose pixels and fringes along them.

A mask that reaches into its neighbor is cut there. Beyond the neighbor, pixels of it are left that
nobody meant, and around it a thin line, as two masks never end at quite the same place.
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

_LINE_PX: Final = 3
"""The pixels of a line of single pixels, at least: a round mask has single ones at its ends."""
_SIDES_PER_PX: Final = 14
"""A fringe may be a pixel wider with each time that an object is so many pixels long..."""
_MAX_WIDE_PX: Final = 6
"""...and is narrower than this."""
_MAX_SHARE: Final = 0.04
"""The share of an object that a wider fringe may be; more of it was meant."""
_SINGLE_PX: Final = 2
"""The width from which on nothing is a line of single pixels."""
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
        area_px = np.count_nonzero(free)
        kept = self._without_loose(_without_fringe(free, taken, _SINGLE_PX), top, left)
        wide_px = min(_SINGLE_PX + int(area_px**0.5 / _SIDES_PER_PX), _MAX_WIDE_PX)
        if wide_px > _SINGLE_PX:
            trimmed = self._without_loose(_without_fringe(kept, taken, wide_px), top, left)
            if np.count_nonzero(kept) - np.count_nonzero(trimmed) <= _MAX_SHARE * area_px:
                kept = trimmed
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


def _without_fringe(free: Mask, taken: Mask, wide_px: int) -> Mask:
    """Return the free pixels of a mask without lines along taken ones that are less wide."""
    thin = free & ~_wide(free, wide_px) & _grown(taken, wide_px)
    if not thin.any():
        return free
    lines, _ = ndimage.label(thin, _AROUND)
    is_line = np.bincount(lines.ravel()) >= _LINE_PX * (wide_px - 1)
    is_line[0] = False
    return np.asarray(free & ~is_line[lines])


def _wide(mask: Mask, wide_px: int) -> Mask:
    """Return the pixels of a mask that are in squares of this side; quicker than scipy."""
    if min(mask.shape) < wide_px:
        return np.zeros_like(mask)
    squares, n = mask, wide_px - 1
    for _ in range(n):
        squares = squares[:-1] & squares[1:]
    for _ in range(n):
        squares = squares[:, :-1] & squares[:, 1:]
    wide = np.zeros_like(mask)
    height, width = squares.shape
    wide[:height, :width] = squares
    for _ in range(n):
        wide[1:] |= wide[:-1].copy()
    for _ in range(n):
        wide[:, 1:] |= wide[:, :-1].copy()
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
