"""Shows which part of the dock has the keyboard."""

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam._qt.colors import paint_focus
from napari_sam._qt.flat_button import FlatButton


class _Frame(QWidget):
    """A frame over a widget, which takes no clicks."""

    def __init__(self, around: QWidget) -> None:
        super().__init__(around.parentWidget())
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setGeometry(around.geometry())
        self.show()
        self.raise_()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint nothing but the frame."""
        paint_focus(self, QPainter(self))


class FocusFrame(QObject):
    """Frames what the Tab key has reached in a widget and in the windows that belong to it.

    Reason: napari's style sheets show the focus of no combo box, check box, slider or table.
    """

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner)
        self._owner = owner
        self._framed: QWidget | None = None
        self._frame: _Frame | None = None
        QApplication.instance().focusChanged.connect(self._on_focus_changed)

    def close(self) -> None:
        """Show no frame any more."""
        QApplication.instance().focusChanged.disconnect(self._on_focus_changed)
        self._remove()

    def _on_focus_changed(self, _: QWidget | None, focused: QWidget | None) -> None:
        self._remove()
        is_clicked = QApplication.mouseButtons() != Qt.MouseButton.NoButton
        if focused is None or is_clicked or not self._is_ours(focused):
            return
        paints_its_own = isinstance(focused, FlatButton)
        if not paints_its_own and focused.parentWidget() is not None:
            self._framed, self._frame = focused, _Frame(focused)
            focused.installEventFilter(self)

    def _is_ours(self, widget: QWidget) -> bool:
        parent: QWidget | None = widget
        while parent is not None and parent is not self._owner:
            parent = parent.parentWidget()
        return parent is not None and widget is not self._owner and not widget.isWindow()

    def _remove(self) -> None:
        framed, frame, self._framed, self._frame = self._framed, self._frame, None, None
        if framed is not None and isalive(framed):
            framed.removeEventFilter(self)
        if frame is not None and isalive(frame):
            frame.hide()
            frame.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the framed widget."""
        framed, frame, kinds = self._framed, self._frame, (QEvent.Type.Move, QEvent.Type.Resize)
        if event.type() in kinds and framed is watched and frame is not None and isalive(frame):
            frame.setGeometry(framed.geometry())
        return False
