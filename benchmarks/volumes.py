"""Measure how well objects are carried through volumes, from one and from three true slices.

    python benchmarks/volumes.py [IMAGE LABELS] [--objects N] [--seed S] [--clicks] [--json]

Without IMAGE and LABELS (stacks as TIFF): the volumes of benchmarks/volumes_made.py, of which the
truth is known. An object starts from its true mask on the middle slice; and then from those at 15,
50 and 85 % of its extent. With --clicks also from one click where it is deepest on the middle
slice: from the mask that is preselected, and from the best of the three. Prints, per volume, the
share of objects of 0.7 or more, by how many slices objects went too far and ended too soon, the
mean 3-D intersection over union of each start, and the processor time a slice, without the time to
embed it.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from annotator import deepest
from numpy.typing import NDArray
from volumes_made import KINDS

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.model import Predictor, load_model
from napari_sam.session import (
    FOREGROUND,
    ImagePlane,
    ModelChoice,
    Projection,
    Prompts,
    propagate,
)
from napari_sam.session.decoding.segment import segment, whole_crop
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.tiles import Tile

LEAST_SLICES: Final = 6
GOOD_IOU: Final = 0.7
PLACES: Final = ((0.5,), (0.15, 0.5, 0.85))

Mask = NDArray[np.bool_]


class TimedEmbedder(Embedder):
    """Keeps every embedding, and notes the processor time that they took."""

    def __init__(self) -> None:
        model = Predictor(load_model())
        super().__init__(ModelChoice(), lambda *_: model)
        self.spent_s = 0.0
        self._kept: dict[tuple[int, Tile], EmbeddedTile] = {}

    def embed(self, plane: ImagePlane, tile: Tile, *_: Any) -> EmbeddedTile:
        """Embed a tile, or remember it."""
        start_s, key = time.process_time(), (id(plane), tile)
        if key not in self._kept:
            self._kept[key] = super().embed(plane, tile)
        self.spent_s += time.process_time() - start_s
        return self._kept[key]


def carried(planes: list[ImagePlane], annotated: dict[int, MaskCrop], embedder: Embedder) -> Mask:
    """Return an object carried through a stack from its masks on some slices."""
    result = np.zeros((len(planes), *planes[0].shape), bool)
    for index, crop in annotated.items():
        paint(result[index], crop)
    for found in propagate(planes, annotated, Projection(embedder)):
        paint(result[found.slice_index], found.crop)
    return result


def clicked(plane: ImagePlane, true: Mask, embedder: Embedder) -> list[MaskCrop]:
    """Return the masks of a click where an object is deepest: the preselected, the best."""
    pyramid = plane.pyramid(embedder.load().encoder.spec)
    click = Prompts((deepest(true),), (FOREGROUND,))
    candidates = segment(lambda tile: embedder.embed(plane, tile), pyramid, click)
    crops = [whole_crop(candidates, index) for index in range(len(candidates))]
    ious = [iou(crop.within(0, 0, true.shape), true) for crop in crops]
    return [crops[candidates.best], crops[int(np.argmax(ious))]]


def iou(mask: Mask, true: Mask) -> float:
    """Return the intersection over union."""
    return np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true))


def paint(plane: Mask, crop: MaskCrop) -> None:
    """Add a mask to a plane."""
    height, width = crop.mask.shape
    plane[crop.top : crop.top + height, crop.left : crop.left + width] |= crop.mask


def extent(mask: Mask) -> tuple[int, int]:
    """Return the first and the last slice of an object."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    return int(slices[0]), int(slices[-1])


def measure(
    image: NDArray[Any], labels: NDArray[Any], count: int, *, with_clicks: bool = False
) -> dict[str, float]:
    """Carry objects of a volume through it."""
    planes, embedder = [ImagePlane(pixels) for pixels in image], TimedEmbedder()
    rows, slices, start_s = [], 0, time.process_time()
    for label in np.unique(labels)[1:]:
        true = labels == label
        first, last = extent(true)
        if last - first + 1 < LEAST_SLICES or len(rows) == count:
            continue
        present = np.flatnonzero(true.any(axis=(1, 2)))
        starts = [
            {n: tight_crop(true[n]) for n in (present[round(s * (len(present) - 1))] for s in of)}
            for of in PLACES
        ]
        if with_clicks:
            (middle,) = starts[0]
            masks = clicked(planes[middle], true[middle], embedder)
            starts += [{middle: mask} for mask in masks]
        results = [carried(planes, start, embedder) for start in starts]
        ious = [iou(result, true) for result in results]
        begin, end = extent(results[0])
        slices += sum(np.count_nonzero(result.any(axis=(1, 2))) for result in results)
        over = max(0, first - begin) + max(0, end - last)
        under = max(0, begin - first) + max(0, last - end)
        rows.append((ious[0] >= GOOD_IOU, over, under, *ious))
    spent_s = time.process_time() - start_s - embedder.spent_s
    names = ["share >= 0.7", "too far", "too short", "IoU", "IoU of three"]
    names += ["IoU of a click", "IoU of its best mask"] if with_clicks else []
    means = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    return {"objects": len(rows), **means, "s a slice": spent_s / max(1, slices)}


def volumes(arguments: argparse.Namespace) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Yield a name, an image and labels for each volume to measure."""
    if arguments.files:
        image, labels = arguments.files
        yield image.name, tifffile.imread(image), tifffile.imread(labels)
        return
    for name, make in KINDS.items():
        yield name, *make(arguments.seed)


def main() -> None:
    """Print one line per volume."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="IMAGE LABELS")
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clicks", action="store_true", help="start from clicks, too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if len(arguments.files) not in (0, 2):
        parser.error("give both IMAGE and LABELS, or neither")
    for name, image, labels in volumes(arguments):
        row = measure(image, labels, arguments.objects, with_clicks=arguments.clicks)
        if arguments.json:
            print(json.dumps({"volume": name, **row}), flush=True)
        else:
            columns = "   ".join(f"{column} {value:.3g}" for column, value in row.items())
            print(f"{name:18}{columns}", flush=True)


if __name__ == "__main__":
    main()
