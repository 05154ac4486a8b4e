"""Image embeddings in memory."""

import threading
from collections import OrderedDict
from typing import Final, NamedTuple

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.session.image.picture import TilePicture

DEFAULT_CAPACITY_BYTES: Final = 2**29


class Embedded(NamedTuple):
    """An image embedding, and what the model saw."""

    embedding: ImageEmbedding
    picture: TilePicture | None = None  # None if the embedding was imported

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return self.embedding.nbytes + (0 if self.picture is None else self.picture.nbytes)


class EmbeddingCache:
    """The most recently used image embeddings, up to a number of bytes; thread-safe."""

    def __init__(self, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self.newest_nbytes = 0
        """What the newest embedding takes; 0 before there is one."""
        self._embeddings: OrderedDict[str, Embedded] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Embedded | None:
        """Return the embedding of `key`, or None; counts as a use."""
        with self._lock:
            embedding = self._embeddings.get(key)
            if embedding is not None:
                self._embeddings.move_to_end(key)
            return embedding

    def put(self, key: str, embedding: Embedded) -> None:
        """Add an embedding, and drop the least recently used ones beyond the capacity."""
        with self._lock:
            self.newest_nbytes = embedding.nbytes
            self._embeddings[key] = embedding
            self._embeddings.move_to_end(key)
            while len(self._embeddings) > 1 and self._nbytes() > self.capacity_bytes:
                self._embeddings.popitem(last=False)

    def _nbytes(self) -> int:
        return sum(embedding.nbytes for embedding in self._embeddings.values())

    def __len__(self) -> int:
        return len(self._embeddings)
