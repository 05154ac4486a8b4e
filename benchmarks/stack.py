"""Go through a stack at a user's pace, back again, and open it once more in another process.

    python benchmarks/stack.py [--slices 200] [--pause 2.0] [--json]

A real viewer shows one slice after the other. Printed are: how many slices were ready when they
were shown (without the first, which nobody could foresee), how long the others took; the time
from the slider to an embedding that can be decoded when going back, to slices in memory and to
those that are only on disk; and the time until a known image is ready in a fresh process, with
and without loading the model. Embeddings go to a folder of their own, which is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_sam.session import AnnotationSession, EmbeddingStore, ImagePlane, Phase, SessionState
from napari_sam.storage.folders import EMBEDDINGS_VARIABLE

if TYPE_CHECKING:
    from napari_sam.model import Predictor

SIDE = 512
WAYS_BACK = 10
TIMEOUT_S = 600
ENCODE_THREAD = "napari-sam-encode"
CHILD = "--child"


def make_stack(count: int) -> np.ndarray:
    """Return soft blobs that wander from slice to slice: (count, 512, 512) uint8."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(SIDE, SIDE)), 12, mode="wrap")
    noise = (noise - noise.min()) / np.ptp(noise)
    image = (255 * noise).astype(np.uint8)
    return np.stack([np.roll(image, (number, 2 * number), (0, 1)) for number in range(count)])


class ReadyWatch:
    """When the session began on a slice last, and when that was ready."""

    def __init__(self, session: AnnotationSession) -> None:
        self.ready_s: float | None = None
        session.changed.connect(self._on_changed)

    def _on_changed(self, state: SessionState) -> None:
        if state.is_working:
            self.ready_s = None
        elif state.phase is Phase.READY and self.ready_s is None:
            self.ready_s = time.perf_counter()

    def time(self, act: Callable[[], None], wait: Callable[[float], None]) -> float:
        """Return the seconds from an act to the next slice that is ready."""
        self.ready_s = None
        start_s = time.perf_counter()
        act()
        while self.ready_s is None and time.perf_counter() < start_s + TIMEOUT_S:
            wait(0.001)
        if self.ready_s is None:
            raise SystemExit("A slice is not ready after ten minutes.")
        return self.ready_s - start_s


def wait_in_event_loop(seconds: float) -> None:
    """Let Qt work, as while a user looks."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def walk(stack: np.ndarray, pause_s: float) -> dict[str, Any]:
    """Go forward through all slices, then back to some."""
    import napari

    from napari_sam.session.models.model_choice import load_predictor
    from napari_sam.widget import SamWidget

    encoded_on: list[str] = []

    def load(*args: Any) -> Predictor:
        predictor = load_predictor(*args)
        encode = predictor.encode

        def noting_encode(*args: Any, **kwargs: Any) -> Any:
            encoded_on.append(threading.current_thread().name)
            return encode(*args, **kwargs)

        predictor.encode = noting_encode  # type: ignore[method-assign]
        return predictor

    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    viewer.add_image(stack, contrast_limits=(0, 255), name="stack")
    viewer.dims.set_current_step(0, 0)
    widget = SamWidget(viewer, load_predictor=load)
    viewer.window.add_dock_widget(widget)
    watch = ReadyWatch(widget.session)
    while watch.ready_s is None:
        wait_in_event_loop(0.05)

    def go_to(number: int) -> float:
        return watch.time(lambda: viewer.dims.set_current_step(0, number), wait_in_event_loop)

    forward, late = [], 0
    for number in range(1, len(stack)):
        wait_in_event_loop(pause_s)
        before = sum(name.startswith(ENCODE_THREAD) for name in encoded_on)
        forward.append(go_to(number))
        late += sum(name.startswith(ENCODE_THREAD) for name in encoded_on) - before
    widget.wait_until_idle(TIMEOUT_S)
    last = len(stack) - 1
    recent = []
    for number in range(last - 1, max(0, last - 1 - WAYS_BACK), -1):
        recent.append(go_to(number))
        widget.wait_until_idle(TIMEOUT_S)
    oldest = []
    for number in range(min(WAYS_BACK, last)):
        oldest.append(go_to(number))
        widget.wait_until_idle(TIMEOUT_S)
    widget._store.flush()
    widget.close()
    viewer.close()
    return {
        "slices": len(stack),
        "pause_s": pause_s,
        "shown": len(forward),
        "ready_when_shown": len(forward) - late,
        "forward_ms": _summary(forward),
        "back_recent_ms": _summary(recent),
        "back_oldest_ms": _summary(oldest),
    }


def _summary(times_s: list[float]) -> dict[str, float]:
    return {"median": 1e3 * median(times_s), "max": 1e3 * max(times_s)}


def start_again(started_s: float) -> None:
    """In a fresh process: load the model, then have a known slice ready; print both times."""
    plane = ImagePlane(make_stack(1)[0], contrast_limits=(0, 255))
    session = AnnotationSession(store=EmbeddingStore())
    watch = ReadyWatch(session)
    session.embedding.preload()
    session.wait_until_idle(TIMEOUT_S)
    known_s = watch.time(
        lambda: session.set_image(plane),
        lambda wait_s: session.background.dispatcher.run_pending(wait_s),
    )
    # The processes share this clock.
    print(json.dumps({"known_ms": 1e3 * known_s, "from_start_s": time.time() - started_s}))
    session.close()


def in_fresh_process() -> dict[str, float]:
    """Return what a process of its own measures."""
    done = subprocess.run(
        [sys.executable, __file__, CHILD, str(time.time())],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    times: dict[str, float] = json.loads(done.stdout)
    return times


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds per slice")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(CHILD, type=float, dest="started_s", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.started_s is not None:
        start_again(options.started_s)
        return
    with tempfile.TemporaryDirectory(prefix="stack") as folder:
        os.environ[EMBEDDINGS_VARIABLE] = folder
        result = walk(make_stack(options.slices), options.pause)
        result["fresh"] = [in_fresh_process() for _ in range(3)]
    if options.json:
        print(json.dumps(result, indent=2))
        return
    known = median(run["known_ms"] for run in result["fresh"])
    whole = median(run["from_start_s"] for run in result["fresh"])
    print("{ready_when_shown} of {shown} slices were ready when they were shown".format(**result))
    for key, name in (
        ("forward_ms", "forward"),
        ("back_recent_ms", "back, in memory"),
        ("back_oldest_ms", "back to the first ones"),
    ):
        print(f"{name}: {result[key]['median']:.0f} ms, at most {result[key]['max']:.0f} ms")
    print(f"fresh process: {known:.0f} ms once the model is loaded, {whole:.1f} s in all")


if __name__ == "__main__":
    main()
