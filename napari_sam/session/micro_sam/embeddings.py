"""Image embeddings that micro-sam stored, read from its folder; nothing is written there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.catalogue.local_files import has_hash
from napari_sam.engine.spec import SAM_SPEC, Size
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.micro_sam.image import ReportProgress, data_signature
from napari_sam.session.micro_sam.layout import (
    FEATURES,
    MicroSamError,
    Tiling,
    array_name,
    cannot_use,
    find_source,
    open_group,
    read_attributes,
    read_tiling,
    reading,
    text_of,
)

if TYPE_CHECKING:
    import zarr

__all__ = ["MicroSamEmbeddings", "MicroSamError", "StoredEmbedding", "open_embeddings"]

_DEFAULT_ALGORITHM: Final = "sha256"
"""Of a checksum without an algorithm, as in pooch, which micro-sam uses."""


@dataclass(frozen=True, eq=False)
class StoredEmbedding:
    """An image embedding as micro-sam stored it."""

    image_embedding: NDArray[np.float32]  # output of the image encoder
    original_size: Size  # (H, W) of the plane or tile
    input_size: Size  # (H, W) of its resized version inside the square input


@dataclass(frozen=True, eq=False)
class MicroSamEmbeddings:
    """The embeddings of one image, from `open_embeddings`; may be used on any thread."""

    path: Path  # the folder of the zarr
    # begins with the variant: ``vit_b``; with older versions of micro-sam, ``vit_b_lm`` too
    model_type: str
    # what micro-sam calls the weights, ``vit_b_lm``, or the variant of a user's own ones
    model_name: str
    # checksum of the checkpoint, ``xxh128:digits``; older versions do not write it
    model_hash: str | None
    data_signature: str  # SHA-1 of the image; see the function of this name
    ndim: int  # 2 for one plane, 3 for a stack of them; channels do not count
    slice_count: int  # number of slices; 1 for one plane
    # tiles that the plane may be embedded in: a `TileGrid` as it was tiled, or for a plane that
    # was embedded as a whole, this and those that are usual here
    pyramid: TilePyramid
    # those of the pyramid that were embedded: row by row with their surroundings, or the whole
    tiles: tuple[Tile, ...]
    _group: zarr.Group
    _tiling: Tiling

    def has_shape_of(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an image of a shape, ([Z,] H, W [, C]), may be what is embedded.

        The signature does not tell a transposed image of equal values from the image.
        """
        plane_shape = shape if self.ndim == 2 else shape[1:]
        if len(plane_shape) not in (2, 3) or plane_shape[:2] != self.pyramid.shape:
            return False
        return self.ndim == 2 or shape[0] == self.slice_count

    def matches(self, array: Any, on_progress: ReportProgress = lambda share: None) -> bool:
        """Tell whether these are the embeddings of an image, by its shape and all its values."""
        if not self.has_shape_of(tuple(array.shape)):
            return False
        return data_signature(array, on_progress) == self.data_signature

    def is_of_file(self, checkpoint: Path) -> bool:
        """Tell whether the embeddings name a file as their model; False also if that is unknown.

        The same weights saved by another program have another checksum.
        """
        if self.model_hash is None:
            return False
        algorithm, _, digits = self.model_hash.rpartition(":")
        try:
            return has_hash(checkpoint, f"{algorithm or _DEFAULT_ALGORITHM}:{digits}")
        except (OSError, ValueError):  # no file, or an algorithm that we do not have
            return False

    def tile_numbers(self, slice_index: int = 0) -> tuple[int, ...]:
        """Return the tiles of a slice that are embedded: all, or those that a mask touched."""
        if not 0 <= slice_index < self.slice_count:
            raise IndexError(f"There is no slice {slice_index} of {self.slice_count}.")
        if self._tiling.tiles_in_mask is None:
            return tuple(range(len(self.tiles)))
        return self._tiling.tiles_in_mask[slice_index]

    def embedding(self, slice_index: int = 0, tile_number: int = 0) -> StoredEmbedding:
        """Read one embedding, and nothing else, from the disk."""
        if not 0 <= tile_number < len(self.tiles):
            raise IndexError(f"There is no tile {tile_number} of {len(self.tiles)}.")
        description = f"tile {tile_number} of slice {slice_index}"
        if tile_number not in self.tile_numbers(slice_index):
            raise cannot_use(
                self.path, f"{description} was left out, because it lies outside a mask"
            )
        with reading(self.path, f"the metadata of {description} are damaged"):
            source = find_source(self.path, self._group, array_name(tile_number, self._tiling.grid))
        if source.original_size != self.tiles[tile_number].size or (
            source.slice_count != self.slice_count
        ):
            raise cannot_use(
                self.path, f"{description} does not have the size that its attributes state"
            )
        with reading(self.path, f"{description} is damaged"):
            values = source.read(slice_index)
        if not np.isfinite(values).all():
            raise cannot_use(self.path, f"{description} contains NaN or infinite values")
        if not values.any():  # a chunk that was not written
            raise cannot_use(self.path, f"{description} is missing")
        return StoredEmbedding(values, source.original_size, source.input_size)


def open_embeddings(path: Path | str) -> MicroSamEmbeddings:
    """Open a zarr of micro-sam; reads its attributes, but no embedding yet."""
    path = Path(path)
    group = open_group(path)
    attributes = read_attributes(path, group)
    model_hash = attributes.get("model_hash")
    with reading(path, "their layout is unknown"):
        if attributes["input_size"] is None:
            tiling, source = read_tiling(path, group)
        else:
            tiling, source = Tiling(None, None), find_source(path, group, FEATURES)
    grid = tiling.grid
    pyramid = TilePyramid(source.original_size, SAM_SPEC) if grid is None else grid
    return MicroSamEmbeddings(
        path=path,
        model_type=attributes["model_type"],
        model_name=str(attributes.get("model_name") or attributes["model_type"]),
        model_hash=model_hash if isinstance(model_hash, str) else None,
        data_signature=text_of(path, attributes, "data_signature"),
        ndim=source.ndim,
        slice_count=source.slice_count,
        pyramid=pyramid,
        tiles=(pyramid.whole,) if grid is None else grid.tiles,
        _group=group,
        _tiling=tiling,
    )
