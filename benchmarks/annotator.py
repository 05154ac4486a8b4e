"""How many actions does a user need per object? A simulated annotator drives the session.

    python benchmarks/annotator.py [IMAGE LABELS] [--kind NAME ...] [--policy NAME ...] [--json]
        [--order random largest] [--iou 0.7 0.85] [--seed 0 1 2] [--then KIND] [--brush] [--trace]

It clicks where an object is deepest, in random order or the largest object first; as long as the
mask overlaps it by less than 0.85, it corrects where the error is deepest; then it accepts. After
eight actions it takes what there is, or gives up if that is no half of the object. With --brush, it
paints what it takes then until it is right, at no further cost. The policies:

- highest score: the mask with the highest predicted IoU, always;
- preselected: the one that the session preselects while it does not learn, always;
- choosing: that one, unless another is better by 0.05: choosing it is an action;
- best of three: the best one, at no cost; nobody can be better than that without a correction;
- learned: the one that the session preselects while it learns from accepted objects, always;
- learned + choosing: that one, unless another is better by 0.05.

Without IMAGE and LABELS: the coins of scikit-image, with labels from thresholding and watershed,
nuclei of its immunohistochemistry (benchmarks/nuclei_truth.py), and synthetic cells
(benchmarks/cells.py). Prints, per policy, the actions per object, the mean
intersection over union after 1, 2 and 3 actions, the share of objects that reach 0.85, the overlap
of the first object after its click, the mean of that from the sixth and of both from the eleventh
object on; by how much the score of learned masks of first clicks is wrong, from the eleventh on;
what each kind of learned policies would have gained on the last ten objects; and, from the eleventh
on, how much of what lies between "highest score" and "best of three" the preselection gains. With
--then, each session goes on to an image of that kind, and that is printed, too. With --trace,
prints the overlaps of each object, action by action.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from cells import KINDS, cells
from nuclei_truth import TRUTH
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data, filters, io, measure, morphology, segmentation

from napari_sam.session import (
    BACKGROUND,
    FOREGROUND,
    AnnotationSession,
    ArrayPlane,
    Candidates,
    ImagePlane,
    Prompts,
    TargetError,
)
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.painting import updated_records

POLICIES: Final = ("highest score", "preselected", "choosing", "best of three")
LEARNING: Final = ("learned", "learned + choosing")
ORDERS: Final = ("largest", "random")
MAX_ACTIONS: Final = 8
GOOD_IOU: Final = 0.85
LEAST_IOU: Final = 0.5
WORTH_CHOOSING: Final = 0.05
LEARNT: Final = 10
"""Accepted objects after which the preselection has to be better."""
SOON: Final = 5
"""Those after which what was learned on another image has to serve."""
TIMEOUT_S: Final = 600
_OTHER: Final = 1000
"""Added to the seed of a second image of cells."""
_CERTAINLY_NOT, _CERTAINLY_COIN = 30, 150

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Annotated:
    """What became of an object: the overlap after each action but accepting, and their number."""

    ious: tuple[float, ...]
    actions: int
    # by how much the score of the learned mask of the first click is wrong; nan without one
    score_error: float = float("nan")

    def iou_after(self, actions: int) -> float:
        """Return the overlap after so many actions, or after the last before."""
        return self.ious[min(actions, len(self.ious)) - 1]


class Annotator:
    """Drives a session like a user who knows what the objects are.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) ndarray
        What is annotated.
    labels : (H, W) integer ndarray
        The true objects; 0 is background.
    policy : str
        One of `POLICIES` or `LEARNING`.
    good_iou : float
        The overlap with which an object is accepted.
    has_brush : bool
        Whether an object that does not come to that is painted as it is.
    """

    def __init__(
        self,
        image: NDArray[Any],
        labels: NDArray[Any],
        policy: str,
        good_iou: float = GOOD_IOU,
        *,
        has_brush: bool = False,
    ) -> None:
        self._policy, self._good_iou, self._has_brush = policy, good_iou, has_brush
        self._session = AnnotationSession()
        self._session.learning.switch(policy in LEARNING)
        self.go_to(image, labels)

    def go_to(self, image: NDArray[Any], labels: NDArray[Any]) -> None:
        """Go to another image."""
        self._labels = labels
        self._session.set_image(ImagePlane(image, is_rgb=image.ndim == 3))
        self._target = ArrayPlane(np.zeros(labels.shape, np.uint16))
        self._session.set_target(self._target)

    def annotate(self, label_ids: NDArray[Any]) -> list[Annotated]:
        """Annotate these objects, one after the other."""
        return [self._one(self._labels == label_id) for label_id in label_ids]

    @property
    def gains(self) -> dict[str, float]:
        """What each kind of learned policies would have gained on the last objects."""
        standings = self._session.learning.knowledge.standings
        return {str(standing.kind): round(standing.gain, 3) for standing in standings}

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _one(self, true: Mask) -> Annotated:
        """Annotate one object."""
        session, ious = self._session, []
        ious.append(self._prompt(deepest(true), FOREGROUND, true))
        score_error = self._score_error(true)
        while ious[-1] < self._good_iou and len(ious) < MAX_ACTIONS - 1:
            overlaps = self._overlaps(true)
            better = int(np.argmax(overlaps))
            if self._policy.endswith("choosing") and overlaps[better] > ious[-1] + WORTH_CHOOSING:
                self._choose(better)
                ious.append(self._overlaps(true)[self._chosen])
                continue
            candidates = session.state.candidates
            assert candidates is not None
            mask = mask_of(candidates, self._chosen, true.shape)
            missing, excess = true & ~mask, mask & ~true
            is_missing = _depth(missing).max() >= _depth(excess).max()
            place = deepest(missing if is_missing else excess)
            ious.append(self._prompt(place, FOREGROUND if is_missing else BACKGROUND, true))
        if ious[-1] < LEAST_IOU:
            session.object_in_progress.clear()
            return Annotated(tuple(ious), MAX_ACTIONS, score_error)
        try:
            edit = session.accept()
            record = None if edit is None else edit.changes[-1].after
            if self._has_brush and ious[-1] < self._good_iou and record is not None:
                self._paint(true, record.label_id)
        except TargetError:  # others cover it
            session.object_in_progress.clear()
        session.wait_until_idle(TIMEOUT_S)
        return Annotated(tuple(ious), len(ious) + 1, score_error)

    def _paint(self, true: Mask, label_id: int) -> None:
        """Paint what an object lacks, and erase what it has too much."""
        labels = self._target.labels
        pixels = labels.array
        changed = (pixels == label_id) != true
        met = {label_id, *np.unique(pixels[changed]).tolist()}
        pixels[changed] = np.where(true[changed], label_id, 0)
        masks = [PackedMask((0, 0), changed)]
        labels.registry.apply(tuple(updated_records(labels, labels.registry, masks, met - {0})))

    def _score_error(self, true: Mask) -> float:
        """Return by how much the score of the learned mask is wrong; nan if there is none."""
        candidates = self._session.state.candidates
        if candidates is None or candidates.learnt is None:
            return float("nan")
        index = candidates.learnt
        return abs(candidates.iou_predictions[index] - self._overlaps(true)[index])

    @property
    def _chosen(self) -> int:
        chosen = self._session.state.chosen
        assert chosen is not None
        return chosen

    def _prompt(self, place_xy: tuple[float, float], point_label: int, true: Mask) -> float:
        """Add a click; return the overlap of the mask that the policy goes on with."""
        before = self._session.state.prompts
        points, labels = (*before.points_xy, place_xy), (*before.point_labels, point_label)
        self._session.set_prompts(Prompts(points, labels))
        self._session.wait_until_idle(TIMEOUT_S)
        if self._policy in ("highest score", "best of three"):
            for _ in POLICIES:  # another mask may want another tile, which has other masks
                candidates = self._session.state.candidates
                assert candidates is not None
                is_best = self._policy == "best of three"
                wanted = self._overlaps(true) if is_best else candidates.iou_predictions
                self._choose(int(np.argmax(wanted)))
        return self._overlaps(true)[self._chosen]

    def _choose(self, index: int) -> None:
        self._session.object_in_progress.choose(index)
        self._session.wait_until_idle(TIMEOUT_S)

    def _overlaps(self, true: Mask) -> list[float]:
        """Return the intersection over union of each candidate with an object."""
        candidates = self._session.state.candidates
        assert candidates is not None
        masks = [mask_of(candidates, index, true.shape) for index in range(len(candidates))]
        return [float(np.count_nonzero(m & true) / np.count_nonzero(m | true)) for m in masks]


def mask_of(candidates: Candidates, index: int, shape: tuple[int, ...]) -> Mask:
    """Return a candidate as a mask of the whole plane."""
    mask = np.zeros(shape, bool)
    for part, top, left in candidates.blocks(index):
        mask[top : top + part.shape[0], left : left + part.shape[1]] |= part
    return mask


def _depth(mask: Mask) -> NDArray[np.float64]:
    """Return how far each pixel is from what is outside a mask, or from the image's border."""
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return depth


def deepest(mask: Mask) -> tuple[float, float]:
    """Return x, y of the pixel deepest inside a mask."""
    row, column = np.unravel_index(_depth(mask).argmax(), mask.shape)
    return float(column), float(row)


def coins() -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return the coins and their labels, from thresholding and watershed."""
    image = data.coins()
    seeds = np.where(image > _CERTAINLY_COIN, 2, 0) + (image < _CERTAINLY_NOT)
    mask = segmentation.watershed(filters.sobel(image), seeds) == 2
    mask = ndimage.binary_fill_holes(mask)
    return image, measure.label(morphology.opening(mask, morphology.disk(5)))


def order_of(labels: NDArray[Any], order: str, seed: int) -> NDArray[Any]:
    """Return the label_ids of objects in an order."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    label_ids = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
    if order == "random":
        return np.random.default_rng(seed).permutation(label_ids)
    return np.asarray(label_ids)


def made(kind: str, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return an image of a kind and its labels."""
    if kind == "coins":
        return coins()
    if kind == "nuclei":
        return data.immunohistochemistry(), np.load(TRUTH)["labels"]
    return cells(KINDS[kind], seed)


def read(path: Path) -> NDArray[Any]:
    """Read an image or labels: NumPy's own format, or what scikit-image reads."""
    return np.load(path) if path.suffix == ".npy" else io.imread(path)


def mean(values: Iterable[float]) -> float:
    """Return the mean of numbers; nan if there are none."""
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else float("nan")


def summary(done: list[Annotated], good_iou: float = GOOD_IOU) -> dict[str, float]:
    """Return what is printed of one policy on one image."""
    numbers = {"actions": float(np.mean([tally.actions for tally in done]))}
    for actions in (1, 2, 3):
        numbers[f"iou after {actions}"] = float(np.mean([o.iou_after(actions) for o in done]))
    numbers["share good"] = float(np.mean([tally.ious[-1] >= good_iou for tally in done]))
    numbers["first"] = done[0].iou_after(1)
    later = done[LEARNT:]
    numbers["from 6th"] = mean(tally.iou_after(1) for tally in done[SOON:])
    numbers["from 11th"] = mean(tally.iou_after(1) for tally in later)
    numbers["actions then"] = mean(tally.actions for tally in later)
    errors = (tally.score_error for tally in later)
    numbers["score error"] = mean(error for error in errors if not np.isnan(error))
    return {name: round(number, 3) for name, number in numbers.items()}


def gap_closed(rows: list[dict[str, Any]], kind: str) -> float | None:
    """Return which share of the gap the preselection gains; None if there is no gap, or no row."""
    compared = ("highest score", "preselected", "best of three")
    if not set(compared) <= {row["policy"] for row in rows}:
        return None
    of = {
        policy: np.nanmean([row[kind] for row in rows if row["policy"] == policy])
        for policy in compared
    }
    gap = of["best of three"] - of["highest score"]
    return float((of["preselected"] - of["highest score"]) / gap) if gap > 0 else None


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ("coins", "nuclei", *KINDS)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("labels", nargs="?", type=Path)
    parser.add_argument("--kind", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--policy", nargs="+", choices=POLICIES + LEARNING, default=POLICIES)
    parser.add_argument("--order", nargs="+", choices=ORDERS, default=("largest",))
    parser.add_argument("--iou", nargs="+", type=float, default=(GOOD_IOU,))
    parser.add_argument("--seed", nargs="+", type=int, default=(0,), help="of cells and order")
    parser.add_argument("--objects", type=int, default=30, help="at most, of each image")
    parser.add_argument("--then", choices=kinds, help="the kind of a second image")
    parser.add_argument("--brush", action="store_true", help="paint what clicks do not make right")
    parser.add_argument("--trace", action="store_true", help="print each object")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.image is not None and chosen.labels is None:
        parser.error("an image needs its labels")
    return chosen


def rows_of(
    chosen: argparse.Namespace, name: str, image: NDArray[Any], labels: NDArray[Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Yield what each policy does on an image, and maybe on a second one."""
    for policy, order, iou in product(chosen.policy, chosen.order, chosen.iou):
        annotator = Annotator(image, labels, policy, iou, has_brush=chosen.brush)
        images = {name: (image, labels)}
        if chosen.then is not None:
            images[f"then {chosen.then}"] = made(chosen.then, seed + _OTHER)
        about = {"policy": policy, "order": order, "iou": iou, "seed": seed}
        for title, (shown, truth) in images.items():
            if shown is not image:
                annotator.go_to(shown, truth)
            done = annotator.annotate(order_of(truth, order, seed)[: chosen.objects])
            if chosen.trace:
                for tally in done:
                    print(tally.actions, *(f"{overlap:.2f}" for overlap in tally.ious))
            numbers = summary(done, iou)
            gains = annotator.gains
            yield {"image": title, **about, "objects": len(done), **numbers, "gains": gains}
        annotator.close()


def main() -> None:
    """Run it and print."""
    chosen = options()
    rows: list[dict[str, Any]] = []
    for seed in chosen.seed:
        if chosen.image is None:
            images = {kind: made(kind, seed) for kind in chosen.kind}
        else:
            images = {chosen.image.name: (read(chosen.image), read(chosen.labels))}
        for name, (image, labels) in images.items():
            for row in rows_of(chosen, name, image, labels, seed):
                rows.append(row)
                if not chosen.json:
                    print_row(row, is_first=len(rows) == 1)
    closed = gap_closed(rows, "from 11th")
    if chosen.json:
        print(json.dumps({"rows": rows, "gap closed": closed}))
    elif closed is not None:
        print(f"of the gap from the 11th object on, the preselection gains {closed:.0%}")


def print_row(row: dict[str, Any], *, is_first: bool) -> None:
    """Print one policy on one image, below a heading."""
    numbers = [name for name in row if name not in ("image", "policy", "order", "gains")]
    if is_first:
        heading = "".join(f"{name:>13}" for name in numbers)
        print(f"{'image':19}{'policy':19}{'order':8}{heading}  gains")
    values = "".join(f"{row[name]:13g}" for name in numbers)
    gains = ", ".join(f"{kind} {gain:+}" for kind, gain in row["gains"].items())
    print(f"{row['image']:19}{row['policy']:19}{row['order']:8}{values}  {gains}", flush=True)


if __name__ == "__main__":
    main()
