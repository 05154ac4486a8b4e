"""From a tile of an image plane and a model to the tile's embedding, in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from psygnal import Signal

from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import Dispatcher, LatestWinsExecutor, is_out_of_memory, user_message
from napari_sam.session.models.model_choice import ModelChoice, Runtime, check
from napari_sam.session.notifier import Notifier

_SMALLER: Final = "choose a smaller model"


class Encoding:
    """Holds the current image plane, tile and model, and how far the tile's embedding is.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """Phase, progress, model or runtime changed."""
    model_loaded = Signal(Embedder)
    """A model was loaded, and is embedding now."""
    model_left = Signal()
    """Another model was chosen: what the one before gave is not to be relied upon."""
    completed = Signal(EmbeddedTile)
    """The tile is embedded."""

    def __init__(
        self,
        make_embedder: Callable[[ModelChoice], Embedder],
        choice: ModelChoice,
        dispatcher: Dispatcher,
        notifier: Notifier,
    ) -> None:
        self._notifier = notifier
        self._lane = LatestWinsExecutor("napari-sam-encode", dispatcher)
        # Apart from the lane of the model in use, which goes on meanwhile.
        self._check_lane = LatestWinsExecutor("napari-sam-check", dispatcher)
        self._make_embedder = make_embedder
        self._embedder = make_embedder(choice)
        self._followed = choice  # the wish that the model in use came of
        self._proven: tuple[ModelChoice, ModelChoice] | None = None  # wish, model loaded last
        self._too_small: Runtime | None = None  # where there was not enough memory
        self._is_announced = False
        self._refusal = ""
        self._known_devices: tuple[str, ...] = ()
        self.wish = choice
        """What the user chose last, whatever became of it."""
        self.plane: ImagePlane | None = None
        self.tile: Tile | None = None
        """The part of the plane that is wanted; None without a plane."""
        self.embedded: EmbeddedTile | None = None
        self.phase = Phase.NO_IMAGE
        self.progress = 0.0
        self.note = ""
        """Says what the phase alone does not."""

    @property
    def embedder(self) -> Embedder:
        """What works with the model in use."""
        return self._embedder

    @property
    def choice(self) -> ModelChoice:
        """The model in use."""
        return self._embedder.choice

    @property
    def runtime(self) -> Runtime | None:
        """What the model runs on; None until it is loaded."""
        return self._embedder.runtime if self._embedder.is_loaded else None

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices here; empty until they are known."""
        runtime = self._embedder.runtime
        return self._known_devices if runtime is None else runtime.devices

    @property
    def is_checking(self) -> bool:
        """Whether it is being found out if the wish can be fulfilled."""
        return self.wish != self._followed

    @property
    def is_idle(self) -> bool:
        """Whether no job is pending."""
        return self._lane.is_idle and self._check_lane.is_idle

    @property
    def is_working(self) -> bool:
        """Whether the embedding is on its way."""
        return self.phase in (Phase.LOADING, Phase.EMBEDDING)

    def close(self) -> None:
        """Stop all work."""
        self._lane.close()
        self._check_lane.close()

    # The image -------------------------------------------------------------------------------

    def set_plane(self, plane: ImagePlane | None, tile: Tile | None) -> None:
        """Go to a tile of another plane, not yet embedded, or to none."""
        is_loading = not self._lane.is_idle and not self._is_proven
        self._lane.cancel()
        self.plane, self.tile, self.embedded, self._refusal = plane, tile, None, ""
        self._rest()
        if is_loading and plane is None:
            self._submit_load()

    def refuse(self, reason: str) -> None:
        """Say why there is no plane."""
        self.set_plane(None, None)
        self._refusal = reason
        self._rest()

    def _rest(self) -> None:
        self.phase = Phase.FAILED if self._refusal else Phase.NO_IMAGE
        self.progress, self.note = 0.0, self._refusal

    def preload(self) -> None:
        """Load the model before there is a plane."""
        if self.plane is None and self._lane.is_idle:
            self._load()

    def embed(self) -> None:
        """Embed the tile, unless that is done or under way; retries a failure."""
        if self.plane is not None and not self.is_working and self.phase is not Phase.READY:
            self._start()

    def settle(self, timeout_s: float) -> None:
        """Wait a moment for the embedding, which is probably in memory."""
        self._lane.settle(timeout_s)

    def want(self, tile: Tile) -> None:
        """Go to another tile of the plane: at once if it is in memory, else it is embedded.

        Nothing is begun as long as `embed` was not called, or after `cancel`.
        """
        if self.plane is None or tile == self.tile:
            return
        self._lane.cancel()
        self.tile, self.embedded = tile, self._embedder.find(self.plane, tile)
        if self.embedded is not None:
            self.phase, self.progress, self.note = Phase.READY, 1.0, ""
        elif self.phase not in (Phase.NO_IMAGE, Phase.CANCELLED):
            self._start()

    def cancel(self) -> None:
        """Stop embedding; `embed` starts again."""
        if self.is_working:
            self._lane.cancel()
            self.phase, self.progress = Phase.CANCELLED, 0.0
            self.changed.emit()

    # The model -------------------------------------------------------------------------------

    def set_model(self, wish: ModelChoice) -> None:
        """Go to another model, once it is found good, and embed the tile with it."""
        if wish == self.wish:
            return
        self.wish = wish
        self._check_lane.cancel()
        if wish == self._followed:
            self.changed.emit()
        elif self._proven is None:  # nothing is in use that could be lost
            self._follow(wish)
        else:
            self._check_lane.submit(
                lambda _: check(wish), lambda _: self._follow(wish), self._on_refused
            )
            self.changed.emit()

    def try_to_step_down(self, error: BaseException) -> bool:
        """If the device has not enough memory, go on in lower precision or on the processor."""
        runtime = self._embedder.runtime
        if runtime is None or not is_out_of_memory(error):
            return False
        lighter = self.choice.lighter(runtime)
        if lighter is None:
            return False
        user_message(error, f"{self.choice.name} on {runtime}")
        self._too_small = self._too_small or runtime
        self._replace_model(self._followed, lighter)
        return True

    @property
    def _is_proven(self) -> bool:
        """Whether the model in use is known to be loaded."""
        return self._proven == (self._followed, self.choice)

    def _follow(self, wish: ModelChoice) -> None:
        self._too_small = None
        self._replace_model(wish, wish)

    def _replace_model(self, wish: ModelChoice, choice: ModelChoice) -> None:
        """Put in use for a wish what is the wish itself, or something lighter."""
        self._lane.cancel()
        self.embedded, self._is_announced = None, False
        self._known_devices = self.devices
        self._followed = wish
        self._embedder = self._make_embedder(choice)
        self.model_left.emit()
        if self.plane is None:
            self._load()
        else:
            self._start()

    def _on_refused(self, error: BaseException) -> None:
        message = user_message(error, f"{self.wish.name} cannot be used", _SMALLER)
        self.wish = self._followed
        self._notifier.warn(f"{message} {self.choice.name} stays in use.")
        self.changed.emit()

    # Jobs ------------------------------------------------------------------------------------

    def _load(self) -> None:
        self._rest()
        self._submit_load()
        self.changed.emit()

    def _submit_load(self) -> None:
        embedder = self._embedder
        self._lane.submit(lambda _: embedder.load(), lambda _: self._on_loaded(), self._on_failed)

    def _start(self) -> None:
        embedder, plane, tile = self._embedder, self.plane, self.tile
        if plane is None or tile is None:
            return
        self.phase = Phase.EMBEDDING if embedder.is_loaded else Phase.LOADING
        self.progress, self.note = 0.0, ""
        self._lane.submit(
            lambda job: embedder.embed(plane, tile, job),
            self._on_embedded,
            self._on_failed,
            self._on_progress,
        )
        self.changed.emit()

    def _on_loaded(self) -> None:
        self._proven = self._followed, self.choice
        self._say_where()
        self._rest()
        self.changed.emit()

    def _on_progress(self, fraction: float) -> None:
        if not self._is_announced:
            self._is_announced = True
            self.model_loaded.emit(self._embedder)
        self.phase, self.progress = Phase.EMBEDDING, fraction
        self.changed.emit()

    def _on_embedded(self, embedded: EmbeddedTile) -> None:
        self._proven = self._followed, self.choice
        self._say_where()
        self.embedded = embedded
        self.phase, self.progress = Phase.READY, 1.0
        self.completed.emit(embedded)

    def _say_where(self) -> None:
        """Tell, once, that the model runs on something else than was chosen."""
        before, self._too_small = self._too_small, None
        if before is not None and self.runtime is not None:
            self._notifier.warn(
                f"There was not enough memory for {self.choice.name} on {before}: it runs on "
                f"{self.runtime} now. Masks may differ a little or take longer."
            )

    def _on_failed(self, error: BaseException) -> None:
        if self.try_to_step_down(error):
            return
        self._too_small = None
        if self._embedder.is_loaded:
            self._fail(user_message(error, "The image could not be embedded"))
            return
        what = f"The model {self.choice.name} could not be loaded"
        self._fall_back(user_message(error, what, _SMALLER))

    def _fall_back(self, reason: str) -> None:
        """Go back to the last model that could be loaded, or to the one inside the package."""
        if self._proven is not None and not self._is_proven:
            wish, choice = self._proven
        elif self._proven is None and self.choice.checkpoint is not None:
            wish = choice = self._followed.with_weights(ModelChoice().name, None)
        else:
            self._fail(reason)
            return
        if not self.is_checking:
            self.wish = wish
        self._notifier.warn(f"{reason} {choice.name} is in use instead.")
        self._replace_model(wish, choice)

    def _fail(self, note: str) -> None:
        self.phase, self.progress, self.note = Phase.FAILED, 0.0, note
        self._notifier.warn(note)
        self.changed.emit()
