"""Tell two kinds of cells apart by examples: predicted classes, and masks like these.

    python benchmarks/kinds.py [--seeds N] [--draws FIRST:END]

Synthetic cells of tests/two_kinds.py, alike in size and brightness. For predicted classes, 15 true
outlines of each kind have their class; prints the share of the others with theirs. For likeness,
ten of one kind are examples, and the candidates are automatic masks (24 x 24 points) of the same
image or of the next one; prints the average precision at an overlap of 0.5, and how many of the
first ten are of the other kind. Then the same for the coins of scikit-image (32 x 32 points), which
are of one kind. Each is repeated with other examples: the mean, and the worst draw. What
`napari_sam` does was chosen by draws 0 to 4.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from annotator import coins

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session import Embedder, ImagePlane
from napari_sam.session.automatic.likeness import likeness_of, most_similar
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

    crop: MaskCrop
    features: ObjectFeatures
    label_id: int | None


class Scene(NamedTuple):
    """An image of cells, measured."""

    kinds: dict[int, str]
    true: dict[int, ObjectFeatures]
    found: list[Found]


def measured(
    image: NDArray[np.uint8],
    labels: NDArray[Any],
    kinds: dict[int, str],
    embedder: Embedder,
    points: int = 24,
) -> Scene:
    """Find the automatic masks of an image, and measure them and the true outlines."""
    plane = ImagePlane(image)
    embedder.load()
    pyramid = plane.pyramid(embedder.spec)
    embedded = embedder.embed(plane, pyramid.whole)
    pixels = plane.read(embedder.spec.input_side, pyramid.whole)
    seen = SeenTile(pyramid.whole, grid_of(embedded), pixels)
    true = {label_id: features_of(tight_crop(labels == label_id), seen) for label_id in kinds}
    settings = AutomaticRunSettings().with_values(points_per_side=points)
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


def _found(mask: AutomaticMask, labels: NDArray[Any], seen: SeenTile) -> Found:
    crop = mask.plane_crop
    inside = crop.within(0, 0, (len(labels), labels.shape[1]))
    label_id = int(np.bincount(labels[inside], minlength=2)[1:].argmax()) + 1
    own = labels == label_id
    iou = np.count_nonzero(inside & own) / np.count_nonzero(inside | own)
    return Found(crop, features_of(crop, seen), label_id if iou >= 0.5 else None)


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


def ranking(
    scene: Scene, kind: str, rng: np.random.Generator, other: Scene | None = None
) -> tuple[float, int]:
    """Return the average precision, and how many of the first ten are of the other kind.

    Without another scene, the masks of the same one that are not examples are ranked.
    """
    examples = drawn(scene, kind, EXAMPLES, rng)
    known = examples if other is None else []
    searched = other or scene
    found = [one for one in searched.found if one.label_id not in known]
    values = likeness_of([scene.true[n] for n in examples], [one.features for one in found])
    ranked = [found[n].label_id for n in most_similar(values, 0, lambda n: found[n].crop)]
    kinds = [None if n is None else searched.kinds[n] for n in ranked]
    hits = np.array(
        [
            k == kind and n not in ranked[:i]
            for i, (k, n) in enumerate(zip(kinds, ranked, strict=True))
        ]
    )
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    n_others = sum(own not in (kind, None) for own in kinds[:10])
    n_wanted = sum(own == kind for n, own in searched.kinds.items() if n not in known)
    return float(precision[hits].sum() / n_wanted), n_others


def drawn(scene: Scene, kind: str, count: int, rng: np.random.Generator) -> list[int]:
    """Return some objects of a kind."""
    own = [label_id for label_id, its in scene.kinds.items() if its == kind]
    return [int(n) for n in rng.permutation(own)[:count]]


def print_ranking(
    name: str, scene: Scene, kind: str, draws: range, other: Scene | None = None
) -> None:
    """Print how well examples of a kind find the others."""
    results = [ranking(scene, kind, np.random.default_rng(draw), other) for draw in draws]
    precisions, others = zip(*results, strict=True)
    print(
        f"{name}: like {kind}: average precision {np.mean(precisions):.3f}, at least "
        f"{min(precisions):.3f}; of the other kind among ten {np.mean(others):.2f}, at "
        f"most {max(others)}",
        flush=True,
    )


def main() -> None:
    """Print what is found on each image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", default="5:10")
    options = parser.parse_args()
    draws = range(*map(int, options.draws.split(":")))
    embedder = Embedder()
    seeds = range(1, options.seeds + 1)
    scenes = [measured(*two_kinds(N_EACH, SHAPE, seed=seed), embedder) for seed in seeds]
    for seed, scene in zip(seeds, scenes, strict=True):
        shares = [accuracy(scene, np.random.default_rng(draw)) for draw in draws]
        print(f"image {seed}: accuracy {np.mean(shares):.3f}, at least {min(shares):.3f}")
        for kind in KINDS:
            print_ranking(f"image {seed}", scene, kind, draws)
    for kind in KINDS:
        print_ranking("image 1 to 2", scenes[0], kind, draws, scenes[1])
    image, labels = coins()
    kinds = dict.fromkeys(range(1, int(labels.max()) + 1), "coin")
    print_ranking("coins", measured(image, labels, kinds, embedder, 32), "coin", draws)


if __name__ == "__main__":
    main()
