"""How large must the model see an object? One click each, at several enlargements.

    python benchmarks/enlargement.py [--json]

The coins of scikit-image, and synthetic nuclei, made smaller so that objects are some 6 to 40
pixels wide. Each is embedded in its own size, surrounded by its mean up to the model's input; as
published, the whole image enlarged to the model's input; and in tiles of 512, 256 and 128 pixels
around the object, enlarged. Prints the mean intersection over union of the mask with the highest
predicted score, and of the best of the three.
"""

import argparse
import json
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import data, filters, measure, morphology, transform

from napari_sam.model import Predictor, load_model

SIDE = 1024
MAX_OBJECTS = 12


def coins() -> tuple[np.ndarray, np.ndarray]:
    """Return the coins and their labels, from thresholding."""
    image = data.coins()
    mask = morphology.closing(image > filters.threshold_otsu(image), morphology.disk(4))
    mask = ndimage.binary_fill_holes(morphology.opening(mask, morphology.disk(5)))
    return image, measure.label(mask)


def nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Return round bright spots of several sizes on a dark, noisy background, and their labels."""
    rng = np.random.default_rng(1)
    image, labels = rng.normal(30, 6, (400, 400)), np.zeros((400, 400), int)
    y, x = np.ogrid[:400, :400]
    for number in range(1, 60):
        row, column = rng.integers(25, 375, 2)
        a, b = rng.uniform(10, 22, 2)
        inside = ((y - row) / a) ** 2 + ((x - column) / b) ** 2 <= 1
        if not labels[ndimage.binary_dilation(inside, iterations=3)].any():
            labels[inside] = number
            image[inside] += rng.uniform(60, 120)
    image = filters.gaussian(image, 1.5, preserve_range=True)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def smaller(image: np.ndarray, labels: np.ndarray, factor: float) -> tuple[Any, Any]:
    """Return image and labels at a fraction of their size."""
    shape = tuple(round(n * factor) for n in image.shape)
    image = transform.resize(image, shape, anti_aliasing=True, preserve_range=True)
    return image.astype(np.uint8), transform.resize(
        labels, shape, order=0, anti_aliasing=False, preserve_range=True
    ).astype(int)


def window(image: np.ndarray, row: int, column: int, side: int) -> tuple[np.ndarray, int, int]:
    """Cut a square out of an image, as near to a place as the image's borders allow."""
    starts = [
        int(np.clip(place - side // 2, 0, max(0, length - side)))
        for place, length in zip((row, column), image.shape, strict=True)
    ]
    region = tuple(slice(start, start + side) for start in starts)
    return image[region], *starts


def overlaps(
    predictor: Predictor, embedding: Any, click_xy: tuple[float, float], true: np.ndarray
) -> tuple[float, float]:
    """Return the intersection over union of the preselected mask and of the best of three."""
    prediction = predictor.decode(embedding, [click_xy], [1])
    masks = prediction.masks[:, : true.shape[0], : true.shape[1]]
    ious = [np.count_nonzero(m & true) / np.count_nonzero(m | true) for m in masks]
    return ious[int(np.argmax(prediction.iou_predictions))], max(ious)


def measure_image(predictor: Predictor, image: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the mean overlaps of each way of embedding."""

    def encode(pixels: np.ndarray) -> Any:
        return predictor.encode(np.repeat(pixels[..., None], 3, axis=2))

    padded = np.full((SIDE, SIDE), int(image.mean()), np.uint8)
    padded[: image.shape[0], : image.shape[1]] = image
    whole = {"own size": encode(padded), "published": encode(image)}
    results: dict[str, list[tuple[float, float]]] = {}
    widths = []
    for region in measure.regionprops(labels)[:MAX_OBJECTS]:
        true = labels == region.label
        distance = ndimage.distance_transform_edt(np.pad(true, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(distance.argmax(), true.shape)
        widths.append(region.equivalent_diameter_area)
        for name, embedding in whole.items():
            found = overlaps(predictor, embedding, (column, row), true)
            results.setdefault(name, []).append(found)
        for side in (512, 256, 128):
            if side < max(image.shape):
                part, top, left = window(image, row, column, side)
                inside = true[top : top + part.shape[0], left : left + part.shape[1]]
                click = column - left, row - top
                found = overlaps(predictor, encode(part), click, inside)
                results.setdefault(f"tile {side}", []).append(found)
    means = {name: np.mean(found, axis=0).round(3).tolist() for name, found in results.items()}
    return {"width_px": float(np.median(widths)), "objects": len(widths), "iou": means}


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    predictor = Predictor(load_model())
    rows = []
    for name, (image, labels) in {"coins": coins(), "nuclei": nuclei()}.items():
        for factor in (1, 0.5, 0.25):
            row = measure_image(predictor, *smaller(image, labels, factor))
            rows.append({"image": name, "factor": factor, **row})
            if not options.json:
                print(f"{name} x {factor}: {row['objects']} objects {row['width_px']:.0f} px wide")
                for way, (first, best) in row["iou"].items():
                    print(f"    {way:10} highest score {first:.2f}   best of three {best:.2f}")
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
