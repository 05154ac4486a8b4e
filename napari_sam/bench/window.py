"""Measurements in a real window: repainting, and previews under the mouse."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_sam._sample_data import retina
from napari_sam.bench.options import Options
from napari_sam.session.embedding.phase import Phase
from napari_sam.widget import SamWidget

TIMEOUT_S = 120
WINDOW_SIZE = 1400, 900
HOVER_S = 4
REPAINTS = 30


def wait_until(condition: Callable[[], bool]) -> None:
    """Run the event loop until `condition` holds, which is checked after every event."""
    deadline_s = time.perf_counter() + TIMEOUT_S
    while not condition():
        if time.perf_counter() > deadline_s:
            raise TimeoutError(f"Timed out after {TIMEOUT_S} s.")
        QEventLoop().processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


class Screen:
    """Detects when a change has been drawn and swapped in."""

    def __init__(self, viewer: napari.Viewer) -> None:
        canvas = viewer.window._qt_viewer.canvas
        self.native = canvas.native
        """The canvas's Qt widget."""
        self._was_drawn = False
        self.is_shown = False
        """Whether the draw since `expect` is on screen."""
        canvas._scene_canvas.events.draw.connect(self._on_draw, position="last")
        self.native.frameSwapped.connect(self._on_swapped)

    def _on_draw(self, _: Any) -> None:
        self._was_drawn = True

    def _on_swapped(self) -> None:
        self.is_shown = self.is_shown or self._was_drawn

    def expect(self) -> None:
        """Wait for a draw from now on; earlier ones do not count."""
        self._was_drawn = self.is_shown = False

    def repaint(self) -> None:
        """Redraw the canvas and wait until the new frame is on screen."""
        self.expect()
        self.native.update()
        wait_until(lambda: self.is_shown)

    def move_mouse(self, angle: float) -> None:
        """Move the mouse to an angle on a circle around the center of the canvas."""
        height, width = self.native.height(), self.native.width()
        x, y = 0.3 * min(height, width) * np.array([np.cos(angle), np.sin(angle)])
        position = QPointF(width / 2 + x, height / 2 + y)
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            position,
            QPointF(self.native.mapToGlobal(position.toPoint())),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self.native, event)


def previews_per_second(widget: SamWidget, screen: Screen, seconds: float) -> float:
    """Move the mouse over the canvas; return the previews per second that reach the screen."""
    on_screen: list[Any] = []
    start_s = time.perf_counter()

    def on_swapped() -> None:
        preview = widget.session.state.preview
        if preview is not None and (not on_screen or on_screen[-1] is not preview):
            on_screen.append(preview)

    screen.native.frameSwapped.connect(on_swapped)
    widget.binding.candidates.set_hover(True)
    timer = QTimer()
    timer.timeout.connect(lambda: screen.move_mouse(2 * (time.perf_counter() - start_s)))
    timer.start(8)
    wait_until(lambda: time.perf_counter() - start_s > seconds)
    timer.stop()
    widget.binding.candidates.set_hover(False)
    screen.native.frameSwapped.disconnect(on_swapped)
    widget.wait_until_idle(TIMEOUT_S)
    return len(on_screen) / seconds


def measure(options: Options) -> dict[str, float]:
    """Open a window, measure, close it; return seconds and previews per second."""
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    for image, options_of_layer, _ in retina():
        viewer.add_image(image, **options_of_layer)
    widget = SamWidget(viewer, load_predictor=lambda *_: options.load()[1])
    viewer.window.add_dock_widget(widget, name="Click to segment")
    screen = Screen(viewer)
    widget.wait_until_idle(TIMEOUT_S)
    if widget.session.state.phase is not Phase.READY:
        raise SystemExit(widget.session.state.hint)
    times_s = []
    for _ in range(REPAINTS):
        start_s = time.perf_counter()
        screen.repaint()
        times_s.append(time.perf_counter() - start_s)
    previews = previews_per_second(widget, screen, HOVER_S)
    widget.close()
    viewer.close()
    return {"repaint_s": median(times_s), "previews_per_s": previews}
