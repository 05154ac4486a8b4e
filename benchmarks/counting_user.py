"""A user for `actions.py`: real mouse and key events in a real window, and a count of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import napari
import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QWidget,
)

from napari_sam.model import Predictor
from napari_sam.widget import SamWidget

WINDOW_PX: Final = 1400, 900
TIMEOUT_S: Final = 600
_NOTCH: Final = 120
"""What Qt calls a notch of the wheel."""
_NO_KEYS: Final = Qt.KeyboardModifier.NoModifier
_LEFT: Final = Qt.MouseButton.LeftButton
_NEAR_BORDER_PX: Final = 40
"""So close to the border of the canvas nobody draws."""

Place = tuple[float, float]
"""x, y in the image."""


class CountingUser:
    """Annotates an image by mouse and keyboard.

    Counted are `actions`: clicks, keys, drags and choices; and, apart, `moves`: turns of the wheel
    to look elsewhere. Between them the user waits for all that is to be seen.
    """

    def __init__(self, image: NDArray[Any], name: str, predictor: Predictor) -> None:
        self.actions = self.moves = 0
        self.viewer = napari.Viewer()
        self.viewer.window.resize(*WINDOW_PX)
        self.image = self.viewer.add_image(image, name=name, rgb=image.ndim == 3)
        self.widget = SamWidget(self.viewer, load_predictor=lambda *_: predictor)
        self.viewer.window.add_dock_widget(self.widget, name="SAM live")
        self._canvas = self.viewer.window._qt_viewer.canvas.native
        QTest.qWaitForWindowExposed(self.viewer.window._qt_window)
        QTest.qWait(100)  # until Qt has laid out the docks
        self.viewer.reset_view()
        self.wait()

    def wait(self) -> None:
        """Wait for all that is to be seen."""
        QApplication.processEvents()
        self.widget.wait_until_idle(TIMEOUT_S)

    def begin(self) -> None:
        """Count from here on: what was done before prepared a task."""
        self.wait()
        self.actions = self.moves = 0

    def close(self) -> None:
        """Close the window."""
        self.widget.close()
        self.viewer.close()

    # What is seen ------------------------------------------------------------------------------

    @property
    def labels(self) -> NDArray[Any]:
        """The labels that objects are written to."""
        layer = self.widget.binding.target.layer
        shape = self.image.data.shape[:2]
        return np.asarray(layer.data) if isinstance(layer, Labels) else np.zeros(shape, int)

    @property
    def shown_mask(self) -> NDArray[np.bool_]:
        """The candidate that is shown."""
        (shown,) = [
            layer
            for layer in self.viewer.layers
            if layer.name.startswith("SAM mask") and layer.visible
        ]
        return np.asarray(shown.data) > 0

    def _pixel(self, place: Place) -> QPoint:
        camera = self.viewer.scene.camera
        offset = (np.array(place[::-1]) - np.asarray(camera.center)[1:]) * camera.zoom
        width, height = self._canvas.width(), self._canvas.height()
        return QPoint(round(width / 2 + offset[1]), round(height / 2 + offset[0]))

    def sees(self, place: Place, view_px: float) -> bool:
        """Whether a place is in sight, in a view of about this many pixels of the image."""
        pixel, shown_px = self._pixel(place), self._view_px
        inner = self._canvas.rect().adjusted(*[s * _NEAR_BORDER_PX for s in (1, 1, -1, -1)])
        return inner.contains(pixel) and 0.7 * view_px < shown_px < 1.4 * view_px

    @property
    def _view_px(self) -> float:
        return float(self._canvas.height() / self.viewer.scene.camera.zoom)

    # On the canvas -----------------------------------------------------------------------------

    def look_at(self, place: Place, view_px: float) -> None:
        """Turn the wheel back until all is in sight, then at a place until that is large enough."""
        if self.sees(place, view_px):
            return
        whole_px = max(self.image.data.shape[:2])
        if self._view_px < whole_px:
            self.moves += 1
            while self._view_px < whole_px:
                self._turn_wheel(place, -1)
        self.moves += 1
        while self._view_px > 1.1 * view_px:
            self._turn_wheel(place, 1)
        self.wait()

    def _turn_wheel(self, place: Place, notches: int) -> None:
        pixel = self._pixel(place)
        rect = self._canvas.rect()
        if not rect.contains(pixel):
            pixel = rect.center()
        local, whole = QPointF(pixel), QPointF(self._canvas.mapToGlobal(pixel))
        angle, none = QPoint(0, notches * _NOTCH), QPoint()
        phase, buttons = Qt.ScrollPhase.NoScrollPhase, Qt.MouseButton.NoButton
        event = QWheelEvent(local, whole, none, angle, buttons, _NO_KEYS, phase, False)
        QApplication.sendEvent(self._canvas, event)
        QApplication.processEvents()

    def point_at(self, place: Place, button: Any = Qt.MouseButton.NoButton) -> None:
        """Move the mouse to a place; no action of its own."""
        pixel = self._pixel(place)
        local, whole = QPointF(pixel), QPointF(self._canvas.mapToGlobal(pixel))
        none = Qt.MouseButton.NoButton
        event = QMouseEvent(QEvent.Type.MouseMove, local, whole, none, button, _NO_KEYS)
        QApplication.sendEvent(self._canvas, event)
        QApplication.processEvents()

    def click(self, place: Place, button: Any = _LEFT) -> None:
        """Click at a place in the image."""
        self.actions += 1
        self.point_at(place)
        QTest.mouseClick(self._canvas, button, _NO_KEYS, self._pixel(place))
        self.wait()

    def right_click(self, place: Place) -> None:
        """Click with the right button."""
        self.click(place, Qt.MouseButton.RightButton)

    def drag(self, *path: Place) -> None:
        """Drag along a path."""
        self.actions += 1
        self.point_at(path[0])
        QTest.mousePress(self._canvas, _LEFT, _NO_KEYS, self._pixel(path[0]))
        for place in path:
            self.point_at(place, _LEFT)
        QTest.mouseRelease(self._canvas, _LEFT, _NO_KEYS, self._pixel(path[-1]))
        self.wait()

    def press_key(self, key: Any, modifier: Any = _NO_KEYS) -> None:
        """Press a key while the mouse is over the image."""
        self.actions += 1
        QTest.keyClick(self._canvas, key, modifier)
        self.wait()

    # In the dock and its dialogs ---------------------------------------------------------------

    def tool(self, name: str) -> QAbstractButton:
        """Return the button of a tool, by what it draws."""
        return self.widget.controllers.annotate.prompt_panel._tools[name]

    def tab(self, title: str) -> QAbstractButton:
        """Return the title of a tab."""
        return self._button_in(self.widget.controllers.tabs, title)

    def button(self, text: str) -> QAbstractButton:
        """Return a button of the dock that is visible."""
        return self._button_in(self.widget, text)

    @staticmethod
    def _button_in(parent: QWidget, text: str) -> QAbstractButton:
        buttons = parent.findChildren(QAbstractButton)
        return next(button for button in buttons if button.text() == text and button.isVisible())

    def press(self, button: QAbstractButton) -> None:
        """Click on a button or check box that can be seen."""
        if not (button.isVisible() and button.isEnabled()):
            raise RuntimeError(f"'{button.text()}' cannot be clicked on.")
        self.actions += 1
        near_left = QPoint(min(10, button.width() // 2), button.height() // 2)
        QTest.mouseClick(button, _LEFT, _NO_KEYS, near_left)
        self.wait()

    def save_as(self, button: QAbstractButton, kind: str, folder: Path) -> None:
        """Press a button that asks for a file, choose a kind of file there, and save it."""
        asking = QTimer(interval=100)
        asking.timeout.connect(lambda: self._answer(asking, kind, folder))
        asking.start()
        self.press(button)

    def _answer(self, asking: QTimer, kind: str, folder: Path) -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog):
            return
        asking.stop()
        dialog.setDirectory(str(folder))  # where the image would lie
        combo = dialog.findChild(QComboBox, "fileTypeCombo")
        index = next(n for n in range(combo.count()) if combo.itemText(n).startswith(kind))
        self.actions += 2
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
        save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
        QTest.mouseClick(save, _LEFT)


def box_around(mask: NDArray[np.bool_], margin: float) -> Sequence[Place]:
    """Return the corners between which a user drags a box around an object."""
    (y0, y1), (x0, x1) = (np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0))
    return (x0 - margin, y0 - margin), (x1 + margin, y1 + margin)
