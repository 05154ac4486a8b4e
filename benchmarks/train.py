"""Fine-tune on synthetic cells: how much better one click is on images that were held out.

    python benchmarks/train.py [--kind "only nuclei"] [--images 20] [--held-out 5] [--epochs 4]
        [--objects 150] [--adapters 0] [--device cpu] [--float32] [--test 0] [--json]

Trains the bundled model on images of benchmarks/cells.py as `napari-sam train` does; the held-out
images are those that it validates on. With --test, as many further images are made, which decide
about nothing, and one click on each of their objects is compared before and after. Prints IoU and
seconds per epoch, wall and CPU time, and on an NVIDIA GPU the peak of its memory. A GPU computes
the image encoder in mixed precision where it learns, too (--adapters), unless --float32 is given.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cells import KINDS, cells

from napari_sam.batch.labeled import LabeledImage, LabeledPlane
from napari_sam.batch.training import Reporting, TrainingJob, train
from napari_sam.batch.training_card import Epoch
from napari_sam.batch.validation import Validation
from napari_sam.engine.masks import tight_crop
from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.models.model_choice import ModelChoice

_TEST_SEED = 10_000


def made(kind: str, seeds: Iterable[int]) -> list[LabeledImage]:
    """Return images with the objects in them."""
    images = []
    for seed in seeds:
        image, truth = cells(KINDS[kind], seed)
        masks = tuple(tight_crop(truth == n) for n in np.unique(truth)[1:])
        plane = LabeledPlane(ImagePlane(image), masks, (None,) * len(masks))
        images.append(LabeledImage(f"cells_{seed:03}", (plane,)))
    return images


def tested(images: list[LabeledImage], choice: ModelChoice, checkpoint: Path | None) -> float:
    """Return the mean IoU of one click."""
    name = "mobile_sam" if checkpoint is None else checkpoint.name
    return Validation.of(images, 0).mean_iou(Embedder(choice.with_weights(name, checkpoint)))


def measured(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train, and return what came of it."""
    settings = TrainingSettings(
        epochs=chosen.epochs,
        objects_per_epoch=chosen.objects,
        learning_rate=chosen.learning_rate,
        adapters=chosen.adapters,
        validation_share=chosen.held_out / chosen.images,
    )
    choice = ModelChoice(device=chosen.device, exact=True if chosen.float32 else None)
    job = TrainingJob(folder / "cells.pt", choice, settings)

    def show(epoch: Epoch) -> None:
        if not chosen.json:
            print({key: round(value, 3) for key, value in asdict(epoch).items()}, flush=True)

    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    result = train(job, made(chosen.kind, range(chosen.images)), Reporting(show))
    numbers: dict[str, Any] = {
        "kind": chosen.kind,
        "before": result.epochs[0].one_click_iou,
        "after": result.epochs[result.best].one_click_iou,
        "s/epoch": float(np.mean([epoch.seconds for epoch in result.epochs[1:]])),
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
    }
    if chosen.device.startswith("cuda"):
        numbers["peak GPU MiB"] = torch.cuda.max_memory_allocated(chosen.device) / 2**20
    if chosen.test:
        images = made(chosen.kind, range(_TEST_SEED, _TEST_SEED + chosen.test))
        trained = job.checkpoint if result.is_written else None
        numbers["test before"] = tested(images, choice, None)
        numbers["test after"] = tested(images, choice, trained)
    return numbers


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="only nuclei")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--held-out", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--objects", type=int, default=150, help="in each epoch")
    parser.add_argument("--learning-rate", type=float, default=TrainingSettings.learning_rate)
    parser.add_argument("--adapters", type=int, default=0, help="their rank")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="compute in float32 alone")
    parser.add_argument("--test", type=int, default=0, help="further images")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = measured(chosen, Path(folder))
    print(json.dumps(numbers) if chosen.json else numbers)


if __name__ == "__main__":
    main()
