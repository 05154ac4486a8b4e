"""Train a model on tiles with known objects: its mask decoder, and adapters of its encoder."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.model.embedding import maps_of
from napari_sam.model.predictor import Predictor
from napari_sam.model.runtime.devices import EXACT, PRECISIONS
from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.training.adapters import adapted_weights, add_adapters
from napari_sam.model.training.tiles import TrainingTile, visits_of
from napari_sam.model.training.visit import Visit
from napari_sam.model.transforms import resize_image

_ENCODER: Final = "image_encoder"
"""The name of the image encoder in all models, and of its weights as published."""

AT_ONCE: Final = 4
"""Objects of a tile that are visited together, for a step of the optimizer."""
_WARM_UP: Final = 10
"""Steps until the full learning rate."""
WEIGHT_DECAY: Final = 0.01
MAX_NORM: Final = 1.0
"""Longer gradients are shortened to it."""


class MeanLosses(NamedTuple):
    """The means of the losses of an epoch."""

    mask: float
    score: float


class Trainer:
    """Trains a model in place.

    Parameters
    ----------
    model : SegmentAnything
        From `load_model`.
    settings : TrainingSettings
        How it is trained.
    device : str
        A torch device.
    precision : str
        In which the image encoder computes where it learns, too: mixed with float32, unless it is
        that.
    """

    def __init__(
        self,
        model: SegmentAnything,
        settings: TrainingSettings,
        device: str,
        precision: str = EXACT,
    ) -> None:
        self.model, self.settings, self.device = model.to(device), settings, device
        self._encoder = dict(model.named_children())[_ENCODER]
        self._decoder = _decoder_weights(model)
        for parameter in self._decoder.values():
            parameter.requires_grad_(True)
        self._trained = self._decoder.copy()
        if settings.adapters:
            self._trained |= add_adapters(self._encoder, settings.adapters, settings.seed)
        self._optimizer = torch.optim.AdamW(
            self._trained.values(), settings.learning_rate, weight_decay=WEIGHT_DECAY
        )
        kind = torch.device(device).type
        self._mixed = torch.autocast(kind, PRECISIONS[precision], enabled=precision != EXACT)
        self._scaler = torch.amp.GradScaler(kind, enabled=precision == "float16")
        with torch.no_grad():
            self._image_pe = model.prompts.image_pe()
        self._spec = self.predictor().spec

    def predictor(self) -> Predictor:
        """Return what predicts with the model as it is now, until it is trained again."""
        return Predictor(self.model, self.device)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of what is trained, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self._trained.items()}

    def published(self) -> dict[str, Tensor]:
        """Return the weights that are another by training under their published names."""
        of_encoder = adapted_weights(self._encoder)
        of_decoder = {name: value.detach().cpu() for name, value in self._decoder.items()}
        return of_decoder | {f"{_ENCODER}.{name}": value for name, value in of_encoder.items()}

    def state(self) -> dict[str, Any]:
        """Return what another trainer of the same model and settings can go on from."""
        return {
            "weights": self.weights(),
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "scaler": self._scaler.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.use(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])

    def use(self, weights: dict[str, Tensor]) -> None:
        """Replace what is trained by a copy from `weights`."""
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(weights[name])

    def train(
        self,
        tiles: Sequence[TrainingTile],
        epoch: int,
        on_object: Callable[[int, int], None] = lambda done, total: None,
    ) -> MeanLosses:
        """Train for an epoch, counted from 0.

        The same tiles, epoch and state give the same model, whatever was trained before.
        ``on_object(done, total)`` is called after some objects, and may raise to stop.
        """
        rng = np.random.default_rng([self.settings.seed, epoch])
        total, done = self.settings.objects_per_epoch, 0
        visits = list(visits_of(tiles, total, AT_ONCE, rng))
        sums = np.zeros(2)
        self._optimizer.zero_grad(set_to_none=True)
        for number, tile in enumerate(visits):
            sums += self._visit(tile, rng)
            done += len(tile.label_ids)
            self._step(epoch * len(visits) + number, self.settings.epochs * len(visits))
            on_object(done, total)
        return MeanLosses(*(float(mean) for mean in sums / done))

    def _visit(self, tile: TrainingTile, rng: np.random.Generator) -> tuple[float, float]:
        """Add the gradients of some objects of a tile; return the sums of their losses."""
        with self._mixed:
            maps = tuple(part.float() for part in self._maps(tile))
        # The decoder has lengths of tokens as sums of products, which need all digits.
        factored = self.model.factored(self._image_pe)
        visit = Visit(self.model, factored, maps, tile, rng)
        mask = score = torch.zeros((), device=self.device)
        for parts in visit.losses():
            mask = mask + torch.stack([part.mask for part in parts]).mean()
            score = score + torch.stack([part.score for part in parts]).mean()
        loss: Tensor = self._scaler.scale((mask + score) / AT_ONCE)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(mask.detach()), float(score.detach())

    def _maps(self, tile: TrainingTile) -> tuple[Tensor, ...]:
        if not self.settings.adapters:
            maps = maps_of(tile.embed(), self._spec, torch.float32)
            return tuple(part.to(self.device) for part in maps)
        pixels = tile.read()
        resized = resize_image(pixels, self._spec.input_size(pixels.shape[:2]))
        image = torch.from_numpy(resized).to(self.device)
        return self.model.encode(self.model.preprocess(image.permute(2, 0, 1)))

    def _step(self, step: int, steps: int) -> None:
        set_rate(self._optimizer, self.settings.learning_rate, step, steps)
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._trained.values(), MAX_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)


def set_rate(optimizer: torch.optim.Optimizer, highest: float, step: int, steps: int) -> None:
    """Set the learning rate of a step: it rises within the first few, and falls to zero."""
    share = 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1, (step + 1) / _WARM_UP)
    for group in optimizer.param_groups:
        group["lr"] = highest * share


def _decoder_weights(model: SegmentAnything) -> dict[str, nn.Parameter]:
    """Return the weights of the mask decoder, but for those that finish image embeddings."""
    encoding = {tensor.data_ptr() for tensor in model.encoding_state().values()}
    (prefix,) = (name for name, part in model.named_children() if part is model.decoder)
    return {
        f"{prefix}.{name}": parameter
        for name, parameter in model.decoder.named_parameters()
        if parameter.data_ptr() not in encoding
    }
