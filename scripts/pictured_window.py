"""A real window of napari with the widget, that acts as its user would and can be pictured."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Final

import napari
from PIL import Image
from qtpy.QtCore import QBuffer, QIODevice, QPoint
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget

from napari_sam.model import Predictor
from napari_sam.widget import SamWidget

WINDOW_SIZE: Final = 1400, 800
TIMEOUT_S: Final = 600
FOOT_PX: Final = 60
DOCK_PX: Final = 380
Point = tuple[float, float]


class Window:
    """A window of napari with an image and the widget.

    Parameters
    ----------
    predictor : Predictor
        The model, which all windows share.
    add : callable
        Adds the layers.
    """

    def __init__(self, predictor: Predictor, add: Callable[[napari.Viewer], object]) -> None:
        self.viewer = napari.Viewer(show=False)
        self._main = self.viewer.window._qt_window
        self._main.resize(*WINDOW_SIZE)
        add(self.viewer)
        self.viewer.layers.selection.active = self.viewer.layers[0]
        self.widget = SamWidget.docked_in(self.viewer, load_predictor=lambda *_: predictor)
        self.viewer.show()
        self.parts, self.session = self.widget.controllers, self.widget.session
        self.widget.binding.prompts.start_points()
        self.settle()
        self.viewer.reset_view()
        self.settle()

    def settle(self) -> None:
        """Wait until all is computed and shown."""
        for _ in range(3):
            self.widget.wait_until_idle(TIMEOUT_S)
            QApplication.processEvents()

    def go_to(self, index: int) -> None:
        """Show another slice."""
        self.viewer.dims.set_current_step(0, index)
        self.settle()

    def show_tracks(self) -> None:
        """Open the page of the tracks, and show the layer of tracks."""
        panel = self.parts.stack.panel
        panel.views[1].click()
        self.parts.tracks.on_demand.get().shown.click()
        self.settle()

    def scroll_to(self, part: QWidget) -> None:
        """Scroll the page of the dock that a part is in, so that it is in sight."""
        for column in self.parts.dock.tabs.findChildren(QScrollArea):
            if column.isAncestorOf(part):
                column.ensureWidgetVisible(part)

    def look_at(self, center_rc: Point, zoom: float) -> None:
        """Show a part of the image, at so many screen pixels per pixel."""
        self.viewer.scene.camera.center = (0.0, *center_rc)
        self.viewer.scene.camera.zoom = zoom
        self.settle()

    def click(self, x: float, y: float, *, is_background: bool = False) -> None:
        """Click on the image."""
        prompts = self.widget.binding.prompts
        prompts.set_polarity(int(not is_background))
        shown = self.viewer.dims.current_step[:-2] if self.viewer.dims.ndim > 2 else ()
        self.viewer.layers["SAM points"].add([*shown, y, x])
        prompts.set_polarity(1)
        self.settle()

    def box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a box."""
        self.widget.binding.prompts.start_shape("rectangle")
        corners_rc = [[y0, x0], [y0, x1], [y1, x1], [y1, x0]]
        self.viewer.layers["SAM boxes"].add_rectangles(corners_rc)
        self.settle()

    def next_mask(self) -> None:
        """Press W."""
        self.session.object_in_progress.choose_next()
        self.settle()

    def accept(self) -> None:
        """Press C."""
        self.widget.binding.objects.accept()
        self.settle()

    def segment(self, *clicks_xy: Point) -> None:
        """Accept an object for each click."""
        for x, y in clicks_xy:
            self.click(x, y)
            self.accept()

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Return where a point of the image is in the picture of the window."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        _, row, column = self.viewer.scene.camera.center
        zoom = self.viewer.scene.camera.zoom
        corner = canvas.mapTo(self._main, QPoint(0, 0))
        left = corner.x() + canvas.width() / 2 + (x - column) * zoom
        return round(left), round(corner.y() + canvas.height() / 2 + (y - row) * zoom)

    def canvas_foot(self) -> tuple[int, int]:
        """Return the middle of the lower border of the canvas in the picture of the window."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        place = canvas.mapTo(self._main, QPoint(canvas.width() // 2, canvas.height()))
        return place.x(), place.y()

    def picture(self, *windows: QWidget) -> Image.Image:
        """Return what the window looks like, with other windows above its image."""
        self.settle()
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        picture = Image.fromarray(pixels).convert("RGB")
        for window in windows:
            part = _picture_of(window)
            corner = picture.width - DOCK_PX - part.width, picture.height - FOOT_PX - part.height
            picture.paste(part, corner)
        return picture

    def close(self) -> None:
        """Close the window."""
        self.widget.close()
        self.viewer.close()


def _picture_of(widget: QWidget) -> Image.Image:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    widget.grab().save(buffer, "PNG")
    return Image.open(BytesIO(bytes(buffer.data()))).convert("RGB")
