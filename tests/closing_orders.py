"""Opens windows, prompts in them by mouse and keys, and closes them; run by test_closing.py.

    python tests/closing_orders.py CLOSING ...

It prints nothing. The window that is closed last is closed without an event loop after it.
"""

import sys
import threading

import napari
from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget
from skimage import data

from napari_sam.model import Predictor, load_model
from napari_sam.widget import SamWidget

TIMEOUT_S = 120
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class HeldPredictor(Predictor):
    """The real predictor, whose work may be held until the window is closed."""

    def __init__(self):
        super().__init__(load_model("vit_t"), device="cpu")
        self.may_encode, self.may_decode = threading.Event(), threading.Event()
        self._embedding = None
        self.release()

    def release(self):
        self.may_encode.set()
        self.may_decode.set()

    def forget(self):
        """Embed the next image, even if it is the same."""
        self._embedding = None

    def encode(self, image, on_block=None):
        self.may_encode.wait(TIMEOUT_S)
        if self._embedding is None:
            self._embedding = super().encode(image, on_block)
        return self._embedding

    def decode(self, *arguments, **options):
        self.may_decode.wait(TIMEOUT_S)
        return super().decode(*arguments, **options)


class Window:
    """A window with the widget, and what a user does in it."""

    def __init__(self, predictor, *, waits=True):
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1000, 700)
        self.image = self.viewer.add_image(data.coins(), name="coins")
        self.widget = SamWidget(self.viewer, load_predictor=lambda *_: predictor)
        self.viewer.window.add_dock_widget(self.widget, name="SAM live")
        self.window = self.viewer.window._qt_window
        self._canvas = self.viewer.window._qt_viewer.canvas.native
        QTest.qWaitForWindowExposed(self.window)
        self.wait = (lambda: self.widget.wait_until_idle(TIMEOUT_S)) if waits else self.glance
        self.wait()

    @staticmethod
    def glance():
        for _ in range(5):
            QApplication.processEvents()

    def _pixel(self, x, y):
        camera, canvas = self.viewer.scene.camera, self._canvas
        _, row, column = camera.center
        width, height = canvas.width() / 2, canvas.height() / 2
        return QPoint(
            round(width + (x - column) * camera.zoom), round(height + (y - row) * camera.zoom)
        )

    def _move(self, pixel):
        none, whole = Qt.MouseButton.NoButton, QPointF(self._canvas.mapToGlobal(pixel))
        move = QEvent.Type.MouseMove
        event = QMouseEvent(move, QPointF(pixel), whole, none, LEFT, NO_KEYS)
        QApplication.sendEvent(self._canvas, event)
        QApplication.processEvents()

    def draw_a_box(self):
        self.widget.controllers.annotate.prompt_panel._tools["rectangle"].click()
        corners = [self._pixel(x, y) for x, y in ((78, 40), (100, 60), (132, 95))]
        QTest.mousePress(self._canvas, LEFT, NO_KEYS, corners[0])
        for corner in corners:
            self._move(corner)
        QTest.mouseRelease(self._canvas, LEFT, NO_KEYS, corners[-1])
        self.wait()

    def accept(self):
        QTest.keyClick(self._canvas, Qt.Key.Key_C)
        self.wait()

    def click_a_point(self):
        self.widget.controllers.annotate.prompt_panel._tools["points"].click()
        QTest.mouseClick(self._canvas, LEFT, NO_KEYS, self._pixel(150, 68))
        self.wait()

    def choose_object(self):
        objects = self.widget.controllers.objects
        objects.tab.select()
        objects.table.select(objects.table.model.shown[0])
        self.wait()

    def close_dock(self):
        docks = self.window.findChildren(QDockWidget)
        next(dock for dock in docks if dock.isAncestorOf(self.widget)).close()
        QApplication.processEvents()

    def grow_table_of_qt_objects_at_the_end(self):
        """Have PyQt crash if the widget is shut down while it goes through its table."""
        close = self.widget.session.close
        made = []
        self.widget.session.close = lambda: (close(), made.extend(QObject() for _ in range(30_000)))


BOX, ACCEPT, POINT = Window.draw_a_box, Window.accept, Window.click_a_point
ORDERS = (POINT, ACCEPT, BOX), (BOX, ACCEPT, POINT)


def play(predictor, steps, closing):
    """Open a window, take the steps and close it; with work still held in two of the ways."""
    if closing == "while embedding":
        predictor.forget()
        predictor.may_encode.clear()
    window = Window(predictor, waits=closing != "while embedding")
    if closing == "while decoding":
        predictor.may_decode.clear()
        window.wait = window.glance
    for step in steps:
        step(window)
    if closing == "object chosen":
        window.choose_object()
        window.click_a_point()
    if closing == "dock first":
        window.close_dock()
    elif closing == "image deleted first":
        window.viewer.layers.remove(window.image)
    if closing == "viewer.close":
        window.viewer.close()
    elif closing == "left open":
        window.grow_table_of_qt_objects_at_the_end()
    else:
        window.window.close()  # as by its X
    predictor.release()


def main(closings):
    predictor = HeldPredictor()
    for number, closing in enumerate(closings):
        if number:
            Window.glance()
        play(predictor, ORDERS[number % len(ORDERS)], closing)


if __name__ == "__main__":
    main(sys.argv[1:])
