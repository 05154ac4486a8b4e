"""Time automatic mask generation on a whole image, and tell what it takes of memory.

Run by hand:  python benchmarks/automatic.py [--bfloat16] [--goldens FOLDER]

Prints the time from the image to the masks with the published defaults, the time of all cores
together, which other programs on the machine disturb less, and the most memory that the process
has had in use by then; then the times of several grids on an image that is encoded already, which
grow with the number of points. With a folder of golden outputs (`automatic_masks.json`), also
how many of the golden masks were found again.
"""

import argparse
import json
import time
from pathlib import Path

from napari_sam.model import Predictor, SamEmbedding, load_model

# isort: split
import numpy as np
import skimage.data
import torch

from napari_sam.bench.memory import peak_bytes
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.model.automatic.generate import generate_masks, generate_published
from napari_sam.model.automatic.mask_ops import RunLengths

GIB = 2**30


def rgb(name: str) -> np.ndarray:
    """Return one of scikit-image's images as (H, W, 3) uint8."""
    image = getattr(skimage.data, name)()
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def time_grid(
    predictor: Predictor,
    image: np.ndarray,
    points_per_side: int,
    embedding: SamEmbedding | None = None,
) -> None:
    """Print how long one grid takes, with the encoding if there is no embedding yet."""
    settings = AutomaticSettings(points_per_side=points_per_side)
    start_s, processor_start_s = time.perf_counter(), time.process_time()
    found = generate_masks(predictor, image, settings, embedding=embedding)
    found_s = time.perf_counter()
    count = len(found.select())
    end_s = time.perf_counter()
    processor_s = time.process_time() - processor_start_s
    points = points_per_side**2
    print(
        f"{points_per_side:3} x {points_per_side:<3}{'' if embedding else 'and encoding '}"
        f"{end_s - start_s:6.2f} s, {1e3 * (end_s - start_s) / points:5.1f} ms per point; "
        f"{processor_s:5.1f} s of processor time, {1e3 * processor_s / points:5.1f} ms per point; "
        f"{len(found.masks)} masks found, {count} chosen in {1e3 * (end_s - found_s):.0f} ms; "
        f"peak {peak_bytes() / GIB:.2f} GiB so far"
    )


def compare(predictor: Predictor, path: Path) -> None:
    """Print how many golden masks are found again, at an IoU of 0.95 and scores within 0.01."""
    for name, golden in json.loads(path.read_text()).items():
        image = rgb(golden["image"].removeprefix("skimage.data."))
        masks = generate_published(predictor, image, AutomaticSettings(**golden["settings"]))
        nearest = [_nearest(masks, other) for other in golden["masks"]]
        found = [iou >= 0.95 and error <= 0.01 for iou, error in nearest]
        print(
            f"{name}: {len(masks)} masks, {len(found)} golden; {sum(found)} of these found again "
            f"({np.mean(found):.1%}), lowest IoU {min(nearest)[0]:.4f}, "
            f"largest difference of a score {max(error for _, error in nearest):.4f}"
        )


def _nearest(masks: list[dict], other: dict) -> tuple[float, float]:
    """Return the IoU with the most similar mask, and the larger difference of a score."""
    encoded = other["segmentation"]
    expected = RunLengths(np.array(encoded["counts"]), tuple(encoded["size"])).mask()
    common = [np.count_nonzero(expected & mask["segmentation"]) for mask in masks]
    areas = [mask["area"] for mask in masks]
    ious = np.array(common) / (np.array(areas) + other["area"] - common)
    mask = masks[int(ious.argmax())]
    names = "predicted_iou", "stability_score"
    return float(ious.max()), max(abs(mask[name] - other[name]) for name in names)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--goldens", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    precision = "bfloat16" if arguments.bfloat16 else "float32"
    predictor = Predictor(load_model(), device="cpu", precision=precision)
    image = rgb("coins")
    print(f"coins, {image.shape[:2]}, {precision}, {torch.get_num_threads()} threads")
    # First: what comes later must not count for its memory.
    time_grid(predictor, image, 32)
    embedding = predictor.encode(image)
    for points_per_side in (8, 16, 24, 32):
        time_grid(predictor, image, points_per_side, embedding)
    if arguments.goldens:
        compare(predictor, arguments.goldens / "automatic_masks.json")


if __name__ == "__main__":
    main()
