"""Where accepted objects end: the border of a mask is moved to where theirs are.

For each place around a mask, seven numbers tell how surely it belongs to the object: the model's
logit; the depth inside the mask and the distance to the click, both in radii of the mask; the size
of the mask; and, at three scales, where the place lies between the color around the mask and that
inside. No color or gray value counts by itself, so other light does not matter. The direction of
color that separates the two best is found for each mask (R. A. Fisher, "The Use of Multiple
Measurements in Taxonomic Problems", 1936). A logistic regression of second order weighs the numbers
(D. R. Cox, "The Regression Analysis of Binary Sequences", 1958); the same samples give the same
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.cleaning import Cell
from napari_sam.session.decoding.honoring import honoring
from napari_sam.session.decoding.recipe import BorderWeights, with_logits

Samples = NDArray[np.float32]
"""(N, 8): what is known of places, and the share of the object there, 0 to 1."""

N_FEATURES: Final = 7
N_WEIGHTS: Final = 2 * N_FEATURES + (N_FEATURES + 1) * (N_FEATURES + 2) // 2
"""Means and spreads of the features, and a weight of each, of each product of two, and of 1."""
_GROW: Final = 0.9
"""How far the border may be moved outward, in radii."""
_SCALES: Final = (0.06, 0.15, 0.35)
"""Standard deviations of the filters, in radii..."""
_LEAST_SCALES_PX: Final = (0.5, 0.8, 1.2)
"""...and in pixels of the picture, at least."""
_CORE: Final = 0.3
"""Depth from which on a place is certainly inside, in radii."""
_RING: Final = (0.15, 0.7)
"""How far away what is around the mask begins and ends."""
_FEW: Final = 3
"""Places that tell no color."""
_NOISE: Final = 4.0
"""Variance of light that always counts, of 255 squared."""
_LARGEST_LOGIT: Final = 10.0
_LIGHT: Final = (-2.0, 3.0)
_LIMIT: Final = 4.0
"""The farthest from the mean that a feature may be, in spreads."""
_RIDGE: Final = 1e-4
_ROUNDS: Final = 8
_DIGITS: Final = 4
"""Weights are rounded, so that they are the same when they are read from a file."""
_LEAST_SCORE: Final = 0.5
"""The expected overlap from which on a moved border is of any use."""


class Around(NamedTuple):
    """What is known of the places around a mask: a part of the grid of its low-res logits."""

    features: NDArray[np.float64]  # (h, w, N_FEATURES)
    mask: NDArray[np.bool_]  # (h, w)
    top: int
    left: int


def look_around(mask: Candidate, click: Cell) -> Around | None:
    """Return what is known of the places around a mask.

    None if it is empty, fills its tile, or is of an image embedding that was imported.
    """
    side = mask.logits.shape[-1]
    # Beyond these, cells are padding.
    ends = [-(-length * side // mask.tile.side) for length in mask.tile.size]
    seen = np.zeros_like(mask.logits, np.bool_)
    seen[: ends[0], : ends[1]] = True
    piece = _clicked_piece((mask.logits > 0) & seen, click)
    if mask.picture is None or not piece.any():
        return None
    radius = max(float(np.sqrt(np.count_nonzero(piece) / np.pi)), 2.0)
    beyond = int(np.ceil(_GROW * radius)) + 1
    window = tuple(
        slice(max(places[0] - beyond, 0), min(places[-1] + beyond + 1, end))
        for places, end in zip(
            (np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))), ends, strict=True
        )
    )
    inside = piece[window]
    depth = _distances(inside) - _distances(~inside)
    rows, columns = np.ogrid[window]
    light = _light(_Sight.of(mask, window, radius), depth / radius)
    if light is None:
        return None
    cell_px = mask.tile.side / side
    features = (
        np.clip(mask.logits[window], -_LARGEST_LOGIT, _LARGEST_LOGIT) / _LARGEST_LOGIT,
        depth / radius,
        np.hypot(rows - click[0], columns - click[1]) / radius,
        *light,
        np.full(inside.shape, np.log(radius * cell_px)),
    )
    top, left = window[0].start, window[1].start
    return Around(np.stack(features, axis=-1), inside, top, left)


def samples_of(mask: Candidate, click: Cell, crop: MaskCrop, count: int) -> Samples | None:
    """Return what a mask tells about an object, whose mask in the plane is `crop`."""
    around = look_around(mask, click)
    if around is None:
        return None
    height, width = around.mask.shape
    cells = np.random.default_rng(0).permutation(height * width)[:count]
    rows, columns = np.divmod(cells, width)
    cell_px = mask.tile.side / mask.logits.shape[-1]
    places = [
        corner + (first + cell + 0.5) * cell_px - 0.5 - start + 1
        for corner, first, cell, start in (
            (mask.tile.top, around.top, rows, crop.top),
            (mask.tile.left, around.left, columns, crop.left),
        )
    ]
    shares = ndimage.map_coordinates(np.pad(crop.mask, 1).astype(np.float32), places, order=1)
    features = around.features.reshape(-1, N_FEATURES)[cells]
    return np.concatenate([features, shares[:, None]], axis=1).astype(np.float32)


def fitted(lessons: Sequence[Samples]) -> BorderWeights:
    """Return what samples of objects tell about their borders; each object counts the same."""
    samples = np.concatenate(lessons).astype(np.float64)
    counts = np.concatenate([np.full(len(part), 1 / len(part)) for part in lessons])
    features, shares, counts = samples[:, :-1], samples[:, -1], counts / len(lessons)
    middle = features.mean(axis=0).round(_DIGITS)
    spread = (features.std(axis=0) + 1e-3).round(_DIGITS)
    terms = _terms((features - middle) / spread)
    scale = np.append(terms[:, :-1].std(axis=0) + 1e-3, 1.0)
    terms = terms / scale
    weights, ridge = np.zeros(terms.shape[1]), _RIDGE * np.eye(terms.shape[1])
    for _ in range(_ROUNDS):
        guess = _share(terms @ weights)
        slope = counts * np.maximum(guess * (1 - guess), 1e-4)
        matrix = (terms * slope[:, None]).T @ terms + ridge
        weights -= np.linalg.solve(matrix, terms.T @ (counts * (guess - shares)) + ridge @ weights)
    return (*map(float, middle), *map(float, spread), *map(float, (weights / scale).round(_DIGITS)))


def moved(
    mask: Candidate, clicks: Sequence[tuple[Cell, int]], border: BorderWeights
) -> Candidate | None:
    """Return a mask whose border is where those of accepted objects would be.

    Parameters
    ----------
    mask : Candidate
        The mask.
    clicks : sequence of (Cell, int)
        The clicks that it is of, and their labels, a foreground click first: the mask keeps to all.
    border : BorderWeights
        What `fitted` returned.

    Returns
    -------
    Candidate or None
        With the overlap that is expected as predicted IoU; None where nothing is known, or where
        the mask would hardly be like an object.
    """
    click = clicks[0][0]
    around = look_around(mask, click)
    if around is None:
        return None
    weights = np.array(border)
    middle, spread = weights[:N_FEATURES], weights[N_FEATURES : 2 * N_FEATURES]
    features = (around.features.reshape(-1, N_FEATURES) - middle) / spread
    values = (_terms(features) @ weights[2 * N_FEATURES :]).reshape(around.mask.shape)
    values = np.clip(values, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    shares = _share(values)
    score = float(shares[values > 0].sum() / max(np.maximum(values > 0, shares).sum(), 1e-6))
    logits = np.full(mask.logits.shape, -_LARGEST_LOGIT, np.float32)
    height, width = around.mask.shape
    window = slice(around.top, around.top + height), slice(around.left, around.left + width)
    logits[window] = values
    piece = ndimage.binary_fill_holes(_clicked_piece(logits > 0, click))
    if score < _LEAST_SCORE or not piece.any():
        return None
    logits = np.where((logits > 0) == piece, logits, -logits)
    return with_logits(mask, honoring(logits, clicks), score)


def _clicked_piece(mask: NDArray[np.bool_], click: Cell) -> NDArray[np.bool_]:
    """Return the piece of a mask at a click; the largest one if there is none."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    number = pieces[click] or 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(pieces == number)


def _distances(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how far each cell of a mask is from its border; that of the window is none."""
    inside: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))
    return inside[1:-1, 1:-1]


class _Sight(NamedTuple):
    """A part of a picture, and where the places of a window of the grid lie on it."""

    channels: NDArray[np.float64]  # (3, h, w): gray, and two differences of colors
    places: list[NDArray[np.float64]]  # rows and columns
    scales: list[float]  # standard deviations of the filters, in pixels of the picture

    @classmethod
    def of(cls, mask: Candidate, window: tuple[slice, ...], radius: float) -> _Sight:
        assert mask.picture is not None
        shape, cell_px = mask.picture.pixels.shape[:2], mask.tile.side / mask.logits.shape[-1]
        steps = [cell_px * n / length for n, length in zip(shape, mask.tile.size, strict=True)]
        axes = [
            (np.arange(part.start, part.stop) + 0.5) * step - 0.5
            for part, step in zip(window, steps, strict=True)
        ]
        scales = [
            max(least, share * radius * steps[0])
            for least, share in zip(_LEAST_SCALES_PX, _SCALES, strict=True)
        ]
        margin = int(4 * scales[-1]) + 2
        region = tuple(
            slice(max(int(axis[0]) - margin, 0), min(int(axis[-1]) + margin + 2, n))
            for axis, n in zip(axes, shape, strict=True)
        )
        inside = (axis - part.start for axis, part in zip(axes, region, strict=True))
        red, green, blue = np.moveaxis(mask.picture.pixels[region].astype(np.float64), -1, 0)
        gray = (red + green + blue) / 3
        channels = np.stack([gray, red - blue, green - (red + blue) / 2])
        return cls(channels, list(np.meshgrid(*inside, indexing="ij")), scales)

    def at(self, channel: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """Return what a filtered channel is at the places."""
        smooth = ndimage.gaussian_filter(channel, scale)
        return np.asarray(ndimage.map_coordinates(smooth, self.places, order=1, mode="nearest"))


def _light(sight: _Sight, depth: NDArray[np.float64]) -> list[NDArray[np.float64]] | None:
    """Return where places lie between the color around a mask, 0, and that inside, 1.

    At each scale; None if there is nothing around it.
    """
    finest = np.stack([sight.at(channel, sight.scales[0]) for channel in sight.channels])
    core, ring = depth > _CORE, (depth < -_RING[0]) & (depth > -_RING[1])
    core, ring = (
        part if np.count_nonzero(part) > _FEW else other
        for part, other in ((core, depth > 0), (ring, depth < 0))
    )
    inside, outside = finest[:, core], finest[:, ring]
    if min(inside.shape[1], outside.shape[1]) < _FEW:
        return None
    spread = (np.cov(inside) + np.cov(outside)) / 2 + _NOISE * np.eye(3)
    middle = outside.mean(axis=1)
    contrast = inside.mean(axis=1) - middle
    direction = np.linalg.solve(spread, contrast)
    direction = direction / max(float(contrast @ direction), 1e-3)
    along = np.tensordot(direction, sight.channels, 1) - middle @ direction
    return [np.clip(sight.at(along, scale), *_LIGHT) for scale in sight.scales]


def _terms(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features, their products, and 1; (N, N_WEIGHTS - 2 * N_FEATURES)."""
    features = np.clip(features, -_LIMIT, _LIMIT)
    first, second = np.triu_indices(features.shape[1])
    ones = np.ones((len(features), 1))
    return np.concatenate([features, features[:, first] * features[:, second], ones], axis=1)


def _share(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -15, 15))))
