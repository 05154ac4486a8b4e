"""One click each on a tiny, a middling and a huge object of a 40,000 x 40,000 pixel pyramid.

    python benchmarks/gigapixel.py [--side 40000] [--folder FOLDER] [--json]

Makes the image (zarr, nearly all of it background, which takes no room), opens it in a real
viewer, zooms to each object, clicks on it and accepts. Prints intersection over union with the
true object, the time from the click to the mask once the tile is embedded as a ratio to the same
on a small image, the longest time for which the event loop stood still while a huge object was
written, and the peak of memory above the idle viewer.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import napari
import numpy as np
import psutil
import skimage.data
import zarr
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_sam.bench.memory import peak_bytes
from napari_sam.session import Prompts
from napari_sam.widget import SamWidget

CHUNK = 512
BACKGROUND = 60
CLICKS = 9
WINDOW_SIZE = 1400, 900
TIMEOUT_S = 600


class Disc(NamedTuple):
    """A round object: its name, center and diameter in pixels."""

    name: str
    row: int
    column: int
    diameter: int

    def covers(self, rows: slice, columns: slice, step: int = 1) -> np.ndarray:
        """Return which pixels of a region, every `step`-th, belong to it."""
        y = np.arange(rows.start, rows.stop, step)[:, None] - self.row
        x = np.arange(columns.start, columns.stop, step)[None] - self.column
        inside: np.ndarray = y * y + x * x <= self.diameter**2 / 4
        return inside


def discs(side: int) -> list[Disc]:
    """Return the objects for an image of this side."""
    return [
        Disc("tiny", side // 10, side // 10, 12),
        Disc("middling", side // 10, side // 2 + side // 8, 900),
        Disc("huge", int(side * 0.6), int(side * 0.55), side // 2),
    ]


def make_pyramid(folder: Path, side: int) -> list[Any]:
    """Write the image at full size and in halves; return the arrays."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-20, 21, (CHUNK, CHUNK))
    arrays, level = [], 0
    while side >> level >= CHUNK * 2:
        n = side >> level
        array = zarr.create_array(
            store=folder / str(level),
            shape=(n, n),
            chunks=(CHUNK, CHUNK),
            dtype=np.uint8,
            fill_value=BACKGROUND,
            overwrite=True,
        )
        for disc in discs(side):
            radius = disc.diameter // 2 + 1
            low_row, low_column = (disc.row - radius) >> level, (disc.column - radius) >> level
            high_row, high_column = (disc.row + radius) >> level, (disc.column + radius) >> level
            for top in range(low_row // CHUNK * CHUNK, high_row + 1, CHUNK):
                for left in range(low_column // CHUNK * CHUNK, high_column + 1, CHUNK):
                    rows = slice(top, min(top + CHUNK, n))
                    columns = slice(left, min(left + CHUNK, n))
                    full = (
                        slice(rows.start << level, rows.stop << level),
                        slice(columns.start << level, columns.stop << level),
                    )
                    inside = disc.covers(*full, step=1 << level)
                    if inside.any():
                        pixels = array[rows, columns]
                        texture = 170 + (noise[: inside.shape[0], : inside.shape[1]] >> level)
                        array[rows, columns] = np.where(inside, texture, pixels)
        arrays.append(array)
        level += 1
    return arrays


def overlap(labels: Any, label_id: int, disc: Disc) -> float:
    """Return the intersection over union of an object with the disc, over the whole image."""
    both = either = 0
    for top in range(0, labels.shape[0], 4096):
        for left in range(0, labels.shape[1], 4096):
            rows = slice(top, min(top + 4096, labels.shape[0]))
            columns = slice(left, min(left + 4096, labels.shape[1]))
            found = np.asarray(labels[rows, columns]) == label_id
            true = disc.covers(rows, columns)
            both += int(np.count_nonzero(found & true))
            either += int(np.count_nonzero(found | true))
    return both / either


class LoopWatch:
    """The longest time for which the event loop stood still."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last_s = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now_s = time.perf_counter()
        self.longest_s = max(self.longest_s, now_s - self._last_s)
        self._last_s = now_s


def zoom_to(viewer: napari.Viewer, disc: Disc) -> None:
    """Show an object as a user would to click on it: not smaller than a twentieth of the view."""
    height, width = viewer.canvas.size
    viewer.scene.camera.center = (disc.row, disc.column)
    viewer.scene.camera.zoom = min(height, width) / max(2 * disc.diameter, 400)


def wait_for_masks(widget: SamWidget) -> None:
    """Run the event loop until the final masks are on the screen; other tiles may come later."""
    session = widget.session
    while session.state.candidates is None or session.state.is_decoding:
        QApplication.processEvents()
        time.sleep(0.001)
    QApplication.processEvents()


def time_clicks(widget: SamWidget, x: float, y: float) -> float:
    """Return the median time from a click to its mask, everything being embedded, in seconds."""
    times = []
    for number in range(CLICKS):
        widget.session.object_in_progress.clear()
        widget.wait_until_idle(TIMEOUT_S)
        start_s = time.perf_counter()
        widget.session.set_prompts(Prompts(((x + number / 4, y),), (1,)))
        wait_for_masks(widget)
        times.append(time.perf_counter() - start_s)
    return statistics.median(times)


def on_small_image() -> float:
    """Return the time of a click on a small image."""
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    viewer.add_image(skimage.data.coins())
    widget = SamWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.wait_until_idle(TIMEOUT_S)
    time_clicks(widget, 104, 68)
    median_s = time_clicks(widget, 104, 68)
    widget.close()
    viewer.close()
    return median_s


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=40_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gigapixel"))
    pyramid = make_pyramid(folder, options.side)

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    image = viewer.add_image(pyramid, multiscale=True, contrast_limits=(0, 255), name="slide")
    QApplication.processEvents()
    idle_bytes = psutil.Process().memory_info().rss
    widget = SamWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.wait_until_idle(TIMEOUT_S)
    watch = LoopWatch()
    results = []
    for disc in discs(options.side):
        zoom_to(viewer, disc)
        widget.wait_until_idle(TIMEOUT_S)
        start_s = time.perf_counter()
        widget.session.set_prompts(Prompts(((disc.column, disc.row),), (1,)))
        wait_for_masks(widget)
        first_s = time.perf_counter() - start_s
        widget.wait_until_idle(TIMEOUT_S)
        again_s = time_clicks(widget, disc.column, disc.row)
        tile = widget.session.state.candidates.tile
        watch.longest_s = 0.0
        start_s = time.perf_counter()
        widget.binding.objects.accept()
        widget.wait_until_idle(TIMEOUT_S)
        results.append(
            {
                "object": disc.name,
                "diameter_px": disc.diameter,
                "tile_side_px": tile.side,
                "first_click_s": first_s,
                "click_s": again_s,
                "accept_s": time.perf_counter() - start_s,
                "loop_blocked_s": watch.longest_s,
            }
        )
    peak = peak_bytes() - idle_bytes
    labels = widget.binding.target.layer.data[0]
    for number, (disc, result) in enumerate(zip(discs(options.side), results, strict=True), 1):
        result["iou"] = overlap(labels, number, disc)
    widget.close()
    viewer.close()
    small_s = on_small_image()
    for result in results:
        result["click_ratio_to_small_image"] = result["click_s"] / small_s
    if options.json:
        print(json.dumps({"objects": results, "peak_bytes": peak, "image": image.name}))
        return
    for result in results:
        print(
            "{object:9} {diameter_px:6} px  IoU {iou:.3f}  tile {tile_side_px:6} px  "
            "first click {first_click_s:5.2f} s, then {click_ratio_to_small_image:4.2f} x a small "
            "image  accept {accept_s:5.2f} s, loop blocked {loop_blocked_s:5.2f} s".format(**result)
        )
    print(f"peak above the idle viewer: {peak / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
