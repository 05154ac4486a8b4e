"""Clean outlines: smooth borders, and no holes, islands or pieces that nobody clicked on.

The logits of a mask hover around zero where the model is unsure, which cuts combs, specks and
dotted holes. They are cleaned before they are enlarged, so that outlines stay as smooth as
published.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import extent

_SIGMA: Final = 0.7
"""Standard deviation of the smoothing in cells, at full strength."""
_SMALL: Final = 0.05
"""Share of a mask up to which a hole or an island is none, at full strength..."""
_SMALL_CELLS: Final = 128
"""...and how many cells at most: a hole in a large region may be another object."""
_INSIDE: Final = np.float32(1e-3)
"""The least logit of a filled hole."""
_MARGIN: Final = 5
"""Cells around a mask: one that borders may move by, four that are averaged around that."""
_CROSS: Final = ndimage.generate_binary_structure(2, 1)

Cell = tuple[int, int]
"""Row and column of the low-res logits."""


def cleaned(
    logits: NDArray[np.float32],
    clicks: Sequence[Cell],
    strength: float,
    *,
    only_clicked: bool = True,
) -> NDArray[np.float32]:
    """Return the low-res logits of a mask with a clean outline.

    Parameters
    ----------
    logits : ndarray
        (H, W) float32; positive inside the mask.
    clicks : sequence of (int, int)
        The cells of the foreground clicks; pieces with one are kept.
    strength : float
        From 0, which changes nothing, to 1.
    only_clicked : bool
        Whether pieces without a click are removed, if there are any with one.

    Returns
    -------
    ndarray
        (H, W) float32. The border is not moved by more than one cell.
    """
    mask = logits > 0
    if strength <= 0 or not mask.any():
        return logits
    rows, columns = (_around(mask, axis) for axis in (0, 1))
    within = (
        (row - rows.start, column - columns.start)
        for row, column in clicks
        if rows.start <= row < rows.stop and columns.start <= column < columns.stop
    )
    clean = _smoothed(logits[rows, columns], strength)
    clean = _without_specks(clean, list(within), strength, only_clicked)
    if not (clean > 0).any():
        return logits
    result = logits.copy()
    result[rows, columns] = clean
    return result


def _around(mask: NDArray[np.bool_], axis: int) -> slice:
    """Return where a mask is along an axis, with all around it that cleaning looks at."""
    start, stop = extent(mask, axis)
    return slice(max(0, start - _MARGIN), min(mask.shape[axis], stop + _MARGIN))


def _smoothed(logits: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Smooth the border of a mask, and move it by one cell at most."""
    mask = logits > 0
    smooth = ndimage.gaussian_filter(logits, _SIGMA * strength, mode="nearest")
    is_near = ndimage.binary_dilation(mask, _CROSS) & ~ndimage.binary_erosion(
        mask, _CROSS, border_value=1
    )
    # Smoothing shrinks what is round: as many cells as before stay inside.
    count, band = np.count_nonzero(mask & is_near), np.sort(smooth[is_near])[::-1]
    if 0 < count < len(band):
        smooth -= (band[count - 1] + band[count]) / 2
    return np.asarray(np.where(is_near, smooth, logits), np.float32)


def largest_speck(area: float, strength: float, cell_side: float = 1) -> float:
    """Return up to which area a hole or an island is none, given that of the mask."""
    return strength * min(_SMALL * area, _SMALL_CELLS * cell_side**2)


def _without_specks(
    logits: NDArray[np.float32], clicks: Sequence[Cell], strength: float, only_clicked: bool
) -> NDArray[np.float32]:
    """Fill small holes, and remove small islands and pieces that nobody clicked on."""
    mask = logits > 0
    small = largest_speck(int(np.count_nonzero(mask)), strength)
    outside, _ = ndimage.label(~mask, np.ones((3, 3)))
    areas = np.bincount(outside.ravel())
    at_border = np.concatenate((outside[0], outside[-1], outside[:, 0], outside[:, -1]))
    is_hole = areas <= small
    is_hole[0], is_hole[at_border] = False, False
    logits = np.where(is_hole[outside], np.maximum(-logits, _INSIDE), logits)
    pieces, _ = ndimage.label(logits > 0)
    areas = np.bincount(pieces.ravel())
    clicked = {int(pieces[cell]) for cell in clicks} - {0}
    is_kept = np.isin(np.arange(len(areas)), list(clicked))
    if not clicked or not only_clicked:
        is_kept |= areas > small
    return np.asarray(np.where((pieces > 0) & ~is_kept[pieces], -logits, logits), np.float32)
