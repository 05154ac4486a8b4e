"""Keeps the size of the dock's own texts the same as that of napari's."""

from typing import Final

from napari.settings import get_settings
from qtpy.QtWidgets import QApplication

from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections

_PAINTED: Final = "FlatButton", "PaintedLabel", "FirstRunStrip", "SliceStrip", "RowView"
"""What the style sheets do not name; others inherit from these classes."""


class TextSizeController:
    """Follows the font size in napari's preferences.

    Its style sheets set that for some of Qt's classes, and let no widget inherit a font.
    """

    def __init__(self, context: WidgetContext) -> None:
        self._appearance = get_settings().appearance
        self._connections = Connections((self._appearance.events.font_size, self._show))
        self._show()

    def close(self) -> None:
        """Follow it no longer."""
        self._connections.close()

    def _show(self) -> None:
        font = QApplication.font()
        font.setPointSizeF(float(self._appearance.font_size))
        for name in _PAINTED:
            QApplication.setFont(font, name)
