"""A text that changes at every click, without a new layout of the window each time."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

_AROUND_LINE_PX: Final = 2
"""What Qt adds to each line of a text that wraps, at the most."""
_AROUND_TEXT_PX: Final = 10
"""What napari's themes put above and below a text."""


class FixedHeightLabel(QWidget):
    """A label that keeps its place and its height, and whatever width it is given.

    Each text that a `QLabel` in a layout is given has all layouts around it done again, up to
    napari's window, which is then painted. This one grows by a line where a text needs it, and
    shrinks only with another width: what lies below stays where the mouse has found it.
    """

    def __init__(self, min_lines: int = 1, *, wraps: bool = True) -> None:
        super().__init__()
        # In no layout: there is nobody whom it could ask for another one.
        self._label = QLabel(self)
        self._label.setWordWrap(wraps)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._min_lines = min_lines
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._grow()

    def text(self) -> str:
        """Return what it says."""
        return str(self._label.text())

    def set_text(self, text: str) -> None:
        """Say something else."""
        if text != self._label.text():
            self._label.setText(text)
            self._grow()

    def showEvent(self, event: QShowEvent) -> None:
        """Leave room for the lines in the window's font, which it has by now."""
        super().showEvent(event)
        self._grow()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the text all the room, and no more height than it needs at this width."""
        super().resizeEvent(event)
        self._label.resize(event.size())
        if event.size().width() != event.oldSize().width():
            self.setMinimumHeight(0)
            self._grow()

    def _grow(self) -> None:
        line_px = self._label.fontMetrics().lineSpacing() + _AROUND_LINE_PX
        least = self._min_lines * line_px + _AROUND_TEXT_PX
        height = max(least, self.minimumHeight(), self._label.heightForWidth(self.width()))
        if height != self.minimumHeight():
            self.setFixedHeight(height)
