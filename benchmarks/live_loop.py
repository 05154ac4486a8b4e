"""Measure what a user waits for, in a real viewer with the retina (1411 x 1411).

Run by hand on a machine with nothing else to do:  python benchmarks/live_loop.py

- From a click to the repainted mask: from the moment the point is added until the window has
  swapped in the first canvas drawn after the candidates changed. An unclear click gets more masks
  after that (`decoding/pool.py`); when those are there is measured beside it.
- How long the event loop was blocked: the gaps between the beats of a 1 ms timer. An idle viewer
  that only repaints is measured beside them, as OpenGL in software blocks the loop by itself.
- Encoding on the job thread against encoding on the main thread, in turns, the viewer open.
- Previews a second that come to the screen while the mouse moves.
- From napari on screen to the widget on screen, torch not being imported yet.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from skimage import data

from napari_sam.bench.window import (
    TIMEOUT_S,
    Screen,
    previews_per_second,
    wait_until,
)
from napari_sam.storage.folders import EMBEDDINGS_VARIABLE

if TYPE_CHECKING:
    from napari_sam.model import Predictor
    from napari_sam.widget import SamWidget

WINDOW_SIZE = 1400, 900
HOVER_S = 6


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=24)
    parser.add_argument("--encodes", type=int, default=5, help="on each of the two threads")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ[EMBEDDINGS_VARIABLE] = folder  # or only the first run would embed
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Measure in a viewer of its own."""
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    viewer.add_image(np.asarray(data.retina()), rgb=True, name="retina")
    screen = Screen(viewer)
    screen.repaint()

    repainting = blocked_while_repainting(screen)
    widget, encodes_s = measure_start(viewer)
    measure_encodes(widget, encodes_s, arguments.encodes)
    decoding = measure_clicks(viewer, widget, screen, arguments.clicks)
    print(f"event loop blocked, idle viewer repainting   {repainting}")
    print(
        f"  longest while decoding / while only repainting: {decoding.max_s / repainting.max_s:.2f}"
    )
    per_second = previews_per_second(widget, screen, HOVER_S)
    print(f"hover preview                                {per_second:.1f} per second")
    viewer.close()


# Instruments -----------------------------------------------------------------------------------


class Heartbeat:
    """The gaps between the beats of a 1 ms timer: how long the event loop was blocked."""

    def __init__(self) -> None:
        self._gaps_s: list[float] = []
        self._last_s = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._beat)

    def _beat(self) -> None:
        now_s = time.perf_counter()
        self._gaps_s.append(now_s - self._last_s)
        self._last_s = now_s

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat inside the block."""
        self._last_s = time.perf_counter()
        self._timer.start()
        yield
        self._beat()
        self._timer.stop()

    @property
    def max_s(self) -> float:
        """The longest gap."""
        return max(self._gaps_s)

    def __str__(self) -> str:
        percentile_99_s = float(np.percentile(self._gaps_s, 99))
        return f"max {self.max_s * 1000:5.1f} ms, 99th percentile {percentile_99_s * 1000:5.1f} ms"


class PaintWatch(QObject):
    """Notes when a widget was painted for the first time."""

    painted_s = 0.0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at the event and let it pass."""
        if event.type() == QEvent.Type.Paint and not self.painted_s:
            self.painted_s = time.perf_counter()
        return False


def blocked_while_repainting(screen: Screen, times: int = 40) -> Heartbeat:
    """Measure the event loop of a viewer that does nothing but repaint."""
    heartbeat = Heartbeat()
    with heartbeat.beating():
        for _ in range(times):
            screen.repaint()
    return heartbeat


# Measurements ------------------------------------------------------------------------------------


def timed_predictor(encodes_s: list[float]) -> Predictor:
    """Load the predictor that the widget uses, with a clock around `encode`."""
    from napari_sam.model import Predictor, load_model

    predictor = Predictor(load_model())
    encode = predictor.encode

    def timed_encode(*args: Any, **kwargs: Any) -> Any:
        start_s = time.perf_counter()
        try:
            return encode(*args, **kwargs)
        finally:
            encodes_s.append(time.perf_counter() - start_s)

    predictor.encode = timed_encode  # type: ignore[method-assign]
    return predictor


def measure_start(viewer: napari.Viewer) -> tuple[SamWidget, list[float]]:
    """Open the widget as the Plugins menu does; return it and the clock of its encodes."""
    encodes_s: list[float] = []
    watch = PaintWatch()
    heartbeat = Heartbeat()
    assert "torch" not in sys.modules
    start_s = time.perf_counter()
    from napari_sam.widget import SamWidget

    widget = SamWidget(viewer, load_predictor=lambda *_: timed_predictor(encodes_s))
    widget.installEventFilter(watch)
    viewer.window.add_dock_widget(widget, name="Click to segment")
    wait_until(lambda: watch.painted_s > 0)
    shown_s = time.perf_counter() - start_s
    with heartbeat.beating():
        widget.wait_until_idle(TIMEOUT_S)
    ready_s = time.perf_counter() - start_s
    print(f"from napari to the widget on screen          {shown_s * 1000:.0f} ms")
    print(f"from napari to the first embedding           {ready_s:.2f} s")
    print(f"event loop blocked, torch loading, embedding {heartbeat}")
    return widget, encodes_s


def measure_encodes(widget: SamWidget, encodes_s: list[float], times: int) -> None:
    """Encode on both threads in turns; print the medians and the job thread's heartbeat."""
    from napari_sam.session import ImagePlane

    image = np.asarray(data.retina())
    heartbeat = Heartbeat()
    job_s, main_s = [], []
    predictor = timed_predictor([])
    for number in range(1, times + 1):
        fresh = np.ascontiguousarray(np.roll(image, number, axis=0))  # not in the cache yet
        with heartbeat.beating():
            widget.session.set_image(ImagePlane(fresh, is_rgb=True))
            widget.wait_until_idle(TIMEOUT_S)
        job_s.append(encodes_s[-1])
        start_s = time.perf_counter()
        predictor.encode(fresh)
        main_s.append(time.perf_counter() - start_s)
    on_job_s, on_main_s = np.median(job_s), np.median(main_s)
    print(f"event loop blocked, embedding                {heartbeat}")
    print(
        f"encode, median of {times}                         job thread {on_job_s:.2f} s,"
        f" main thread {on_main_s:.2f} s, ratio {on_job_s / on_main_s:.2f}"
    )
    widget.session.set_image(ImagePlane(image, is_rgb=True))
    widget.wait_until_idle(TIMEOUT_S)


def measure_clicks(
    viewer: napari.Viewer, widget: SamWidget, screen: Screen, times: int
) -> Heartbeat:
    """Click on an object after the other; print and return what the user waits for."""
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    heartbeat = Heartbeat()
    first_s: list[float] = []
    all_s: list[float] = []

    def on_session_changed(state: Any) -> None:
        if state.candidates is not None and not first_s:
            first_s.append(time.perf_counter())
            screen.expect()
        if state.candidates is not None and not state.is_decoding and not all_s:
            all_s.append(time.perf_counter())

    angles = np.linspace(0, 2 * np.pi, times + 1)
    waits_s: list[tuple[float, float, float]] = []
    for number, angle in enumerate(angles):
        at_rc = 705 + 400 * np.array([np.sin(angle), np.cos(angle)])
        first_s.clear()
        all_s.clear()
        widget.session.changed.connect(on_session_changed)
        clicked_s: list[float] = []
        shown_s: list[float] = []

        def click(at_rc: np.ndarray = at_rc, clicked_s: list[float] = clicked_s) -> None:
            clicked_s.append(time.perf_counter())
            points.add(at_rc)

        def is_over(shown_s: list[float] = shown_s) -> bool:
            if first_s and screen.is_shown and not shown_s:
                shown_s.append(time.perf_counter())
            return bool(shown_s and all_s)

        with heartbeat.beating():
            QTimer.singleShot(0, click)
            wait_until(is_over)
        widget.session.changed.disconnect(on_session_changed)
        if number > 0:  # the first one warms up
            ends_s = np.array([first_s[0], shown_s[0], all_s[0]])
            waits_s.append(tuple(ends_s - clicked_s[0]))
        widget.session.object_in_progress.clear()
        widget.wait_until_idle(TIMEOUT_S)
    first_ms, screen_ms, all_ms = 1000 * np.median(waits_s, axis=0)
    print(f"from the click to the first masks            median {first_ms:.0f} ms")
    print(
        f"from the click to the repainted mask         median {screen_ms:.0f} ms,"
        f" max {1000 * max(wait_s[1] for wait_s in waits_s):.0f} ms, of {times} clicks"
    )
    print(f"from the click to all masks                  median {all_ms:.0f} ms")
    print(f"event loop blocked, decoding                 {heartbeat}")
    return heartbeat


if __name__ == "__main__":
    main()
