"""Time a cold start: from the start of Python to the first mask on screen.

Run by hand on a machine with nothing else to do:  python benchmarks/cold_start.py [--runs 5]

Each run is a process of its own. It does what `napari-sam --sample coins` does, with a click as
soon as the window is there, long before the model is: the mask comes when it can. What the
background does meanwhile overlaps with the window, so each phase is given by when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from napari_sam.storage.folders import EMBEDDINGS_VARIABLE

if TYPE_CHECKING:
    import napari

    from napari_sam.model import Predictor

COIN_XY = 211, 192
PHASES = (
    "Python runs",
    "napari is imported",
    "window is made",
    "window is on screen, click",
    "torch is imported",
    "weights are loaded",
    "image is embedded",
    "masks are there",
    "first mask is on screen",
)


class Run:
    """One start, inside its own process.

    Parameters
    ----------
    started_s : float
        When the process was started, on the clock of `time.time`, which processes share.
    """

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._ends_s: dict[str, float] = {}
        self._end("Python runs")

    def _end(self, phase: str) -> None:
        self._ends_s.setdefault(phase, time.time() - self._started_s)

    def start(self) -> dict[str, float]:
        """Start as the command does; return when each phase has ended, in seconds."""
        import napari

        from napari_sam.cli.main import main as cli

        self._end("napari is imported")
        napari.run = self._click_and_wait
        import napari_sam.widget

        run = self

        class TimedWidget(napari_sam.widget.SamWidget):
            def __init__(self, viewer: napari.Viewer, **settings: Any) -> None:
                super().__init__(viewer, load_predictor=lambda *_: run._load(), **settings)

        napari_sam.widget.SamWidget = TimedWidget  # type: ignore[misc]
        cli.main(["--sample", "coins"], standalone_mode=False)
        return self._ends_s

    def _load(self) -> Predictor:
        from napari_sam.model import Predictor, load_model

        self._end("torch is imported")
        predictor = Predictor(load_model())
        self._end("weights are loaded")
        encode = predictor.encode

        def timed_encode(*args: Any, **kwargs: Any) -> Any:
            embedding = encode(*args, **kwargs)
            self._end("image is embedded")
            return embedding

        predictor.encode = timed_encode  # type: ignore[method-assign]
        return predictor

    def _click_and_wait(self) -> None:
        """Take the place of napari's event loop."""
        import napari

        from napari_sam._distribution import DOCK_NAME
        from napari_sam.bench.window import Screen, wait_until

        self._end("window is made")
        viewer = napari.current_viewer()
        widget = viewer.window.dock_widgets[DOCK_NAME]
        screen = Screen(viewer)
        screen.repaint()
        self._end("window is on screen, click")

        def on_session_changed(state: Any) -> None:
            if state.candidates is not None and "masks are there" not in self._ends_s:
                self._end("masks are there")
                screen.expect()

        widget.session.changed.connect(on_session_changed)
        x, y = COIN_XY
        viewer.layers["SAM points"].add([y, x])
        wait_until(lambda: "masks are there" in self._ends_s and screen.is_shown)
        self._end("first mask is on screen")
        widget.close()
        viewer.close()


def main() -> None:
    """Start several times; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.started is not None:
        print(json.dumps(Run(arguments.started).start()))
        return
    runs = []
    for _ in range(arguments.runs + 1):
        command = [sys.executable, __file__, "--started", repr(time.time())]
        # Without stored embeddings, or only the first run would embed.
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, EMBEDDINGS_VARIABLE: folder}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"Seconds after the start, medians of {arguments.runs} runs; one more came before.")
    for phase in PHASES:
        print(f"{median(run[phase] for run in runs[1:]):8.2f}  {phase}")


if __name__ == "__main__":
    main()
