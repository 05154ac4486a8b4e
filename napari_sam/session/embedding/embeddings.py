"""Embed image planes, and find embeddings again by the pixels of their tiles."""

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.protocols import Engine, MaskDecoder, PromptableModel
from napari_sam.engine.spec import ModelSpec
from napari_sam.session.embedding.cache import Embedded, EmbeddingCache
from napari_sam.session.embedding.store import EmbeddingStore
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.picture import TilePicture
from napari_sam.session.image.pixels import means
from napari_sam.session.image.tiles import Tile
from napari_sam.session.models.model_choice import (
    ModelChoice,
    Runtime,
    find_runtime,
    load_predictor,
)

LoadPredictor = Callable[[ModelChoice, Runtime], Engine | PromptableModel]
"""Loads a model; called on the encode thread."""

_THUMBNAIL_PX: Final = (96, 288)
"""Height and width; a thumbnail has at least one of them, and less than twice as much."""
_HEADER_BYTES: Final = 512
"""Upper limit of what a file adds to an embedding."""


def content_key(image: NDArray[np.uint8]) -> str:
    """Return a key that two images share only if all their pixels agree."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a small version of an image: means of its pixels."""
    factors = (length // least for length, least in zip(image.shape, _THUMBNAIL_PX, strict=False))
    return means(image, max(1, *factors)).copy()


@dataclass(frozen=True)
class TileContent:
    """What is remembered of a tile's pixels."""

    key: str
    uniform_reason: str = ""  # why all look the same to the model; empty if they do not
    # a small version of what the model saw; None if the embedding was imported
    thumbnail: NDArray[np.uint8] | None = None
    contrast_warning: str = ""  # why nearly all pixels look the same to the model


@dataclass(frozen=True, eq=False)
class EmbeddedTile:
    """A tile of an image plane that is ready to be prompted."""

    decoder: MaskDecoder
    embedding: ImageEmbedding  # for the decoder
    tile: Tile
    content: TileContent
    picture: TilePicture | None = None  # None if the embedding was imported
    weights: Path | None = None  # the model's checkpoint; None: the bundled one
    is_new: bool = False  # whether it was computed rather than found

    @property
    def edges(self) -> NDArray[np.float16] | None:
        """How strong the edges of the image are; see `TilePicture.edges`."""
        return None if self.picture is None else self.picture.edges

    def to_pixels(self, places_xy: NDArray[np.float32] | None) -> NDArray[np.float64] | None:
        """Convert points in the plane to pixels of the tile as it was read."""
        if places_xy is None:
            return None
        height, width = self.embedding.original_size
        factor = np.array([width / self.tile.width, height / self.tile.height])
        corner = np.array([self.tile.left, self.tile.top])
        places = places_xy.astype(np.float64).reshape(-1, 2)
        # Integers are the centers of pixels, of whatever size.
        local = (places - corner) * factor + (factor - 1) / 2
        return np.asarray(local.reshape(places_xy.shape))


class Embedder:
    """Embeds the tiles of image planes with one model, which the first caller loads.

    Parameters
    ----------
    choice : ModelChoice, optional
        The model; by default the bundled one, on the best device.
    load_predictor : callable
        Loads it.
    store : EmbeddingStore, optional
        Keeps embeddings on disk; the caller closes it. By default they are kept in memory, the
        last ones.
    """

    def __init__(
        self,
        choice: ModelChoice | None = None,
        load_predictor: LoadPredictor = load_predictor,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.choice = ModelChoice() if choice is None else choice
        self._store = store
        self._load_predictor = load_predictor
        self._cache = EmbeddingCache()
        self._engine: Engine | None = None
        self._load_lock = threading.Lock()
        self._contents: WeakKeyDictionary[ImagePlane, dict[Tile, TileContent]] = WeakKeyDictionary()
        self.runtime: Runtime | None = None
        """What the model runs on; None until loading begins."""

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._engine is not None

    @property
    def spec(self) -> ModelSpec:
        """The sizes of the model; until it is loaded, those that its choice expects."""
        return self.choice.spec if self._engine is None else self._engine.encoder.spec

    def load(self) -> Engine:
        """Load the model unless it is loaded already."""
        with self._load_lock:
            if self._engine is None:
                self.runtime = find_runtime(self.choice)
                self._engine = Engine.of(self._load_predictor(self.choice, self.runtime))
            return self._engine

    @property
    def capacity_tiles(self) -> int:
        """Number of tiles that can be kept at the same time: on disk, or else in memory."""
        spec = self.spec
        if self._store is not None:
            return self._store.room_bytes() // (spec.embedding_nbytes + _HEADER_BYTES)
        nbytes = self._cache.newest_nbytes or spec.embedding_nbytes
        return self._cache.capacity_bytes // nbytes

    @property
    def trouble(self) -> str:
        """Why embeddings cannot be stored; empty if they can."""
        return "" if self._store is None else self._store.trouble

    def embed(
        self, plane: ImagePlane, tile: Tile, report: Callable[[float], None] = lambda share: None
    ) -> EmbeddedTile:
        """Embed a tile of a plane, or find its embedding in memory, imported or in the store.

        What `report` raises ends it.
        """
        engine = self.load()
        report(0)
        if imported := self._imported(engine, plane, tile):
            return imported
        input_side = self.spec.input_side
        image = plane.read(input_side, tile, lambda: report(0))
        report(0)
        uniform_reason = warning = ""
        if (image == image[0, 0]).all():
            uniform_reason = plane.uniform_reason(input_side, tile, lambda: report(0))
        else:
            warning = plane.contrast_warning(image, tile, lambda: report(0))
        content = TileContent(content_key(image), uniform_reason, thumbnail(image), warning)
        embedded, is_new = self._cache.get(content.key), False
        if embedded is None:
            embedding, is_new = self._stored_or_new(engine, image, content.key, report)
            embedded = Embedded(embedding, TilePicture.of(image))
            self._cache.put(content.key, embedded)
        self._contents.setdefault(plane, {})[tile] = content
        return self._tile(engine, tile, content, embedded, is_new=is_new)

    def _tile(
        self,
        engine: Engine,
        tile: Tile,
        content: TileContent,
        embedded: Embedded,
        *,
        is_new: bool = False,
    ) -> EmbeddedTile:
        about = content, embedded.picture, self.choice.checkpoint
        return EmbeddedTile(engine.decoder, embedded.embedding, tile, *about, is_new)

    def find(self, plane: ImagePlane, tile: Tile) -> EmbeddedTile | None:
        """Return a tile that was embedded before, if it is still in memory; reads no pixels."""
        content = self._contents.get(plane, {}).get(tile)
        embedded = None if content is None else self._cache.get(content.key)
        if content is None or embedded is None or self._engine is None:
            return None
        return self._tile(self._engine, tile, content, embedded)

    def obtain(
        self, plane: ImagePlane, tile: Tile, report: Callable[[float], None] = lambda share: None
    ) -> EmbeddedTile:
        """Return a tile as `find` does, or else embed it; what `report` raises ends that."""
        return self.find(plane, tile) or self.embed(plane, tile, report)

    def _imported(self, engine: Engine, plane: ImagePlane, tile: Tile) -> EmbeddedTile | None:
        """Return a tile that was embedded elsewhere with this model; reads no pixels."""
        stored = plane.embeddings
        key = None if stored is None else stored.key(tile, self.choice.weights)
        if stored is None or key is None:
            return None
        embedded = self._cache.get(key)
        if embedded is None:
            embedding = stored.restored(tile, engine.decoder)
            if embedding is None:
                return None
            embedded = Embedded(embedding)
        self._cache.put(key, embedded)
        content = self._contents.setdefault(plane, {})[tile] = TileContent(key)
        return self._tile(engine, tile, content, embedded)

    def _stored_or_new(
        self,
        engine: Engine,
        image: NDArray[np.uint8],
        key: str,
        report: Callable[[float], None],
    ) -> tuple[ImageEmbedding, bool]:
        """Find the embedding of an image in the store, else compute it and put it there."""
        encoder, store = engine.encoder, self._store
        stored_key = "" if store is None else f"{key}-{encoder.fingerprint}"
        arrays = None if store is None else store.get(stored_key)
        if arrays is not None:
            with suppress(ValueError):  # the file was replaced by that of another model
                return engine.decoder.from_arrays(arrays, image.shape[:2]), False
        embedding = encoder.encode(image, on_block=lambda done, total: report(done / total))
        if store is not None:
            store.put(stored_key, embedding.to_arrays())
        return engine.for_decoder(embedding), True
