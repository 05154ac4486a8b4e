"""Small windows beside the dock for what is set up once: they stay open while you work."""

from typing import Any

from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QDialog, QVBoxLayout, QWidget

from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.workarounds import WheelGuard

_MARGIN_PX = 12


class ToolWindow(QDialog):
    """Shows a panel in a window of its own, under the panel's title; Escape closes it.

    It belongs to the widget that opens it, closes with it, and comes back where it was. The panel
    may be built when the window is first opened.
    """

    def __init__(self, panel: QWidget | OnDemand[Any], owner: QWidget, width_px: int = 360) -> None:
        super().__init__(owner, Qt.WindowType.Tool)
        self.setModal(False)
        self._owner, self._place = owner, QPoint()
        self._panel: OnDemand[Any] = OnDemand.of(panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        self._guard = WheelGuard(self)
        self.setMinimumWidth(width_px)
        self._panel.when_built(self._lay_out)

    def _lay_out(self, panel: QWidget) -> None:
        self.layout().addWidget(panel)
        self.setWindowTitle(panel.windowTitle())
        panel.windowTitleChanged.connect(self.setWindowTitle)
        self._guard.watch(panel)

    def toggle(self) -> None:
        """Show the window, or hide it."""
        if self.isVisible():
            self.hide()
        else:
            self.show()
            self.raise_()

    def setVisible(self, is_visible: bool) -> None:
        """Build the panel before it is first shown."""
        if is_visible:
            self._panel.get()
        super().setVisible(is_visible)

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
