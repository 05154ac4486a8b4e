"""Which pixels of a plane are like those of accepted objects.

A kernel ridge regression on what the model sees and on filtered intensities tells the pixels of
objects from those around them, and from others. Some of these others are objects, too: as in
`automatic.likeness`, only the half that is least like the objects counts in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.embedding.pooling import grid_of
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.pixels import means
from napari_sam.session.image.tiles import Tile, TilePyramid

_LEAST_CELLS: Final = 4
"""Cells of the image embedding that an object spans at least, where there are finer tiles."""
_ACROSS: Final = 13
"""Places at which an object is looked at from one side to the other, at least."""
_FINER: Final = 2
"""How much finer intensities are filtered."""
_MAX_TILES: Final = 64
_COMPONENTS: Final = 24
_SIGMAS: Final = (1, 2, 4, 8)
_SAMPLES: Final = 300
"""Of objects, and as many of what is around them; twice as many of all else."""
_RING: Final = 1
_RIDGE: Final = 0.05
_BLOCK: Final = 8192

Samples = NDArray[np.float32]
"""(N, F), of each place what the model sees there and what filters tell."""


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """Every `step`-th pixel of a plane, each on the tile in whose middle it is most."""

    plane: ImagePlane
    tiles: tuple[Tile, ...]
    step: int
    owners: NDArray[np.intp]  # (h, w), an index of `tiles`

    @classmethod
    def of(cls, plane: ImagePlane, pyramid: TilePyramid, area_px: float) -> PixelGrid:
        """Return a grid that shows objects of an area."""
        diameter_px = 2 * (area_px / np.pi) ** 0.5
        step = max(1, int(diameter_px / _ACROSS))
        tiles: tuple[Tile, ...] = (pyramid.whole,)
        for level in range(pyramid.whole.level - 1, -1, -1):
            if cells_across(area_px, tiles[0], pyramid) >= _LEAST_CELLS:
                break
            finer = _covering(pyramid, level)
            if len(finer) > _MAX_TILES:
                break
            tiles = finer
        rows, columns = (np.arange(step // 2, length, step) for length in plane.shape)
        nearest = np.full((len(rows), len(columns)), np.inf)
        owners = np.zeros(nearest.shape, np.intp)
        for number, tile in enumerate(tiles):
            away = np.maximum.outer(
                abs(rows + 0.5 - tile.top - tile.height / 2),
                abs(columns + 0.5 - tile.left - tile.width / 2),
            )
            is_nearer = away < nearest
            owners[is_nearer], nearest[is_nearer] = number, away[is_nearer]
        return cls(plane, tiles, step, owners)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in its own pixels."""
        height, width = self.owners.shape
        return height, width

    def pixels(self, places: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows and columns in the plane of places, which are counted row by row."""
        rows, columns = np.divmod(places, self.shape[1])
        return rows * self.step + self.step // 2, columns * self.step + self.step // 2

    def look(self, embedder: Embedder, number: int) -> _Look:
        """Return what there is to see on a tile."""
        tile = self.tiles[number]
        embedded = embedder.embed(self.plane, tile)
        pixels = self.plane.read(embedder.spec.input_side, tile)
        return _Look(embedded, pixels, self.step)


def cells_across(area_px: float, tile: Tile, pyramid: TilePyramid) -> float:
    """Return how many cells of a tile's image embedding an object of an area spans."""
    cell_px = tile.side / min(pyramid.spec.arrays[0].shape[-2:])
    return float(2 * (area_px / np.pi) ** 0.5 / cell_px)


def _covering(pyramid: TilePyramid, level: int) -> tuple[Tile, ...]:
    """Return the tiles of a level that cover the plane, half of each in common with the next."""
    first = pyramid.at(level, 0, 0)
    found, waiting = {first: None}, [first]
    while waiting and len(found) <= _MAX_TILES:
        new = [tile for tile in pyramid.neighbors(waiting.pop()) if tile not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return tuple(found)


class _Look:
    """What there is to see on a tile."""

    def __init__(self, embedded: EmbeddedTile, pixels: NDArray[np.uint8], step: int) -> None:
        self._tile, self._grid = embedded.tile, grid_of(embedded)
        self._cell_px = embedded.tile.side / max(self._grid.shape[1:])
        detail = embedded.tile.height / pixels.shape[0]
        small = means(pixels, max(1, int(step / _FINER / detail))).astype(np.float32)
        parts = [
            part
            for sigma in _SIGMAS
            for channel in np.moveaxis(small, -1, 0)
            for part in (
                ndimage.gaussian_filter(channel, sigma),
                ndimage.gaussian_gradient_magnitude(channel, sigma),
                ndimage.gaussian_laplace(channel, sigma),
            )
        ]
        self._filtered = np.stack(parts)

    @property
    def n_channels(self) -> int:
        """How many numbers tell what the model sees."""
        return int(self._grid.shape[0])

    def at(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        axes: NDArray[np.float32] | None = None,
    ) -> Samples:
        """Return what is seen at pixels of the plane; with `axes`, of the model's along these."""
        y, x = rows + 0.5 - self._tile.top, columns + 0.5 - self._tile.left
        grid = self._grid if axes is None else np.tensordot(axes.T, self._grid, 1)
        places = np.stack([y, x]) / self._cell_px - 0.5
        seen = [ndimage.map_coordinates(part, places, order=1, mode="nearest") for part in grid]
        height, width = self._filtered.shape[1:]
        r = (y / self._tile.height * height).astype(np.intp).clip(0, height - 1)
        c = (x / self._tile.width * width).astype(np.intp).clip(0, width - 1)
        return np.concatenate([np.stack(seen), self._filtered[:, r, c]]).T.astype(np.float32)


class _Scaling(NamedTuple):
    """Brings samples to features: principal components of what the model sees, and the rest."""

    axes: NDArray[np.float32]  # (C, K), each in units of the spread of all
    middle: NDArray[np.float32]  # (K,)
    looks_middle: NDArray[np.float32]
    looks_spread: NDArray[np.float32]

    @classmethod
    def of(cls, samples: Samples, n_channels: int) -> _Scaling:
        seen, looks = samples[:, :n_channels], samples[:, n_channels:]
        _, spread, axes = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)
        total = float(np.sqrt((spread[:_COMPONENTS] ** 2).sum() / len(seen))) or 1.0
        along = (axes[:_COMPONENTS].T / total).astype(np.float32)
        width = np.maximum(looks.std(axis=0), 1e-6) * looks.shape[1] ** 0.5
        return cls(along, seen.mean(axis=0) @ along, looks.mean(axis=0), width)

    def features(self, along: Samples) -> Samples:
        """Return the features of samples whose first part lies along the axes already."""
        count = self.axes.shape[1]
        looks = (along[:, count:] - self.looks_middle) / self.looks_spread
        return np.concatenate([along[:, :count] - self.middle, looks], axis=1)


def pixels_like(
    grid: PixelGrid,
    embedder: Embedder,
    inside: NDArray[np.bool_],
    rejected: NDArray[np.bool_],
    report: Callable[[float], bool],
) -> NDArray[np.float32] | None:
    """Return of each pixel of a grid how surely it is of an object, from about -1 to 1.

    Parameters
    ----------
    grid : PixelGrid
        The plane.
    embedder : Embedder
        The model.
    inside : (h, w) bool ndarray
        The pixels of accepted objects, in those of the grid; there are some.
    rejected : (h, w) bool ndarray
        The pixels of rejected masks.
    report : callable
        Called with the share that is done; returns whether to go on. If not, None is returned.
    """
    places, kinds = _chosen(inside, rejected)
    sampled = _sampled(grid, embedder, places, lambda share: report(share / 2))
    if sampled is None:
        return None
    samples, n_channels = sampled
    scaling = _Scaling.of(samples, n_channels)
    seen = samples[:, :n_channels] @ scaling.axes
    features = scaling.features(np.concatenate([seen, samples[:, n_channels:]], axis=1))
    known, weights = _fitted(features, kinds)
    values = np.zeros(grid.owners.size, np.float32)
    for number in range(len(grid.tiles)):
        if not report((1 + number / len(grid.tiles)) / 2):
            return None
        look, own = grid.look(embedder, number), np.flatnonzero(grid.owners == number)
        for first in range(0, len(own), _BLOCK):
            part = own[first : first + _BLOCK]
            along = look.at(*grid.pixels(part), scaling.axes)
            values[part] = _kernel(scaling.features(along), known) @ weights
    return values.reshape(grid.shape)


_INSIDE, _AROUND, _ELSEWHERE, _REJECTED = range(4)


def _sampled(
    grid: PixelGrid,
    embedder: Embedder,
    places: NDArray[np.intp],
    report: Callable[[float], bool],
) -> tuple[Samples, int] | None:
    """Return what is seen at places, and how many numbers are the model's; None if stopped."""
    owners, samples, n_channels = grid.owners.flat[places], np.zeros((0, 0), np.float32), 0
    for number in np.unique(owners):
        if not report(number / len(grid.tiles)):
            return None
        look, mine = grid.look(embedder, number), owners == number
        seen = look.at(*grid.pixels(places[mine]))
        if not samples.size:
            samples, n_channels = (
                np.zeros((len(places), seen.shape[1]), np.float32),
                look.n_channels,
            )
        samples[mine] = seen
    return samples, n_channels


def _chosen(
    inside: NDArray[np.bool_], rejected: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose places to learn from, always the same; with what is known of each."""
    rng = np.random.default_rng(0)
    around = ndimage.binary_dilation(inside, iterations=_RING) & ~inside
    of_kinds = (inside, _SAMPLES), (around, _SAMPLES), (~inside, 2 * _SAMPLES), (rejected, _SAMPLES)
    parts = [rng.permutation(np.flatnonzero(part))[:count] for part, count in of_kinds]
    return np.concatenate(parts), np.repeat(range(len(parts)), [len(part) for part in parts])


def _fitted(features: Samples, kinds: NDArray[np.intp]) -> tuple[Samples, NDArray[np.float32]]:
    """Return the samples that count in the end, and their weights in a sum of kernels."""
    kernel = _kernel(features, features).astype(np.float64)
    counts = np.ones(len(kinds), bool)
    weights = _solved(kernel, kinds)
    values = kernel @ weights
    for kind in (_AROUND, _ELSEWHERE):
        own = kinds == kind
        if own.any():
            counts[own] = values[own] <= np.median(values[own])
    weights = _solved(kernel[np.ix_(counts, counts)], kinds[counts])
    return features[counts], weights.astype(np.float32)


def _solved(kernel: NDArray[np.float64], kinds: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return weights by ridge regression; objects count as much as all else together."""
    counts = np.bincount(kinds, minlength=_REJECTED + 1)
    others = np.count_nonzero(counts[1:])
    shares = np.where(np.arange(len(counts)) == _INSIDE, 0.5, 0.5 / max(1, int(others)))
    shares /= np.maximum(counts, 1)
    ridge = _RIDGE / (shares[kinds] * len(kinds))
    targets = np.where(kinds == _INSIDE, 1.0, -1.0)
    return np.asarray(np.linalg.solve(kernel + np.diag(ridge), targets))


def _kernel(first: Samples, others: Samples) -> Samples:
    """Return how alike features are, 0 to 1."""
    squares = (first**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * first @ others.T
    return np.asarray(np.exp(-np.maximum(squares, 0) / 2))
