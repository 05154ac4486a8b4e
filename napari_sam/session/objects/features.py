"""Features that tell the class of an object: what the model sees, intensity and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, crop_in_image, scaled_crop
from napari_sam.session.decoding.features import light_of, shape_of
from napari_sam.session.embedding.pooling import mean_under
from napari_sam.session.image.tiles import Tile
from napari_sam.session.objects.texture import N_TEXTURES, texture_of

_AROUND: Final = 0.5
"""What is looked at around an object, as a share of its extent."""


_N_SHAPES, _N_COLORS = 3, 9
N_LOOKS: Final = _N_SHAPES + _N_COLORS + N_TEXTURES
"""Features of an object beside what the model sees."""


class SeenTile(NamedTuple):
    """A tile of a plane, as the model sees it."""

    tile: Tile
    grid: NDArray[np.float32]
    """(C, h, w), its embedding."""
    pixels: NDArray[np.uint8]
    """(H, W, 3)"""


class ObjectFeatures(NamedTuple):
    """What tells the class of an object."""

    embedding: NDArray[np.float32]
    """(C,), the mean under its mask."""
    looks: NDArray[np.float32]
    """(F,), its size, shape, texture, and colors inside and around it."""


def features_of(crop: MaskCrop, seen: SeenTile) -> ObjectFeatures:
    """Measure an object by its mask, which has pixels of the plane and is not empty."""
    area_px = int(np.count_nonzero(crop.mask))
    looks = [np.log(area_px), *shape_of(crop.mask, area_px), *_appearance(crop, seen)]
    embedding = mean_under(crop, seen.grid, seen.tile)
    return ObjectFeatures(embedding, np.nan_to_num(np.array(looks, np.float32)))


def _appearance(crop: MaskCrop, seen: SeenTile) -> list[float]:
    """Return of each color the mean inside, the difference to that around, and the spread.

    Then the texture, in gray.
    """
    tile, pixels = seen.tile, seen.pixels
    placed = MaskCrop(crop.mask, crop.top - tile.top, crop.left - tile.left)
    scale = pixels.shape[0] / tile.height, pixels.shape[1] / tile.width
    mask, top, left = crop_in_image(*scaled_crop(placed, scale), pixels.shape[:2])
    margin = 1 + round(_AROUND * max(mask.shape))
    first = max(0, top - margin), max(0, left - margin)
    part = pixels[
        first[0] : top + mask.shape[0] + margin, first[1] : left + mask.shape[1] + margin
    ].astype(np.float32)
    inside = MaskCrop(mask, top, left).within(*first, part.shape[:2])
    if not inside.any():
        return [np.nan] * (_N_COLORS + N_TEXTURES)
    values: list[float] = []
    for color in range(3):
        gray = part[..., color]
        values += [*light_of(inside, gray), float(gray[inside].std())]
    return values + texture_of(inside, part.mean(axis=2))


def comparable(
    features: Sequence[ObjectFeatures], embedding_weight: float = 1.0
) -> NDArray[np.float64]:
    """Return all features in units of their spread, (N, F).

    What the model sees counts as much as all others together, unless its weight is another.
    """
    parts = []
    for part, weight in zip(zip(*features, strict=True), (embedding_weight, 1.0), strict=True):
        values = np.array(part, np.float64)
        values -= values.mean(axis=0)
        values /= np.maximum(values.std(axis=0), 1e-6)
        parts.append(weight * values / values.shape[1] ** 0.5)
    return np.concatenate(parts, axis=1)
