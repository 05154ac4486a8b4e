"""The colors that the dock paints itself: shades of the theme's text, an accent, severities."""

from enum import Enum
from typing import Final

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen
from qtpy.QtWidgets import QWidget

ACCENT: Final = QColor("#4a67d6")
"""What is chosen, and the button to press next; white text is legible on it."""
ON_COLOR: Final = QColor("white")
FOREGROUND_COLOR: Final = QColor("#12a04a")
BACKGROUND_COLOR: Final = QColor("#b71c1c")
"""Of the buttons for foreground and background, as of the prompts in the image."""


_FOCUS_PX: Final = 2.0
_RADIUS_PX: Final = 4


class Severity(Enum):
    """How much a message matters: its letter and its color, so that it is not color alone."""

    HINT = ("i", "#8a93a0")
    INFO = ("✓", "#12a04a")
    WARNING = ("!", "#d98e04")
    ERROR = ("x", "#d8322f")

    @property
    def letter(self) -> str:
        """The letter in its badge."""
        return self.value[0]

    @property
    def color(self) -> QColor:
        """The color of its badge."""
        return QColor(self.value[1])


def text_color(widget: QWidget, alpha: float = 1.0) -> QColor:
    """Return the text color of the theme that a widget is shown in, or a shade of it."""
    color = QColor(widget.palette().color(QPalette.ColorRole.WindowText))
    color.setAlphaF(alpha)
    return color


def base_color(widget: QWidget) -> QColor:
    """Return the color behind the texts of the theme."""
    return QColor(widget.palette().color(QPalette.ColorRole.Window))


def legible_on(color: QColor) -> QColor:
    """Return black or white, whichever can be read on a color."""
    lightness = 0.299 * color.red() + 0.587 * color.green() + 0.114 * color.blue()
    return QColor("black") if lightness > 140 else QColor("white")


def paint_focus(widget: QWidget, painter: QPainter) -> None:
    """Frame a widget that has the keyboard, in the color of the theme's texts."""
    inset = _FOCUS_PX / 2
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(text_color(widget), _FOCUS_PX))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    box = QRectF(widget.rect()).adjusted(inset, inset, -inset, -inset)
    painter.drawRoundedRect(box, _RADIUS_PX, _RADIUS_PX)
