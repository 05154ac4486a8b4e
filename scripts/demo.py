"""Do the main job once in a real window, and keep what it looked like and how long it took.

Opens the coins, embeds them, clicks on one coin, draws a box around another, and accepts an
object for each. Writes screenshots, the labels and the times to demo/.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
import tifffile
from qtpy.QtCore import QEventLoop

from napari_sam._distribution import DISTRIBUTION
from napari_sam.cli.main import dock_widget
from napari_sam.session import Phase

if TYPE_CHECKING:
    from napari_sam.widget import SamWidget

WINDOW_SIZE = 1400, 900
TIMEOUT_S = 300
COIN_XY = 211, 192
OTHER_COIN_BOX_XYXY = 312, 153, 379, 221


class Demo:
    """A viewer with the coins and the widget, and a folder for what comes of them.

    Parameters
    ----------
    folder : Path
        Where everything is written to.
    theme : str
        One of napari's themes.
    """

    def __init__(self, folder: Path, theme: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._viewer = napari.Viewer()
        self._viewer.theme = theme
        self._viewer.window.resize(*WINDOW_SIZE)
        self._phase_times_s: dict[Phase, float] = {}
        self._times: list[str] = []
        self._number = 0

    def run(self) -> str:
        """Do the job; return one line with the times."""
        self._embed()
        viewer, binding = self._viewer, self._widget.binding
        x, y = COIN_XY
        clicks = viewer.layers["SAM points"]
        self._prompt("click to mask", lambda: clicks.add([y, x]))
        self._shoot("click")
        self._widget.session.object_in_progress.choose_next()
        self._widget.wait_until_idle(TIMEOUT_S)
        self._shoot("next_mask")
        self._widget.session.object_in_progress.choose_next(-1)
        binding.objects.accept()
        self._widget.wait_until_idle(TIMEOUT_S)
        self._shoot("accepted")

        binding.prompts.start_shape("rectangle")
        x0, y0, x1, y1 = OTHER_COIN_BOX_XYXY
        corners_rc = [[y0, x0], [y0, x1], [y1, x1], [y1, x0]]
        boxes = viewer.layers["SAM boxes"]
        self._prompt("box to mask", lambda: boxes.add_rectangles(corners_rc))
        self._shoot("box")
        binding.objects.accept()
        self._widget.wait_until_idle(TIMEOUT_S)
        self._shoot("both_accepted")
        self._save_labels()

        line = ", ".join(self._times)
        (self._folder / "times.txt").write_text(line + "\n")
        viewer.close()
        return line

    def _embed(self) -> None:
        """Dock the widget on the coins; the embedding starts by itself."""
        self._viewer.open_sample(DISTRIBUTION, "coins")
        start_s = time.perf_counter()
        self._widget: SamWidget = dock_widget(self._viewer)
        self._widget.controllers.options.set_accept_at_once(False)  # whatever the user prefers
        QEventLoop().processEvents()
        self._viewer.reset_view()  # the widget has taken some of the canvas
        self._widget.session.changed.connect(self._on_session_changed)
        while self._widget.session.state.progress < 0.5:
            QEventLoop().processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if time.perf_counter() - start_s > TIMEOUT_S:
                msg = f"The coins were not embedded in {TIMEOUT_S} s."
                raise TimeoutError(msg)
        self._shoot("embedding")
        self._widget.wait_until_idle(TIMEOUT_S)
        self._shoot("ready")
        loaded_s = self._phase_times_s[Phase.EMBEDDING]
        self._times.append(f"loading torch and the model {loaded_s - start_s:.2f} s")
        self._times.append(f"embedding {self._phase_times_s[Phase.READY] - loaded_s:.2f} s")

    def _on_session_changed(self, state: Any) -> None:
        self._phase_times_s.setdefault(state.phase, time.perf_counter())

    def _prompt(self, what: str, act: Any) -> None:
        """Act as a user would, and time it until the masks are on screen."""
        start_s = time.perf_counter()
        act()
        self._widget.wait_until_idle(TIMEOUT_S)
        elapsed_s = time.perf_counter() - start_s
        if self._widget.session.state.candidates is None:
            msg = f"There were no masks: {what}."
            raise RuntimeError(msg)
        self._times.append(f"{what} {elapsed_s * 1000:.0f} ms")

    def _shoot(self, name: str) -> None:
        self._number += 1
        path = self._folder / f"{self._number:02}_{name}.png"
        self._viewer.screenshot(str(path), canvas_only=False, flash=False)

    def _save_labels(self) -> None:
        target = self._widget.binding.target.layer
        labels = np.asarray(target.data) if target is not None else np.zeros((0, 0), np.uint8)
        if set(np.unique(labels)) != {0, 1, 2}:
            msg = f"Two objects were expected in the labels, not {np.unique(labels)}."
            raise RuntimeError(msg)
        tifffile.imwrite(self._folder / "coins_labels.tif", labels, compression="zlib")


def main() -> None:
    """Run the demo, print the times and where things are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo"))
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    arguments = parser.parse_args()
    # The coins that the user opens next must not be offered the demo's objects.
    with TemporaryDirectory() as folder:
        os.environ["NAPARI_SAM_JOURNALS"] = folder
        print(Demo(arguments.folder, arguments.theme).run())
    print(f"Screenshots, labels and times are in {arguments.folder}/.")


if __name__ == "__main__":
    main()
