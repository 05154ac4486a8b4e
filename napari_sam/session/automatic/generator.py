"""Finding everything, or the rest, in the background: the run, its masks, and what is offered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.session.automatic.masks import Key, choose_masks
from napari_sam.session.automatic.picture import AutomaticPicture, Painter
from napari_sam.session.automatic.request import AutomaticRequest, TileMasks, generate_tile_masks
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import (
    ExistingObjects,
    SimilarityLimits,
    similarity_limits,
)
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.tiles import TilePyramid
from napari_sam.session.jobs import (
    Dispatcher,
    Job,
    LatestWinsExecutor,
    user_message,
    yield_to_foreground,
)
from napari_sam.session.notifier import Notifier
from napari_sam.storage.text import duration


@dataclass(frozen=True)
class AutomaticState:
    """A snapshot of a search."""

    is_running: bool = False  # whether masks are still being found
    tile: int = 1  # the number of the tile that is looked at, and of all
    tiles: int = 1  # the number of the tile that is looked at, and of all
    fraction: float = 0.0  # share that is done, 0 to 1
    left_s: float | None = None  # how long the others will take; None until that can be told
    found: int = 0  # number of masks that were found, good or not

    @property
    def summary(self) -> str:
        """Says how far it is."""
        text = f"{self.fraction:.0%}"
        if self.tiles > 1:
            text += f", tile {self.tile} of {self.tiles}"
        return text if self.left_s is None else f"{text}, {duration(self.left_s)} left"


class AutomaticMaskGenerator:
    """Runs one search at a time, and chooses among its masks as often as asked.

    It works on two threads of its own; the one that decodes rests while an image is embedded or
    a click decoded. All methods belong to the owner's thread.
    """

    changed = Signal(AutomaticState)
    """How far it is."""
    pictured = Signal(object)
    """Another `AutomaticPicture` is offered; None: nothing."""
    edges_found = Signal(object, object)
    """The `AutomaticRequest`, and the edges as (h, w) float32 ndarray."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        decoding: Decoding,
        dispatcher: Dispatcher,
        notifier: Notifier,
    ) -> None:
        self._embedding, self._decoding = embedding, decoding
        self._dispatcher, self._notifier = dispatcher, notifier
        self._lane = LatestWinsExecutor("napari-sam-automatic", dispatcher)
        self._choosing = LatestWinsExecutor("napari-sam-automatic-choose", dispatcher)
        self._tiles: dict[int, TileMasks] = {}
        self._rest: ExistingObjects | None = None
        self._likeness: SimilarityLimits | None = None
        self._painter: Painter | None = None
        self._without: frozenset[Key] = frozenset()
        self._start_s = 0.0
        self.settings = AutomaticRunSettings()
        """By which proposals are chosen."""
        self.search: AutomaticRequest | None = None
        """Whose masks there are."""
        self.state = AutomaticState()
        """How far it is."""
        self.picture: AutomaticPicture | None = None
        """What is offered."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is found, chosen, or on its way."""
        return self._lane.is_idle and self._choosing.is_idle

    def close(self) -> None:
        """Stop for good."""
        self._lane.close()
        self._choosing.close()

    # The run -------------------------------------------------------------------------------

    def start(self, search: AutomaticRequest, rest: ExistingObjects | None = None) -> None:
        """Look for masks, in place of those that were found before."""
        self.forget()
        self.search, self.settings, self._rest = search, search.settings, rest
        self._painter = Painter(search.plane.shape)
        self._submit(search, rest)

    def find_edges(self, search: AutomaticRequest) -> None:
        """Look for masks to draw edges of; those that are offered stay."""
        self.cancel()
        self._submit(search, None)

    def _submit(self, search: AutomaticRequest, rest: ExistingObjects | None) -> None:
        self._start_s = time.monotonic()
        self._set_state(AutomaticState(True, 1, len(search.tiles), found=self._count))
        embedder = self._embedding.embedder
        self._lane.submit(
            lambda job: self._run(search, embedder, job, rest),
            lambda edges: self._on_done(search, edges),
            self._on_failed,
        )

    @property
    def _count(self) -> int:
        return sum(len(one.found.masks) for one in self._tiles.values())

    def cancel(self) -> None:
        """Stop looking; what was found stays."""
        if self.state.is_running:
            self._lane.cancel()
            self._end()

    def leave_model(self) -> None:
        """Stop looking, because another model is in use."""
        if self.state.is_running:
            self.cancel()
            self._notifier.warn(
                "Another model is in use now: looking for masks has ended. Those that were found "
                "are still there."
            )

    def forget(self) -> None:
        """Stop, and drop what was found."""
        self._lane.cancel()
        self._choosing.cancel()
        self._tiles, self._without, self._likeness = {}, frozenset(), None
        self.search = self._rest = self._painter = None
        self._set_state(AutomaticState())
        self._show(None)

    def _run(
        self, search: AutomaticRequest, embedder: Embedder, job: Job, rest: ExistingObjects | None
    ) -> NDArray[np.float32] | None:
        """Look for masks, on the search thread; return edges if there are to be any."""
        if rest is not None:
            likeness = similarity_limits(rest, search.plane.read(embedder.spec.input_side))
            self._tell(job, lambda: self._set_likeness(likeness))
        last: list[TileMasks] = []

        def on_found(number: int, share: float, masks: TileMasks) -> None:
            job.check()
            last[:] = [masks]
            self._tell(job, lambda: self._on_found(search, number, share, masks))

        generate_tile_masks(search, embedder, job, lambda: self._stand_back(job), on_found)
        if not search.keep_logits or not last:
            return None
        from napari_sam.model.automatic.by_products import detect_edges

        return detect_edges(last[0].found)

    def _tell(self, job: Job, callback: Callable[[], None]) -> None:
        def deliver() -> None:
            if not job.is_cancelled:
                callback()

        self._dispatcher.post(deliver)

    def _stand_back(self, job: Job) -> None:
        yield_to_foreground(job, lambda: not (self._embedding.is_idle and self._decoding.is_idle))

    def _set_likeness(self, likeness: SimilarityLimits) -> None:
        self._likeness = likeness

    def _on_found(
        self, search: AutomaticRequest, number: int, share: float, masks: TileMasks
    ) -> None:
        is_offered = search is self.search
        if is_offered:
            self._tiles[number] = masks
        fraction = (number + share) / len(search.tiles)
        elapsed_s = time.monotonic() - self._start_s
        left_s = elapsed_s * (1 / fraction - 1)
        self._set_state(
            AutomaticState(True, number + 1, len(search.tiles), fraction, left_s, self._count)
        )
        if is_offered:
            self._choose()

    def _on_done(self, search: AutomaticRequest, edges: NDArray[np.float32] | None) -> None:
        self._end()
        if edges is not None:
            self.edges_found.emit(search, edges)

    def _on_failed(self, error: BaseException) -> None:
        self._end()
        self._notifier.warn(
            user_message(error, "Not all masks could be found", "choose fewer points_per_batch")
        )

    def _end(self) -> None:
        self._set_state(replace(self.state, is_running=False, left_s=None))

    def _set_state(self, state: AutomaticState) -> None:
        self.state = state
        self.changed.emit(state)

    # What is offered -----------------------------------------------------------------------

    def refine(self, settings: AutomaticRunSettings) -> None:
        """Choose among the masks by other settings; decodes nothing."""
        self.settings = settings
        self._choose()

    def leave_out(self, keys: Iterable[Key]) -> None:
        """Offer these proposals no longer, because they are done with."""
        without = frozenset(keys)
        if without != self._without:
            self._without = without
            self._choose()

    def _choose(self) -> None:
        search, painter = self.search, self._painter
        if search is None or painter is None:
            return
        tiles = [self._tiles[number] for number in sorted(self._tiles)]
        settings, likeness, without = self.settings, self._likeness, self._without
        rest_of = None if self._rest is None else self._rest.target
        pyramid = TilePyramid(search.plane.shape, self._embedding.embedder.spec)

        def work(_: Job) -> AutomaticPicture:
            proposals = choose_masks(tiles, pyramid, settings, likeness, rest_of, without)
            return painter.paint(proposals, settings.layering)

        self._choosing.submit(work, self._show, self._on_not_chosen)

    def _show(self, picture: AutomaticPicture | None) -> None:
        self.picture = picture
        self.pictured.emit(picture)

    def _on_not_chosen(self, error: BaseException) -> None:
        self._notifier.warn(user_message(error, "The masks could not be filtered"))
