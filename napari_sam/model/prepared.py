"""The image tokens of the few images that are decoded on."""

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from napari_sam.model.embedding import SamEmbedding
from napari_sam.model.sam.factored import ImageTokens

CAPACITY = 6
"""Images whose tokens are kept: as many tiles as a click is decoded on, and some neighbors."""


class PreparedImages:
    """Keeps image tokens, seven times the size of an image embedding, of the last images used.

    Threads may share it, and none waits for another one's preparation.

    Parameters
    ----------
    prepare : callable
        Prepares the tokens of an image embedding.
    """

    def __init__(self, prepare: Callable[[SamEmbedding], ImageTokens]) -> None:
        self._prepare = prepare
        self._kept: WeakKeyDictionary[SamEmbedding, ImageTokens] = WeakKeyDictionary()
        self._lock = threading.Lock()  # held for moments only

    def of(self, embedding: SamEmbedding) -> ImageTokens:
        """Return the tokens of an image, prepared if they are not kept."""
        with self._lock:
            tokens = self._kept.pop(embedding, None)
        if tokens is None:
            tokens = self._prepare(embedding)
        with self._lock:
            self._kept.pop(embedding, None)  # another thread may have been as fast
            self._kept[embedding] = tokens  # the last in order is the last used
            while len(self._kept) > CAPACITY:
                del self._kept[next(iter(self._kept))]
        return tokens

    def welcome(self, embedding: SamEmbedding) -> None:
        """Prepare an image ahead of its first prompt, unless others would have to go for it."""
        with self._lock:
            has_room = len(self._kept) < CAPACITY
        if has_room:
            self.of(embedding)
