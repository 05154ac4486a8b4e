"""The options of a benchmark run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam.model import Predictor
    from napari_sam.model.sam.base import SegmentAnything

PEERS = ("onnxruntime", "transformers")


class BenchError(ValueError):
    """A measurement is not possible; the message says why and what to do."""


@dataclass(frozen=True)
class Options:
    """The options of a benchmark run."""

    checkpoint: str | None = None  # by default the model inside the package
    device: str = "auto"  # as for `Predictor`
    precision: str = "float32"  # as for `Predictor`
    rounds: int = 5  # how often everything is timed, after one round that is not counted
    peers: tuple[str, ...] = ()  # some of `PEERS`
    peer_encoder: str | None = None  # an image encoder of others, an ONNX file
    window: bool = True  # whether to open a window, if there is a display

    def load(self) -> tuple[SegmentAnything, Predictor]:
        """Load the model and its predictor."""
        from napari_sam.model import Predictor, load_model

        try:
            model = load_model(checkpoint=self.checkpoint)
            return model, Predictor(model, self.device, self.precision)
        except ValueError as error:
            raise BenchError(str(error)) from error
