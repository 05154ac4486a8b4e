"""Means of an image embedding under masks."""

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import as_float32
from napari_sam.engine.masks import MaskCrop
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Tile


def grid_of(embedded: EmbeddedTile) -> NDArray[np.float32]:
    """Return the embedding of a tile, (C, h, w), without what pads it to a square."""
    grid = as_float32(embedded.embedding.to_arrays()[embedded.decoder.spec.arrays[0].name])
    cell_px = embedded.tile.side / grid.shape[-1]
    height, width = (-(-n // cell_px) for n in embedded.tile.size)
    return grid[:, : int(height), : int(width)]


def mean_under(crop: MaskCrop, grid: NDArray[np.float32], tile: Tile) -> NDArray[np.float32]:
    """Return the mean of the grid of a tile under a mask with pixels of the plane, (C,)."""
    n_channels, height, width = grid.shape
    cell_px = tile.side / max(height, width)
    rows, columns = np.nonzero(crop.mask)
    y = ((rows + crop.top - tile.top + 0.5) / cell_px).astype(np.intp).clip(0, height - 1)
    x = ((columns + crop.left - tile.left + 0.5) / cell_px).astype(np.intp).clip(0, width - 1)
    # Cell by cell: pixel by pixel, a large object would take gigabytes.
    counts = np.bincount(y * width + x, minlength=height * width).astype(np.float32)
    cells = np.flatnonzero(counts)
    return np.asarray(grid.reshape(n_channels, -1)[:, cells] @ (counts[cells] / rows.size))
