"""Volumes with known objects: spheres, ellipsoids, splitting tubes, tissue and moving rods.

Each function returns an image (Z, H, W) uint8 and its labels (Z, H, W) uint16. `flatness` is how
much farther apart slices are than pixels; `noise` is a standard deviation in gray levels.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = tuple[NDArray[np.uint8], NDArray[np.uint16]]
SHAPE: Final = (40, 256, 256)
_DARK, _BRIGHT = 50.0, 150.0


def spheres(seed: int, noise: float = 12.0, flatness: float = 2.0) -> Volume:
    """Bright balls of several sizes that do not touch."""
    return _blobs(seed, noise, flatness, roundness=(1.0, 1.0))


def ellipsoids(seed: int, noise: float = 12.0, flatness: float = 2.0) -> Volume:
    """Ellipsoids of any direction and brightness."""
    return _blobs(seed, noise, flatness, roundness=(0.45, 1.0))


def tubes(seed: int, noise: float = 12.0, flatness: float = 2.0) -> Volume:
    """Tubes along the slices that split in two; both branches are the same object."""
    rng = np.random.default_rng(seed)
    labels, grid = np.zeros(SHAPE, np.uint16), np.indices(SHAPE[1:])
    for label, (row, column) in enumerate(((64, 64), (64, 190), (190, 64), (190, 190)), 1):
        first, split, last = 4, int(rng.integers(14, 24)), SHAPE[0] - int(rng.integers(3, 8))
        drift, spread = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.9, 1.4) / 2 * flatness
        for z in range(first, last):
            radius = rng.uniform(9, 11)
            apart = max(0.0, (z - split) * spread)
            for side in (-1, 1):
                center = np.array([row, column]) + drift * z + (0, side * apart)
                labels[z][_disc(grid, center, radius)] = label
    return _image(labels, rng, noise), labels


def tissue(seed: int, noise: float = 12.0, flatness: float = 2.0) -> Volume:
    """Cells that fill the volume, with dark membranes between them."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (60, 3)) * SHAPE
    labels = np.zeros(SHAPE, np.uint16)
    weights = np.array([flatness, 1, 1])
    grid = np.indices(SHAPE).reshape(3, -1).T * weights
    warp = ndimage.gaussian_filter(rng.normal(0, 1, (3, *SHAPE)), (0, 4, 12, 12))
    grid = grid + (warp / warp.std() * 5).reshape(3, -1).T
    best = np.full(len(grid), np.inf)
    for label, corner in enumerate(corners * weights, 1):
        distances = ((grid - corner) ** 2).sum(axis=1)
        nearer = distances < best
        best[nearer], labels.reshape(-1)[nearer] = distances[nearer], label
    is_wall = ndimage.grey_dilation(labels, (1, 3, 3)) != ndimage.grey_erosion(labels, (1, 3, 3))
    gray = np.where(is_wall, _DARK, _BRIGHT + rng.normal(0, 10, 61)[labels])
    return _noisy(ndimage.gaussian_filter(gray, (0, 1, 1)), rng, noise), labels


def rods(seed: int, noise: float = 12.0, flatness: float = 2.0) -> Volume:
    """Rods that move and turn from slice to slice, as bacteria in a film do."""
    rng = np.random.default_rng(seed)
    labels, grid = np.zeros(SHAPE, np.uint16), np.indices(SHAPE[1:])
    for label in range(1, 9):
        center, angle = rng.uniform(40, 216, 2), rng.uniform(0, np.pi)
        speed, turn = rng.uniform(-0.8, 0.8, 2) * flatness, rng.uniform(-0.05, 0.05)
        length, width = rng.uniform(14, 24), rng.uniform(5, 8)
        first, last = rng.integers(0, 6), SHAPE[0] - rng.integers(0, 12)
        for z in range(first, last):
            center, angle = center + speed + rng.normal(0, 0.5, 2), angle + turn
            along = np.array([np.sin(angle), np.cos(angle)])
            offset = grid - center[:, None, None]
            position = np.clip(np.tensordot(along, offset, 1), -length, length)
            nearest = along[:, None, None] * position
            is_rod = ((offset - nearest) ** 2).sum(axis=0) <= width**2
            labels[z][is_rod & (labels[z] == 0)] = label
    return _image(labels, rng, noise), labels


KINDS: Final[dict[str, Callable[..., Volume]]] = {
    "spheres": spheres,
    "ellipsoids": ellipsoids,
    "splitting tubes": tubes,
    "tissue": tissue,
    "moving rods": rods,
}


def _blobs(seed: int, noise: float, flatness: float, roundness: tuple[float, float]) -> Volume:
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint16)
    grid = np.indices(SHAPE).reshape(3, -1).T * (flatness, 1.0, 1.0)
    label = 0
    for _ in range(200):
        radius = rng.uniform(10, 26)
        center = rng.uniform(0, 1, 3) * SHAPE * (flatness, 1, 1)
        axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        lengths = radius * rng.uniform(*roundness, 3)
        places = ((grid - center) @ axes / lengths) ** 2
        inside = (places.sum(axis=1) <= 1).reshape(SHAPE)
        around = ndimage.binary_dilation(inside, iterations=3)
        if inside.sum() > 400 and not labels[around].any():
            label += 1
            labels[inside] = label
        if label == 14:
            break
    return _image(labels, rng, noise), labels


def _disc(grid: NDArray[np.int_], center: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    return np.asarray(((grid - center[:, None, None]) ** 2).sum(axis=0) <= radius**2)


def _image(labels: NDArray[np.uint16], rng: np.random.Generator, noise: float) -> NDArray[np.uint8]:
    """Give each object its own brightness, blurred across slices as in a microscope."""
    grays = rng.uniform(0.7, 1.3, labels.max() + 1) * _BRIGHT
    grays[0] = _DARK
    return _noisy(ndimage.gaussian_filter(grays[labels], (0.5, 1.2, 1.2)), rng, noise)


def _noisy(gray: NDArray[np.float64], rng: np.random.Generator, noise: float) -> NDArray[np.uint8]:
    return np.clip(gray + rng.normal(0, noise, gray.shape), 0, 255).astype(np.uint8)
