"""Image embeddings that micro-sam has stored, read where they lie; nothing is written there.

micro-sam writes a zarr group, of version 2 or 3. Its array ``features`` is (1, 256, 64, 64) for a
plane and (Z, 1, 256, 64, 64) for a stack of Z slices; of a tiled plane, ``features`` is a group of
such arrays named "0", "1", ..., one for each tile, with the sizes of the tile in its attributes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.catalogue.places import has_hash

if TYPE_CHECKING:
    import zarr

    ZarrArray = zarr.Array[Any]

Size = tuple[int, int]
"""(H, W) in pixels."""
ReportProgress = Callable[[float], None]
"""Told the share that is done, 0 to 1; raising stops the work."""

_VARIANTS: Final = ("vit_t", "vit_b", "vit_l", "vit_h")
_FEATURES: Final = "features"
_EMBEDDING_SHAPE: Final = (256, 64, 64)
_INPUT_SIDE: Final = 1024
_BLOCK_BYTES: Final = 64 * 2**20
"""Hashed between two looks at whether to go on, unless one slice is larger."""
_DEFAULT_ALGORITHM: Final = "sha256"
"""Of a checksum that does not say its algorithm; so does pooch, which micro-sam has it from."""
_INSTEAD: Final = (
    "Have micro-sam compute them anew, or go on without them: then the image is embedded here."
)


class MicroSamError(ValueError):
    """Stored embeddings cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class TileBox:
    """A rectangle of an image plane that was embedded on its own.

    Parameters
    ----------
    top, left : int
        Row and column of its first pixel.
    height, width : int
        Its size in pixels of the plane.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def size(self) -> Size:
        """(H, W) in pixels."""
        return self.height, self.width


@dataclass(frozen=True, eq=False)
class StoredEmbedding:
    """An image embedding as `Predictor.restore` wants it, once it is a tensor.

    Parameters
    ----------
    image_embedding : (256, 64, 64) float32 ndarray
        What the image encoder gave.
    original_size, input_size : tuple of int
        (H, W) of the plane or tile, and of its resized version inside the square input.
    """

    image_embedding: NDArray[np.float32]
    original_size: Size
    input_size: Size


@dataclass(frozen=True, eq=False)
class MicroSamEmbeddings:
    """The embeddings of one image, from `open_embeddings`; may be used on any thread.

    Parameters
    ----------
    path : Path
        The folder of the zarr.
    model_type : str
        Begins with the variant: ``vit_b``; with older versions of micro-sam, ``vit_b_lm`` too.
    model_name : str
        What micro-sam calls the weights, ``vit_b_lm``, or the variant of a person's own ones.
    model_hash : str or None
        Checksum of the checkpoint, ``xxh128:digits``; older versions do not write it.
    data_signature : str
        SHA-1 of the image; see the function of this name.
    ndim : int
        2 for one plane, 3 for a stack of them; channels do not count.
    slice_count : int
        Number of slices; 1 for one plane.
    plane_size : tuple of int
        (H, W) of each plane.
    tile_shape, halo : tuple of int or None
        (H, W) of a tile without its surroundings, and how far those reach on each side; None if
        the plane was embedded as a whole.
    tile_boxes : tuple of TileBox
        The tiles with their surroundings, row by row; the whole plane if it is not tiled.
    """

    path: Path
    model_type: str
    model_name: str
    model_hash: str | None
    data_signature: str
    ndim: int
    slice_count: int
    plane_size: Size
    tile_shape: Size | None
    halo: Size | None
    tile_boxes: tuple[TileBox, ...]
    _group: zarr.Group
    _tiles_in_mask: tuple[tuple[int, ...], ...] | None

    def matches(self, array: Any, on_progress: ReportProgress | None = None) -> bool:
        """Tell whether these are the embeddings of an image, by its shape and all its values.

        Parameters
        ----------
        array : array_like
            The raw image, ([Z,] H, W [, C]), of any dtype: NumPy, or anything else that has a
            shape and a dtype and is read in slices. It is never read as a whole.
        on_progress : callable, optional
            Told the share that is done; an exception that it raises comes out here.
        """
        shape = tuple(array.shape)
        plane_shape = shape if self.ndim == 2 else shape[1:]
        # The signature does not tell a transposed image of equal values from the image.
        if len(plane_shape) not in (2, 3) or plane_shape[:2] != self.plane_size:
            return False
        if self.ndim == 3 and shape[0] != self.slice_count:
            return False
        return data_signature(array, on_progress) == self.data_signature

    def fits(self, variant: str, checkpoint: Path) -> bool:
        """Tell whether a checkpoint is what made the embeddings, as far as they tell.

        Parameters
        ----------
        variant : str
            What the checkpoint is of: vit_t, vit_b, vit_l or vit_h.
        checkpoint : Path
            Its file. Where the embeddings have a `model_hash` the file has to have it too: the
            same weights saved by another program do not count, as nobody can tell.
        """
        if not self.model_type.startswith(variant):
            return False
        if self.model_hash is None:
            return True
        algorithm, _, digits = self.model_hash.rpartition(":")
        try:
            return has_hash(checkpoint, f"{algorithm or _DEFAULT_ALGORITHM}:{digits}")
        except (OSError, ValueError):  # no file, or an algorithm that we do not have
            return False

    def tile_numbers(self, slice_index: int = 0) -> tuple[int, ...]:
        """Return the tiles of a slice that are embedded: all, or those that a mask touched."""
        self._check_slice(slice_index)
        if self._tiles_in_mask is None:
            return tuple(range(len(self.tile_boxes)))
        return self._tiles_in_mask[slice_index]

    def tile_at(self, row_px: int, column_px: int) -> int:
        """Return the number of the tile in whose inner part, without halo, a pixel lies."""
        height, width = self.plane_size
        if not (0 <= row_px < height and 0 <= column_px < width):
            raise IndexError(f"({row_px}, {column_px}) is outside the plane {self.plane_size}.")
        tile_height, tile_width = self.tile_shape or self.plane_size
        return row_px // tile_height * math.ceil(width / tile_width) + column_px // tile_width

    def embedding(self, slice_index: int = 0, tile_number: int = 0) -> StoredEmbedding:
        """Read one embedding, and nothing else, from the disk.

        Parameters
        ----------
        slice_index : int
            Of the stack; 0 for one plane.
        tile_number : int
            Index into `tile_boxes`.

        Raises
        ------
        MicroSamError
            If it is damaged or was never computed.
        IndexError
            If there is no such slice or tile.
        """
        if not 0 <= tile_number < len(self.tile_boxes):
            raise IndexError(f"There is no tile {tile_number} of {len(self.tile_boxes)}.")
        place = f"tile {tile_number} of slice {slice_index}"
        if tile_number not in self.tile_numbers(slice_index):
            raise _error(self.path, f"{place} was left out, as it lay outside a mask")
        with _reading(self.path, f"the metadata of {place} are damaged"):
            source = _find_source(self.path, self._group, _name(tile_number, self.tile_shape))
        if source.original_size != self.tile_boxes[tile_number].size or (
            source.slice_count != self.slice_count
        ):
            raise _error(self.path, f"{place} is of another size than its attributes say")
        with _reading(self.path, f"{place} is damaged"):
            values = source.read(slice_index)
        if not np.isfinite(values).all():
            raise _error(self.path, f"{place} holds values that are not numbers")
        if not values.any():  # what a chunk reads as that was not written
            raise _error(self.path, f"{place} is missing")
        return StoredEmbedding(values, source.original_size, source.input_size)

    def _check_slice(self, slice_index: int) -> None:
        if not 0 <= slice_index < self.slice_count:
            raise IndexError(f"There is no slice {slice_index} of {self.slice_count}.")


def open_embeddings(path: Path | str) -> MicroSamEmbeddings:
    """Open a zarr of micro-sam; reads its attributes, but no embedding yet.

    Parameters
    ----------
    path : Path or str
        The folder, as it was given to micro-sam.

    Raises
    ------
    MicroSamError
        If it is no zarr, is incomplete, or is laid out in a way that micro-sam's SAM is not.
    """
    path = Path(path)
    group = _open_group(path)
    attributes = _read_attributes(path, group)
    model_hash = attributes.get("model_hash")
    with _reading(path, "they are laid out in an unknown way"):
        if attributes["input_size"] is None:
            tiling, source = _read_tiling(path, group)
        else:
            source = _find_source(path, group, _FEATURES)
            whole = TileBox(0, 0, *source.original_size)
            tiling = _Tiling(source.original_size, None, None, (whole,), None)
    return MicroSamEmbeddings(
        path=path,
        model_type=attributes["model_type"],
        model_name=str(attributes.get("model_name") or attributes["model_type"]),
        model_hash=model_hash if isinstance(model_hash, str) else None,
        data_signature=_text(path, attributes, "data_signature"),
        ndim=source.ndim,
        slice_count=source.slice_count,
        plane_size=tiling.plane_size,
        tile_shape=tiling.tile_shape,
        halo=tiling.halo,
        tile_boxes=tiling.boxes,
        _group=group,
        _tiles_in_mask=tiling.tiles_in_mask,
    )


def data_signature(array: Any, on_progress: ReportProgress | None = None) -> str:
    """Return micro-sam's signature of an image: SHA-1 of all its bytes in C order, in hexadecimal.

    Parameters
    ----------
    array : array_like
        The raw image, of at least one dimension and any dtype, that has a shape and a dtype and
        is read in slices along the first axis.
    on_progress : callable, optional
        Told the share that is done, also before the first byte is read; an exception that it
        raises comes out here.
    """
    length = array.shape[0]
    slice_bytes = np.dtype(array.dtype).itemsize * math.prod(array.shape[1:])
    step = max(1, _BLOCK_BYTES // max(1, slice_bytes))
    digest = hashlib.sha1(usedforsecurity=False)
    for start in range(0, length, step):
        if on_progress is not None:
            on_progress(start / length)
        digest.update(np.ascontiguousarray(array[start : start + step]).data)
    if on_progress is not None:
        on_progress(1.0)
    return digest.hexdigest()


def micro_sam_normalised(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a plane or tile as micro-sam shows it to the model, bit by bit, since December 2025.

    Older versions show uint8 as it is, and stretch the channels of everything else together.

    Parameters
    ----------
    plane : (H, W) or (H, W, C) ndarray
        Finite values of any real dtype.

    Returns
    -------
    (H, W, 3) uint8 ndarray
        Each channel stretched on its own. Gray is repeated, a third channel is zero, a fourth and
        further ones are dropped.

    Examples
    --------
    >>> micro_sam_normalised(np.array([[10, 20, 30]]))[0, :, 0]
    array([  0, 127, 255], dtype=uint8)
    """
    if plane.ndim not in (2, 3) or plane.size == 0:
        raise ValueError(f"A plane is (H, W) or (H, W, C) with pixels; this is {plane.shape}.")
    channels = plane[..., np.newaxis] if plane.ndim == 2 else plane
    if channels.shape[-1] == 1:
        channels = np.repeat(channels, 3, axis=-1)
    # As it is done there, in float32 and in this order: otherwise values round differently.
    stretched: NDArray[np.float32] = channels[..., :3].astype(np.float32)
    stretched -= stretched.min(axis=(0, 1))
    stretched /= stretched.max(axis=(0, 1)) + np.float32(1e-7)
    image = np.zeros((*plane.shape[:2], 3), np.uint8)
    image[..., : stretched.shape[-1]] = (stretched * 255).astype(np.uint8)
    return image


@dataclass(frozen=True, eq=False)
class _Source:
    """The array that holds a plane, a stack or one of their tiles."""

    array: ZarrArray
    original_size: Size
    input_size: Size

    @property
    def ndim(self) -> int:
        return self.array.ndim - 2

    @property
    def slice_count(self) -> int:
        return self.array.shape[0] if self.ndim == 3 else 1

    def read(self, slice_index: int) -> NDArray[np.float32]:
        where = (slice_index, 0) if self.ndim == 3 else 0
        return np.asarray(self.array[where], np.float32)


@dataclass(frozen=True)
class _Tiling:
    """How a plane is divided, as `MicroSamEmbeddings` says it."""

    plane_size: Size
    tile_shape: Size | None
    halo: Size | None
    boxes: tuple[TileBox, ...]
    tiles_in_mask: tuple[tuple[int, ...], ...] | None


def _error(path: Path, reason: str) -> MicroSamError:
    return MicroSamError(f"The embeddings in {path} cannot be used: {reason}. {_INSTEAD}")


@contextmanager
def _reading(path: Path, reason: str) -> Iterator[None]:
    """Turn whatever goes wrong into an error that gives the reason."""
    try:
        yield
    except MicroSamError:
        raise
    except Exception as error:  # a damaged file can be wrong in any way
        raise _error(path, f"{reason} ({type(error).__name__}: {error})") from error


def _open_group(path: Path) -> zarr.Group:
    import zarr
    from zarr.storage import LocalStore

    if not path.is_dir():
        raise MicroSamError(f"There is no folder {path}; choose the folder of a micro-sam zarr.")
    with _reading(path, "the folder is not a zarr group that can be read"):
        # Of version 2 or 3; not through metadata that somebody consolidated at another time.
        return zarr.open_group(LocalStore(path, read_only=True), mode="r", use_consolidated=False)


def _read_attributes(path: Path, group: zarr.Group) -> dict[str, Any]:
    """Read the attributes of complete embeddings of a model that we know."""
    with _reading(path, "its attributes are damaged"):
        attributes = group.attrs.asdict()
    if "input_size" not in attributes:  # written last
        raise _error(
            path, "they are incomplete, or not embeddings: the attribute input_size is missing"
        )
    model_type = _text(path, attributes, "model_type")
    if model_type[:5] not in _VARIANTS:  # SAM 2 is stored in arrays of the same shapes
        raise _error(
            path,
            f"they are of the model type {model_type!r}, and only {', '.join(_VARIANTS)} and what "
            "was trained from them can be decoded here",
        )
    return attributes


def _name(tile_number: int, tile_shape: Size | None) -> str:
    return _FEATURES if tile_shape is None else f"{_FEATURES}/{tile_number}"


def _find_source(path: Path, group: zarr.Group, name: str) -> _Source:
    """Find an array and check what can be checked without reading it."""
    import zarr

    try:
        node = group[name]
    except KeyError as error:
        raise _error(path, f"they are incomplete: {name} is missing") from error
    if not isinstance(node, zarr.Array) or node.ndim not in (4, 5):
        raise _error(path, f"{name} is not an array of embeddings")
    if node.shape[-4:] != (1, *_EMBEDDING_SHAPE) or 0 in node.shape or node.dtype != np.float32:
        raise _error(
            path,
            f"{name} is {node.shape} {node.dtype}, but image embeddings are "
            f"{(1, *_EMBEDDING_SHAPE)} float32, after the slices if there are any",
        )
    # Each tile has sizes of its own; where there are none, they are those of the image.
    attributes = (group if name == _FEATURES else node).attrs.asdict()
    original_size = _size(path, attributes, "original_size")
    input_size = _size(path, attributes, "input_size")
    if max(input_size) != _INPUT_SIDE:
        raise _error(path, f"{name} is of a model with an input of another size: {input_size}")
    return _Source(node, original_size, input_size)


def _read_tiling(path: Path, group: zarr.Group) -> tuple[_Tiling, _Source]:
    """Read how a plane is tiled, and find the tile that was written last."""
    attributes = group[_FEATURES].attrs.asdict()
    plane_size = _size(path, attributes, "shape")
    tile_shape = _size(path, attributes, "tile_shape")
    halo = _size(path, attributes, "halo", least=0)
    boxes = _tile_boxes(plane_size, tile_shape, halo)
    tiles_in_mask = _tiles_in_mask(attributes.get("tiles_in_mask"))
    embedded = {n for tiles in tiles_in_mask or [range(len(boxes))] for n in tiles}
    if not embedded:
        raise _error(path, "they hold no tile, as their mask was empty")
    # Versions of micro-sam that write input_size first write the tiles after it, in their order.
    last = max(embedded)
    source = _find_source(path, group, _name(last, tile_shape))
    if source.original_size != boxes[last].size or (
        tiles_in_mask is not None and len(tiles_in_mask) != source.slice_count
    ):
        raise _error(path, f"tile {last} is of another size than the attributes say")
    return _Tiling(plane_size, tile_shape, halo, boxes, tiles_in_mask), source


def _tile_boxes(plane_size: Size, tile_shape: Size, halo: Size) -> tuple[TileBox, ...]:
    """Divide a plane row by row; each tile grows by the halo as far as the plane goes."""
    (height, width), (tile_height, tile_width) = plane_size, tile_shape
    rows = [
        (max(0, top - halo[0]), min(height, top + tile_height + halo[0]))
        for top in range(0, height, tile_height)
    ]
    columns = [
        (max(0, left - halo[1]), min(width, left + tile_width + halo[1]))
        for left in range(0, width, tile_width)
    ]
    return tuple(
        TileBox(top, left, bottom - top, right - left)
        for top, bottom in rows
        for left, right in columns
    )


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
        case other:
            raise _error(path, f"the attribute {key} is {other!r} in place of a height and a width")


def _text(path: Path, attributes: Mapping[str, Any], key: str) -> str:
    value = attributes.get(key)
    if not isinstance(value, str):
        raise _error(path, f"the attribute {key} is missing, as in files of very old versions")
    return value
