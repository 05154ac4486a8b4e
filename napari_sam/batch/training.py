"""Fine-tune a model on labeled images, and write it if it is better than before."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_sam.batch.labeled import LabeledImage, LabeledPlane
from napari_sam.batch.training_card import Epoch, TrainingCard, refusal
from napari_sam.batch.training_instances import (
    InstanceEpoch,
    InstanceResult,
    InstanceTraining,
)
from napari_sam.batch.training_tiles import plan_tiles
from napari_sam.batch.validation import Validation, one_box, one_click
from napari_sam.engine.protocols import Engine
from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.formats.files import write_table, write_text
from napari_sam.model import load_model
from napari_sam.model.conversion import check_name
from napari_sam.model.training.files import read_state, write_state, write_trained
from napari_sam.model.training.tiles import TrainingTile
from napari_sam.model.training.trainer import Trainer
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.embedding.store import EmbeddingStore
from napari_sam.session.models.model_choice import ModelChoice, find_runtime
from napari_sam.storage.decoder_files import find_decoder
from napari_sam.storage.digests import digest

_LEAST_GAIN: Final = 0.001
"""By how much the quality of an epoch has to be better than that of the best before."""
_ON_THEIR_WAY: Final = 32
"""Images that workers have, or wait for, at a time; each takes some megabytes here."""
_GIB: Final = 2**30
_NO_LOSS: Final = math.nan


class TrainingError(ValueError):
    """A model cannot be trained; the message says what to do."""


@dataclass(frozen=True)
class TrainingJob:
    """What to train, and where the result goes."""

    checkpoint: Path  # the new one; absolute
    model: ModelChoice
    settings: TrainingSettings
    data: str = ""  # identifies the images and their labels
    overwrite: bool = False  # replace the checkpoint, and begin anew
    scheduler: str = ""  # address of the dask scheduler whose workers embed the images, if any

    @property
    def card(self) -> Path:
        """The file that tells what the checkpoint was made of."""
        return self.checkpoint.with_suffix(".md")

    @property
    def curves(self) -> Path:
        """The table of all epochs."""
        return self.checkpoint.with_suffix(".csv")

    @property
    def folder(self) -> Path:
        """Where a run keeps what it goes on from; removed at the end."""
        return self.checkpoint.with_name(f"{self.checkpoint.name}.training")

    @property
    def base(self) -> Path:
        """The checkpoint that training begins with."""
        return self.model.file

    @cached_property
    def conditions(self) -> str:
        """Everything that the result depends on."""
        return json.dumps([asdict(self.settings), digest(self.base), self.data], sort_keys=True)

    def check(self) -> None:
        """Raise ValueError if the result could not be written, or would replace something."""
        check_name(self.checkpoint)
        decoder = find_decoder(self.checkpoint)
        if decoder is not None:  # it would be taken for that of the new checkpoint
            raise TrainingError(f"{decoder} is in the way: choose another name, or move it away.")
        if self.overwrite:
            return
        for path in (self.checkpoint, self.card):
            if path.exists():
                msg = f"{path} already exists: choose another name, or overwrite it."
                raise TrainingError(msg)


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training."""

    epochs: tuple[Epoch, ...]  # the first is the model before training
    best: int  # number of the best epoch; 0 if none is better than the model before
    instances: InstanceResult | None = None  # of its instance decoder, if that was trained

    @property
    def is_written(self) -> bool:
        """Whether anything is better than before, so that there is a new checkpoint."""
        return self.best > 0 or (self.instances is not None and self.instances.best > 0)

    @property
    def refusal(self) -> str:
        """Why no mask decoder is written, and what to do; empty if one is."""
        return "" if self.best else refusal(self.epochs)

    @property
    def gain(self) -> float:
        """By how much the IoU after one click is higher than before."""
        return self.epochs[self.best].one_click_iou - self.epochs[0].one_click_iou


@dataclass(frozen=True)
class Reporting:
    """What is called while a model is trained; it may raise to stop."""

    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_instance_epoch: Callable[[InstanceEpoch], None] = lambda epoch: None
    on_progress: Callable[[str, float], None] = lambda step, share: None
    on_warning: Callable[[str], None] = lambda message: None


def train(
    job: TrainingJob, images: Sequence[LabeledImage], reporting: Reporting = Reporting()
) -> TrainingResult:
    """Fine-tune a model on labeled images, and write the best state if it beats the base.

    A run that was stopped goes on after its last finished epoch, with the same result as one that
    was not.

    Raises
    ------
    TrainingError
        If there are too few images, or a file is in the way.
    CheckpointError
        If a file cannot be written.
    """
    job.check()
    return _Run(job, images, reporting).result()


def split(
    images: Sequence[LabeledImage], settings: TrainingSettings
) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Return the images to learn from, and those to validate on.

    Raises
    ------
    TrainingError
        If there is only one image.
    """
    if len(images) < 2:
        raise TrainingError(
            "Training needs two labeled images or more, as it is validated on images that the "
            "model does not learn from: label another one."
        )
    order = np.random.default_rng(settings.seed).permutation(len(images))
    count = min(max(1, round(settings.validation_share * len(images))), len(images) - 1)
    validated = set(order[:count].tolist())
    return (
        [image for number, image in enumerate(images) if number not in validated],
        [image for number, image in enumerate(images) if number in validated],
    )


class _Run:
    """A training from its images to its result."""

    def __init__(
        self, job: TrainingJob, images: Sequence[LabeledImage], reporting: Reporting
    ) -> None:
        self._job, self._reporting = job, reporting
        self._learned, self._validated = split(images, job.settings)
        if job.overwrite:
            shutil.rmtree(job.folder, ignore_errors=True)
        self._state_file = job.folder / "state.pt"
        self._state = self._found_state()
        runtime, model = find_runtime(job.model), load_model(checkpoint=job.model.checkpoint)
        self._trainer = Trainer(model, job.settings, runtime.device, runtime.precision)
        self._before = self._trainer.weights()
        self._store = EmbeddingStore(job.folder / "embeddings", 2**60)
        self._validation = Validation.of(self._validated, job.settings.seed)
        self._best: dict[str, Any] = {}
        self._epochs: list[Epoch] = []

    def result(self) -> TrainingResult:
        """Train, and write what comes of it."""
        try:
            tiles = self._embedded_tiles()
            self._begin()
            while not self._is_over:
                self._train_epoch(tiles)
            result = self._finished()
        finally:
            self._store.flush()
            self._store.close()
        shutil.rmtree(self._job.folder, ignore_errors=True)
        return result

    def _found_state(self) -> dict[str, Any] | None:
        """Return the state of an earlier run with the same conditions, if there is one."""
        if not self._state_file.exists():
            return None
        state = read_state(self._state_file)
        if state.get("conditions") != self._job.conditions:
            raise TrainingError(
                f"{self._job.folder} holds a stopped training with other images, labels or "
                "settings: give those to go on, or overwrite it to begin anew."
            )
        return state

    def _embedded_tiles(self) -> list[TrainingTile]:
        """Return all tiles to learn from, embedded if that is of use."""
        embedder = self._embedder()
        tiles = self._tiles(embedder)
        if not tiles:
            raise TrainingError("All objects are too small to be learned from: enlarge the images.")
        if self._job.settings.adapters:
            return tiles  # they are embedded anew each time
        self._check_room(len(tiles) * embedder.spec.embedding_nbytes)
        if self._job.scheduler:
            self._embed_on_cluster()
        for number, tile in enumerate(tiles):
            self._reporting.on_progress("embedding", number / len(tiles))
            tile.embed()
            self._check_store()
        return tiles

    def _tiles(self, embedder: Embedder) -> list[TrainingTile]:
        planes = [plane for image in self._learned for plane in image.planes]
        return [
            tile
            for plane, chosen in zip(planes, self._chosen_objects(planes), strict=True)
            for tile in plan_tiles(plane, chosen, embedder)
        ]

    def _embed_on_cluster(self) -> None:
        """Have workers embed the tiles, from which the store keeps what they return."""
        from napari_sam.batch.cluster import ClusterEncoder, connected

        predictor, job = self._trainer.predictor(), self._job
        with connected(job.scheduler, self._reporting.on_warning) as client:
            encoder = ClusterEncoder(client, job.model, predictor)
            engine = Engine(encoder, predictor)
            tiles = self._tiles(Embedder(job.model, lambda *_: engine, self._store))
            pool = ThreadPoolExecutor(_ON_THEIR_WAY)
            try:
                for number, _ in enumerate(pool.map(lambda tile: tile.embed(), tiles)):
                    self._reporting.on_progress("embedding", number / len(tiles))
                    self._check_store()
            finally:  # those on their way end with the client
                pool.shutdown(wait=False, cancel_futures=True)

    def _check_store(self) -> None:
        if self._store.trouble:
            raise TrainingError(f"{self._store.trouble}. Free some space, then run it again.")

    def _check_room(self, needed_bytes: int) -> None:
        existing = next(p for p in (self._job.folder, *self._job.folder.parents) if p.exists())
        free = shutil.disk_usage(existing).free + self._store.usage().size_bytes
        if needed_bytes > free:
            raise TrainingError(
                f"The embeddings need {needed_bytes / _GIB:.1f} GiB in {existing}, where "
                f"{free / _GIB:.1f} GiB are free: free some space, or take fewer images."
            )

    def _chosen_objects(self, planes: Sequence[LabeledPlane]) -> list[list[int]]:
        """Choose objects of each plane: all, unless these are more than are visited."""
        settings = self._job.settings
        visited = settings.epochs * settings.objects_per_epoch
        rng = np.random.default_rng(settings.seed)
        most = max(1, math.ceil(visited / len(planes)))
        return [rng.permutation(len(plane.objects))[:most].tolist() for plane in planes]

    def _begin(self) -> None:
        """Go on from the state that was found, or validate the model as it is."""
        if self._state is None:
            self._epochs = [Epoch(0, _NO_LOSS, _NO_LOSS, *self._validate(), 0)]
        else:
            self._trainer.resume(self._state["trainer"])
            self._best = self._state["best"]
            self._epochs = [Epoch(*row) for row in self._state["epochs"]]
        for epoch in self._epochs:
            self._reporting.on_epoch(epoch)

    @property
    def _is_over(self) -> bool:
        done, settings = self._epochs[-1].number, self._job.settings
        return done >= settings.epochs or done - self._best_number >= settings.patience

    @property
    def _best_number(self) -> int:
        """The number of the best epoch; 0 if none is better than the model before training."""
        base = best = self._epochs[0]
        for epoch in self._epochs[1:]:
            if epoch.quality >= best.quality + _LEAST_GAIN and epoch.beats(base):
                best = epoch
        return best.number

    def _train_epoch(self, tiles: Sequence[TrainingTile]) -> None:
        number, began_s = len(self._epochs), time.perf_counter()

        def on_object(done: int, total: int) -> None:
            self._reporting.on_progress(f"epoch {number}", done / total)

        means = self._trainer.train(tiles, number - 1, on_object)
        ious = self._validate()
        epoch = Epoch(number, *means, *ious, time.perf_counter() - began_s)
        self._epochs.append(epoch)
        if self._best_number == number:
            self._best = self._trainer.weights()
        self._save()
        self._reporting.on_epoch(epoch)

    def _validate(self) -> tuple[float, float]:
        """Return the mean IoU of the model as it is now: after a click, and with a box."""
        embedder, report = self._embedder(), self._reporting.on_progress
        click = self._validation.mean_iou(
            embedder, one_click, lambda share: report("validating", share / 2)
        )
        box = self._validation.mean_iou(
            embedder, one_box, lambda share: report("validating", (1 + share) / 2)
        )
        return click, box

    def _embedder(self) -> Embedder:
        """Return what embeds and decodes with the model as it is now."""
        store = None if self._job.settings.adapters else self._store
        return Embedder(self._job.model, lambda *_: self._trainer.predictor(), store)

    def _save(self) -> None:
        self._job.folder.mkdir(parents=True, exist_ok=True)
        rows = [[*asdict(epoch).values()] for epoch in self._epochs]
        write_state(
            self._state_file,
            {
                "conditions": self._job.conditions,
                "trainer": self._trainer.state(),
                "best": self._best,
                "epochs": rows,
            },
        )
        table = [[*asdict(self._epochs[0])], *map(_shown, rows)]
        write_table(self._job.curves, table)

    def _finished(self) -> TrainingResult:
        """Train the instance decoder if that is wanted; write what is better than before."""
        best, instances, decoder = self._best_number, None, None
        self._trainer.use(self._best if best else self._before)
        if self._job.settings.instance_decoder:
            training = self._instance_training()
            instances = training.run(
                self._learned,
                self._validated,
                self._reporting.on_instance_epoch,
                self._reporting.on_progress,
            )
            decoder = training.weights or None
        result = TrainingResult(tuple(self._epochs), best, instances)
        if result.is_written:
            weights = self._trainer.published() if best else {}
            variant = write_trained(self._job.checkpoint, self._job.base, weights, decoder)
            card = TrainingCard(
                *(self._job.checkpoint.name, self._job.model.name, variant),
                *(self._learned, self._validated, self._job.settings),
                *(self._epochs[0], self._epochs[best], instances),
            )
            write_text(self._job.card, card.text)
        return result

    def _instance_training(self) -> InstanceTraining:
        """Return what trains an instance decoder for the model as it is now."""
        job, predictor = self._job, self._trainer.predictor
        return InstanceTraining(
            self._trainer,
            job.base,
            lambda: Embedder(job.model, lambda *_: predictor(), self._store),
            job.settings,
            job.folder / "instance_decoder.pt",
        )


def _shown(row: Sequence[float]) -> list[str]:
    """Return an epoch as cells of a table."""
    return ["" if math.isnan(value) else f"{value:.4g}" for value in row]
