"""Tell how much of the rest is found after ten accepted objects.

    python benchmarks/rest.py [--kind NAME ...] [--seed 1 2] [--accepted 10] [--presets NAME ...]
        [--likeness 0.4 ...]

Ten objects, in random order, are in the target as they are; the rest is found from these ("rest",
`session/automatic/rest.py`), of which masks of so much likeness are kept, and by automatic masks
outside of them, with presets. Prints, for each image, F1, precision and recall of the other objects
at an IoU of 0.5, F1 at 0.7, the mean IoU of those found at 0.5, and how long it took. Images as in
benchmarks/annotator.py. Of its nuclei, only thirty have labels: there, precision is that of masks
which overlap a labeled one.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
from annotator import made, order_of
from cells import KINDS
from numpy.typing import NDArray

from napari_sam.engine.automatic_presets import PRESETS
from napari_sam.session import ArrayPlane, Embedder, ImagePlane
from napari_sam.session.automatic.masks import choose_masks
from napari_sam.session.automatic.request import (
    AutomaticRequest,
    TileMasks,
    automatic_tiles,
    generate_tile_masks,
)
from napari_sam.session.automatic.rest import generate_rest
from napari_sam.session.automatic.settings import LEAST_LIKENESS, AutomaticRunSettings
from napari_sam.session.automatic.similarity import ExistingObjects

Mask = NDArray[np.bool_]
REST: Final = "rest"


class Scene(NamedTuple):
    """An image, of which some objects are accepted."""

    plane: ImagePlane
    labels: NDArray[Any]
    target: ArrayPlane
    left: list[int]  # the label_ids of the others
    is_partly_labeled: bool = False  # whether what has no label may be an object, too


def scene_of(kind: str, seed: int, n_accepted: int) -> Scene:
    """Return an image with some objects in its target."""
    image, labels = made(kind, seed)
    order = [int(label_id) for label_id in order_of(labels, "random", seed)]
    accepted = np.where(np.isin(labels, order[:n_accepted]), labels, 0).astype(np.uint16)
    plane = ImagePlane(image, is_rgb=image.ndim == 3)
    return Scene(plane, labels, ArrayPlane(accepted), order[n_accepted:], kind == "nuclei")


def generated(
    scene: Scene, embedder: Embedder, settings: AutomaticRunSettings, *, is_rest: bool
) -> list[TileMasks]:
    """Return the rest, or automatic masks where no object is accepted."""
    tiles = dict[int, TileMasks]()
    request = AutomaticRequest(
        scene.plane,
        automatic_tiles(scene.plane.pyramid(embedder.spec).whole),
        settings,
        existing=ExistingObjects(scene.target, ()),
        is_rest=is_rest,
    )

    def on_masks(number: int, _: float, masks: TileMasks | None) -> None:
        if masks is not None:
            tiles[number] = masks

    generate = generate_rest if is_rest else generate_tile_masks
    generate(request, embedder, lambda: None, on_masks)
    return list(tiles.values())


def offered(
    scene: Scene, embedder: Embedder, tiles: Sequence[TileMasks], settings: AutomaticRunSettings
) -> Iterator[Mask]:
    """Yield the masks that would be offered."""
    pyramid = scene.plane.pyramid(embedder.spec)
    for mask in choose_masks(tiles, pyramid, settings, None, scene.target):
        if not mask.is_background(pyramid.shape):
            yield mask.at(*map(np.arange, scene.labels.shape))


def found(
    masks: Sequence[Mask], scene: Scene, least_iou: float
) -> tuple[float, float, float, float]:
    """Return F1, precision, recall and the mean IoU; each mask and each object counts once."""
    areas = np.bincount(scene.labels.ravel())
    if scene.is_partly_labeled:
        masks = [mask for mask in masks if scene.labels[mask].any()]
    pairs = []
    for number, mask in enumerate(masks):
        common = np.bincount(scene.labels[mask], minlength=len(areas))
        ious = common / np.maximum(areas + np.count_nonzero(mask) - common, 1)
        pairs += [(ious[one], number, one) for one in scene.left if ious[one] >= least_iou]
    used: set[int] = set()
    hit: dict[int, float] = {}
    for iou, number, label_id in sorted(pairs, reverse=True):
        if number not in used and label_id not in hit:
            used.add(number)
            hit[label_id] = iou
    precision, recall = len(hit) / max(1, len(masks)), len(hit) / len(scene.left)
    f1 = 2 * len(hit) / max(1, len(masks) + len(scene.left))
    return f1, precision, recall, sum(hit.values()) / max(1, len(hit))


def main() -> None:
    """Print what is found on each image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ("coins", "nuclei", *KINDS)
    parser.add_argument("--kind", nargs="+", choices=kinds, default=tuple(KINDS))
    parser.add_argument("--seed", nargs="+", type=int, default=(1, 2))
    parser.add_argument("--accepted", type=int, default=10)
    names = [preset.name for preset in PRESETS]
    parser.add_argument("--likeness", nargs="+", type=float, default=(LEAST_LIKENESS,))
    parser.add_argument("--presets", nargs="*", choices=names, default=names)
    chosen = parser.parse_args()
    embedder = Embedder()
    embedder.load()
    kept = {
        f"{REST} {least:g}": AutomaticRunSettings(least_likeness=least) for least in chosen.likeness
    }
    ways = {REST: (AutomaticRunSettings(), kept)}
    for preset in PRESETS:
        if preset.name in chosen.presets:
            settings = AutomaticRunSettings.of_preset(preset)
            ways[preset.name] = settings, {preset.name: settings}
    numbers = "F1 .5  precision  recall  F1 .7    IoU  CPU s"
    print(f"{'image':14}{'seed':>5}  {'found by':14}  {numbers}")
    for kind, seed in product(chosen.kind, chosen.seed):
        scene = scene_of(kind, seed, chosen.accepted)
        for way, (settings, filters) in ways.items():
            began_s = time.process_time()
            tiles = generated(scene, embedder, settings, is_rest=way == REST)
            took_s = time.process_time() - began_s
            for name, kept_settings in filters.items():
                masks = list(offered(scene, embedder, tiles, kept_settings))
                f1, precision, recall, iou = found(masks, scene, 0.5)
                strict, *_ = found(masks, scene, 0.7)
                numbers = f"{f1:6.3f}{precision:11.3f}{recall:8.3f}{strict:7.3f}{iou:7.3f}"
                numbers += f"{took_s:7.1f}"
                print(f"{kind:14}{seed:5}  {name:14} {numbers}", flush=True)


if __name__ == "__main__":
    main()
