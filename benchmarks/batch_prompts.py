"""How much faster are many boxes together than one by one, as the session decodes them.

    python benchmarks/batch_prompts.py [--boxes N] [--side PX] [--device NAME] [--json]

Draws cells on an image of that side, makes a box around each, embeds, and prints the milliseconds
per box for both ways, with everything that belongs to an object (masks, scores, traits, ranking,
packing), their ratio, how many tiles were embedded and how long that took.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
from cells import KINDS, SIDE_PX, cells
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import ImagePlane, ModelChoice, Prompts
from napari_sam.session.batch_prompts.decode import BatchPrompt, decode_batch_prompts
from napari_sam.session.decoding.candidates import decode
from napari_sam.session.decoding.tile_choice import initial_tile
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.models.model_choice import load_predictor


def field(side_px: int) -> tuple[NDArray[np.uint8], list[tuple[float, float, float, float]]]:
    """Draw cells side by side; return the image and a box x0, y0, x1, y1 around each."""
    count = -(-side_px // SIDE_PX)
    image = np.zeros((count * SIDE_PX, count * SIDE_PX), np.uint8)
    boxes = []
    for n in range(count * count):
        top, left = n // count * SIDE_PX, n % count * SIDE_PX
        part, labels = cells(KINDS["sparse"], n)
        image[top : top + SIDE_PX, left : left + SIDE_PX] = part
        for rows, columns in ndimage.find_objects(labels):
            x0, y0 = left + columns.start - 1.5, top + rows.start - 1.5
            boxes.append((x0, y0, left + columns.stop + 0.5, top + rows.stop + 0.5))
    return image, boxes


def measure(n_boxes: int, side_px: int, device: str) -> dict[str, Any]:
    """Measure both ways; return what is printed."""
    image, boxes = field(side_px)
    plane = ImagePlane(image)
    prompts = [Prompts(box_xyxy=boxes[n % len(boxes)]) for n in range(n_boxes)]
    wanted = [BatchPrompt(prompt) for prompt in prompts]
    embedder = Embedder(ModelChoice(device=device), load_predictor)
    embedder.load()
    embedder.load().decoder.warm_up()
    start_s = time.perf_counter()
    found = decode_batch_prompts(embedder, plane, wanted)
    first_s = time.perf_counter() - start_s
    start_s = time.perf_counter()
    decode_batch_prompts(embedder, plane, wanted)  # the embeddings are in memory now
    together_s = time.perf_counter() - start_s
    whole = plane.pyramid(SAM_SPEC).whole
    alone_s = []
    for prompt in prompts[: min(n_boxes, 100)]:
        tile = initial_tile(plane.pyramid(SAM_SPEC), prompt, whole, None)
        embedded = embedder.find(plane, tile) or embedder.find(plane, found[0].state.tile)
        start_s = time.perf_counter()
        candidates = decode(embedded, prompt, prompt, None, None)
        list(candidates.blocks(candidates.best))
        alone_s.append(time.perf_counter() - start_s)
    per_box_s, single_s = together_s / n_boxes, float(np.median(alone_s))
    return {
        "boxes": n_boxes,
        "found": len(found),
        "image_px": image.shape[0],
        "tiles": len({result.state.tile for result in found if result.state is not None}),
        "device": device,
        "first_run_s": first_s,
        "together_ms_per_box": 1000 * per_box_s,
        "alone_ms_per_box": 1000 * single_s,
        "ratio": single_s / per_box_s,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boxes", type=int, default=300)
    parser.add_argument("--side", type=int, default=512, help="of the image in pixels")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    row = measure(options.boxes, options.side, options.device)
    if options.json:
        print(json.dumps(row))
    else:
        print(
            "\n".join(
                f"{k:20} {v:.2f}" if isinstance(v, float) else f"{k:20} {v}" for k, v in row.items()
            )
        )


if __name__ == "__main__":
    main()
