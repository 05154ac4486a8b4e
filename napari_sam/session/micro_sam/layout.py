"""How micro-sam lays image embeddings out in a zarr group, of version 2 or 3.

The array ``features`` is (1, 256, 64, 64) for a plane and (Z, 1, 256, 64, 64) for a stack of Z
slices; of a tiled plane, ``features`` is a group of such arrays named "0", "1", ..., one for each
tile, with the sizes of the tile in its attributes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.spec import SAM_SPEC, Size
from napari_sam.session.image.tile_grid import TileGrid
from napari_sam.storage.regular_files import require_regular_file

if TYPE_CHECKING:
    import zarr

    ZarrArray = zarr.Array[Any]

FEATURES: Final = "features"
_VARIANTS: Final = ("vit_t", "vit_b", "vit_l", "vit_h")
_EMBEDDING_SHAPE: Final = SAM_SPEC.arrays[0].shape
_MAX_TILES: Final = 2**18
"""A plane of 130,000 x 130,000 pixels in tiles of 256 x 256 has fewer."""
_MAX_CHUNKS: Final = 2**12
"""Of one embedding; micro-sam writes one, zarr's own choice would be a few."""
_INSTEAD: Final = (
    "Compute them again in micro-sam, or continue without them: then the image is embedded here."
)


class MicroSamError(ValueError):
    """Stored embeddings cannot be used; the message gives the reason and what to do."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


@dataclass(frozen=True, eq=False)
class Source:
    """The array that holds a plane, a stack or one of their tiles."""

    array: ZarrArray
    original_size: Size
    input_size: Size

    @property
    def ndim(self) -> int:
        """2 for a plane, 3 for a stack."""
        return self.array.ndim - 2

    @property
    def slice_count(self) -> int:
        """Number of slices, 1 for a plane."""
        return self.array.shape[0] if self.ndim == 3 else 1

    def read(self, slice_index: int) -> NDArray[np.float32]:
        """Read the (256, 64, 64) embedding of a slice, 0 for a plane."""
        index = (slice_index, 0) if self.ndim == 3 else 0
        return np.asarray(self.array[index], np.float32)


@dataclass(frozen=True)
class Tiling:
    """How a plane is divided into tiles, as in `MicroSamEmbeddings`."""

    grid: TileGrid | None
    tiles_in_mask: tuple[tuple[int, ...], ...] | None


def cannot_use(path: Path, reason: str) -> MicroSamError:
    """Return an error with this reason."""
    message = f"The embeddings in {path} cannot be used: {reason}. {_INSTEAD}"
    return MicroSamError(message, reason)


@contextmanager
def reading(path: Path, reason: str) -> Iterator[None]:
    """Turn any exception into an error with this reason."""
    try:
        yield
    except MicroSamError:
        raise
    except Exception as error:  # a damaged file can be wrong in any way
        raise cannot_use(path, f"{reason} ({type(error).__name__}: {error})") from error


def open_group(path: Path) -> zarr.Group:
    """Open a zarr group for reading."""
    import zarr
    from zarr.storage import LocalStore

    class _RegularFiles(LocalStore):
        """The files of a folder; reading a pipe or a device may never end."""

        async def get(self, key: str, *arguments: Any, **options: Any) -> Any:
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                require_regular_file(self.root / key)
            return await super().get(key, *arguments, **options)

    if not path.is_dir():
        raise MicroSamError(
            f"There is no folder {path.name}; choose that of a micro-sam zarr: {path}"
        )
    with reading(path, "the folder is not a zarr group that can be read"):
        # Version 2 or 3; consolidated metadata may be outdated.
        store = _RegularFiles(path, read_only=True)
        return zarr.open_group(store, mode="r", use_consolidated=False)


def read_attributes(path: Path, group: zarr.Group) -> dict[str, Any]:
    """Read the attributes of complete embeddings of a supported model."""
    with reading(path, "its attributes are damaged"):
        attributes = group.attrs.asdict()
    if "input_size" not in attributes:  # written last
        raise cannot_use(
            path, "they are incomplete, or not embeddings: the attribute input_size is missing"
        )
    model_type = text_of(path, attributes, "model_type")
    if model_type[:5] not in _VARIANTS:  # SAM 2 is stored in arrays of the same shapes
        raise cannot_use(
            path,
            f"they come from a model of type {model_type!r}; only {', '.join(_VARIANTS)} and "
            "models trained from them can be decoded here",
        )
    return attributes


def array_name(tile_number: int, grid: TileGrid | None) -> str:
    """Return the name of the array of a tile, or of a whole plane without a grid."""
    return FEATURES if grid is None else f"{FEATURES}/{tile_number}"


def find_source(path: Path, group: zarr.Group, name: str) -> Source:
    """Find an array and check it without reading it."""
    import zarr

    try:
        node = group[name]
    except KeyError as error:
        raise cannot_use(path, f"they are incomplete: {name} is missing") from error
    if not isinstance(node, zarr.Array) or node.ndim not in (4, 5):
        raise cannot_use(path, f"{name} is not an array of embeddings")
    if node.shape[-4:] != (1, *_EMBEDDING_SHAPE) or 0 in node.shape or node.dtype != np.float32:
        raise cannot_use(
            path,
            f"{name} is {node.shape} {node.dtype}, but image embeddings are "
            f"{(1, *_EMBEDDING_SHAPE)} float32, preceded by the slices of a stack",
        )
    pieces = map(math.ceil, np.divide(_EMBEDDING_SHAPE, np.maximum(node.chunks[-3:], 1)))
    if math.prod(pieces) > _MAX_CHUNKS:
        raise cannot_use(path, f"{name} has too many chunks, of shape {node.chunks}")
    # Each tile has sizes of its own; where there are none, they are those of the image.
    attributes = (group if name == FEATURES else node).attrs.asdict()
    original_size = _size(path, attributes, "original_size")
    input_size = _size(path, attributes, "input_size")
    if max(input_size) != SAM_SPEC.input_side:
        raise cannot_use(path, f"{name} comes from a model with another input size, {input_size}")
    return Source(node, original_size, input_size)


def read_tiling(path: Path, group: zarr.Group) -> tuple[Tiling, Source]:
    """Read how a plane is tiled, and find the tile that was written last."""
    attributes = group[FEATURES].attrs.asdict()
    plane_size = _size(path, attributes, "shape")
    tile_shape = _size(path, attributes, "tile_shape")
    halo = _size(path, attributes, "halo", least=0)
    sides = zip(plane_size, tile_shape, strict=True)
    count = math.prod(-(-length // inner) for length, inner in sides)
    if count > _MAX_TILES:
        raise cannot_use(path, f"they have {count:,} tiles; at most {_MAX_TILES:,} are allowed")
    grid = TileGrid(plane_size, tile_shape, halo, SAM_SPEC)
    tiles_in_mask = _tiles_in_mask(attributes.get("tiles_in_mask"))
    embedded = {n for tiles in tiles_in_mask or [range(len(grid.tiles))] for n in tiles}
    if not embedded:
        raise cannot_use(path, "they contain no tiles, because their mask was empty")
    if min(embedded) < 0:
        raise cannot_use(
            path, f"tiles_in_mask contains {min(embedded)}, which is not a tile number"
        )
    # Versions of micro-sam that write input_size first write the tiles after it, in their order.
    last = max(embedded)
    source = find_source(path, group, array_name(last, grid))
    if source.original_size != grid.tiles[last].size or (
        tiles_in_mask is not None and len(tiles_in_mask) != source.slice_count
    ):
        raise cannot_use(path, f"tile {last} does not have the size that the attributes state")
    return Tiling(grid, tiles_in_mask), source


def _tiles_in_mask(stored: Any) -> tuple[tuple[int, ...], ...] | None:
    """Return the numbers of the embedded tiles for each slice; None if that is all of them.

    micro-sam stores a list for a plane, and for a stack a dict by the slice's number.
    """
    if stored is None:
        return None
    slices = [stored[str(z)] for z in range(len(stored))] if isinstance(stored, dict) else [stored]
    return tuple(tuple(int(number) for number in tiles) for tiles in slices)


def _size(path: Path, attributes: Mapping[str, Any], key: str, least: int = 1) -> Size:
    match attributes.get(key):
        case [int(height), int(width)] if min(height, width) >= least:
            return height, width
        case value:
            raise cannot_use(
                path, f"the attribute {key} is {value!r} instead of a height and a width"
            )


def text_of(path: Path, attributes: Mapping[str, Any], key: str) -> str:
    """Return a required text attribute."""
    value = attributes.get(key)
    if not isinstance(value, str):
        raise cannot_use(
            path, f"the attribute {key} is missing, as in files from very old versions of micro-sam"
        )
    return value
