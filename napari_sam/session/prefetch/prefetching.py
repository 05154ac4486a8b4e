"""Embedding what a user will come to, while there is nothing else to do."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from psygnal import Signal

from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import Dispatcher, Job, LatestWinsExecutor, user_message
from napari_sam.session.notifier import Notifier
from napari_sam.session.prefetch.preparation import Preparation, PreparationState, TileToPrepare

_REST_S: Final = 0.01
_MAX_TOLD: Final = 3
"""How many failures a message names."""
_LOGGER = logging.getLogger(__name__)


class Prefetcher:
    """Embeds tiles one by one on a thread of its own, which rests while others work.

    First those that will probably be needed next, then those that were asked for with `prepare`.
    The results are found by the `Embedder` when they are needed. All methods belong to the
    owner's thread.
    """

    changed = Signal()
    """`preparation` is another."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        decoding: Decoding,
        dispatcher: Dispatcher,
        notifier: Notifier,
    ) -> None:
        self._embedding, self._decoding, self._notifier = embedding, decoding, notifier
        self._lane = LatestWinsExecutor("napari-sam-ahead", dispatcher)
        self._is_on = True
        self._upcoming: tuple[ImagePlane, ...] = ()
        self._neighbours: list[tuple[ImagePlane, Tile]] = []
        self._preparation: Preparation | None = None
        self._is_preparing = False  # what is under way is of the preparation

    @property
    def is_idle(self) -> bool:
        """Whether nothing is embedded ahead; so while a preparation is paused."""
        return self._lane.is_idle

    @property
    def preparation(self) -> PreparationState | None:
        """How far what was asked for is; None before, and once it was given up."""
        return None if self._preparation is None else self._preparation.state

    def close(self) -> None:
        """Stop for good."""
        self._neighbours, self._preparation = [], None
        self._lane.close()

    # What will probably be needed --------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether what will probably be needed next is embedded without being asked for."""
        return self._is_on

    @is_on.setter
    def is_on(self, is_on: bool) -> None:
        self._is_on = is_on
        self.look_ahead()

    def expect(self, planes: Sequence[ImagePlane]) -> None:
        """Hear which planes will probably be set next, the likeliest first.

        They are embedded once the current one is ready, and whenever nothing else is done.
        """
        self._upcoming = tuple(planes)
        self.look_ahead()

    def look_ahead(self) -> None:
        """Embed what will probably be needed, as soon as the current tile is ready."""
        self._drop_neighbours()
        plane, embedder = self._embedding.plane, self._embedding.embedder
        if self._is_on and plane is not None and self._embedding.embedded is not None:
            tiles = [(plane, tile) for tile in self._decoding.tiles_ahead]
            in_sight = self._decoding.in_sight
            tiles += [(one, in_sight) for one in self._upcoming if one.shape == plane.shape]
            self._neighbours = [one for one in tiles if embedder.find(*one) is None]
        self._go_on()

    def leave_plane(self) -> None:
        """Forget what would have been needed next; what was asked for goes on."""
        self._upcoming = ()
        self._drop_neighbours()
        self._go_on()

    def leave_model(self) -> None:
        """Stop, because embeddings of another model will be needed."""
        self._drop_neighbours()
        self.cancel_preparation("Another model is in use now")

    def _drop_neighbours(self) -> None:
        self._neighbours = []
        if not self._is_preparing:
            self._lane.cancel()

    # What was asked for ------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many tiles can be kept at the same time."""
        return self._embedding.embedder.capacity_tiles

    def prepare_planes(self, planes: Mapping[str, ImagePlane]) -> None:
        """Embed many planes, in the background, for when they are set.

        They are embedded one after another where the user looks now, whenever there is nothing
        else to do, in place of those asked for before; `preparation` tells how far that is. It
        goes on when another plane is set, and ends, with a warning, with another model.
        """
        current, in_sight = self._embedding.plane, self._decoding.in_sight
        tiles = []
        for name, plane in planes.items():
            is_alike = current is not None and plane.shape == current.shape
            tile = in_sight if is_alike else plane.pyramid(self._embedding.embedder.spec).whole
            tiles.append(TileToPrepare(plane, tile, name))
        self.prepare(tiles)

    def prepare(self, tiles: Sequence[TileToPrepare]) -> None:
        """Embed these tiles in their order, in place of those asked for before.

        No more than can be kept at the same time; a warning says so beforehand.
        """
        self.cancel_preparation()
        room = self.room
        if len(tiles) > room:
            self._notifier.warn(
                f"There is room for the embeddings of {room} of {len(tiles)} slices: only the "
                f"first {room} are prepared."
            )
        self._preparation = Preparation(tiles[:room])
        self.changed.emit()
        self._go_on()

    def pause_preparation(self) -> None:
        """Rest until `resume_preparation`; a tile under way is given up between two steps."""
        if self._preparation is not None:
            self._preparation.is_paused = True
            self._stop_preparing()
            self.changed.emit()

    def resume_preparation(self) -> None:
        """Go on where `pause_preparation` was called."""
        if self._preparation is not None:
            self._preparation.is_paused = False
            self.changed.emit()
            self._go_on()

    def cancel_preparation(self, why: str = "") -> None:
        """Prepare nothing more; what is done stays."""
        before, self._preparation = self.preparation, None
        self._stop_preparing()
        if before is None:
            return
        if why and not before.is_over:
            self._notifier.warn(
                f"{why}: preparing slices has ended, {before.done} of {before.total} are ready."
            )
        self.changed.emit()

    def _stop_preparing(self) -> None:
        if self._is_preparing:
            self._is_preparing = False
            self._lane.cancel()
        self._go_on()

    # Work --------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Begin the next tile, unless one is under way."""
        if self._lane.expects_result:
            return
        embedder = self._embedding.embedder
        asked = None if self._preparation is None else self._preparation.next
        if self._neighbours:
            self._is_preparing = False
            plane, tile = self._neighbours.pop(0)
            self._lane.submit(
                lambda job: self._embed(embedder, plane, tile, job),
                lambda _: self._go_on(),
                self._on_neighbour_failed,
            )
        elif asked is not None:
            self._is_preparing = True
            self._lane.submit(
                lambda job: self._embed(embedder, asked.plane, asked.tile, job),
                self._on_prepared,
                lambda error: self._on_preparing_failed(error, asked.name),
            )

    def _embed(self, embedder: Embedder, plane: ImagePlane, tile: Tile, job: Job) -> float | None:
        """Embed a tile; return how long that took, or None if it was found."""
        self._stand_back(job)
        embedder.load()
        # With the time for which it stands back: it will again.
        start_s = time.monotonic()
        embedded = embedder.embed(plane, tile, job, lambda _: self._stand_back(job))
        return time.monotonic() - start_s if embedded.is_new else None

    def _stand_back(self, job: Job) -> None:
        job.check()
        while not (self._embedding.is_idle and self._decoding.is_idle):
            time.sleep(_REST_S)
            job.check()

    def _on_neighbour_failed(self, error: BaseException) -> None:
        # Nobody has asked for it; when somebody does, it fails where it can be told.
        _LOGGER.info("A tile could not be embedded ahead: %s", error)
        self._neighbours = []
        self._go_on()

    def _on_prepared(self, seconds: float | None) -> None:
        self._is_preparing = False
        if self._preparation is not None:
            self._preparation.finish(seconds)
            self._on_tile_over(self._preparation)

    def _on_preparing_failed(self, error: BaseException, name: str) -> None:
        self._is_preparing = False
        if not self._embedding.embedder.is_loaded:
            self.cancel_preparation(user_message(error, "The model could not be loaded"))
        elif self._preparation is not None:
            self._preparation.fail(user_message(error, name))
            self._on_tile_over(self._preparation)

    def _on_tile_over(self, preparation: Preparation) -> None:
        state = preparation.state
        self.changed.emit()
        if state.is_over and state.failures:
            some = "; ".join(state.failures[:_MAX_TOLD])
            more = "; and others" if len(state.failures) > _MAX_TOLD else ""
            self._notifier.warn(
                f"{len(state.failures)} of {state.total} slices could not be prepared: {some}{more}"
            )
        if state.is_over and (trouble := self._embedding.embedder.trouble):
            self._notifier.warn(trouble)
        self._go_on()
