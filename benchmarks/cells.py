"""Synthetic cells with their labels, for benchmarks: always the same for the same kind and seed."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE_PX: Final = 512
_HARMONICS: Final = 3
"""Waves along an outline, beside the ellipse."""
_TRIES: Final = 5000
_LEAST_FREE: Final = 0.8
"""Share of a cell that is not pushed away by others."""


@dataclass(frozen=True)
class CellKind:
    """What the cells of an image look like.

    Parameters
    ----------
    radii_px : (float, float)
        The smallest and the largest; as many between r and 2 r as between 2 r and 4 r.
    count : int
        How many there are at most.
    gap_px : int
        How near two cells come to each other; 0: they press against each other.
    contrast : (float, float)
        How much brighter than the background a cell is, of 255.
    noise : float
        Standard deviation.
    nucleus : float
        How much brighter its middle is.
    is_nucleus : bool
        Whether the object is that middle, and not the whole cell.
    """

    radii_px: tuple[float, float]
    count: int
    gap_px: int = 4
    contrast: tuple[float, float] = (50, 110)
    noise: float = 6
    nucleus: float = 0
    is_nucleus: bool = False


KINDS: Final = {
    "sparse": CellKind((14, 22), 30, gap_px=12),
    "touching": CellKind((14, 22), 90, gap_px=0),
    "low contrast": CellKind((14, 24), 30, gap_px=6, contrast=(9, 16), noise=8),
    "mixed sizes": CellKind((5, 45), 45),
    "small": CellKind((4, 6), 60, gap_px=3),
    "with nuclei": CellKind((20, 32), 30, contrast=(25, 40), nucleus=70),
    "only nuclei": CellKind((20, 32), 30, contrast=(25, 40), nucleus=40, is_nucleus=True),
}


def cells(kind: CellKind, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw cells on a noisy background that is brighter on one side.

    Parameters
    ----------
    kind : CellKind
        What they look like.
    seed : int
        Which of all such images.

    Returns
    -------
    image : (512, 512) uint8 ndarray
    labels : (512, 512) int64 ndarray
        0 is background.
    """
    rng = np.random.default_rng(seed)
    labels = np.zeros((SIDE_PX, SIDE_PX), np.int64)
    light, is_middle = np.zeros((SIDE_PX, SIDE_PX)), np.zeros((SIDE_PX, SIDE_PX), bool)
    for _ in range(_TRIES):
        if labels.max() == kind.count:
            break
        region, inside, middle = _blob(rng, float(np.exp(rng.uniform(*np.log(kind.radii_px)))))
        free = labels[region] == 0
        if kind.gap_px == 0:
            is_free = free[inside].mean() > _LEAST_FREE
            inside = inside & free
        else:
            is_free = free[ndimage.binary_dilation(inside, iterations=kind.gap_px)].all()
        if is_free:
            labels[region][inside] = labels.max() + 1
            light[region][inside] += rng.uniform(*kind.contrast)
            light[region][inside & middle] += kind.nucleus
            is_middle[region] |= inside & middle
            if kind.gap_px == 0:  # their rims tell them apart
                rim = inside & ~ndimage.binary_erosion(inside, iterations=2)
                light[region][rim] *= 0.6
    texture = ndimage.gaussian_filter(rng.normal(0, 1, light.shape), 3)
    light *= 1 + 0.15 * texture / texture.std()
    if kind.is_nucleus:
        labels[~is_middle] = 0
    background = 30 + 20 * np.arange(SIDE_PX) / SIDE_PX
    image = (
        ndimage.gaussian_filter(light, 1.2) + background + rng.normal(0, kind.noise, light.shape)
    )
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _blob(
    rng: np.random.Generator, radius_px: float
) -> tuple[tuple[slice, slice], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a region of the image, and in it a wavy ellipse and the middle of it."""
    reach = int(2 * radius_px) + 16
    row, column = (int(n) for n in rng.uniform(reach, SIDE_PX - reach, 2))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.arctan2(dy, dx)
    stretch, turn = rng.uniform(1, 1.25), rng.uniform(0, np.pi)
    outline = radius_px / np.hypot(np.cos(angle - turn) / stretch, np.sin(angle - turn) * stretch)
    for wave in range(2, 2 + _HARMONICS):
        outline = outline * (1 + 0.05 * rng.normal() * np.cos(wave * angle + rng.uniform(0, 7)))
    distance = np.hypot(dy, dx)
    region = slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1)
    return region, distance <= outline, distance <= 0.45 * outline
