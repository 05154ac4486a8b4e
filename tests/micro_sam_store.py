"""Stores as micro-sam writes them, with embeddings of a real image encoder."""

import hashlib

import numpy as np
import zarr

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.image.tile_grid import TileGrid
from napari_sam.session.micro_sam.image import micro_sam_normalized


def write_store(
    path, image, predictor, tiling=None, shown=micro_sam_normalized, ndim=None, **attributes
):
    """Embed an image, ([Z,] H, W [, C]), whole or in tiles of (tile_shape, halo)."""
    ndim = image.ndim if ndim is None else ndim
    group = zarr.create_group(path, zarr_format=3)
    slices = list(image) if ndim == 3 else [image]
    size = slices[0].shape[:2]
    one = predictor.encode(shown(slices[0]))
    if tiling is None:
        features = [predictor.encode(shown(plane)).numpy()[np.newaxis] for plane in slices]
        save(group, "features", features, ndim)
    else:
        tiles = group.create_group("features")
        tiles.attrs.update({"shape": size, "tile_shape": tiling[0], "halo": tiling[1]})
        for number, tile in enumerate(TileGrid(size, *tiling, SAM_SPEC).tiles):
            rows = slice(tile.top, tile.top + tile.height)
            columns = slice(tile.left, tile.left + tile.width)
            found = [predictor.encode(shown(plane[rows, columns])) for plane in slices]
            array = save(
                tiles, str(number), [each.numpy()[np.newaxis] for each in found], image.ndim
            )
            array.attrs.update(
                {"original_size": found[0].original_size, "input_size": found[0].input_size}
            )
    group.attrs.update(
        {
            "data_signature": hashlib.sha1(image.tobytes()).hexdigest(),
            "model_type": "vit_t",
            "model_name": "vit_t",
            "model_hash": "xxh128:72ec5074774761a6e5c05a08942f981e",
            "tile_shape": None if tiling is None else tiling[0],
            "halo": None if tiling is None else tiling[1],
            "input_size": one.input_size if tiling is None else None,
            "original_size": one.original_size if tiling is None else None,
            **attributes,
        }
    )
    return path


def save(group, name, features, ndim):
    data = np.stack(features) if ndim == 3 else features[0]
    chunks = (1,) * (data.ndim - 3) + data.shape[-3:]
    array = group.create_array(name, shape=data.shape, chunks=chunks, dtype="float32")
    array[:] = data
    return array


def damage(path, number):
    """Make a chunk of an untiled store unreadable."""
    chunks = sorted(
        file
        for file in (path / "features").rglob("*")
        if file.is_file() and not file.name.startswith("zarr.")
    )
    chunks[number].write_bytes(b"unreadable")
