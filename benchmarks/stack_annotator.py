"""How many actions does a user need for an object of many slices? A simulated annotator counts.

    python benchmarks/stack_annotator.py [--objects N] [--seed S] [--json]

On the volumes of benchmarks/volumes_made.py. The annotator clicks where an object is deepest on its
largest slice, chooses the best of the three masks, and has it carried through the stack. As long as
the object overlaps the true one by less than 0.85, it goes to the slice with the most wrong pixels
by the strip. If hardly anything is right there, it draws a box around the object; it may click
once where the error is deepest. If the object goes on beyond the true one, it drags the ends of the
strip. After twenty actions it takes what there is. Going to a slice, a click, a box, a choice of a
mask, carrying on and a drag are an action each.

Prints, per volume, the actions per object and the mean 3-D intersection over union: after the
carrying, and at the end; and what the same objects cost slice by slice, a click and an accept each
if every click is right.
"""

import argparse
import json
from typing import Any, Final

import numpy as np
from annotator import GOOD_IOU, deepest, mask_of
from numpy.typing import NDArray
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
MAX_CLICKS: Final = 1
BOX_BELOW: Final = 0.6
"""Overlap below which a slice is made anew."""
LEAST_SLICES: Final = 6
TIMEOUT_S: Final = 600

Mask = NDArray[np.bool_]


class StackAnnotator:
    """Drives a session like a user who knows what the objects are."""

    def __init__(self, image: NDArray[Any], shape: tuple[int, ...], predictor: Predictor) -> None:
        self._stack = ArrayStack(image, slice_distance_px=2.0)
        self._labels = ArrayLabels(np.zeros(shape, np.uint16))
        self._session = AnnotationSession(lambda *_: predictor)
        self._actions = 0

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def annotate(self, true: Mask) -> tuple[int, float, float]:
        """Annotate an object; return the actions, and its overlap once carried on, and at last."""
        session, self._actions = self._session, 0
        self._go_to(int(np.argmax(np.count_nonzero(true, axis=(1, 2)))))
        self._click(true[self._index])
        session.stack.propagate()
        self._count()
        label_id = session.stack.state.label_id
        carried = ious = self._iou(label_id, true)
        while label_id is not None and ious < GOOD_IOU and self._actions < MAX_ACTIONS:
            try:
                self._correct(label_id, true)
            except TargetError:
                break
            ious = self._iou(label_id, true)
        return self._actions, carried, ious

    def _correct(self, label_id: int, true: Mask) -> None:
        """Correct the slice with the most wrong pixels, or cut off what is beyond the object."""
        session, array = self._session, self._labels.array
        index = int(np.argmax(np.count_nonzero((array == label_id) ^ true, axis=(1, 2))))
        first, last = extent(true)
        if not first <= index <= last:  # drag an end of the strip
            low, high = extent(array == label_id)
            session.stack.corrections.set_range(max(low, first), min(high, last))
            self._count()
            return
        self._go_to(index)
        self._count()
        session.stack.corrections.switch(True)
        if _iou(array[index] == label_id, true[index]) < BOX_BELOW:  # draw a box anew
            rows, columns = (np.flatnonzero(true[index].any(axis=axis)) for axis in (1, 0))
            corners = columns[0], rows[0], columns[-1], rows[-1]
            session.set_prompts(Prompts(box_xyxy=tuple(float(corner) for corner in corners)))
            self._count()
        for _ in range(MAX_CLICKS):
            mask = array[index] == label_id
            if _iou(mask, true[index]) >= GOOD_IOU:
                break
            missing, excess = true[index] & ~mask, mask & ~true[index]
            is_missing = np.count_nonzero(missing) >= np.count_nonzero(excess)
            place = deepest(missing if is_missing else excess)
            if not is_missing and place == deepest(mask):
                break  # that would mean that the object is not there
            session.set_prompts(Prompts((place,), (FOREGROUND if is_missing else BACKGROUND,)))
            self._count()
        session.stack.corrections.switch(False)

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


def _iou(mask: Mask, true: Mask) -> float:
    return np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true))


def main() -> None:
    """Print one line per volume."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    predictor = Predictor(load_model())
    everything = []
    for name, make in KINDS.items():
        image, labels = make(arguments.seed)
        annotator, rows = StackAnnotator(image, labels.shape, predictor), []
        for label in np.unique(labels)[1:]:
            true = labels == label
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
    print(f"all: {np.mean([row[0] for row in everything]):.3g} actions an object")


if __name__ == "__main__":
    main()
