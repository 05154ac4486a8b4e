"""Train an instance decoder on tiles whose objects are all known; the image encoder is frozen."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_sam.engine.embeddings import EmbeddingArrays
from napari_sam.engine.spec import ModelSpec
from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.model.checkpoints.instance_decoders import build_instance_decoder
from napari_sam.model.checkpoints.state_dicts import read_checkpoint
from napari_sam.model.embedding import maps_of
from napari_sam.model.instance_decoder.unetr import Unetr
from napari_sam.model.training.instance_targets import instance_targets, maps_loss
from napari_sam.model.training.tiles import BEYOND
from napari_sam.model.training.trainer import AT_ONCE, MAX_NORM, WEIGHT_DECAY, set_rate

_FACTOR: Final = 5.0
"""By how much the learning rate is higher than that of the mask decoder, which is trained."""
_SHARE: Final = 2
"""A processor learns from a square of this part of a tile's side: all of it needs 4 GB."""


@dataclass(frozen=True, eq=False)
class InstanceTile:
    """A part of an image that the model sees at once, with all objects in it.

    Parameters
    ----------
    read_labels : callable
        Returns the object at each pixel of the model's input, (s, s) int16; 0 is background,
        `BEYOND` padding.
    embed : callable
        Returns the image embedding as arrays in float32.
    """

    read_labels: Callable[[], npt.NDArray[np.int16]]
    embed: Callable[[], EmbeddingArrays]


class InstanceTrainer:
    """Trains the instance decoder of a checkpoint, or a new one if it has none.

    Parameters
    ----------
    base : Path
        The checkpoint.
    spec : ModelSpec
        Of the model whose embeddings it decodes.
    settings : TrainingSettings
        How it is trained; an epoch has as many steps as one of the mask decoder.
    device : str
        A torch device.

    Raises
    ------
    CheckpointError
        If the decoder of the checkpoint cannot be used.
    """

    def __init__(
        self, base: Path, spec: ModelSpec, settings: TrainingSettings, device: str
    ) -> None:
        found, embed_dim = read_checkpoint(base), spec.arrays[0].shape[0]
        self.is_new = not found.decoder_state
        """Whether it begins with random weights; else the statistics of batches stay as well."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = build_instance_decoder(found, base, embed_dim)
        self._network = network.to(device).train(self.is_new).requires_grad_(True)
        self._spec, self._settings, self._device = spec, settings, device
        self._rate = _FACTOR * settings.learning_rate
        self._optimizer = torch.optim.AdamW(
            network.parameters(), self._rate, weight_decay=WEIGHT_DECAY
        )

    def folded(self) -> Unetr:
        """Return a copy of the network as it is now, ready for inference."""
        network = copy.deepcopy(self._network)
        network.fold()
        return network.requires_grad_(False)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of all weights under their published names, on the CPU."""
        state = self._network.state_dict()
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def state(self) -> dict[str, Any]:
        """Return what another trainer of the same settings can go on from."""
        optimizer = copy.deepcopy(self._optimizer.state_dict())
        return {"weights": self.weights(), "optimizer": optimizer}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._network.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])

    def train(
        self,
        tiles: Sequence[InstanceTile],
        epoch: int,
        on_step: Callable[[int, int], None] = lambda done, total: None,
    ) -> float:
        """Train for an epoch, counted from 0; return the mean loss.

        The same tiles, epoch and state give the same network. ``on_step(done, total)`` may raise.
        """
        rng = np.random.default_rng([self._settings.seed, epoch])
        steps = math.ceil(self._settings.objects_per_epoch / AT_ONCE)
        order = np.concatenate([rng.permutation(len(tiles)) for _ in range(steps)])[:steps]
        losses = []
        for number, index in enumerate(order):
            on_step(number, steps)
            loss = self._loss(tiles[index], rng)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            step = epoch * steps + number
            set_rate(self._optimizer, self._rate, step, self._settings.epochs * steps)
            nn.utils.clip_grad_norm_(self._network.parameters(), MAX_NORM)
            self._optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def _loss(self, tile: InstanceTile, rng: np.random.Generator) -> Tensor:
        labels, arrays = tile.read_labels(), tile.embed()
        embedding = maps_of(arrays, self._spec, torch.float32)[0]
        targets, cells = instance_targets(labels), embedding.shape[-1]
        if torch.device(self._device).type == "cpu":
            side = math.ceil(cells / _SHARE)
            row, column = self._window(labels, cells, side, rng)
            px = labels.shape[0] // cells
            rows, columns = (slice(px * k, px * (k + side)) for k in (row, column))
            labels, targets = labels[rows, columns], targets[:, rows, columns]
            embedding = embedding[:, row : row + side, column : column + side]
        valid = torch.from_numpy((labels != BEYOND).astype(np.float32))
        maps = self._network.with_gradients(embedding.contiguous().to(self._device))
        return maps_loss(maps, torch.from_numpy(targets).to(self._device), valid.to(self._device))

    @staticmethod
    def _window(
        labels: npt.NDArray[np.int16], cells: int, side: int, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Return the first row and column of a square of cells around a pixel of an object."""
        places = np.argwhere(labels > 0)
        middle = places[rng.integers(len(places))] * cells // labels.shape[0]
        row, column = np.clip(middle - side // 2, 0, cells - side)
        return int(row), int(column)
