"""How many actions does a user need for an object of many slices? A simulated annotator counts.

    python benchmarks/stack_annotator.py [--kinds KIND ...] [--objects N] [--seed S] [--slices N]
        [--boxes] [--json]

On the volumes of benchmarks/volumes_made.py. The annotator sees where masks are wrong, and uses
what the dock has. It begins on the slice where an object is large and touches others least. There
it clicks where the object is deepest, chooses the best of the three masks, draws around the object
with the lasso if that is poor (with --boxes, clicks once more), and grows or shrinks it if it is
then clearly better. It has the object carried through the stack. As long as it overlaps the true
one by less than 0.85, it does what promises most for an action. Where the object ends too soon or
too late, it drags that end of the strip. Otherwise it goes by the strip to the middle of the worst
stretch of wrong slices, and draws around the object with the lasso, two pixels outside and with a
trembling hand (with --boxes, a box), or clicks where the error is deepest if the mask is nearly
right and most of the error lies in one place. After twenty actions it takes what there is. Going to
a slice, a click, a lasso, a box, a choice of a mask, a move of the level slider, carrying on and a
drag of one end are an action each.

Prints, per volume, the actions per object and the mean 3-D intersection over union: after the
carrying, and at the end; and what the same objects cost slice by slice, a click and an accept each
if every click is right. With --slices only so many slices in the middle of each volume are used: as
many as an object has there at the most.
"""

import argparse
import json
from dataclasses import replace
from typing import Any, Final

import numpy as np
from annotator import GOOD_IOU, deepest, mask_of
from drawn_prompts import outline_around
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label
from skimage.morphology import convex_hull_image
from volumes import extent
from volumes_made import KINDS

from napari_sam.model import Predictor, load_model
from napari_sam.session import (
    BACKGROUND,
    FOREGROUND,
    AnnotationSession,
    ArrayLabels,
    ArraySlice,
    ArrayStack,
    PlaneRequest,
    Prompts,
    TargetError,
)

MAX_ACTIONS: Final = 20
POOR: Final = 0.8
"""Overlap below which a slice is seen to be wrong, and is made anew."""
CLEARLY: Final = 0.03
"""Gain in overlap for which the level of a mask is worth a try."""
LEVELS: Final = np.linspace(-0.6, 0.6, 13)
OUTSIDE_PX: Final = 2
"""How far from the object it draws."""
LEAST_SLICES: Final = 6
TIMEOUT_S: Final = 600

Mask = NDArray[np.bool_]


class StackAnnotator:
    """Drives a session like a user who knows what the objects are."""

    def __init__(
        self,
        image: NDArray[Any],
        truth: NDArray[np.integer[Any]],
        predictor: Predictor,
        *,
        has_lasso: bool = True,
    ) -> None:
        self._truth, self._has_lasso = truth, has_lasso
        self._stack = ArrayStack(image, slice_distance_px=2.0)
        self._labels = ArrayLabels(np.zeros(truth.shape, np.uint16))
        self._session = AnnotationSession(lambda *_: predictor)
        self._hand = np.random.default_rng(0)
        self._actions = 0
        self._corrected: set[int] = set()

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def annotate(self, true: Mask) -> tuple[int, float, float]:
        """Annotate an object; return the actions, and its overlap once carried on, and at last."""
        session, self._actions, self._corrected = self._session, 0, set()
        self._go_to(self._clearest(true))
        self._begin(true[self._index])
        session.stack.propagate()
        self._count()
        label_id = session.stack.state.label_id
        carried = ious = self._iou(label_id, true)
        while label_id is not None and ious < GOOD_IOU and self._actions < MAX_ACTIONS:
            try:
                self._improve(label_id, true)
            except TargetError:
                break
            ious = self._iou(label_id, true)
        return self._actions, carried, ious

    def _clearest(self, true: Mask) -> int:
        """Return the slice on which an object is large and touches others least."""
        others = (self._truth > 0) & ~true
        rings = binary_dilation(true, np.ones((1, 3, 3)), OUTSIDE_PX) & ~true
        touching = np.count_nonzero(rings & others, axis=(1, 2))
        free = 1 - touching / np.maximum(1, np.count_nonzero(rings, axis=(1, 2))) / 2
        return int(np.argmax(free * np.count_nonzero(true, axis=(1, 2))))

    def _begin(self, true: Mask) -> None:
        """Make the object on one slice."""
        self._click(true)
        if _iou(self._mask(true.shape), true) < POOR:
            self._mend(true)
        progress, overlaps = self._session.object_in_progress, [_iou(self._mask(true.shape), true)]
        for level in LEVELS:  # one move of the slider
            progress.set_level(float(level))
            overlaps.append(_iou(self._mask(true.shape), true))
        best = int(np.argmax(overlaps[1:]))
        is_better = overlaps[best + 1] >= overlaps[0] + CLEARLY
        progress.set_level(float(LEVELS[best]) if is_better else 0)
        self._actions += is_better

    def _mend(self, true: Mask) -> None:
        """Draw around an object that a click does not tell from others; else click once more."""
        if not self._has_lasso:
            self._click(true)
            return
        prompts = replace(self._session.state.prompts, outline=self._drawn_around(true).outline)
        self._session.set_prompts(prompts)
        self._count()
        self._choose_best(true)

    def _improve(self, label_id: int, true: Mask) -> None:
        """Drag an end of the strip, or correct a slice: whatever promises more for an action."""
        mask = self._labels.array == label_id
        wrong = np.count_nonzero(mask ^ true, axis=(1, 2))
        (first, last), (low, high) = extent(true), extent(mask)
        at_low = int(wrong[min(low, first) : max(low, first)].sum())
        at_high = int(wrong[min(high, last) + 1 : max(high, last) + 1].sum())
        index, promised = self._worst(mask, true, wrong)
        if max(at_low, at_high) > 0 and max(at_low, at_high) >= promised / 2:
            ends = (first, high) if at_low >= at_high else (low, last)
            self._session.stack.corrections.set_range(*ends)
            self._count()
        else:
            self._correct(label_id, index, true[index])

    def _worst(self, mask: Mask, true: Mask, wrong: NDArray[np.intp]) -> tuple[int, int]:
        """Return the middle of the worst stretch of slices, and how many wrong pixels that has.

        A slice is corrected once. If none is poor any more, the worst one is returned.
        """
        first, last = extent(true)
        left = [n for n in range(first, last + 1) if n not in self._corrected]
        poor = [n for n in left if _iou(mask[n], true[n]) < POOR]
        stretches: list[list[int]] = []
        for index in poor or [max(left, key=lambda n: int(wrong[n]), default=first)]:
            if stretches and stretches[-1][-1] == index - 1:
                stretches[-1].append(index)
            else:
                stretches.append([index])
        worst = max(stretches, key=lambda stretch: int(wrong[stretch].sum()))
        counts = wrong[worst].cumsum()
        return worst[int(np.searchsorted(counts, counts[-1] / 2))], int(counts[-1])

    def _correct(self, label_id: int, index: int, true: Mask) -> None:
        """Go to a slice and correct it."""
        session, mask = self._session, self._labels.array[index] == label_id
        self._go_to(index)
        self._count()
        self._corrected.add(index)
        session.stack.corrections.switch(True)  # as it is once one has gone there by the strip
        if _iou(mask, true) < POOR or not _is_in_one_place(mask ^ true):
            session.set_prompts(self._drawn_around(true))
        else:
            missing, excess = true & ~mask, mask & ~true
            is_missing = np.count_nonzero(missing) >= np.count_nonzero(excess)
            place = deepest(missing if is_missing else excess)
            session.set_prompts(Prompts((place,), (FOREGROUND if is_missing else BACKGROUND,)))
        self._count()
        session.stack.corrections.switch(False)

    def _drawn_around(self, true: Mask) -> Prompts:
        """Draw around an object; around all its pieces where others hide it."""
        if self._has_lasso:
            whole = convex_hull_image(true) if label(true)[1] > 1 else true
            return Prompts(outline=outline_around(whole, OUTSIDE_PX, self._hand))
        rows, columns = (np.flatnonzero(true.any(axis=axis)) for axis in (1, 0))
        corners = columns[0], rows[0], columns[-1], rows[-1]
        return Prompts(box_xyxy=tuple(float(corner) for corner in corners))

    def _click(self, true: Mask) -> None:
        """Click where the error is deepest, and choose the best mask."""
        session, mask = self._session, self._mask(true.shape)
        missing, excess = true & ~mask, mask & ~true
        is_missing = np.count_nonzero(missing) >= np.count_nonzero(excess)
        before = session.state.prompts
        place = deepest(missing if is_missing else excess)
        points = (*before.points_xy, place)
        labels = (*before.point_labels, FOREGROUND if is_missing else BACKGROUND)
        session.set_prompts(Prompts(points, labels, before.box_xyxy))
        self._count()
        self._choose_best(true)

    def _choose_best(self, true: Mask) -> None:
        """Choose the best mask if it is clearly better than the one that is shown first."""
        session = self._session
        candidates, chosen = session.state.candidates, session.state.chosen
        if candidates is None or chosen is None:
            return
        overlaps = [_iou(mask_of(candidates, n, true.shape), true) for n in range(len(candidates))]
        best = int(np.argmax(overlaps))
        if overlaps[best] > overlaps[chosen] + 0.05:
            session.object_in_progress.choose(best)
            self._count()

    def _mask(self, shape: tuple[int, ...]) -> Mask:
        candidates, chosen = self._session.state.candidates, self._session.state.chosen
        if candidates is None or chosen is None:
            return np.zeros(shape, np.bool_)
        return mask_of(candidates, chosen, shape)

    def _go_to(self, index: int) -> None:
        self._index = index
        target, plane = ArraySlice(self._labels, index), self._stack.image_plane(index)
        request = PlaneRequest(
            plane, key=index, slice_index=index, target=target, stack=self._stack
        )
        self._session.show(request)
        self._session.wait_until_idle(TIMEOUT_S)

    def _count(self) -> None:
        self._actions += 1
        self._session.wait_until_idle(TIMEOUT_S)

    def _iou(self, label_id: int | None, true: Mask) -> float:
        return _iou(self._labels.array == label_id, true)


def _is_in_one_place(wrong: Mask) -> bool:
    """Whether most of what is wrong is in one piece, which a click may mend."""
    pieces, _ = label(wrong)
    return bool(2 * np.bincount(pieces[wrong]).max(initial=0) > np.count_nonzero(wrong))


def _iou(mask: Mask, true: Mask) -> float:
    return np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true))


def main() -> None:
    """Print one line per volume."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slices", type=int, help="in the middle of each volume; all by default")
    parser.add_argument("--boxes", action="store_true", help="draw boxes, no lassos")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    predictor = Predictor(load_model())
    everything = []
    for name in arguments.kinds:
        image, labels = KINDS[name](arguments.seed)
        n_cut = 0 if arguments.slices is None else max(0, len(image) - arguments.slices)
        image, labels = (
            stack[n_cut // 2 : len(image) - (n_cut + 1) // 2] for stack in (image, labels)
        )
        has_lasso, rows = not arguments.boxes, []
        annotator = StackAnnotator(image, labels, predictor, has_lasso=has_lasso)
        for number in np.unique(labels)[1:]:
            true = labels == number
            n_slices = int(np.count_nonzero(true.any(axis=(1, 2))))
            if n_slices >= LEAST_SLICES and len(rows) < arguments.objects:
                rows.append((*annotator.annotate(true), 2 * n_slices, n_slices))
        annotator.close()
        everything += rows
        names = "actions", "IoU carried", "IoU", "slice by slice", "slices"
        row = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
        if arguments.json:
            print(json.dumps({"volume": name, "objects": len(rows), **row}), flush=True)
        else:
            columns = "   ".join(f"{column} {value:.3g}" for column, value in row.items())
            print(f"{name:18}{len(rows)} objects   {columns}", flush=True)
    actions, _, ious, by_slice, slices = np.mean(everything, axis=0)
    means = {"actions": actions, "IoU": ious, "slice by slice": by_slice, "slices": slices}
    print("all: " + "   ".join(f"{name} {value:.3g}" for name, value in means.items()))


if __name__ == "__main__":
    main()
