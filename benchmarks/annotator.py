"""How many actions does a user need per object? A simulated annotator drives the session.

    python benchmarks/annotator.py [IMAGE LABELS] [--policy NAME ...] [--json]

It clicks where an object is deepest, the largest object first; as long as the mask overlaps it by
less than 0.85, it corrects where the error is deepest; then it accepts. After eight actions it
takes what there is, or gives up if that is no half of the object. The policies:

- highest score: the mask with the highest predicted IoU, always;
- preselected: the one that the session preselects, always;
- choosing: that one, unless another is better by 0.05: choosing it is an action;
- best of three: the best one, at no cost; nobody can be better than that without a correction.

Without IMAGE and LABELS: the coins of scikit-image, with labels from thresholding and watershed,
and synthetic cells (benchmarks/cells.py). Prints, per policy, the actions per object, the mean
intersection over union after 1, 2 and 3 actions, the share of objects that reach 0.85, the overlap
of the first object after its click, the mean of that from the eleventh object on; and, from there
on, how much of what lies between "highest score" and "best of three" the preselection gains.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from cells import KINDS, cells
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
)

POLICIES: Final = ("highest score", "preselected", "choosing", "best of three")
MAX_ACTIONS: Final = 8
GOOD_IOU: Final = 0.85
LEAST_IOU: Final = 0.5
WORTH_CHOOSING: Final = 0.05
LEARNT: Final = 10
"""Accepted objects after which the preselection has to be better."""
TIMEOUT_S: Final = 600
_CERTAINLY_NOT, _CERTAINLY_COIN = 30, 150

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Annotated:
    """What became of an object: the overlap after each action but accepting, and their number."""

    ious: tuple[float, ...]
    actions: int

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
        One of `POLICIES`.
    """

    def __init__(self, image: NDArray[Any], labels: NDArray[Any], policy: str) -> None:
        self._labels, self._policy = labels, policy
        self._session = AnnotationSession()
        self._session.set_image(ImagePlane(image, is_rgb=image.ndim == 3))
        self._session.set_target(ArrayPlane(np.zeros(labels.shape, np.uint16)))

    def annotate(self, count: int) -> list[Annotated]:
        """Annotate so many objects, the largest first."""
        areas = np.bincount(self._labels.ravel())
        areas[0] = 0
        order = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
        done = [self._one(self._labels == label_id) for label_id in order[:count]]
        self._session.close()
        return done

    def _one(self, true: Mask) -> Annotated:
        """Annotate one object."""
        session, ious = self._session, []
        ious.append(self._prompt(deepest(true), FOREGROUND, true))
        while ious[-1] < GOOD_IOU and len(ious) < MAX_ACTIONS - 1:
            overlaps = self._overlaps(true)
            better = int(np.argmax(overlaps))
            if self._policy == "choosing" and overlaps[better] > ious[-1] + WORTH_CHOOSING:
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
            return Annotated(tuple(ious), MAX_ACTIONS)
        session.accept()
        session.wait_until_idle(TIMEOUT_S)
        return Annotated(tuple(ious), len(ious) + 1)

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


def read(path: Path) -> NDArray[Any]:
    """Read an image or labels: NumPy's own format, or what scikit-image reads."""
    return np.load(path) if path.suffix == ".npy" else io.imread(path)


def summary(done: list[Annotated]) -> dict[str, float]:
    """Return what is printed of one policy on one image."""
    numbers = {"actions": float(np.mean([tally.actions for tally in done]))}
    for actions in (1, 2, 3):
        numbers[f"iou after {actions}"] = float(np.mean([o.iou_after(actions) for o in done]))
    numbers["share good"] = float(np.mean([tally.ious[-1] >= GOOD_IOU for tally in done]))
    numbers["first"] = done[0].iou_after(1)
    later = [tally.iou_after(1) for tally in done[LEARNT:]]
    numbers["from 11th"] = float(np.mean(later)) if later else float("nan")
    return {name: round(number, 3) for name, number in numbers.items()}


def gap_closed(rows: list[dict[str, Any]], kind: str) -> float | None:
    """Return which share of the gap the preselection gains; None if there is no gap, or no row."""
    of = {
        policy: np.nanmean([row[kind] for row in rows if row["policy"] == policy] or [np.nan])
        for policy in ("highest score", "preselected", "best of three")
    }
    gap = of["best of three"] - of["highest score"]
    return float((of["preselected"] - of["highest score"]) / gap) if gap > 0 else None


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("labels", nargs="?", type=Path)
    parser.add_argument("--policy", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--objects", type=int, default=30, help="at most, of each image")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic cells")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.image is None:
        images = {"coins": coins()}
        images |= {name: cells(kind, options.seed) for name, kind in KINDS.items()}
    elif options.labels is None:
        parser.error("an image needs its labels")
    else:
        images = {options.image.name: (read(options.image), read(options.labels))}
    rows = []
    for name, (image, labels) in images.items():
        for policy in options.policy:
            done = Annotator(image, labels, policy).annotate(options.objects)
            rows.append({"image": name, "policy": policy, "objects": len(done), **summary(done)})
            if not options.json:
                print_row(rows[-1], is_first=len(rows) == 1)
    closed = gap_closed(rows, "from 11th")
    if options.json:
        print(json.dumps({"rows": rows, "gap closed": closed}))
    elif closed is not None:
        print(f"of the gap from the 11th object on, the preselection gains {closed:.0%}")


def print_row(row: dict[str, Any], *, is_first: bool) -> None:
    """Print one policy on one image, below a heading."""
    numbers = list(row)[3:]
    if is_first:
        print(f"{'image':14}{'policy':15}{'objects':>8}" + "".join(f"{n:>13}" for n in numbers))
    values = "".join(f"{row[name]:13.3f}" for name in numbers)
    print(f"{row['image']:14}{row['policy']:15}{row['objects']:8}{values}", flush=True)


if __name__ == "__main__":
    main()
