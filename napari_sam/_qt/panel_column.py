"""A column of panels that scrolls up and down, and is never narrower than they need."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

_AROUND_BAR_PX: Final = 4
"""What napari's themes put around a scroll bar, beyond what that says of itself."""


class PanelColumn(QScrollArea):
    """Panels below each other; whoever holds it must leave it the width of the widest."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        contents = QWidget()
        self.panels = QVBoxLayout(contents)
        self.panels.addStretch(1)
        self._told = QSize()
        self.setWidget(contents)

    def add(self, panel: QWidget) -> None:
        """Add a panel below the others."""
        self.panels.insertWidget(self.panels.count() - 1, panel)

    def minimumSizeHint(self) -> QSize:
        """Leave room for the widest panel and the scroll bar."""
        if not self.isVisible():  # not in the window's style yet, in which panels are narrower
            return super().minimumSizeHint()
        needed = self.widget().minimumSizeHint().width()
        width = needed + self.verticalScrollBar().sizeHint().width() + _AROUND_BAR_PX
        return QSize(width, super().minimumSizeHint().height())

    def showEvent(self, event: QShowEvent) -> None:
        """Tell how wide panels are in the window's style, which they have by now."""
        super().showEvent(event)
        QTimer.singleShot(0, self._tell)

    def _tell(self) -> None:
        """Have a new layout made around the column if it needs more or less room than before.

        Not else: it reaches up to napari's window, which is painted again.
        """
        if self._told != self.minimumSizeHint():
            self._told = self.minimumSizeHint()
            self.updateGeometry()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Hear that a panel needs another width than before."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self._tell()
        return bool(super().eventFilter(watched, event))
