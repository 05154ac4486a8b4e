"""Small windows beside the dock for what is set up once: they stay open while you work."""

from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QDialog, QVBoxLayout, QWidget

from napari_sam._qt.workarounds import WheelGuard

_MARGIN_PX = 12


class ToolWindow(QDialog):
    """Shows a panel in a window of its own, under the panel's title; Escape closes it.

    It belongs to the widget that opens it, closes with it, and comes back where it was.
    """

    def __init__(self, panel: QWidget, owner: QWidget, width_px: int = 360) -> None:
        super().__init__(owner, Qt.WindowType.Tool)
        self.setModal(False)
        self._owner, self._place = owner, QPoint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        layout.addWidget(panel)
        self.setWindowTitle(panel.windowTitle())
        panel.windowTitleChanged.connect(self.setWindowTitle)
        self._guard = WheelGuard(self)
        self._guard.watch(panel)
        self.setMinimumWidth(width_px)

    def toggle(self) -> None:
        """Show the window, or hide it."""
        if self.isVisible():
            self.hide()
        else:
            self.show()
            self.raise_()

    def showEvent(self, event: QShowEvent) -> None:
        """Open where it was closed; at first, beside its owner."""
        super().showEvent(event)
        if event.spontaneous():
            return
        self._guard.watch(self)
        self.move(self._place if not self._place.isNull() else self._beside_owner())

    def event(self, event: QEvent) -> bool:
        """Grow where texts need more lines, which Qt does not do for a window."""
        is_handled = bool(super().event(event))
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize, QEvent.Type.Show):
            needed = self.layout().totalHeightForWidth(self.width())
            if needed > self.height():
                self.resize(self.width(), needed)
        return is_handled

    def hideEvent(self, event: QHideEvent) -> None:
        """Remember the position."""
        if not event.spontaneous():
            self._place = self.pos()
        super().hideEvent(event)

    def _beside_owner(self) -> QPoint:
        """Return a position left of the owner, or right of it where there is no room."""
        corner, width = self._owner.mapToGlobal(QPoint(0, 0)), self.sizeHint().width()
        left = corner.x() - max(width, self.width()) - _MARGIN_PX
        screen = self._owner.screen()
        lowest = 0 if screen is None else screen.availableGeometry().left()
        if left < lowest:
            left = corner.x() + self._owner.width() + _MARGIN_PX
        return QPoint(left, corner.y() + _MARGIN_PX)
