"""Measure how well objects are carried through volumes, from one and from three true slices.

    python benchmarks/volumes.py [IMAGE LABELS] [--objects N] [--seed S] [--json]

Without IMAGE and LABELS (stacks as TIFF): the volumes of benchmarks/volumes_made.py, of which the
truth is known. An object starts from its true mask on the middle slice; and then from those at 15,
50 and 85 % of its extent. Prints, per volume, the mean 3-D intersection over union of both, the
share of objects of 0.7 or more, by how many slices objects went too far and ended too soon, and the
processor time a slice, without the time to embed it.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray
from volumes_made import KINDS

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.model import Predictor, load_model
from napari_sam.session import ImagePlane, ModelChoice, Projection, propagate
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


def carried(planes: list[ImagePlane], true: Mask, places: list[int], embedder: Embedder) -> Mask:
    """Return an object carried through a stack from its true masks on some slices."""
    result = np.zeros_like(true)
    annotated = {index: tight_crop(true[index]) for index in places}
    for index, crop in annotated.items():
        paint(result[index], crop)
    for found in propagate(planes, annotated, Projection(embedder)):
        paint(result[found.slice_index], found.crop)
    return result


def paint(plane: Mask, crop: MaskCrop) -> None:
    """Add a mask to a plane."""
    height, width = crop.mask.shape
    plane[crop.top : crop.top + height, crop.left : crop.left + width] |= crop.mask


def extent(mask: Mask) -> tuple[int, int]:
    """Return the first and the last slice of an object."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    return int(slices[0]), int(slices[-1])


def measure(image: NDArray[Any], labels: NDArray[Any], count: int) -> dict[str, float]:
    """Carry objects of a volume through it."""
    planes, embedder = [ImagePlane(pixels) for pixels in image], TimedEmbedder()
    rows, slices, start_s = [], 0, time.process_time()
    for label in np.unique(labels)[1:]:
        true = labels == label
        first, last = extent(true)
        if last - first + 1 < LEAST_SLICES or len(rows) == count:
            continue
        ious = []
        for shares in PLACES:
            present = np.flatnonzero(true.any(axis=(1, 2)))
            places = [int(present[round(share * (len(present) - 1))]) for share in shares]
            result = carried(planes, true, places, embedder)
            ious.append(np.count_nonzero(result & true) / np.count_nonzero(result | true))
            if len(shares) == 1:
                begin, end = extent(result)
            slices += np.count_nonzero(result.any(axis=(1, 2)))
        over = max(0, first - begin) + max(0, end - last)
        under = max(0, begin - first) + max(0, last - end)
        rows.append((*ious, ious[0] >= GOOD_IOU, over, under))
    spent_s = time.process_time() - start_s - embedder.spent_s
    names = "IoU", "IoU of three", "share >= 0.7", "too far", "too short"
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
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if len(arguments.files) not in (0, 2):
        parser.error("give both IMAGE and LABELS, or neither")
    for name, image, labels in volumes(arguments):
        row = measure(image, labels, arguments.objects)
        if arguments.json:
            print(json.dumps({"volume": name, **row}), flush=True)
        else:
            columns = "   ".join(f"{column} {value:.3g}" for column, value in row.items())
            print(f"{name:18}{columns}", flush=True)


if __name__ == "__main__":
    main()
