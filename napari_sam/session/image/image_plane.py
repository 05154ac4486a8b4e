"""An image plane, and how its data become the (H, W, 3) uint8 pixels that the model sees."""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import ModelSpec
from napari_sam.session.image.intensity import (
    Colors,
    ImageRange,
    Limits,
    finite_range,
    robust_range,
)
from napari_sam.session.image.pixels import colors_to_uint8, has_few_levels, means, scaled
from napari_sam.session.image.tiles import Tile, TilePyramid

_MIN_STRIP_ROWS: Final = 128
"""Chunks with fewer rows are read several at a time."""
_MAX_STRIP_PIXELS: Final = 2**24
"""Pixels of a large image that are read at a time."""
_BLOCK_PX: Final = 1024
"""Side of the blocks in which all pixels are read."""
_SAMPLE: Final = 2**20
"""Values of a tile that are looked at for that, at most four times as many."""
_NOTHING: Final = (np.inf, -np.inf)
"""The range of an empty set of values."""


class ImageError(ValueError):
    """The image cannot be segmented; the message says what to do."""


class TileEmbeddings(Protocol):
    """Embeddings of the tiles of a plane that were computed elsewhere; for any thread."""

    @property
    def pyramid(self) -> TilePyramid:
        """The tiles of the plane, of which some are embedded."""

    def key(self, tile: Tile, weights: Hashable) -> str | None:
        """Return what tells the embedding of a tile, for `ModelChoice.weights`, from all others.

        None if there is none.
        """

    def restored(self, tile: Tile, decoder: MaskDecoder) -> ImageEmbedding | None:
        """Read the embedding of a tile that has a key; None if it is damaged."""


@dataclass(frozen=True, eq=False)
class ImagePlane:
    """A 2-D plane of an image, and how its values map to what the model sees.

    Creating one is cheap and reads no pixels; `read` does the work and may run on any thread.

    Parameters
    ----------
    data : array_like
        (H, W) intensities, (H, W, 3) / (H, W, 4) colors if `is_rgb`, or (H, W, C) if there are
        `channels`. NumPy, or anything else with a shape, a dtype and regions
        ``data[rows, columns]``. If it has ``chunks`` as zarr does, whole chunks are read at a time.
    is_rgb : bool
        Whether the last axis holds colors.
    contrast_limits : (float, float), optional
        The intensities shown as black and white; by default the smallest and the largest finite
        value (0 and 255 for uint8). Unused for colors, and with `image_range`.
    name : str
        The image's name in messages.
    coarser : tuple of array_like
        The same plane at lower resolutions, like `data`, the highest first.
    gamma : float
        Exponent of the intensities between the contrast limits. Unused for colors.
    image_range : ImageRange, optional
        The values that become black and white, for each channel.
    channels : tuple of int
        Which channels of the image the last axis of `data` holds, if it does.
    colors : tuple of (int or None)
        Which of the channels are red, green and blue; with a single one the plane is gray.
    embeddings : TileEmbeddings, optional
        Embeddings of its tiles that were computed elsewhere.

    Raises
    ------
    ImageError
        If the shape or dtype cannot be segmented.
    """

    data: Any
    is_rgb: bool = False
    contrast_limits: tuple[float, float] | None = None
    name: str = "image"
    coarser: tuple[Any, ...] = ()
    gamma: float = 1.0
    image_range: ImageRange | None = None
    channels: tuple[int, ...] = ()
    colors: Colors = (None, None, None)
    embeddings: TileEmbeddings | None = None

    def __post_init__(self) -> None:
        shape, dtype = tuple(self.data.shape), np.dtype(self.data.dtype)
        if dtype.kind not in "buif":
            raise ImageError(
                f"Values of type {dtype} cannot be segmented: add real numbers, such as numpy.abs "
                f"of '{self.name}'."
            )
        if self.is_rgb and (len(shape) != 3 or shape[-1] not in (3, 4)):
            msg = f"'{self.name}' has shape {shape}: a color plane is (H, W, 3) or (H, W, 4)."
            raise ImageError(msg)
        if self.channels and (len(shape) != 3 or shape[-1] != len(self.channels)):
            msg = f"'{self.name}' has shape {shape}: its channels are (H, W, {len(self.channels)})."
            raise ImageError(msg)
        if not (self.is_rgb or self.channels) and len(shape) != 2:
            raise ImageError(
                f"'{self.name}' is {shape}, not (H, W): choose one slice, or give is_rgb=True for "
                "colors in the last axis."
            )
        if self.embeddings is not None and self.embeddings.pyramid.shape != shape[:2]:
            raise ImageError(f"The embeddings do not have the shape of '{self.name}', {shape[:2]}.")
        if 0 in shape:
            msg = f"'{self.name}' is empty (shape {shape}): choose an image with pixels."
            raise ImageError(msg)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.data.shape[0]), int(self.data.shape[1])

    @property
    def is_16_bit_gray(self) -> bool:
        """Whether its pixels are single unsigned 16-bit integers, as those of microscopes are."""
        dtype = np.dtype(self.data.dtype)
        return (dtype.kind, dtype.itemsize) == ("u", 2) and len(self.data.shape) == 2

    @property
    def whole(self) -> Tile:
        """The plane as one tile, independent of any pyramid."""
        return Tile(0, 0, 0, *self.shape)

    def pyramid(self, spec: ModelSpec) -> TilePyramid:
        """Return the tiles in which a model embeds it."""
        if self.embeddings is not None:
            return self.embeddings.pyramid
        return TilePyramid(self.shape, spec)

    def read(
        self, input_side: int, tile: Tile | None = None, check: Callable[[], None] = lambda: None
    ) -> NDArray[np.uint8]:
        """Read the pixels of a tile as the model sees them.

        A large tile is reduced to the detail that the model can see: by the coarsest resolution
        that has it, and by means of pixels where there is none.

        Parameters
        ----------
        input_side : int
            Side of the model's square input.
        tile : Tile, optional
            The tile to read; the whole plane by default.
        check : callable, optional
            Called between two reads from the disk; an exception it raises ends the read.

        Returns
        -------
        (h, w, 3) uint8 ndarray
            Red, green, blue; the longer side is less than twice the input's, or the tile's. Gray
            values are mapped from black and white to 0..255 and repeated; NaN becomes black,
            infinities black or white. Alpha is dropped.
        """
        limits = self._limits(check)
        data, rows, columns = self._source(self.whole if tile is None else tile, input_side)
        length = max(rows.stop - rows.start, columns.stop - columns.start)
        factor = max(1, length // input_side)
        strips = []
        for strip in _strips(data, rows, columns, factor):
            check()
            pixels = self._mapped(np.asarray(data[strip, columns]), limits)
            strips.append(means(pixels, factor))
        return self._colored(strips[0] if len(strips) == 1 else np.concatenate(strips))

    def read_whole(self) -> NDArray[np.uint8]:
        """Read all pixels at full resolution, three bytes each, for headless work.

        `read` reduces a large plane to what the model can see at once. Automatic masks with crops
        need all pixels.
        """
        height, width = self.shape
        pixels = np.empty((height, width, 3), np.uint8)
        for top, left in product(range(0, height, _BLOCK_PX), range(0, width, _BLOCK_PX)):
            rows, columns = min(_BLOCK_PX, height - top), min(_BLOCK_PX, width - left)
            part = self.read(_BLOCK_PX, Tile(0, top, left, rows, columns))
            pixels[top : top + rows, left : left + columns] = part
        return pixels

    def uniform_reason(
        self, input_side: int, tile: Tile, check: Callable[[], None] = lambda: None
    ) -> str:
        """Return why all pixels of a tile look the same to the model, given that they do.

        Reads the tile once more.
        """
        data, rows, columns = self._source(tile, input_side)
        ranges = []
        for strip in _strips(data, rows, columns):
            check()
            pixels = np.atleast_3d(np.asarray(data[strip, columns]))
            pixels = pixels[..., :3] if self.is_rgb else pixels
            channels = np.moveaxis(pixels, -1, 0)
            ranges.append([finite_range(channel) or _NOTHING for channel in channels])
        lows, highs = np.min(ranges, axis=0)[:, 0], np.max(ranges, axis=0)[:, 1]
        if (lows > highs).all():
            return f"SAM sees nothing here: all pixels of '{self.name}' are NaN or infinite."
        if (lows >= highs).all():
            values = ", ".join(f"{low:g}" for low in lows if np.isfinite(low))
            return (
                f"SAM sees nothing here: all pixels of '{self.name}' have the same value "
                f"({values})."
            )
        return (
            f"All pixels of '{self.name}' look the same to SAM, though their values differ: "
            "change the contrast limits."
        )

    def contrast_warning(
        self,
        image: NDArray[np.uint8],
        tile: Tile | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> str:
        """Return a warning if a few extreme values hide the differences of all others; else "".

        Parameters
        ----------
        image : (h, w, 3) uint8 ndarray
            What `read` returned of the tile. If it has few different gray values, the tile is read
            once more.
        tile : Tile, optional
            The whole plane by default.
        check : callable, optional
            Called between two reads from the disk; an exception it raises ends the read.
        """
        is_whole = tile is None or (tile.height, tile.width) == self.shape
        # Most images pass at their first color: this is done for each tile.
        if not all(has_few_levels(image[..., color], is_whole) for color in range(3)):
            return ""
        data, rows, columns = self._source(tile or self.whole, min(image.shape[:2]))
        samples = []
        step = 1 + math.isqrt((rows.stop - rows.start) * (columns.stop - columns.start) // _SAMPLE)
        for strip in _strips(data, rows, columns):
            check()
            pixels = np.asarray(data[strip, columns])[::step, ::step].astype(np.float64)
            samples.append(pixels[np.isfinite(pixels)])
        low, high = robust_range(np.concatenate(samples))
        if not low < high:
            return ""
        return (
            f"Nearly all pixels of '{self.name}' look the same to SAM: choose 'robust percentiles' "
            "under 'Image appearance for SAM' (--values robust on the command line), as a few "
            "extreme values set the contrast."
        )

    def _source(self, tile: Tile, input_side: int) -> tuple[Any, slice, slice]:
        """Return the array to read a tile from, and the tile's rows and columns in it."""
        finest = best = self.data
        for data in self.coarser:
            # One pixel more or less, where a length cannot be halved, does not matter.
            scale = max(n / (m + 1) for n, m in zip(self.shape, data.shape, strict=False))
            if scale <= tile.side / input_side:
                best = data
        if best is finest:
            return best, *_region(tile, 1, 1)
        return best, *_region(tile, *(m / n for n, m in zip(self.shape, best.shape, strict=False)))

    def _limits(self, check: Callable[[], None]) -> list[Limits]:
        """Return the limits of each channel, the same for all tiles; none for colors."""
        if self.image_range is not None:
            channels = self.channels or (0,)
            return [self.image_range.limits(channel, check) for channel in channels]
        return [] if self.is_rgb else [self._limits_as_shown] * max(1, len(self.channels))

    def _mapped(self, pixels: NDArray[Any], limits: list[Limits]) -> NDArray[np.uint8]:
        if self.is_rgb:
            pixels = pixels[..., :3]
            return scaled(pixels, limits[0]) if limits else colors_to_uint8(pixels)
        if self.channels:
            pairs = zip(np.moveaxis(pixels, -1, 0), limits, strict=True)
            return np.stack([scaled(*pair, self.gamma) for pair in pairs], axis=-1)
        return scaled(pixels, limits[0], self.gamma)

    def _colored(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn gray values or channels into red, green and blue."""
        if pixels.ndim == 2 or pixels.shape[-1] == 1:
            return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=-1)
        if not self.channels:
            return np.ascontiguousarray(pixels)
        colored = np.zeros((*pixels.shape[:2], 3), np.uint8)
        for place, channel in enumerate(self.colors):
            if channel is not None:
                colored[..., place] = pixels[..., self.channels.index(channel)]
        return colored

    @cached_property
    def _limits_as_shown(self) -> Limits:
        limits = self.contrast_limits
        if limits is not None and np.isfinite(limits).all():
            return limits
        if self.data.dtype == np.uint8:
            return 0, 255
        data = (self.data, *self.coarser)[-1]
        every = slice(0, data.shape[0]), slice(0, data.shape[1])
        ranges = [finite_range(np.asarray(data[rows, every[1]])) for rows in _strips(data, *every)]
        finite = [limits for limits in ranges if limits is not None]
        if not finite:
            return 0, 1
        return min(low for low, _ in finite), max(high for _, high in finite)


def _region(tile: Tile, row_factor: float, column_factor: float) -> tuple[slice, slice]:
    def span(start: int, length: int, factor: float) -> slice:
        first = round(start * factor)
        return slice(first, max(first + 1, round((start + length) * factor)))

    return span(tile.top, tile.height, row_factor), span(tile.left, tile.width, column_factor)


def _strips(data: Any, rows: slice, columns: slice, factor: int = 1) -> Iterator[slice]:
    """Split rows into parts to read: whole means, and whole chunks if possible."""
    width = columns.stop - columns.start
    height = max(factor, _MAX_STRIP_PIXELS // width // factor * factor)
    chunks = getattr(data, "chunks", None)
    if chunks and factor == 1:
        chunk = int(chunks[0])
        height = min(height, chunk * max(1, _MIN_STRIP_ROWS // chunk))
        # The first one ends where a chunk ends.
        first = min(rows.stop, (rows.start // height + 1) * height)
        yield slice(rows.start, first)
        rows = slice(first, rows.stop)
    for start in range(rows.start, rows.stop, height):
        yield slice(start, min(start + height, rows.stop))
