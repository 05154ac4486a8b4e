"""The model in use: another one is checked before it is used, and the last working one kept."""

from collections.abc import Callable
from typing import Final

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.jobs import is_out_of_memory, log_failure, user_message
from napari_sam.session.models.model_choice import ModelChoice, Runtime, check

_SMALLER: Final = "choose a smaller model"


class ActiveModel:
    """Knows the requested model and the one in use, which may be a lighter or an earlier one.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """Another model is requested, or a request was refused."""
    replaced = Signal()
    """Another model is in use; it is not loaded yet."""

    def __init__(
        self,
        make_embedder: Callable[[ModelChoice], Embedder],
        choice: ModelChoice,
        background: Background,
    ) -> None:
        self._notifier = background.notifier
        # Not the executor of the model in use, which goes on meanwhile.
        self._executor = background.executor("check", is_foreground=True)
        self._make_embedder = make_embedder
        self._followed = choice  # the request that the model in use follows
        self._last_working: tuple[ModelChoice, ModelChoice] | None = None  # request, model
        self._out_of_memory_on: Runtime | None = None
        self._known_devices: tuple[str, ...] = ()
        self.requested = choice
        """The user's last choice, whatever became of it."""
        self.embedder = make_embedder(choice)
        """Embeds images with the model in use."""

    @property
    def choice(self) -> ModelChoice:
        """The model in use."""
        return self.embedder.choice

    @property
    def runtime(self) -> Runtime | None:
        """The device and precision of the model; None until it is loaded."""
        return self.embedder.runtime if self.embedder.is_loaded else None

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices of this computer; empty until they are known."""
        runtime = self.embedder.runtime
        return self._known_devices if runtime is None else runtime.devices

    @property
    def is_checking(self) -> bool:
        """Whether the requested model is being checked."""
        return self.requested != self._followed

    @property
    def is_confirmed(self) -> bool:
        """Whether the model in use is known to load."""
        return self._last_working == (self._followed, self.choice)

    def request(self, choice: ModelChoice) -> None:
        """Use another model once it has passed its check."""
        if choice == self.requested:
            return
        self.requested = choice
        self._executor.cancel()
        if choice == self._followed:
            self.changed.emit()
        elif self._last_working is None:  # no model is in use that could be lost
            self._follow(choice)
        else:
            self._executor.submit(
                lambda _: check(choice), lambda _: self._follow(choice), self._on_refused
            )
            self.changed.emit()

    def confirm(self) -> None:
        """Note that the model in use was loaded; warn, once, if it runs elsewhere than chosen."""
        self._last_working = self._followed, self.choice
        runtime, self._out_of_memory_on = self._out_of_memory_on, None
        if runtime is not None and self.runtime is not None:
            self._notifier.warn(
                f"There was not enough memory for {self.choice.name} on {runtime}, so it now runs "
                f"on {self.runtime}."
            )

    def step_down(self, error: BaseException) -> bool:
        """Use lower precision or the processor if memory ran out; return whether that is done."""
        runtime = self.embedder.runtime
        is_possible = runtime is not None and is_out_of_memory(error)
        lighter = self.choice.lighter(runtime) if runtime and is_possible else None
        if lighter is None:
            return False
        log_failure(error, f"{self.choice.name} on {runtime}")
        self._out_of_memory_on = self._out_of_memory_on or runtime
        self._replace(self._followed, lighter)
        return True

    def fall_back(self, error: BaseException) -> str:
        """Use the last working model, or the bundled one, as this one did not load.

        Return the reason if there is none.
        """
        reason = user_message(error, f"The model {self.choice.name} could not be loaded", _SMALLER)
        if self._last_working is not None and not self.is_confirmed:
            requested, choice = self._last_working
        elif self._last_working is None and self.choice.checkpoint is not None:
            requested = choice = self._followed.with_weights(ModelChoice().name, None)
        else:
            return reason
        if not self.is_checking:
            self.requested = requested
        self._out_of_memory_on = None
        self._notifier.warn(f"{reason} {choice.name} is in use instead.")
        self._replace(requested, choice)
        return ""

    def _follow(self, choice: ModelChoice) -> None:
        self._out_of_memory_on = None
        self._replace(choice, choice)

    def _replace(self, requested: ModelChoice, choice: ModelChoice) -> None:
        """Use for a request the requested model itself, or a lighter one."""
        self._known_devices = self.devices
        self._followed = requested
        self.embedder = self._make_embedder(choice)
        self.replaced.emit()

    def _on_refused(self, error: BaseException) -> None:
        message = user_message(error, f"{self.requested.name} cannot be used", _SMALLER)
        self.requested = self._followed
        self._notifier.warn(f"{message} {self.choice.name} stays in use.")
        self.changed.emit()
