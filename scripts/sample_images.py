"""Synthetic images for the pictures of the documentation; always the same."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data

_SIDE_PX: Final = 384
_CYCLE: Final = 11
"""Frames between the divisions of a cell."""


def _nucleus(
    shape: tuple[int, int], place: NDArray[np.float64], radii: NDArray[np.float64], turn: float
) -> Any:
    """Return how far inside an ellipse each pixel lies: 1 in the middle, 0 on the outline."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y, x = rows - place[0], columns - place[1]
    along = (x * np.cos(turn) + y * np.sin(turn)) / radii[0]
    across = (y * np.cos(turn) - x * np.sin(turn)) / radii[1]
    return np.clip(1 - np.hypot(along, across), 0, None)


def _places(random: np.random.Generator, count: int, gap_px: float) -> NDArray[np.float64]:
    """Return points in the plane that keep a distance from each other."""
    places: list[NDArray[np.float64]] = []
    while len(places) < count:
        place = random.uniform(20, _SIDE_PX - 20, 2)
        if all(np.hypot(*(place - other)) > gap_px for other in places):
            places.append(place)
    return np.array(places)


def _exposed(light: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.uint16]:
    """Return what a camera of 16 bits makes of it: blurred, over a dark level, with shot noise."""
    blurred = ndimage.gaussian_filter(light, [0] * (light.ndim - 2) + [1.2, 1.2])
    exposed: NDArray[np.uint16] = (random.poisson(120 + 900 * blurred) * 4).astype(np.uint16)
    return exposed


def nuclei() -> NDArray[np.uint16]:
    """Return nuclei in fluorescence: (384, 384) uint16, some of them dim, some touching."""
    random = np.random.default_rng(3)
    light = np.zeros((_SIDE_PX, _SIDE_PX))
    for place in _places(random, 48, 34):
        radii = random.uniform([15, 11], [21, 15])
        inside = _nucleus(light.shape, place, radii, random.uniform(0, np.pi))
        light = np.maximum(light, np.minimum(3 * inside, 1) * random.uniform(0.35, 1))
    texture = ndimage.gaussian_filter(random.normal(size=light.shape), 2.5)
    return _exposed(light * (1 + 0.6 * texture / texture.std() * 0.3), random)


def stack() -> NDArray[np.uint16]:
    """Return ellipsoids in a volume: (24, 384, 384) uint16."""
    random = np.random.default_rng(8)
    light = np.zeros((24, _SIDE_PX, _SIDE_PX))
    for place in _places(random, 22, 62):
        middle, depth = random.uniform(5, 19), random.uniform(4, 8)
        radii = random.uniform([24, 18], [32, 25])
        turn, brightness = random.uniform(0, np.pi), random.uniform(0.4, 1)
        for z in range(len(light)):
            share = 1 - ((z - middle) / depth) ** 2
            if share > 0.05:
                inside = _nucleus(light.shape[1:], place, radii * np.sqrt(share), turn)
                light[z] = np.maximum(light[z], np.minimum(4 * inside, 1) * brightness)
    return _exposed(light, random)


def film() -> NDArray[np.uint16]:
    """Return cells that move and divide: (16, 384, 384) uint16."""
    random = np.random.default_rng(5)
    light = np.zeros((16, _SIDE_PX, _SIDE_PX))
    cells = [(place, int(random.integers(0, _CYCLE))) for place in _places(random, 9, 90)]
    ways = [random.normal(0, 1.5, 2) for _ in cells]
    for frame in light:
        following, steps = [], []
        for (place, age), way in zip(cells, ways, strict=True):
            radius = 16 + 0.5 * age
            turn = np.arctan2(*way)
            inside = _nucleus(frame.shape, place, np.array([1.15, 0.9]) * radius, turn)
            np.maximum(frame, np.minimum(4 * inside, 1) * 0.8, out=frame)
            if age < _CYCLE:
                following.append((place + way + random.normal(0, 0.4, 2), age + 1))
                steps.append(way)
                continue
            aside = np.array([np.cos(turn), np.sin(turn)]) * radius
            following += [(place + 0.6 * aside, 0), (place - 0.6 * aside, 0)]
            steps += [way * 0.5 + 0.15 * aside, way * 0.5 - 0.15 * aside]
        cells, ways = following, steps
    return _exposed(light, random)


def slide() -> list[NDArray[np.uint8]]:
    """Return tissue as a pyramid of three levels, the largest of (4096, 4096, 3) uint8.

    It is one field of view, mirrored again and again.
    """
    field = np.asarray(data.immunohistochemistry())
    pair = np.concatenate([field, field[:, ::-1]], axis=1)
    block = np.concatenate([pair, pair[::-1]])
    whole = np.tile(block, (4, 4, 1))
    return [whole, whole[::4, ::4], whole[::16, ::16]]
