"""Count what a user has to do for common tasks: clicks, keys, drags and choices, in a real window.

    xvfb-run -s "-screen 0 1600x1000x24" python benchmarks/actions.py [--task NAME ...] [--json]

Mouse and key events go to napari's canvas and to the buttons of the dock, as a user's do
(benchmarks/counting_user.py); nothing calls the session. A click, a key, a drag and a choice in a
list are an action each. Turning the wheel to look elsewhere is counted apart, as moves. What leads
to a task, such as objects to review, is done before and not counted.

An object is right if it overlaps with the true one with intersection over union of 0.8 (coins) or
0.5 (nuclei, benchmarks/nuclei_truth.py). The objects are the first of the truth, in its order. A
user who sees that an object is wrong re-edits it, clicks where the error is deepest, and accepts.

Prints, per task, the actions, how many are allowed, the moves, and how many objects are right.
Ends with status 1 if a task needs more, or leaves an object that is not right.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from annotator import coins, deepest
from counting_user import CountingUser, box_around
from nuclei_truth import TRUTH
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from skimage import data

from napari_sam.model import Predictor, load_model

FOLDER_VARIABLE: Final = "NAPARI_SAM_ACTIONS"
COIN_IOU, NUCLEUS_IOU = 0.8, 0.5
COINS, NUCLEI, BOXES = 10, 14, 6
VIEW_PX: Final = 225
"""How much of the nuclei a user has in sight, as in small_objects.py."""
MARGIN_PX: Final = 2
"""How far from an object a user draws a box."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """What a task has taken, and what it may take."""

    name: str
    actions: int
    allowed: int
    moves: int
    right: int
    objects: int

    @property
    def is_passed(self) -> bool:
        """Whether it took no more than allowed, and everything is right."""
        return self.actions <= self.allowed and self.right == self.objects


class Annotator:
    """Does the tasks in windows of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._predictor = Predictor(load_model("vit_t"), device="cpu")
        self._coins, self._true_coins = coins()
        self.tasks: dict[str, Callable[[], Task]] = {
            f"{COINS} coins": self.coins,
            f"{NUCLEI} nuclei": self.nuclei,
            "correct by background": self.background,
            "brush and back": self.brush,
            f"{BOXES} boxes": self.boxes,
            f"layer of {BOXES} boxes": self.layer_of_boxes,
            "export as COCO": self.export,
            "review an object": self.review,
        }

    def _open_coins(self) -> CountingUser:
        return CountingUser(self._coins, "coins", self._predictor)

    def _coin(self, label_id: int) -> Mask:
        return np.asarray(self._true_coins == label_id)

    # One click each ----------------------------------------------------------------------------

    def coins(self) -> Task:
        """Click on coins."""
        user, ids = self._open_coins(), range(1, COINS + 1)
        self._click_on(user, [self._coin(n) for n in ids], COIN_IOU, max(self._coins.shape))
        return self._finish(user, f"{COINS} coins", 11, (self._coin(n) for n in ids), COIN_IOU)

    def nuclei(self) -> Task:
        """Click on nuclei, looking closely."""
        labels = np.load(TRUTH)["labels"]
        nuclei = [labels == label_id for label_id in range(1, NUCLEI + 1)]
        user = CountingUser(data.immunohistochemistry(), "nuclei", self._predictor)
        self._click_on(user, nuclei, NUCLEUS_IOU, VIEW_PX)
        return self._finish(user, f"{NUCLEI} nuclei", 20, nuclei, NUCLEUS_IOU)

    def _click_on(
        self, user: CountingUser, objects: Iterable[Mask], least: float, view_px: float
    ) -> None:
        """Accept each object at once, and correct it if it is wrong."""
        prompts = user.widget.controllers.annotate.prompt_panel
        user.begin()
        user.press(prompts.accept_on_click)  # which begins with clicks
        for true in objects:
            user.look_at(deepest(true), view_px)
            user.click(deepest(true))
            label_id = int(user.labels.max())
            mask = user.labels == label_id
            if iou(mask, true) < least:
                self._correct(user, true, mask)

    @staticmethod
    def _correct(user: CountingUser, true: Mask, mask: Mask) -> None:
        missing, excess = true & ~mask, mask & ~true
        user.point_at(deepest(mask))
        user.press_key(Qt.Key.Key_O)
        if missing.sum() > excess.sum():
            user.click(deepest(missing))
        else:
            user.right_click(deepest(excess))
        user.press_key(Qt.Key.Key_C)

    # Corrections -------------------------------------------------------------------------------

    def background(self) -> Task:
        """Take a coin too many out of a mask."""
        user, wanted, other = self._open_coins(), self._coin(5), self._coin(6)
        user.press(user.tool("points"))
        for coin in (wanted, other):
            user.click(deepest(coin))
        was_wrong = iou(user.shown_mask, wanted) < COIN_IOU
        x, y = deepest(other)
        user.begin()
        user.right_click((x + 5, y + 5))
        right = was_wrong and iou(user.shown_mask, wanted) >= COIN_IOU
        return self._close(user, "correct by background", 1, int(right), 1)

    def brush(self) -> Task:
        """Paint on an accepted object, and go on clicking."""
        user, coin = self._open_coins(), self._coin(6)
        self._accept_coins(user, (5, 6))
        x, y = deepest(coin)
        edge = x + float(np.sqrt(coin.sum() / np.pi)) + 6  # beyond the coin's border
        size = np.count_nonzero(user.labels == 2)
        user.point_at((x, y))
        user.begin()
        user.press_key(Qt.Key.Key_Q)
        user.drag((edge, y - 4), (edge, y + 4))
        user.press_key(Qt.Key.Key_Q)
        has_grown = np.count_nonzero(user.labels == 2) > size and user.labels.max() == 2
        right = has_grown and user.tool("points").isChecked()
        return self._close(user, "brush and back", 3, int(right), 1)

    # Boxes -------------------------------------------------------------------------------------

    def boxes(self) -> Task:
        """Draw one box after the other: each accepts the mask of the one before."""
        user, coins = self._open_coins(), [self._coin(n) for n in range(1, BOXES + 1)]
        user.begin()
        user.press(user.tool("rectangle"))
        for coin in coins:
            user.drag(*box_around(coin, MARGIN_PX))
        user.press_key(Qt.Key.Key_C)
        return self._finish(user, f"{BOXES} boxes", BOXES + 2, coins, COIN_IOU)

    def layer_of_boxes(self) -> Task:
        """Draw boxes in a Shapes layer of one's own, and segment all of them."""
        user, coins = self._open_coins(), [self._coin(n) for n in range(1, BOXES + 1)]
        shapes = user.viewer.add_shapes(name="boxes", face_color="transparent")
        shapes.mode = "add_rectangle"
        user.begin()
        for coin in coins:
            user.drag(*box_around(coin, MARGIN_PX))
        user.press(user.tab("Batch"))
        user.press(user.widget.controllers.batch_prompts.panel.start)
        return self._finish(user, f"layer of {BOXES} boxes", BOXES + 2, coins, COIN_IOU)

    # Objects -----------------------------------------------------------------------------------

    def export(self) -> Task:
        """Export objects as COCO."""
        user = self._open_coins()
        self._accept_coins(user, (5, 6))
        user.begin()
        user.save_as(user.button("Export…"), "COCO", self._folder)
        files = list(self._folder.glob("*.json"))
        count = len(json.loads(files[0].read_text())["annotations"]) if files else 0
        return self._close(user, "export as COCO", 3, count, 2)

    def review(self) -> Task:
        """Mark the object that is looked at as reviewed."""
        user = self._open_coins()
        self._accept_coins(user, (5, 6))
        user.press_key(Qt.Key.Key_M)
        (label_id,) = user.widget.controllers.objects.selected
        user.begin()
        user.press_key(Qt.Key.Key_Y)
        record = user.widget.binding.target.labels.registry.get(label_id)
        return self._close(user, "review an object", 1, int(record.reviewed), 1)

    def _accept_coins(self, user: CountingUser, label_ids: Iterable[int]) -> None:
        user.press(user.tool("points"))
        for label_id in label_ids:
            user.click(deepest(self._coin(label_id)))
            user.press_key(Qt.Key.Key_C)

    # The end -----------------------------------------------------------------------------------

    def _finish(
        self, user: CountingUser, name: str, allowed: int, true: Iterable[Mask], least: float
    ) -> Task:
        """Compare the objects with the true ones, in their order."""
        objects = list(true)
        overlaps = [iou(user.labels == n, mask) for n, mask in enumerate(objects, 1)]
        right = sum(overlap >= least for overlap in overlaps)
        return self._close(user, name, allowed, right, len(objects))

    @staticmethod
    def _close(user: CountingUser, name: str, allowed: int, right: int, objects: int) -> Task:
        actions, moves = user.actions, user.moves
        user.close()
        return Task(name, actions, allowed, moves, right, objects)


def iou(mask: Mask, true: Mask) -> float:
    """Return the intersection over union of two masks."""
    return float(np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true)))


def work(names: list[str] | None, folder: Path, *, as_json: bool) -> int:
    """Do the tasks, print them, and return the exit status."""
    annotator, done = Annotator(folder), []
    for name, task in annotator.tasks.items():
        if names and name not in names:
            continue
        done.append(task())
        if not as_json:
            print_task(done[-1], is_first=len(done) == 1)
    if as_json:
        print(json.dumps([{**asdict(task), "passed": task.is_passed} for task in done]))
    return int(not all(task.is_passed for task in done))


def print_task(task: Task, *, is_first: bool) -> None:
    """Print a task, below a heading."""
    if is_first:
        print(f"{'task':24}{'actions':>8}{'allowed':>9}{'moves':>7}{'right':>8}")
    right = f"{task.right}/{task.objects}"
    missed = "" if task.is_passed else "   MISSED"
    counts = f"{task.actions:8}{task.allowed:9}{task.moves:7}{right:>8}"
    print(f"{task.name:24}{counts}{missed}", flush=True)


def main() -> None:
    """Parse the command line, and run apart from the user's files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", metavar="NAME", help="as printed; all by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if FOLDER_VARIABLE in os.environ:
        folder = Path(os.environ[FOLDER_VARIABLE])
        os._exit(work(options.task, folder, as_json=options.json))
    with tempfile.TemporaryDirectory() as base:
        environment = {**os.environ, **own_folders(base)}
        done = subprocess.run([sys.executable, *sys.argv], env=environment, check=False)
    sys.exit(done.returncode)


def own_folders(base: str) -> dict[str, Any]:
    """Return the variables that keep a process apart from the user's files."""
    names = ("EMBEDDINGS", "JOURNALS", "SETTINGS", "MODELS")
    return {
        **{f"NAPARI_SAM_{name}": f"{base}/{name.lower()}" for name in names},
        "NAPARI_CONFIG": f"{base}/settings.yaml",
        "XDG_CACHE_HOME": base,
        FOLDER_VARIABLE: base,
    }


if __name__ == "__main__":
    main()
