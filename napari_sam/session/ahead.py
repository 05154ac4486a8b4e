"""Embedding the planes that a person will come to next, while there is nothing else to do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from napari_sam.session.embeddings import Embedder
from napari_sam.session.image_plane import ImagePlane
from napari_sam.session.jobs import Dispatcher, Job, Lane
from napari_sam.session.tiles import Tile

_PAUSE_S: Final = 0.01
_LOGGER = logging.getLogger(__name__)


class AheadEmbedding:
    """Embeds tiles one by one on a thread of its own, which rests while others work.

    Its results are found by the `Embedder` when they are needed. All methods belong to the
    owner's thread.

    Parameters
    ----------
    dispatcher : Dispatcher
        How the end of a tile reaches the owner's thread.
    is_busy : callable
        Whether there is something else to compute; asked on the thread that embeds.
    """

    def __init__(self, dispatcher: Dispatcher, is_busy: Callable[[], bool]) -> None:
        self._lane = Lane("napari-sam-ahead", dispatcher)
        self._is_busy = is_busy
        self._tiles: list[tuple[ImagePlane, Tile]] = []
        self._embedder: Embedder | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is embedded ahead."""
        return self._lane.is_idle

    def start(self, embedder: Embedder, tiles: Sequence[tuple[ImagePlane, Tile]]) -> None:
        """Embed these tiles of planes, in their order, instead of those before."""
        self.stop()
        self._embedder, self._tiles = embedder, list(tiles)
        self._next()

    def stop(self) -> None:
        """Embed nothing more; a tile under way is given up between two steps."""
        self._lane.cancel()
        self._tiles, self._embedder = [], None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._lane.close()

    def _next(self) -> None:
        embedder = self._embedder
        if embedder is None or not self._tiles:
            return
        plane, tile = self._tiles.pop(0)
        self._lane.submit(
            lambda job: self._embed(embedder, plane, tile, job),
            lambda _: self._next(),
            self._on_failed,
        )

    def _embed(self, embedder: Embedder, plane: ImagePlane, tile: Tile, job: Job) -> None:
        self._stand_back(job)
        embedder.embed(plane, tile, job, lambda _: self._stand_back(job))

    def _stand_back(self, job: Job) -> None:
        job.check()
        while self._is_busy():
            time.sleep(_PAUSE_S)
            job.check()

    def _on_failed(self, error: BaseException) -> None:
        # Nobody has asked for it; when somebody does, it fails where it can be told.
        _LOGGER.info("A tile could not be embedded ahead: %s", error)
        self.stop()
