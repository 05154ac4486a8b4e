"""The embedding of the image plane that is shown, made in the background."""

from collections.abc import Hashable
from functools import partial
from typing import Final

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.embedding.active_model import ActiveModel
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import Job, user_message

_MOMENT_S: Final = 0.02
"""How long to wait for an embedding that was computed before; a user does not notice it."""


class CurrentEmbedding:
    """Holds the current image plane and tile, and how far the tile's embedding is.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """Phase, progress, model or runtime changed."""
    model_loaded = Signal(Embedder)
    """A model was loaded, and is embedding now."""
    model_left = Signal()
    """Another model is in use: the results of the previous one no longer count."""
    completed = Signal(EmbeddedTile)
    """The tile is embedded."""

    def __init__(self, model: ActiveModel, background: Background) -> None:
        self.model = model
        """The model in use, and the requested one."""
        self._background, self._notifier = background, background.notifier
        self._executor = background.executor("encode", is_foreground=True)
        self._is_announced = False
        self._refusal = ""
        self._pixels: Hashable = None
        self._embedded_before: set[Hashable] = set()
        self.plane: ImagePlane | None = None
        self.tile: Tile | None = None
        """The part of the plane to embed; None without a plane."""
        self.embedded: EmbeddedTile | None = None
        self.phase = Phase.NO_IMAGE
        self.progress = 0.0
        self.note = ""
        """Says more than the phase alone."""
        model.changed.connect(self.changed.emit)
        model.replaced.connect(self._on_model_replaced)

    @property
    def embedder(self) -> Embedder:
        """Embeds images with the model in use."""
        return self.model.embedder

    @property
    def is_working(self) -> bool:
        """Whether the embedding is on its way."""
        return self.phase in (Phase.LOADING, Phase.EMBEDDING)

    # The image -------------------------------------------------------------------------------

    def set_plane(
        self, plane: ImagePlane | None, tile: Tile | None, pixels: Hashable, refusal: str
    ) -> None:
        """Go to a tile of another plane, not yet embedded; `pixels` identifies them.

        Or to none, with a `refusal` if there is a reason for that.
        """
        is_loading = not self._executor.is_idle and not self.model.is_confirmed
        self._executor.cancel()
        self.plane, self.tile, self.embedded, self._refusal = plane, tile, None, refusal
        self._pixels = pixels
        self._reset()
        if is_loading and plane is None:
            self._submit_load()

    def set_tile(self, tile: Tile) -> None:
        """Choose another tile, not yet embedded, for the model that is about to be used."""
        self.tile, self.embedded = tile, None

    def _reset(self) -> None:
        self.phase = Phase.FAILED if self._refusal else Phase.NO_IMAGE
        self.progress, self.note = 0.0, self._refusal

    def preload(self) -> None:
        """Import torch and load the model before there is a plane."""
        if self.plane is None and self._executor.is_idle:
            self._load()

    def embed(self) -> None:
        """Embed the tile, unless that is done or under way; retries a failure."""
        if self.plane is not None and not self.is_working and self.phase is not Phase.READY:
            self._start()
            if self._pixels in self._embedded_before:
                self._executor.settle(_MOMENT_S)

    def want(self, tile: Tile) -> None:
        """Go to another tile of the plane: at once if it is in memory, else it is embedded.

        Nothing is started before `embed` was called, or after `cancel`.
        """
        if self.plane is None or tile == self.tile:
            return
        self._executor.cancel()
        self.tile, self.embedded = tile, self.embedder.find(self.plane, tile)
        if self.embedded is not None:
            self.phase, self.progress, self.note = Phase.READY, 1.0, ""
        elif self.phase not in (Phase.NO_IMAGE, Phase.CANCELLED):
            self._start()

    def find(self, tile: Tile) -> EmbeddedTile | None:
        """Return a tile of the plane if it is in memory."""
        if tile == self.tile or self.plane is None:
            return self.embedded
        return self.embedder.find(self.plane, tile)

    def cancel(self) -> None:
        """Stop embedding; `embed` starts again."""
        if self.is_working:
            self._executor.cancel()
            self.phase, self.progress = Phase.CANCELLED, 0.0
            self.changed.emit()

    # Jobs ------------------------------------------------------------------------------------

    def _on_model_replaced(self) -> None:
        self._executor.cancel()
        self._embedded_before.clear()
        self.embedded, self._is_announced = None, False
        self.model_left.emit()
        if self.plane is None:
            self._load()
        else:
            self._start()

    def _load(self) -> None:
        self._reset()
        self._submit_load()
        self.changed.emit()

    def _submit_load(self) -> None:
        embedder = self.embedder

        def load(_job: Job) -> None:
            self._let_window_show(embedder)
            embedder.load()

        self._executor.submit(load, lambda _: self._on_loaded(), self._on_failed)

    def _start(self) -> None:
        embedder, plane, tile = self.embedder, self.plane, self.tile
        if plane is None or tile is None:
            return
        self.phase = Phase.EMBEDDING if embedder.is_loaded else Phase.LOADING
        self.progress, self.note = 0.0, ""

        def embed(job: Job) -> EmbeddedTile:
            self._let_window_show(embedder)
            self._background.yield_to_clicks(job)
            return embedder.embed(plane, tile, partial(self._report, job))

        self._executor.submit(embed, self._on_embedded, self._on_failed, self._on_progress)
        self.changed.emit()

    def _report(self, job: Job, fraction: float) -> None:
        job.report(fraction)
        self._background.yield_to_clicks(job)

    def _let_window_show(self, embedder: Embedder) -> None:
        """Wait while a window is built: the import of torch would make that take much longer."""
        if not embedder.is_loaded:
            self._background.dispatcher.let_owner_run()

    def _on_loaded(self) -> None:
        self.model.confirm()
        self._reset()
        self.changed.emit()

    def _on_progress(self, fraction: float) -> None:
        if not self._is_announced:
            self._is_announced = True
            self.model_loaded.emit(self.embedder)
        self.phase, self.progress = Phase.EMBEDDING, fraction
        self.changed.emit()

    def _on_embedded(self, embedded: EmbeddedTile) -> None:
        self.model.confirm()
        if self._pixels is not None:
            self._embedded_before.add(self._pixels)
        self.embedded = embedded
        self.phase, self.progress = Phase.READY, 1.0
        self.completed.emit(embedded)

    def _on_failed(self, error: BaseException) -> None:
        if self.model.step_down(error):
            return
        if self.embedder.is_loaded:
            self._fail(user_message(error, "The image could not be embedded"))
        elif reason := self.model.fall_back(error):
            self._fail(reason)

    def _fail(self, note: str) -> None:
        self.phase, self.progress, self.note = Phase.FAILED, 0.0, note
        self._notifier.warn(note)
        self.changed.emit()
