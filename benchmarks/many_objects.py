"""Time what is done to one object among thousands, in a real viewer with the table open.

Run by hand on a machine with nothing else to do:  python benchmarks/many_objects.py

A plane of 4096 x 4096 pixels has 5,000 discs in its Labels layer, and in its middle, which the
window shows, some more that are only in the image. Each figure is from the call until the event
loop has nothing left to do and the window is painted: the median, the longest, and the median as a
multiple of only repainting the window. What is accepted was decoded before the clock starts;
re-editing includes decoding, on a tile that is embedded.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt

from napari_sam._qt.object_table import ObjectTable
from napari_sam._qt.tabs import Tab
from napari_sam.bench.window import TIMEOUT_S, Screen, wait_until
from napari_sam.session import Prompts
from napari_sam.widget import SamWidget

SIDE_PX = 4096
RADIUS_PX = 18
WINDOW_SIZE = 1400, 900


def discs(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int32], list[tuple[float, float]]]:
    """Return an image of discs, labels for `count` of them, and the centers (x, y) of the rest."""
    per_side = int(np.ceil(np.sqrt(count * 1.05)))
    pitch = SIDE_PX / per_side
    random = np.random.default_rng(0)
    image = random.normal(60, 6, (SIDE_PX, SIDE_PX))
    labels = np.zeros((SIDE_PX, SIDE_PX), np.int32)
    y, x = np.ogrid[-RADIUS_PX : RADIUS_PX + 1, -RADIUS_PX : RADIUS_PX + 1]
    disc = x * x + y * y <= RADIUS_PX * RADIUS_PX
    free = []
    from_middle = np.hypot(*(np.indices((per_side, per_side)).reshape(2, -1) - per_side / 2))
    places = np.argsort(-from_middle)
    random.shuffle(places[:count])
    for number, place in enumerate(places, start=1):
        row, column = (int((n + 0.5) * pitch) for n in divmod(int(place), per_side))
        box = (
            slice(row - RADIUS_PX, row + RADIUS_PX + 1),
            slice(column - RADIUS_PX, column + RADIUS_PX + 1),
        )
        image[box][disc] += 90
        if number <= count:
            labels[box][disc] = number
        else:
            free.append((float(column), float(row)))
    return image.clip(0, 255).astype(np.uint8), labels, free


def show(table: ObjectTable) -> None:
    """Bring the tab on top that the table is in."""
    tab = table.parent()
    while not isinstance(tab, Tab):
        tab = tab.parent()
    tab.select()


class Stopwatch:
    """Times actions from the call until everything is on screen."""

    def __init__(self, widget: SamWidget, screen: Screen) -> None:
        self._widget, self._screen = widget, screen
        self._repaint_s = statistics.median(self._time(screen.native.update) for _ in range(9))

    def report(
        self, what: str, actions: Iterable[Callable[[], object]], *, on_canvas: bool = True
    ) -> None:
        """Time each action and print the line of the table."""
        times_s = [self._time(action, on_canvas) for action in actions]
        median_s = statistics.median(times_s)
        print(
            f"{what:34} {1000 * median_s:7.0f} ms {1000 * max(times_s):7.0f} ms "
            f"{median_s / self._repaint_s:6.1f}"
        )

    def _time(self, action: Callable[[], object], on_canvas: bool = True) -> float:
        self._screen.expect()
        start_s = time.perf_counter()
        action()
        self._widget.wait_until_idle(TIMEOUT_S)
        if on_canvas:
            wait_until(lambda: self._screen.is_shown)
        return time.perf_counter() - start_s


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--times", type=int, default=15, help="each action")
    arguments = parser.parse_args()
    times = arguments.times

    image, labels, free = discs(arguments.objects)
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    viewer.add_image(image, name="discs")
    layer = viewer.add_labels(labels, name="objects")
    widget = SamWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SAM live")
    widget.binding.target.set_layer(layer)
    table = widget.findChild(ObjectTable)
    show(table)
    viewer.scene.camera.zoom = 1.5
    widget.wait_until_idle(TIMEOUT_S)
    session, binding, view = widget.session, widget.binding, table.view
    screen = Screen(viewer)
    watch = Stopwatch(widget, screen)
    random = np.random.default_rng(1)

    def click(center: tuple[float, float]) -> None:
        session.set_prompts(Prompts((center,), (1,)))
        widget.wait_until_idle(TIMEOUT_S)

    def start_again() -> None:
        session.object_in_progress.clear()
        widget.wait_until_idle(TIMEOUT_S)

    def some() -> Iterator[int]:
        for label_id in random.choice(arguments.objects, times, replace=False):
            yield int(label_id) + 1

    def accepts() -> Iterator[Callable[[], object]]:
        for center in free[:times]:
            click(center)
            yield binding.objects.accept

    def reedits(label_ids: Iterable[int]) -> Iterator[Callable[[], object]]:
        for label_id in label_ids:
            yield lambda one=label_id: session.objects.reedit(one)
            start_again()

    def sorts() -> Iterator[Callable[[], object]]:
        for n in range(times):
            order = (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder)[n % 2]
            yield lambda column=n // 2 % 5, order=order: view.sortByColumn(column, order)

    def noted(label_ids: Iterable[int]) -> Iterator[Callable[[], object]]:
        for label_id in label_ids:
            yield lambda label_id=label_id: session.objects.update([label_id], class_name="round")

    click(free[-1])  # embeds the tile
    start_again()
    many = [int(n) + 1 for n in random.choice(arguments.objects, 500, replace=False)]
    made = [arguments.objects + n + 1 for n in range(times)]
    nearby = np.unique(labels[1500:2600, 1800:2300])[1 : times + 1].tolist()
    print(f"{arguments.objects} objects                          median     longest  / repaint")
    watch.report("accept", accepts())
    watch.report("re-edit one made here", reedits(made))
    watch.report("re-edit one from elsewhere", reedits(nearby))
    removals = [lambda label_id=label_id: session.objects.remove([label_id]) for label_id in made]
    watch.report("delete", removals)
    watch.report("undo a deletion", [binding.objects.undo] * times)
    watch.report("sort the table", sorts(), on_canvas=False)
    watch.report("class of one", noted(some()), on_canvas=False)
    watch.report(
        "class of 500", [lambda: session.objects.update(many, class_name="b")], on_canvas=False
    )
    watch.report("delete 500", [lambda: session.objects.remove(many)])
    watch.report("undo that", [binding.objects.undo])
    viewer.close()


if __name__ == "__main__":
    main()
