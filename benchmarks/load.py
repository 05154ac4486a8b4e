"""How long the event loop stands still under load, beside the same in napari alone.

Run by hand on a machine with nothing else to do:

    python benchmarks/load.py [--objects 20000] [--classes 5000] [--points 10000] [--slices 300]
        [--side 30000] [--times 3] [--only objects files classes points stack lazy] [--json]

A timer of the event loop ticks all the time. For each step it is printed, for the widget and for
napari alone doing what it does on its own in such a step:

gap: the longest time between two ticks;
free core: the longest, less the time in which the GUI thread waited for a core (where Linux tells
that). Other programs on the machine hardly lengthen it; waits for our own threads are in it;
work: the longest work of the GUI thread itself between two ticks.

With Mesa's software renderer, LP_NUM_THREADS=0 in the environment counts drawing as work of the
GUI thread; its own threads wait for cores that others need, which nothing here tells.

All are medians of the times that the step was taken, in ms. The last column is the ratio of the
times on a free core. Steps of which napari knows nothing are compared with redrawing the Labels
layer; an asterisk marks steps over the bar of 100 ms on a free core.

objects: discs in a Labels layer, which has their classes and scores in its features. files: they
are exported in all formats, saved as a session and opened again. classes: accepting an object while
there are so many classes. points: a Points layer of so many points as prompt layer. stack: click
and accept in slices. lazy: a click in a dask image of that side. Tables and sections are open.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import napari
import numpy as np
import pandas as pd
import skimage.data
from numpy.typing import NDArray
from qtpy.QtCore import QEventLoop, Qt, QTimer

from napari_sam.formats.classes import PALETTE, ObjectClass
from napari_sam.formats.registry import FORMATS
from napari_sam.session import Prompts
from napari_sam.storage.folders import EMBEDDINGS_VARIABLE, JOURNALS_VARIABLE
from napari_sam.widget import SamWidget

TICK_MS = 2
REST_S = 0.3
TIMEOUT_S = 600
WINDOW_SIZE = 1400, 900
PITCH_PX = 28
CLASS_NAMES = "cell", "debris", "fiber"
BAR_MS = 100
SCHEDULER = Path("/proc/thread-self/schedstat")
"""Where Linux tells how long a thread was at work and waited for a core, in ns."""

Step = Callable[[], object]


class Gap(NamedTuple):
    """Three lengths of a time between two ticks; each the longest of a step, in s."""

    wall_s: float
    free_core_s: float
    work_s: float


def read_clocks() -> Gap:
    """Return the time by the clock, without waits of the GUI thread for a core, and at work."""
    now_s = time.perf_counter()
    waited_ns = int(SCHEDULER.read_text().split()[1]) if SCHEDULER.exists() else 0
    return Gap(now_s, now_s - 1e-9 * waited_ns, time.thread_time())


class LoopWatch:
    """A timer of the event loop, and the longest time between two of its ticks."""

    def __init__(self) -> None:
        self._last, self._longest = Gap(0, 0, 0), Gap(0, 0, 0)
        self._timer = QTimer(interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)

    def longest(self, step: Step, wait: Step) -> Gap:
        """Take a step, wait until it is over, and return the longest gap."""
        self._last, self._longest = read_clocks(), Gap(0, 0, 0)
        self._timer.start()
        step()
        wait()
        self._tick()
        self._timer.stop()
        return self._longest

    def _tick(self) -> None:
        last, self._last = self._last, read_clocks()
        gaps = (now - before for now, before in zip(self._last, last, strict=True))
        self._longest = Gap(*map(max, self._longest, gaps))


class Rows:
    """Measures steps, prints a row of the table for each, and keeps the figures."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.figures: dict[str, dict[str, dict[str, float]]] = {}
        clocks = f"{'gap':>7}{'free core':>11}{'work':>6}"
        self._print(f"{'':34}{clocks} ms | napari{clocks[4:]} ms{'ratio':>7}")

    def add(self, name: str, gaps: list[Gap], alone: list[Gap]) -> None:
        """Print the medians of a step, and of what napari does alone."""
        figures = {"widget": medians_ms(gaps)} | ({"napari": medians_ms(alone)} if alone else {})
        self.figures[name] = figures
        gap_ms, free_core_ms, work_ms = figures["widget"].values()
        mark = "*" if free_core_ms > BAR_MS else " "
        text = f"{name:34}{gap_ms:7.0f}{free_core_ms:10.0f}{mark}{work_ms:6.0f} ms"
        if alone:
            gap_ms, napari_ms, work_ms = figures["napari"].values()
            text += f" |{gap_ms:10.0f}{napari_ms:11.0f}{work_ms:6.0f} ms"
            text += f"{free_core_ms / napari_ms:7.1f}"
        self._print(text)

    def _print(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)


def medians_ms(gaps: list[Gap]) -> dict[str, float]:
    """Return the medians of lengths of gaps by their names."""
    medians = map(statistics.median, zip(*gaps, strict=True))
    names = (name.replace("_s", "_ms") for name in Gap._fields)
    return {name: 1000 * seconds for name, seconds in zip(names, medians, strict=True)}


class Bench:
    """A viewer, perhaps with the widget, in which steps are taken."""

    def __init__(self, watch: LoopWatch, *, with_widget: bool) -> None:
        self._watch = watch
        self.viewer = napari.Viewer()
        self.viewer.window.resize(*WINDOW_SIZE)
        self.widget: Any = None
        if with_widget:
            self.widget = SamWidget(self.viewer)
            self.viewer.window.add_dock_widget(self.widget, name="SAM live")
            self.widget.controllers.objects.tab.select()
            self.widget.controllers.classes.window.show()

    def wait(self) -> None:
        """Run the event loop until nothing is left to do."""
        if self.widget is not None:
            self.widget.wait_until_idle(TIMEOUT_S)
        run_loop(REST_S)

    def gap(self, step: Step) -> Gap:
        """Take a step and return the longest gap."""
        return self._watch.longest(step, self.wait)

    def gaps(self, steps: Iterable[Step]) -> list[Gap]:
        """Take steps one after the other."""
        return [self.gap(step) for step in steps]

    def close(self) -> Gap:
        """Close the window and return the gap."""

        def step() -> None:
            if self.widget is not None:
                self.widget.close()
            self.viewer.close()

        return self._watch.longest(step, lambda: run_loop(REST_S))


def run_loop(seconds: float) -> None:
    """Run the event loop for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


@contextmanager
def benches(rows: Rows, watch: LoopWatch, name: str) -> Iterator[tuple[Bench, Bench]]:
    """Yield a viewer alone and one with the widget, and measure their ends."""
    alone, ours = Bench(watch, with_widget=False), Bench(watch, with_widget=True)
    yield alone, ours
    for layer in ours.viewer.layers[len(alone.viewer.layers) :]:
        alone.viewer.add_layer(napari.layers.Layer.create(*layer.as_layer_data_tuple()))
    alone.wait()
    rows.add(f"{name}: close the window", [ours.close()], [alone.close()])


def discs(count: int) -> tuple[NDArray[np.uint8], NDArray[Any], pd.DataFrame]:
    """Return an image of discs, their labels, and a table of details."""
    per_side = int(np.ceil(np.sqrt(count)))
    y, x = np.indices((PITCH_PX, PITCH_PX)) - (PITCH_PX - 1) / 2
    disc = np.tile(np.hypot(y, x) < 0.42 * PITCH_PX, (per_side, per_side))
    label_ids = np.arange(1, per_side * per_side + 1)
    label_ids[count:] = 0
    wide = np.kron(label_ids.reshape(per_side, per_side), np.ones((PITCH_PX,) * 2, np.int64))
    noise = np.random.default_rng(0).integers(0, 20, disc.shape)
    table = pd.DataFrame(
        {
            "index": label_ids[:count],
            "class": [CLASS_NAMES[n % len(CLASS_NAMES)] for n in range(count)],
            "score": np.linspace(0.5, 1, count),
        }
    )
    image = (60 + noise + 90 * disc).astype(np.uint8)
    dtype = np.uint16 if count < 2**16 else np.int32
    return image, np.where(disc, wide, 0).astype(dtype), table


def measure_objects(rows: Rows, watch: LoopWatch, options: argparse.Namespace) -> None:
    """Choose a target, change classes, delete, undo, sort out the table."""
    times = options.times
    image, labels, table = discs(options.objects)
    with benches(rows, watch, "objects") as (alone, ours):
        for bench in (alone, ours):
            bench.viewer.add_image(image, name="discs")
            bench.wait()
        beside = alone.viewer.add_labels(labels.copy(), features=table)
        alone.wait()
        redrawn = alone.gaps([beside.refresh] * times)
        chosen = []
        for number in range(times):
            layer = ours.viewer.add_labels(labels.copy(), features=table, name=f"labels {number}")
            ours.wait()
            chosen.append(ours.gap(lambda layer=layer: ours.widget.binding.target.set_layer(layer)))
            if number + 1 < times:
                ours.viewer.layers.remove(layer)
                ours.wait()
        rows.add("objects: choose the target", chosen, redrawn)
        change_objects(rows, ours, alone, beside, options)
        review: list[Step] = [lambda: ours.widget.session.objects.update([5], reviewed=True)]
        rows.add("objects: review one", ours.gaps(review * times), redrawn)
        model = ours.widget.controllers.objects.table.model
        filters = [lambda: model.set_text("debris"), lambda: model.set_text("")]
        rows.add("objects: filter the table", ours.gaps(filters * times), redrawn)


def change_objects(
    rows: Rows, ours: Bench, alone: Bench, beside: Any, options: argparse.Namespace
) -> None:
    """Change many objects at once and undo that, beside the layer of a viewer alone."""
    labels, table = beside.data.copy(), beside.features.copy()
    count, times, session = options.objects, options.times, ours.widget.session
    half = np.random.default_rng(1).choice(count, count // 2, replace=False) + 1
    in_half = np.isin(labels, half)

    def erase() -> None:
        beside.data[in_half] = 0
        beside.refresh()

    def restore() -> None:
        np.copyto(beside.data, labels)
        beside.refresh()

    def set_features() -> None:
        beside.features = table.copy()

    steps: tuple[tuple[str, Step, Step, Step], ...] = (
        (
            "class of all",
            lambda: session.objects.update(range(1, count + 1), class_name="cell"),
            set_features,
            set_features,
        ),
        (
            "rename a class",
            lambda: session.classes.rename("cell", "nucleus"),
            set_features,
            set_features,
        ),
        (
            "delete half of them",
            lambda: session.objects.remove(half.tolist()),
            erase,
            restore,
        ),
    )
    for name, step, step_alone, undo_alone in steps:
        done, undone = [], []
        for _ in range(times):
            done.append(ours.gap(step))
            undone.append(ours.gap(session.undo))
        rows.add(f"objects: {name}", done, alone.gaps([step_alone] * times))
        rows.add(f"objects: undo '{name}'", undone, alone.gaps([undo_alone] * times))


def measure_files(rows: Rows, watch: LoopWatch, options: argparse.Namespace) -> None:
    """Export objects in all formats, save them as a session and open it."""
    image, labels, table = discs(options.objects)
    with (
        tempfile.TemporaryDirectory(prefix="load") as folder,
        benches(rows, watch, "files") as (alone, ours),
    ):
        for bench in (alone, ours):
            bench.viewer.add_image(image, name="discs")
        layer = ours.viewer.add_labels(labels, features=table)
        ours.wait()
        ours.widget.binding.target.set_layer(layer)
        ours.wait()
        export = ours.widget.controllers.objects.files.export_to
        for entry in FORMATS:
            path = Path(folder) / f"discs_{entry.key}{entry.suffixes[0]}"
            step = lambda path=path, title=entry.title: export(path, title, False)  # noqa: E731
            rows.add(f"files: {entry.title}", ours.gaps([step]), [])
        path = Path(folder) / "discs.sam-session.jsonl"
        sessions = ours.widget.controllers.session_file
        rows.add("files: save the session", ours.gaps([lambda: sessions.save(path)]), [])
        add = alone.gaps([lambda: alone.viewer.add_labels(labels.copy())])
        rows.add("files: open the session", ours.gaps([lambda: sessions.open(path)]), add)


def clicks(widget: SamWidget, count: int) -> Iterator[tuple[Step, Step]]:
    """Yield clicks on the coins of skimage's image, each with what accepts its mask."""
    centers = [(49, 104), (117, 47), (112, 109), (114, 168), (118, 227), (55, 55), (170, 230)]
    for number in range(count):
        y, x = centers[number % len(centers)]
        prompts = Prompts(((float(x), float(y)),), (1,))
        yield (
            lambda prompts=prompts: widget.session.set_prompts(prompts),
            widget.binding.objects.accept,
        )


def redrawn(bench: Bench, times: int) -> list[Gap]:
    """Return what redrawing a Labels layer of the size of the image takes in napari alone."""
    image = bench.viewer.layers[0]
    layer = bench.viewer.add_labels(np.zeros(image.data.shape, np.uint16))
    bench.wait()
    return bench.gaps([layer.refresh] * times)


def added_labels(bench: Bench) -> Gap:
    """Return what adding an empty Labels layer takes."""
    shape = bench.viewer.layers[0].data.shape
    return bench.gap(lambda: bench.viewer.add_labels(np.zeros(shape, np.uint16)))


def start(rows: Rows, name: str, alone: Bench, ours: Bench) -> None:
    """Get ready for clicks, beside adding a Points layer."""
    ndim = ours.viewer.layers[0].ndim
    added = alone.gap(lambda: alone.viewer.add_points(np.zeros((0, ndim))))
    rows.add(
        f"{name}: start to click", [ours.gap(ours.widget.binding.prompts.start_points)], [added]
    )


def measure_classes(rows: Rows, watch: LoopWatch, options: argparse.Namespace) -> None:
    """Accept objects while there are many classes."""
    names = [f"class number {number}" for number in range(options.classes)]
    classes = tuple(ObjectClass(name, PALETTE[n % len(PALETTE)]) for n, name in enumerate(names))
    with benches(rows, watch, "classes") as (alone, ours):
        for bench in (alone, ours):
            bench.viewer.add_image(skimage.data.coins(), name="coins")
            bench.wait()
        beside, session = redrawn(alone, options.times), ours.widget.session
        rows.add("classes: load", ours.gaps([lambda: session.classes.load(classes)]), beside)
        accepted = []
        for click, accept in clicks(ours.widget, options.times + 1):
            click()
            ours.wait()
            accepted.append(ours.gap(accept))
        rows.add("classes: accept", accepted[1:], beside)  # the first one makes a layer
        names_used = iter(names)
        chosen = [lambda: session.classes.table.choose(next(names_used))] * options.times
        rows.add("classes: choose one", ours.gaps(chosen), beside)
        added = [lambda name=f"more {n}": session.classes.add(name) for n in range(options.times)]
        rows.add("classes: add one", ours.gaps(added), beside)
        renamed = [lambda: session.classes.rename("class number 7", "seven"), session.undo]
        rows.add("classes: rename one, undo", ours.gaps(renamed), beside)


def measure_points(rows: Rows, watch: LoopWatch, options: argparse.Namespace) -> None:
    """Take the prompts of one object from a layer of very many points."""
    image = skimage.data.coins()
    points = np.random.default_rng(0).uniform(0, image.shape, (options.points, 2))
    with benches(rows, watch, "points") as (alone, ours):
        layers = []
        for bench in (alone, ours):
            bench.viewer.add_image(image, name="coins")
            layers.append(bench.viewer.add_points(points.copy(), name="many"))
            bench.wait()
        beside = alone.gaps([layers[0].refresh] * options.times)
        prompts, many = ours.widget.binding.prompts, layers[1]
        choices = [lambda: prompts.set_layers(many, None), lambda: prompts.set_layers(None, None)]
        rows.add("points: choose the layer", ours.gaps(choices * options.times), beside)
        prompts.set_layers(many, None)
        ours.wait()
        more = ours.gaps([lambda: many.add([[20, 20]])] * options.times)
        rows.add("points: add one", more, alone.gaps([lambda: layers[0].add([[20, 20]])] * 3))
        if not ours.widget.session.state.candidates:
            print(f"  {ours.widget.session.state.hint}")


def measure_stack(rows: Rows, watch: LoopWatch, options: argparse.Namespace) -> None:
    """Go through a stack, click and accept."""
    coins = skimage.data.coins()
    stack = np.stack([np.roll(coins, n % 5, 0) for n in range(options.slices)])
    with benches(rows, watch, "stack") as (alone, ours):
        for bench in (alone, ours):
            bench.viewer.add_image(stack, name="stack")
            bench.viewer.dims.set_current_step(0, 0)
            bench.wait()
        start(rows, "stack", alone, ours)
        beside = redrawn(alone, options.times)
        moves = alone.gaps(
            [lambda n=n: alone.viewer.dims.set_current_step(0, n) for n in range(options.times)]
        )
        moved, clicked, accepted = [], [], []
        for number, (click, accept) in enumerate(clicks(ours.widget, 2 * options.times + 1)):
            step = lambda n=number: ours.viewer.dims.set_current_step(0, n)  # noqa: E731
            moved.append(ours.gap(step))
            clicked.append(ours.gap(click))
            accepted.append(ours.gap(accept))
        rows.add("stack: next slice", moved[1:], moves)
        rows.add("stack: first click", clicked[:1], beside)
        rows.add("stack: first accept", accepted[:1], [added_labels(alone)])
        rows.add("stack: click", clicked[1:], beside)
        rows.add("stack: accept", accepted[1:], beside)


def measure_lazy(rows: Rows, watch: LoopWatch, options: argparse.Namespace) -> None:
    """Click into a large lazy image, which is one level of a dask array."""
    side = options.side

    def block(block_info: Any = None) -> NDArray[np.uint8]:
        (top, bottom), (left, right) = block_info[None]["array-location"]
        y, x = np.ogrid[top:bottom, left:right]
        return (60 + 120 * ((y // 256 + x // 256) % 2)).astype(np.uint8)

    image = da.map_blocks(block, chunks=((2000,) * (side // 2000),) * 2, dtype=np.uint8)
    with benches(rows, watch, "lazy") as (alone, ours):
        for bench in (alone, ours):
            bench.viewer.add_image(image, name="lazy", contrast_limits=(0, 255))
            bench.viewer.scene.camera.zoom = 1
            bench.wait()
        start(rows, "lazy", alone, ours)
        points = alone.viewer.layers[-1]
        beside = alone.gaps([lambda: points.add([[side / 2 + 100, side / 2]])] * options.times)
        session, clicked, accepted = ours.widget.session, [], []
        for number in range(options.times + 1):
            place = (side / 2 + 600 * number + 128, side / 2 + 128)
            prompts = Prompts((place,), (1,))
            clicked.append(ours.gap(lambda prompts=prompts: session.set_prompts(prompts)))
            accepted.append(ours.gap(ours.widget.binding.objects.accept))
        rows.add("lazy: first click", clicked[:1], beside)
        rows.add("lazy: first accept", accepted[:1], [])
        rows.add("lazy: click", clicked[1:], beside)
        rows.add("lazy: accept", accepted[1:], beside)


PARTS = {
    "objects": measure_objects,
    "files": measure_files,
    "classes": measure_classes,
    "points": measure_points,
    "stack": measure_stack,
    "lazy": measure_lazy,
}


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=5000)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--side", type=int, default=30_000, help="of the lazy image in pixels")
    parser.add_argument("--times", type=int, default=3, help="each step")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rows, watch = Rows(quiet=options.json), LoopWatch()
    with tempfile.TemporaryDirectory(prefix="load") as folder:
        for variable in (EMBEDDINGS_VARIABLE, JOURNALS_VARIABLE):
            os.environ[variable] = str(Path(folder) / variable)
        for name in options.only:
            PARTS[name](rows, watch, options)
    if options.json:
        print(json.dumps(rows.figures, indent=2))


if __name__ == "__main__":
    main()
