"""Masks that keep to the clicks: models may leave an excluded place inside, or an added one out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.cleaning import Cell

_FADING: Final = 1.5
"""How fast the change fades beyond the border, in distances from the click to the border."""
_MARGIN: Final = 0.5
"""The logit that a click has, on its side of 0, once the mask keeps to it."""
_LEAST_CELLS: Final = 0.5
_LEAST_SHARE: Final = 0.01
_MAX_ROUNDS: Final = 8


def honoring(
    logits: NDArray[np.float32], clicks: Sequence[tuple[Cell, int]]
) -> NDArray[np.float32]:
    """Return the low-res logits of a mask, cut higher or lower around clicks that it ignores.

    `clicks` are cells and labels. From a click on the wrong side to the border of the mask, all
    that is no surer than the click itself changes sides: a click in the middle of what is wrong
    mends most of it. Beyond that, and toward clicks that mean the contrary, the change fades.
    What was added farther from the mask than its radius is left to the model, as is an empty mask.
    """
    for _ in range(_MAX_ROUNDS):  # what is done for one may undo what was done for another
        honored = logits
        for number in range(len(clicks)):
            honored = _keeping_to(honored, clicks, number)
        if honored is logits:
            break
        logits = honored
    return logits


def _keeping_to(
    logits: NDArray[np.float32], clicks: Sequence[tuple[Cell, int]], number: int
) -> NDArray[np.float32]:
    """Return the logits of a mask that keeps to one of the clicks; the same ones if it does."""
    (row, column), label = clicks[number]
    sign = 1 if label else -1
    value = sign * float(logits[row, column])
    if value > 0:
        return logits
    contrary = np.array([cell for cell, other in clicks if other != label]).reshape(-1, 2)
    to_contrary = _nearest(contrary, row, column)
    right = np.argwhere(sign * logits > 0)
    to_border = _nearest(right, row, column)
    if not len(right) or (label and to_border > (len(right) / np.pi) ** 0.5):
        return logits
    reach = max(min(to_border, to_contrary / 3), _LEAST_CELLS)
    fading = max(min(_FADING * reach, to_contrary / 4), _LEAST_CELLS / 2)
    rows, columns = np.ogrid[: logits.shape[0], : logits.shape[1]]
    beyond = np.maximum(np.hypot(rows - row, columns - column) - reach, 0)
    share = np.exp(-((beyond / fading) ** 2) / 2)
    share[share < _LEAST_SHARE] = 0
    return np.asarray(logits + sign * (_MARGIN - value) * share, np.float32)


def _nearest(cells: NDArray[np.intp], row: int, column: int) -> float:
    """Return how far the nearest of some cells (N, 2) is; infinite without any."""
    away = cells - (row, column)
    return float(np.hypot(away[:, 0], away[:, 1]).min()) if len(away) else np.inf
