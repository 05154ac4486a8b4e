"""A stack and a film to practice on, made from a seed, as scikit-image comes without any."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_SIDE: Final = 256
_BACKGROUND, _CELL, _NOISE = 30.0, 150.0, 7.0
_N_SLICES, _N_NUCLEI, _DEPTH_PX = 24, 18, 2.0
_N_FRAMES, _DIVISION = 20, 9


def nuclei_in_depth() -> NDArray[np.uint8]:
    """Return a stack of nuclei: (24, 256, 256) uint8, slices twice as far apart as pixels."""
    rng = np.random.default_rng(2)
    stack = np.full((_N_SLICES, _SIDE, _SIDE), _BACKGROUND)
    z, y, x = np.ogrid[:_N_SLICES, :_SIDE, :_SIDE]
    centers: list[NDArray[np.float64]] = []
    while len(centers) < _N_NUCLEI:
        center = rng.uniform((3, 20, 20), (_N_SLICES - 3, _SIDE - 20, _SIDE - 20))
        radii = rng.uniform((6, 13, 13), (10, 19, 19))
        apart = [np.hypot(*(center - other)[1:]) for other in centers]
        if min(apart, default=np.inf) < 36:
            continue
        centers.append(center)
        depth = ((z - center[0]) * _DEPTH_PX / radii[0]) ** 2
        inside = depth + ((y - center[1]) / radii[1]) ** 2 + ((x - center[2]) / radii[2]) ** 2 < 1
        stack[inside] = _CELL + rng.normal(0, 15)
    return _photographed(stack, (0.6, 1.2, 1.2), rng)


def dividing_cells() -> NDArray[np.uint8]:
    """Return a film of cells that move, two of which divide: (20, 256, 256) uint8."""
    rng = np.random.default_rng(5)
    places = np.array([(60, 60), (70, 180), (150, 110), (200, 210), (205, 50)], float)
    steps = rng.normal(0, 1.6, places.shape)
    y, x = np.ogrid[:_SIDE, :_SIDE]
    film = np.full((_N_FRAMES, _SIDE, _SIDE), _BACKGROUND)
    for index, frame in enumerate(film):
        since = index - _DIVISION
        for number, center in enumerate(places + index * steps):
            cells, radius = [center], 15.0
            if number < 2 and since >= 0:
                away = np.array((5 + 2.2 * since) * np.array([(1, 0.4), (0.3, 1)][number]))
                cells, radius = [center - away, center + away], 11.5
            for row, column in cells:
                frame[(y - row) ** 2 + (x - column) ** 2 < radius**2] = _CELL
    return _photographed(film, (0, 1.2, 1.2), rng)


def _photographed(
    clean: NDArray[np.float64], blur: tuple[float, ...], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Blur an image, and add noise."""
    seen = ndimage.gaussian_filter(clean, blur) + rng.normal(0, _NOISE, clean.shape)
    return np.asarray(seen.clip(0, 255), np.uint8)
