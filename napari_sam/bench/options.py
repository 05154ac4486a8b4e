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
    """What to measure.

    Attributes
    ----------
    checkpoint : str or None
        The weights; those inside the package without it.
    device, precision : str
        As `Predictor` takes them.
    rounds : int
        How often everything is timed; one round more, the first, is not counted.
    peers : tuple of str
        Some of `PEERS`.
    window : bool
        Whether to open a window, if there is a display.
    """

    checkpoint: str | None = None
    device: str = "auto"
    precision: str = "float32"
    rounds: int = 5
    peers: tuple[str, ...] = ()
    window: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, ready for JSON and for ``Options(**...)``."""
        return asdict(self)

    def load(self) -> tuple[Sam, Predictor]:
        """Load the model, and what runs it.

        Raises
        ------
        BenchError
            If the checkpoint, the device or the precision cannot be used.
        """
        from napari_sam.model import Predictor, load_model

        try:
            model = load_model(checkpoint=self.checkpoint)
            return model, Predictor(model, self.device, self.precision)
        except ValueError as error:
            raise BenchError(str(error)) from error
