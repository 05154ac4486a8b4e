"""What a drawn outline and a scribble are worth, compared with a box and a click.

    python benchmarks/drawn_prompts.py [--objects N] [--json]

Draws around objects as a hand does: so many pixels too far out, and trembling; and along their
middle. Prints, per kind of image, the mean intersection over union of the preselected mask for the
box of the outline alone, for the outline itself, for a click in the middle, and for a scribble;
each of them is decoded as the session decodes it.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from annotator import coins
from cells import KINDS, cells
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure, morphology

from napari_sam.session import ImagePlane, ModelChoice, Outline, Prompts, Scribble
from napari_sam.session.batch_prompts.decode import BatchPrompt, decode_batch_prompts
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.models.model_choice import load_predictor

_MARGINS_PX: Final = (0, 3, 8)
_TREMBLE_PX: Final = 1.2
_SHOWN: Final = ("sparse", "touching", "low contrast", "mixed sizes", "with nuclei")
_SMALLEST_PX: Final = 60

Mask = NDArray[np.bool_]


def outline_around(mask: Mask, margin_px: int, rng: np.random.Generator) -> Outline:
    """Draw a polygon around a mask as a hand does."""
    padded = np.pad(mask, 30)
    grown = ndimage.binary_dilation(padded, iterations=margin_px) if margin_px else padded
    line = max(measure.find_contours(grown.astype(float), 0.5), key=len)
    count = max(8, min(24, len(line) // 6))
    line = line[np.linspace(0, len(line) - 1, count, endpoint=False).astype(int)]
    line = line + rng.normal(0, _TREMBLE_PX, line.shape) - 30
    return Outline(tuple((float(x), float(y)) for y, x in line))


def scribble_in(mask: Mask) -> Scribble:
    """Draw a line along the middle of a mask, from one end of it to the other."""
    skeleton = np.argwhere(morphology.skeletonize(mask))
    main = np.linalg.svd(skeleton - skeleton.mean(0))[2][0] if len(skeleton) > 2 else [1, 0]
    ordered = skeleton[np.argsort(skeleton @ main)][:: max(1, len(skeleton) // 10)]
    return Scribble(tuple((float(x), float(y)) for y, x in ordered))


def click_in(mask: Mask) -> Prompts:
    """Click where a mask is deepest."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    return Prompts(((float(x), float(y)),), (1,))


def overlaps(
    embedder: Embedder, plane: ImagePlane, masks: list[Mask], prompts: list[Prompts]
) -> NDArray[np.float64]:
    """Return the intersection over union of each mask with what its prompts find."""
    found = decode_batch_prompts(embedder, plane, [BatchPrompt(prompt) for prompt in prompts])
    values = np.zeros(len(masks))
    for result in found:
        made = np.zeros(plane.shape, bool)
        for part in result.masks:
            made[part.region] |= part.mask
        true = masks[result.index]
        values[result.index] = (made & true).sum() / (made | true).sum()
    return values


def rows(n_objects: int) -> Iterator[dict[str, Any]]:
    """Yield what was measured, image by image."""
    embedder = Embedder(ModelChoice(), load_predictor)
    images = {"coins": coins()} | {name: cells(KINDS[name], 3) for name in _SHOWN}
    for name, (image, labels) in images.items():
        rng = np.random.default_rng(0)
        plane = ImagePlane(image)
        masks = [labels == n for n in np.unique(labels) if n]
        masks = [mask for mask in masks if mask.sum() >= _SMALLEST_PX][:n_objects]
        row: dict[str, Any] = {"image": name, "objects": len(masks)}
        for margin in _MARGINS_PX:
            drawn = [Prompts(outline=outline_around(mask, margin, rng)) for mask in masks]
            boxes = [replace(prompt, outline=None) for prompt in drawn]
            row[f"box {margin}"] = float(overlaps(embedder, plane, masks, boxes).mean())
            row[f"outline {margin}"] = float(overlaps(embedder, plane, masks, drawn).mean())
        clicks = [click_in(mask) for mask in masks]
        lines = [Prompts(scribbles=(scribble_in(mask),)) for mask in masks]
        row["click"] = float(overlaps(embedder, plane, masks, clicks).mean())
        row["scribble"] = float(overlaps(embedder, plane, masks, lines).mean())
        yield row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=16, help="of each image, at most")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    for row in rows(options.objects):
        if options.json:
            print(json.dumps(row))
        else:
            print(
                *(f"{k} {v:.3f}" if isinstance(v, float) else f"{v}" for k, v in row.items()),
                sep="  ",
            )


if __name__ == "__main__":
    main()
