"""Icons of one colour."""

from __future__ import annotations

from qtpy.QtGui import QColor, QIcon, QPixmap


def swatch(color: str, size_px: int) -> QIcon:
    """Return a square icon that has the same colour in all states of a widget."""
    pixmap = QPixmap(size_px, size_px)
    pixmap.fill(QColor(color))
    icon = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Selected):
        icon.addPixmap(pixmap, mode)
    return icon
