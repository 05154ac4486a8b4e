"""Segment bright spots in all images of a folder, without a window.

    python examples/segment_folder.py IMAGES RESULTS

Seeds come from a threshold; each becomes one object, cut out by the model. For each image there is
a label image and a COCO file.
"""

import argparse
from pathlib import Path

import numpy as np
from skimage import filters, io, measure

from napari_sam.formats import Annotations, ImageInfo, find_format, objects_from_labels
from napari_sam.session import BatchPrompt, Embedder, ImagePlane, Prompts, decode_batch_prompts

LEAST_AREA_PX = 30


def seeds_of(image: np.ndarray) -> list[Prompts]:
    """Return one click in each bright spot."""
    gray = image if image.ndim == 2 else image.mean(axis=-1)
    smooth = filters.gaussian(gray, 2)
    spots = measure.regionprops(measure.label(smooth > filters.threshold_otsu(smooth)))
    places = [spot.centroid for spot in spots if spot.area >= LEAST_AREA_PX]
    return [Prompts(points_xy=((x, y),), point_labels=(1,)) for y, x in places]


def segment(image: np.ndarray, embedder: Embedder) -> np.ndarray:
    """Return the label image: 0 for the background, 1 and so on for the objects."""
    prompts = [BatchPrompt(seed) for seed in seeds_of(image)]
    plane = ImagePlane(image, is_rgb=image.ndim == 3)
    labels = np.zeros(image.shape[:2], np.uint16)
    results = decode_batch_prompts(embedder, plane, prompts)
    # The best ones last, so that they keep their pixels.
    for result in sorted(results, key=lambda result: result.predicted_iou):
        for part in result.masks:
            top, left = part.start
            height, width = part.mask.shape
            labels[top : top + height, left : left + width][part.mask] = result.index + 1
    return labels


def main(arguments: list[str] | None = None) -> None:
    """Go through the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("results", type=Path)
    folders = parser.parse_args(arguments)
    folders.results.mkdir(parents=True, exist_ok=True)
    embedder = Embedder()  # the bundled model, on the best device
    for path in sorted(folders.images.iterdir()):
        labels = segment(io.imread(path), embedder)
        objects = objects_from_labels(labels)
        annotations = Annotations(ImageInfo(labels.shape, path.name), objects)
        for key in ("tiff", "coco"):
            target = find_format(key)
            target.write(folders.results / (path.stem + target.suffixes[0]), annotations)
        print(f"{path.name}: {len(objects)} objects")


if __name__ == "__main__":
    main()
