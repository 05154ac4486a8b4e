"""The tiles on which a window would show labeled objects to the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.batch.labeled import LabeledPlane
from napari_sam.engine.embeddings import EmbeddingArrays
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.spec import ModelSpec
from napari_sam.model.training.instance_trainer import InstanceTile
from napari_sam.model.training.tiles import BEYOND, TrainingTile
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile, TilePyramid

_LEAST_CELLS: Final = 4
"""Cells of the low-resolution logits that an object needs on a tile to be learned from."""


def plan_tiles(
    labeled: LabeledPlane, chosen: Sequence[int], embedder: Embedder
) -> list[TrainingTile]:
    """Return the tiles on which some objects of a plane, by their numbers, would be decoded."""
    spec = embedder.load().encoder.spec
    pyramid = labeled.plane.pyramid(spec)
    wanted: dict[Tile, list[int]] = defaultdict(list)
    for number in chosen:
        for tile in _tiles_for(pyramid, labeled.objects[number].edges_xyxy):
            wanted[tile].append(number)
    corners = np.array([mask.edges_xyxy for mask in labeled.objects])
    planned = []
    for tile, numbers in wanted.items():
        x0, y0, x1, y1 = tile.box_xyxy
        is_near = (corners[:, :2] < (x1, y1)).all(axis=1) & (corners[:, 2:] > (x0, y0)).all(axis=1)
        near = [int(n) for n in np.flatnonzero(is_near)]
        labels = labels_on([labeled.objects[n] for n in near], tile, spec, spec.low_res_side)
        cells = np.bincount(labels[labels > 0], minlength=len(near) + 1)
        label_ids = [near.index(n) + 1 for n in numbers]
        large = tuple(label_id for label_id in label_ids if cells[label_id] >= _LEAST_CELLS)
        if large:
            planned.append(
                TrainingTile(
                    labels,
                    large,
                    partial(labeled.plane.read, spec.input_side, tile),
                    partial(_arrays, embedder, labeled.plane, tile),
                )
            )
    return planned


def _tiles_for(pyramid: TilePyramid, box: Box) -> list[Tile]:
    """Return the whole plane; for a tiny object the tile on which it is refined, and one more.

    That is the next coarser one, where a user who zooms in would click.
    """
    if not pyramid.is_tiny(pyramid.whole, box):
        return [pyramid.whole]
    finer = pyramid.around(box, pyramid.level_for(box))
    coarser = pyramid.around(box, min(finer.level + 1, pyramid.whole.level))
    return list(dict.fromkeys((finer, coarser)))


def plan_instance_tiles(labeled: LabeledPlane, embedder: Embedder) -> list[InstanceTile]:
    """Return the whole plane, and the tiles on which tiny objects would be decoded."""
    spec = embedder.load().encoder.spec
    pyramid = labeled.plane.pyramid(spec)
    tiles = dict.fromkeys((pyramid.whole,))
    for mask in labeled.objects:
        tiles |= dict.fromkeys(_tiles_for(pyramid, mask.edges_xyxy))
    return [
        InstanceTile(
            partial(labels_on, labeled.objects, tile, spec, spec.input_side),
            partial(_arrays, embedder, labeled.plane, tile),
        )
        for tile in tiles
    ]


def labels_on(
    objects: Sequence[MaskCrop], tile: Tile, spec: ModelSpec, side: int
) -> NDArray[np.int16]:
    """Return the object at each cell of a square grid over a tile, counted from 1.

    0 is background, `BEYOND` where the tile ends.
    """
    centers = (np.arange(side) + 0.5) * spec.input_side / side
    labels = np.full((side, side), BEYOND, np.int16)
    inside, places = [], []
    for first, length, size in zip(
        (tile.top, tile.left), tile.size, spec.input_size(tile.size), strict=True
    ):
        inside.append(np.flatnonzero(centers < size))
        places.append(first + (centers[inside[-1]] / size * length).astype(np.intp))
    labels[np.ix_(*inside)] = 0
    for label_id, (mask, *corner) in enumerate(objects, start=1):
        hit = [
            (place >= start) & (place < start + length)
            for place, start, length in zip(places, corner, mask.shape, strict=True)
        ]
        part = mask[np.ix_(places[0][hit[0]] - corner[0], places[1][hit[1]] - corner[1])]
        rows, columns = np.nonzero(part)
        labels[inside[0][hit[0]][rows], inside[1][hit[1]][columns]] = label_id
    return labels


def _arrays(embedder: Embedder, plane: ImagePlane, tile: Tile) -> EmbeddingArrays:
    return embedder.obtain(plane, tile).embedding.to_arrays()
