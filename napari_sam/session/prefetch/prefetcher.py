"""Embed the tiles that the user will come to, while nothing else is to be done."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.prefetch.queue import PrefetchQueue, PrefetchState, PrefetchTile

_MAX_NAMED: Final = 3
"""How many failures a message names."""
_LOGGER = logging.getLogger(__name__)


class Prefetcher:
    """Embeds tiles one by one on its own thread, which yields to all other work.

    The likely next tiles come first, then the requested ones. The `Embedder` finds the results
    when they are needed. All methods belong to the owner's thread.
    """

    changed = Signal()
    """`state` changed."""

    def __init__(
        self, embedding: CurrentEmbedding, decoding: Decoding, background: Background
    ) -> None:
        self._embedding, self._decoding = embedding, decoding
        self._background, self._notifier = background, background.notifier
        self._executor = background.executor("prefetch")
        self._is_on = True
        self._next_planes: tuple[ImagePlane, ...] = ()
        self._likely: list[tuple[ImagePlane, Tile]] = []
        self._queue: PrefetchQueue | None = None
        self._is_on_queue = False  # whether the tile under way is a requested one

    @property
    def state(self) -> PrefetchState | None:
        """The progress of the requested tiles; None if none are requested."""
        return None if self._queue is None else self._queue.state

    # The likely next tiles ---------------------------------------------------------------------

    def switch(self, is_on: bool) -> None:
        """Set whether the likely next tiles are embedded."""
        self._is_on = is_on
        self.update()

    def expect(self, planes: Sequence[ImagePlane]) -> None:
        """Set the planes that will probably be shown next, the likeliest first.

        They are embedded once the current one is ready, whenever nothing else is done.
        """
        self._next_planes = tuple(planes)
        self.update()

    def update(self) -> None:
        """Embed the likely next tiles as soon as the current tile is ready."""
        self._drop_likely()
        plane, embedder = self._embedding.plane, self._embedding.embedder
        if self._is_on and plane is not None and self._embedding.embedded is not None:
            tiles = [(plane, tile) for tile in self._decoding.likely_tiles]
            in_sight = self._decoding.in_sight
            tiles += [
                (other, in_sight) for other in self._next_planes if other.shape == plane.shape
            ]
            self._likely = [pair for pair in tiles if embedder.find(*pair) is None]
        self._continue()

    def leave_plane(self) -> None:
        """Drop the likely next tiles; the requested ones continue."""
        self._next_planes = ()
        self._drop_likely()
        self._continue()

    def leave_model(self) -> None:
        """Stop, because embeddings of another model will be needed."""
        self._drop_likely()
        self.cancel("Another model is in use")

    def _drop_likely(self) -> None:
        self._likely = []
        if not self._is_on_queue:
            self._executor.cancel()

    # The requested tiles -----------------------------------------------------------------------

    def start_planes(self, planes: Mapping[str, ImagePlane]) -> None:
        """Embed the visible region of many named planes in the background, in their order.

        They take the place of those requested before, continue when another plane is shown, and
        end, with a warning, with another model.
        """
        current, in_sight = self._embedding.plane, self._decoding.in_sight
        tiles = []
        for name, plane in planes.items():
            is_alike = current is not None and plane.shape == current.shape
            tile = in_sight if is_alike else plane.pyramid(self._embedding.embedder.spec).whole
            tiles.append(PrefetchTile(plane, tile, name))
        self.start(tiles)

    def start(self, tiles: Sequence[PrefetchTile]) -> None:
        """Embed these tiles in their order, in place of those requested before.

        No more than can be kept at the same time; a warning says so beforehand.
        """
        self.cancel()
        capacity = self._embedding.embedder.capacity_tiles
        if len(tiles) > capacity:
            self._notifier.warn(
                f"Only the first {capacity:,} of {len(tiles):,} slices are embedded: there is no "
                "space for more."
            )
        self._queue = PrefetchQueue(tiles[:capacity])
        self.changed.emit()
        self._continue()

    def pause(self) -> None:
        """Pause the requested tiles until `resume`; one under way is given up between steps."""
        if self._queue is not None:
            self._queue.pause()
            self._stop_queue()
            self.changed.emit()

    def resume(self) -> None:
        """Continue after `pause`."""
        if self._queue is not None:
            self._queue.resume()
            self.changed.emit()
            self._continue()

    def cancel(self, reason: str = "") -> None:
        """Drop the requested tiles; those already embedded stay ready."""
        state, self._queue = self.state, None
        self._stop_queue()
        if state is None:
            return
        if reason and not state.is_over:
            self._notifier.warn(
                f"{reason}: embedding slices has stopped after {state.done} of {state.total}."
            )
        self.changed.emit()

    def _stop_queue(self) -> None:
        if self._is_on_queue:
            self._is_on_queue = False
            self._executor.cancel()
        self._continue()

    # Work --------------------------------------------------------------------------------------

    def _continue(self) -> None:
        """Start on the next tile, unless one is under way."""
        if self._executor.expects_result:
            return
        embedder = self._embedding.embedder
        requested = None if self._queue is None else self._queue.next
        if self._likely:
            self._is_on_queue = False
            plane, tile = self._likely.pop(0)
            self._executor.submit(
                lambda job: self._embed(embedder, plane, tile, job),
                lambda _: self._continue(),
                self._on_likely_failed,
            )
        elif requested is not None:
            self._is_on_queue = True
            self._executor.submit(
                lambda job: self._embed(embedder, requested.plane, requested.tile, job),
                self._on_requested_done,
                lambda error: self._on_requested_failed(error, requested.name),
            )

    def _embed(self, embedder: Embedder, plane: ImagePlane, tile: Tile, job: Job) -> float | None:
        """Embed a tile; return how long that took, or None if it was found."""
        rest = partial(self._background.yield_to_foreground, job)
        rest()
        embedder.load()
        # Including the time spent yielding: it will be spent again.
        start_s = time.monotonic()
        embedded = embedder.embed(plane, tile, lambda _: rest())
        return time.monotonic() - start_s if embedded.is_new else None

    def _on_likely_failed(self, error: BaseException) -> None:
        # Nobody has requested it; when the user comes to it, it fails with a message.
        _LOGGER.info("A tile could not be prefetched: %s", error)
        self._likely = []
        self._continue()

    def _on_requested_done(self, seconds: float | None) -> None:
        self._is_on_queue = False
        if self._queue is not None:
            self._queue.finish(seconds)
            self._on_tile_over(self._queue)

    def _on_requested_failed(self, error: BaseException, name: str) -> None:
        self._is_on_queue = False
        if not self._embedding.embedder.is_loaded:
            self.cancel(user_message(error, "The model could not be loaded"))
        elif self._queue is not None:
            self._queue.fail(user_message(error, name))
            self._on_tile_over(self._queue)

    def _on_tile_over(self, queue: PrefetchQueue) -> None:
        state = queue.state
        self.changed.emit()
        if state.is_over and state.failures:
            failures = "; ".join(state.failures[:_MAX_NAMED])
            more = "; and others" if len(state.failures) > _MAX_NAMED else ""
            self._notifier.warn(
                f"{len(state.failures)} of {state.total} slices could not be embedded: "
                f"{failures}{more}"
            )
        if state.is_over and (trouble := self._embedding.embedder.trouble):
            self._notifier.warn(trouble)
        self._continue()
