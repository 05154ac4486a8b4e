"""What to measure, and what goes wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.model import Predictor
    from napari_sam.model.sam.sam import Sam

PEERS = ("onnxruntime", "transformers")


class BenchError(ValueError):
    """Something cannot be measured; the message says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    checkpoint: str | None = None  # the weights; those inside the package without it
    device: str = "auto"  # as `Predictor` takes them
    precision: str = "float32"  # as `Predictor` takes them
    rounds: int = 5  # how often everything is timed; one round more, the first, is not counted
    peers: tuple[str, ...] = ()  # some of `PEERS`
    window: bool = True  # whether to open a window, if there is a display

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, ready for JSON and for ``Options(**...)``."""
        return asdict(self)

    def load(self) -> tuple[Sam, Predictor]:
        """Load the model, and what runs it."""
        from napari_sam.model import Predictor, load_model

        try:
            model = load_model(checkpoint=self.checkpoint)
            return model, Predictor(model, self.device, self.precision)
        except ValueError as error:
            raise BenchError(str(error)) from error
