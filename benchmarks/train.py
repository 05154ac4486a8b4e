"""Fine-tune on made cells: how much better one click is on images that were held out.

    python benchmarks/train.py [--kind "only nuclei"] [--images 20] [--held-out 5] [--epochs 4]
        [--objects 150] [--adapters 0] [--test 0] [--json]

It writes images of benchmarks/cells.py and their labels as files, and trains the bundled model as
`napari-sam train` does; the held-out images are those that it validates on. With --test, as many
further images are made, which decide about nothing, and one click on each of their objects is
compared before and after. Prints IoU per epoch, and wall and CPU time.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from cells import KINDS, cells

from napari_sam.batch.labeled import LabeledImage, LabeledPlane, find_pairs, read_pairs
from napari_sam.batch.training import Reporting, TrainingJob, train
from napari_sam.batch.training_card import Epoch
from napari_sam.batch.validation import Validation
from napari_sam.cli.open_images import NapariOpener, hide_progress_of_napari
from napari_sam.engine.masks import tight_crop
from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.models.model_choice import ModelChoice

_TEST_SEED = 10_000


def write(folder: Path, kind: str, count: int) -> tuple[Path, Path]:
    """Write images and labels; return their folders."""
    images, labels = folder / "images", folder / "labels"
    images.mkdir()
    labels.mkdir()
    for seed in range(count):
        image, truth = cells(KINDS[kind], seed)
        tifffile.imwrite(images / f"cells_{seed:03}.tif", image)
        tifffile.imwrite(labels / f"cells_{seed:03}.tif", truth.astype(np.uint16))
    return images, labels


def tested(kind: str, count: int, checkpoint: Path | None) -> float:
    """Return the mean IoU of one click on further images."""
    images = []
    for seed in range(_TEST_SEED, _TEST_SEED + count):
        image, truth = cells(KINDS[kind], seed)
        masks = tuple(tight_crop(truth == n) for n in np.unique(truth)[1:])
        images.append(LabeledImage(str(seed), (LabeledPlane(ImagePlane(image), masks),)))
    name = "mobile_sam" if checkpoint is None else checkpoint.name
    return Validation.of(images, 0).mean_iou(Embedder(ModelChoice().with_weights(name, checkpoint)))


def measured(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train, and return what came of it."""
    images, labels = write(folder, chosen.kind, chosen.images)
    pairs = find_pairs(str(images), str(labels))
    settings = TrainingSettings(
        epochs=chosen.epochs,
        objects_per_epoch=chosen.objects,
        learning_rate=chosen.learning_rate,
        adapters=chosen.adapters,
        validation_share=chosen.held_out / chosen.images,
    )
    job = TrainingJob(folder / "cells.pt", ModelChoice(device="cpu"), settings)

    def show(epoch: Epoch) -> None:
        if not chosen.json:
            print({key: round(value, 3) for key, value in asdict(epoch).items()}, flush=True)

    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    result = train(job, read_pairs(pairs, NapariOpener()), Reporting(show))
    numbers: dict[str, Any] = {
        "kind": chosen.kind,
        "before": result.epochs[0].one_click_iou,
        "after": result.epochs[result.best].one_click_iou,
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
    }
    if chosen.test:
        numbers["test before"] = tested(chosen.kind, chosen.test, None)
        trained = job.checkpoint if result.is_written else None
        numbers["test after"] = tested(chosen.kind, chosen.test, trained)
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
    parser.add_argument("--test", type=int, default=0, help="further images")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    hide_progress_of_napari()
    with tempfile.TemporaryDirectory() as folder:
        numbers = measured(chosen, Path(folder))
    print(json.dumps(numbers) if chosen.json else numbers)


if __name__ == "__main__":
    main()
