"""Tell two kinds of cells apart by examples: predicted classes, and masks like these.

    python benchmarks/kinds.py [--seeds N] [--draws N]

Synthetic cells of tests/two_kinds.py, alike in size and brightness. For predicted classes, 15 true
outlines of each kind have their class; prints the share of the others with theirs. For likeness,
ten of one kind are examples, and the candidates are automatic masks (24 x 24 points); prints the
average precision at an overlap of 0.5, and how many of the first ten are of the other kind. Each is
repeated with other examples: the mean, and the worst draw.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from napari_sam.engine.masks import tight_crop
from napari_sam.session import Embedder, ImagePlane
from napari_sam.session.automatic.likeness import likeness_of
from napari_sam.session.automatic.masks import AutomaticMask, choose_masks
from napari_sam.session.automatic.request import AutomaticRequest, generate_tile_masks
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.embedding.pooling import grid_of
from napari_sam.session.objects.features import ObjectFeatures, SeenTile, features_of
from napari_sam.session.predicted_classes.classifier import predict_classes
from tests.two_kinds import KINDS, two_kinds

N_EACH: Final = 35
SHAPE: Final = (420, 420)
CLASSED, EXAMPLES = 15, 10


class Found(NamedTuple):
    """An automatic mask, and the object that it is of, if it is of one."""

    features: ObjectFeatures
    label_id: int | None


class Scene(NamedTuple):
    """An image of cells, measured."""

    kinds: dict[int, str]
    true: dict[int, ObjectFeatures]
    found: list[Found]


def measured(seed: int, embedder: Embedder) -> Scene:
    """Make an image, find its automatic masks, and measure them and the true outlines."""
    image, labels, kinds = two_kinds(N_EACH, SHAPE, seed=seed)
    plane = ImagePlane(image)
    embedder.load()
    pyramid = plane.pyramid(embedder.spec)
    embedded = embedder.embed(plane, pyramid.whole)
    pixels = plane.read(embedder.spec.input_side, pyramid.whole)
    seen = SeenTile(pyramid.whole, grid_of(embedded), pixels)
    true = {label_id: features_of(tight_crop(labels == label_id), seen) for label_id in kinds}
    settings = AutomaticRunSettings().with_values(points_per_side=24)
    tiles: dict[int, Any] = {}
    generate_tile_masks(
        AutomaticRequest(plane, (pyramid.whole,), settings),
        embedder,
        lambda: None,
        lambda number, _, masks: tiles.update({number: masks}),
    )
    masks = choose_masks(list(tiles.values()), pyramid, settings)
    objects = [mask for mask in masks if not mask.is_background(pyramid.shape)]
    return Scene(kinds, true, [_found(mask, labels, seen) for mask in objects])


def _found(mask: AutomaticMask, labels: NDArray[np.uint16], seen: SeenTile) -> Found:
    inside = mask.at(*(np.arange(length) for length in labels.shape))
    label_id = int(np.bincount(labels[inside], minlength=2)[1:].argmax()) + 1
    own = labels == label_id
    iou = np.count_nonzero(inside & own) / np.count_nonzero(inside | own)
    return Found(features_of(tight_crop(inside), seen), label_id if iou >= 0.5 else None)


def accuracy(scene: Scene, rng: np.random.Generator) -> float:
    """Return the share of objects whose class is predicted right."""
    known = [n for kind in KINDS for n in drawn(scene, kind, CLASSED, rng)]
    others = [label_id for label_id in scene.kinds if label_id not in known]
    predicted = predict_classes(
        [scene.true[n] for n in known],
        [scene.kinds[n] for n in known],
        [scene.true[n] for n in others],
    )
    pairs = zip(predicted, others, strict=True)
    return float(np.mean([one.name == scene.kinds[n] for one, n in pairs]))


def ranking(scene: Scene, kind: str, rng: np.random.Generator) -> tuple[float, int]:
    """Return the average precision, and how many of the first ten are of the other kind."""
    examples = drawn(scene, kind, EXAMPLES, rng)
    found = [one for one in scene.found if one.label_id not in examples]
    values = likeness_of([scene.true[n] for n in examples], [one.features for one in found])
    ranked = [found[index].label_id for index in np.argsort(-values, kind="stable")]
    kinds = [None if n is None else scene.kinds[n] for n in ranked]
    hits = np.array(
        [
            k == kind and n not in ranked[:i]
            for i, (k, n) in enumerate(zip(kinds, ranked, strict=True))
        ]
    )
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    others = sum(own not in (kind, None) for own in kinds[:10])
    return float(precision[hits].sum() / (N_EACH - EXAMPLES)), others


def drawn(scene: Scene, kind: str, count: int, rng: np.random.Generator) -> list[int]:
    """Return some objects of a kind."""
    own = [label_id for label_id, its in scene.kinds.items() if its == kind]
    return [int(n) for n in rng.permutation(own)[:count]]


def main() -> None:
    """Print what is found on each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=12)
    options = parser.parse_args()
    embedder = Embedder()
    for seed in range(1, options.seeds + 1):
        scene = measured(seed, embedder)
        rngs = [np.random.default_rng(draw) for draw in range(options.draws)]
        shares = [accuracy(scene, rng) for rng in rngs]
        print(f"image {seed}: accuracy {np.mean(shares):.3f}, at least {min(shares):.3f}")
        for kind in KINDS:
            precisions, others = zip(*(ranking(scene, kind, rng) for rng in rngs), strict=True)
            print(
                f"image {seed}: like {kind}: average precision {np.mean(precisions):.3f}, at least "
                f"{min(precisions):.3f}; of the other kind among ten {np.mean(others):.2f}, at "
                f"most {max(others)}"
            )


if __name__ == "__main__":
    main()
