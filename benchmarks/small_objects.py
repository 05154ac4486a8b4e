"""Measure how good the masks of one click on a small object are, and how soon they are there.

    python benchmarks/small_objects.py [--view PX] [--json]

Thirty nuclei of some 70 pixels in scikit-image's `immunohistochemistry`
(benchmarks/nuclei_truth.py): a user zooms until 225 pixels around one are in sight, looks for a
moment, and clicks where it is deepest. Then the same of the others after four of them were drawn
with boxes and accepted. Prints the share of nuclei of which the best of the masks shown overlaps
with intersection over union of 0.5 or more, and of which the preselected one does; the means; and
the medians of the time from the click to the first masks, and to the last.
"""

import argparse
import json
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from annotator import deepest, mask_of
from nuclei_truth import TRUTH
from numpy.typing import NDArray
from skimage import data

from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts

VIEW_PX: Final = 225
ACCEPTED: Final = 4
HIT_IOU: Final = 0.5
TIMEOUT_S: Final = 600

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Click:
    """The overlaps of the masks that were shown, which was preselected, and the waits."""

    ious: tuple[float, ...]
    preselected: int
    first_s: float
    last_s: float


class Clicker:
    """Drives a session like a user who looks closely at one nucleus after the other."""

    def __init__(self, labels: NDArray[np.uint8], view_px: float) -> None:
        self._labels, self._view_px = labels, view_px
        self._session = AnnotationSession()
        self._session.set_image(ImagePlane(data.immunohistochemistry(), is_rgb=True))
        self._session.set_target(ArrayPlane(np.zeros(labels.shape, np.uint16)))
        self._session.wait_until_idle(TIMEOUT_S)

    def click(self, label_id: int) -> Click:
        """Zoom to a nucleus and click on it."""
        true = self._labels == label_id
        x, y = self._zoom(true)
        start_s, first_s = time.perf_counter(), []

        def on_changed(state: object) -> None:
            if self._session.state.candidates is not None and not first_s:
                first_s.append(time.perf_counter() - start_s)

        self._session.changed.connect(on_changed)
        self._session.set_prompts(Prompts(((x, y),), (1,)))
        self._session.wait_until_idle(TIMEOUT_S)
        last_s = time.perf_counter() - start_s
        self._session.changed.disconnect(on_changed)
        state = self._session.state
        assert state.candidates is not None
        assert state.chosen is not None
        masks = [mask_of(state.candidates, n, true.shape) for n in range(len(state.candidates))]
        self._session.object_in_progress.clear()
        ious = tuple(float((mask & true).sum() / (mask | true).sum()) for mask in masks)
        return Click(ious, state.chosen, first_s[0], last_s)

    def draw(self, label_id: int) -> None:
        """Draw a box around a nucleus and accept it."""
        true = self._labels == label_id
        self._zoom(true)
        (y0, y1), (x0, x1) = (np.flatnonzero(true.any(axis))[[0, -1]] for axis in (1, 0))
        self._session.set_prompts(Prompts(box_xyxy=(x0 - 1.5, y0 - 1.5, x1 + 1.5, y1 + 1.5)))
        self._session.wait_until_idle(TIMEOUT_S)
        self._session.accept()
        self._session.wait_until_idle(TIMEOUT_S)

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _zoom(self, true: Mask) -> tuple[float, float]:
        """Look at a nucleus until all is embedded; return where it is deepest."""
        x, y = deepest(true)
        half = self._view_px / 2
        self._session.look_at((x - half, y - half, x + half, y + half))
        self._session.wait_until_idle(TIMEOUT_S)
        return x, y


def summary(clicks: list[Click]) -> dict[str, float]:
    """Return what is printed of some clicks."""
    best = np.array([max(click.ious) for click in clicks])
    preselected = np.array([click.ious[click.preselected] for click in clicks])
    return {
        "nuclei": len(clicks),
        "best of shown": round(float((best >= HIT_IOU).mean()), 3),
        "preselected": round(float((preselected >= HIT_IOU).mean()), 3),
        "mean best": round(float(best.mean()), 3),
        "mean pre.": round(float(preselected.mean()), 3),
        "first ms": round(1000 * float(np.median([click.first_s for click in clicks]))),
        "last ms": round(1000 * float(np.median([click.last_s for click in clicks]))),
    }


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--view", type=float, default=VIEW_PX, help="pixels in sight")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    labels = np.load(TRUTH)["labels"]
    label_ids = range(1, int(labels.max()) + 1)
    rows = {}
    for name, accepted in (("nothing accepted", 0), (f"{ACCEPTED} accepted", ACCEPTED)):
        clicker = Clicker(labels, options.view)
        for label_id in label_ids[:accepted]:
            clicker.draw(label_id)
        rows[name] = summary([clicker.click(label_id) for label_id in label_ids[accepted:]])
        clicker.close()
    if options.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(f"{name:18}" + "".join(f"{column} {value:<8}" for column, value in row.items()))


if __name__ == "__main__":
    main()
