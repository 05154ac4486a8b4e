"""Train the instance decoder of a model, and judge it by the objects that it finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_sam.batch.labeled import LabeledImage, LabeledPlane
from napari_sam.batch.training_tiles import plan_instance_tiles
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.methods import Method
from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.model.training.files import read_state, write_state
from napari_sam.model.training.instance_trainer import InstanceTrainer
from napari_sam.model.training.trainer import Trainer
from napari_sam.session.automatic.masks import choose_masks
from napari_sam.session.automatic.request import AutomaticRequest, all_tile_masks
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.embedding.embeddings import Embedder

_LEAST_IOU: Final = 0.5
"""With an object, of a mask that counts as that; at more, there is one mask at most."""
_MAX_PLANES: Final = 20
"""Planes that the decoder is judged by, as each takes seconds."""
_SETTINGS: Final = AutomaticRunSettings().with_method(Method.AIS)


@dataclass(frozen=True)
class InstanceEpoch:
    """What came of an epoch; number 0 is the instance decoder of the base, or none."""

    number: int
    loss: float
    f1: float  # of all objects of the validation images
    seconds: float


@dataclass(frozen=True)
class InstanceResult:
    """What came of training an instance decoder."""

    epochs: tuple[InstanceEpoch, ...]
    best: int  # number of the best epoch; 0 if none is better than the first

    @property
    def gain(self) -> float:
        """By how much F1 is higher than before."""
        return self.epochs[self.best].f1 - self.epochs[0].f1


class InstanceTraining:
    """Trains an instance decoder for the model of a `Trainer`, as that is now.

    A run that was stopped goes on after its last finished epoch.
    """

    def __init__(
        self,
        trainer: Trainer,
        base: Path,
        make_embedder: Callable[[], Embedder],
        settings: TrainingSettings,
        state_file: Path,
    ) -> None:
        self._model, self._make_embedder, self._settings = trainer.model, make_embedder, settings
        spec = trainer.predictor().spec
        self._trainer = InstanceTrainer(base, spec, settings, trainer.device)
        self._state_file = state_file
        self._epochs: list[InstanceEpoch] = []
        self.weights: dict[str, Any] = {}
        """Those of the best epoch under their published names; none if nothing got better."""

    def run(
        self,
        learned: Sequence[LabeledImage],
        validated: Sequence[LabeledImage],
        on_epoch: Callable[[InstanceEpoch], None],
        on_progress: Callable[[str, float], None],
    ) -> InstanceResult:
        """Train on images, and judge each epoch by others."""
        embedder = self._make_embedder()
        tiles = [
            tile
            for image in learned
            for plane in image.planes
            for tile in plan_instance_tiles(plane, embedder)
        ]
        planes = [plane for image in validated for plane in image.planes][:_MAX_PLANES]
        self._begin(planes)
        for epoch in self._epochs:
            on_epoch(epoch)
        while not self._is_over:
            number, began_s = len(self._epochs), time.perf_counter()

            def on_step(done: int, total: int, number: int = number) -> None:
                on_progress(f"instance decoder, epoch {number}", done / total)

            loss = self._trainer.train(tiles, number - 1, on_step)
            f1 = self._f1(planes)
            epoch = InstanceEpoch(number, loss, f1, time.perf_counter() - began_s)
            self._epochs.append(epoch)
            if self._best == number:
                self.weights = self._trainer.weights()
            self._save()
            on_epoch(epoch)
        self._model.take_instance_decoder(None)
        return InstanceResult(tuple(self._epochs), self._best)

    def _begin(self, planes: Sequence[LabeledPlane]) -> None:
        if self._state_file.exists():
            state = read_state(self._state_file)
            self._trainer.resume(state["trainer"])
            self.weights = state["best"]
            self._epochs = [InstanceEpoch(*row) for row in state["epochs"]]
        else:
            f1 = 0.0 if self._trainer.is_new else self._f1(planes)
            self._epochs = [InstanceEpoch(0, float("nan"), f1, 0)]

    def _save(self) -> None:
        rows = [[*asdict(epoch).values()] for epoch in self._epochs]
        state = {"trainer": self._trainer.state(), "best": self.weights, "epochs": rows}
        write_state(self._state_file, state)

    @property
    def _best(self) -> int:
        return max(self._epochs, key=lambda epoch: epoch.f1).number

    @property
    def _is_over(self) -> bool:
        done, settings = self._epochs[-1].number, self._settings
        # A new one finds nothing at first, and may learn all the same.
        has_stalled = self._best > 0 and done - self._best >= settings.patience
        return done >= settings.epochs or has_stalled

    def _f1(self, planes: Sequence[LabeledPlane]) -> float:
        """Return F1 of the objects that are found with the decoder as it is now."""
        self._model.take_instance_decoder(self._trainer.folded())
        embedder = self._make_embedder()
        counts = np.zeros(3, int)
        for labeled in planes:
            plane = labeled.plane
            pyramid = plane.pyramid(embedder.load().encoder.spec)
            request = AutomaticRequest(plane, (pyramid.whole,), _SETTINGS)
            masks = choose_masks(all_tile_masks(request, embedder), pyramid, _SETTINGS)
            crops = [mask.plane_crop for mask in masks]
            counts += (hits(crops, labeled), len(crops), len(labeled.objects))
        found, masks_count, objects_count = counts
        return float(2 * found / max(1, masks_count + objects_count))


def hits(crops: Sequence[MaskCrop], labeled: LabeledPlane) -> int:
    """Return how many masks are of an object."""
    labels = np.zeros(labeled.plane.shape, np.int32)
    areas = np.zeros(len(labeled.objects) + 1)
    for number, (mask, top, left) in enumerate(labeled.objects, start=1):
        labels[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = number
        areas[number] = np.count_nonzero(mask)
    count = 0
    for mask, top, left in crops:
        below = labels[top : top + mask.shape[0], left : left + mask.shape[1]][mask]
        common = np.bincount(below, minlength=len(areas))
        ious = common / np.maximum(areas + below.size - common, 1)
        count += bool((ious[1:] > _LEAST_IOU).any())
    return count
