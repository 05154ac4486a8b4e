"""How a mask is cut out of the logits that a model gives: at which level, and how clean.

The logit of a pixel is how sure the model is that it belongs to the object, and the published mask
is where it is positive. Cut at another logit, the mask grows or shrinks along what the model sees.
Logits of one mask span 2 and those of another 90, so levels are shares of the range in which the
mask changes: up to what is much larger, such as the background, and down to the clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import extent
from napari_sam.session.decoding.cleaning import Cell, cleaned

_LARGEST: Final = 4.0
"""The area at level 1, in areas at level 0, at most; at -1 it is a part of as many at least."""
_INNER: Final = 0.8
"""Share of a mask, the part that is surest, in which clicks stay in the mask at any level."""
_ROUNDS: Final = 10
"""In which the lowest logit is found."""
_OUTSIDE: Final = np.float32(1e-3)
"""The least distance from 0 of the logits of other pieces."""
_SIGMA: Final = 0.5
"""Standard deviation of the smoothing that a clean mask shrinks along, at full strength, as a share
of its half width."""
_TRUNCATE: Final = 3.0
"""Of the smoothing, in standard deviations."""


@dataclass(frozen=True)
class Cut:
    """How a mask is cut out of logits."""

    clean_strength: float = 0.0  # see `cleaned`
    level: float = 0.0  # -1 to 1: smaller or larger


PUBLISHED: Final = Cut()
"""As the model's authors cut masks: where logits are positive."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The logits of a mask, and the range in which it grows and shrinks."""

    logits: NDArray[np.float32]  # (H, W), as the model gave them
    clicks: Sequence[Cell]  # the cells of the foreground clicks
    clean_strength: float
    clean: NDArray[np.float32]  # at level 0
    lowest: np.float32  # where the mask is cut at level 1
    depths: NDArray[np.float32]  # what is lowest of the mask at level 0 goes first below that
    inside: NDArray[np.float32]  # these of the mask at level 0, the highest first
    least: int  # of these cells, how many are left at level -1

    @classmethod
    def of(
        cls, logits: NDArray[np.float32], clicks: Sequence[Cell], clean_strength: float
    ) -> Levels:
        """Measure them."""
        clean = cleaned(logits, clicks, clean_strength)
        mask = clean > 0
        depths = _depths(logits, clean, clean_strength)
        inside = np.sort(depths[mask])[::-1]
        lowest = _lowest(logits, mask, _LARGEST * len(inside)) if len(inside) else np.float32(0)
        least = [round(len(inside) / _LARGEST)]
        for cell in clicks:
            rank = int(np.count_nonzero(inside >= depths[cell]))
            if mask[cell] and rank < _INNER * len(inside):
                least.append(rank)
        return cls(logits, clicks, clean_strength, clean, lowest, depths, inside, max(1, *least))

    def at(self, level: float) -> NDArray[np.float32]:
        """Return low-res logits that are positive in the mask at a level, -1 to 1."""
        area, mask = len(self.inside), self.clean > 0
        if level == 0 or area == 0:
            return self.clean
        if level > 0:
            shifted = self.logits - np.float32(self.lowest * level)
        else:
            count = round(area * (self.least / area) ** -level)
            shifted = self.depths - max(self.inside[min(count, area - 1)], np.float32(0))
        others = ~pieces_with(shifted > 0, mask)
        shifted[others] = np.minimum(-abs(shifted[others]), -_OUTSIDE)
        return cleaned(shifted, self.clicks, self.clean_strength, only_clicked=False)


def _depths(
    logits: NDArray[np.float32], clean: NDArray[np.float32], clean_strength: float
) -> NDArray[np.float32]:
    """Return how deep inside a mask each cell lies: outside not above 0, as `clean` has it.

    By the logits alone a mask would shrink to a maze, as they waver with all that is seen in it;
    averaged over a share of its width, they fall towards its border and where it is least sure.
    """
    mask = clean > 0
    n_inside = int(np.count_nonzero(mask))
    if clean_strength <= 0 or n_inside == 0:
        return logits
    n_deeper = int(np.count_nonzero(ndimage.binary_erosion(mask, border_value=1)))
    sigma = _SIGMA * clean_strength * 2 * n_inside / max(1, n_inside - n_deeper)
    near = tuple(_near(mask, axis) for axis in (0, 1))
    smooth = ndimage.gaussian_filter(logits[near], sigma, mode="nearest", truncate=_TRUNCATE)
    depths = np.minimum(logits, clean)
    # The lowest counts from the border on, though the average may be negative there.
    smooth -= min(smooth[mask[near]].min(), np.float32(0)) - _OUTSIDE
    depths[near] = np.where(mask[near], smooth, np.minimum(smooth, clean[near]))
    return np.asarray(depths, np.float32)


def _lowest(logits: NDArray[np.float32], mask: NDArray[np.bool_], area: float) -> np.float32:
    """Return the lowest logit above which the pieces of a mask are no larger than an area."""
    low, high = logits.min(), np.float32(0)
    near = tuple(_near(mask, axis) for axis in (0, 1))
    logits_near, mask_near = logits[near], mask[near]
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        pieces = pieces_with(logits_near > middle, mask_near)
        if np.count_nonzero(pieces) <= area and _reaches_border(pieces):
            pieces = pieces_with(logits > middle, mask)
        if np.count_nonzero(pieces) > area:
            low = middle
        else:
            high = middle
    return np.float32(high)


def _near(mask: NDArray[np.bool_], axis: int) -> slice:
    """Return where a mask is along an axis, with as much on either side."""
    start, stop = extent(mask, axis)
    return slice(max(0, 2 * start - stop), min(mask.shape[axis], 2 * stop - start))


def _reaches_border(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def pieces_with(mask: NDArray[np.bool_], cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pieces of a mask that have any of these cells."""
    pieces, count = ndimage.label(mask)
    is_kept = np.zeros(count + 1, bool)
    is_kept[pieces[cells]] = True
    is_kept[0] = False
    return np.asarray(is_kept[pieces])
