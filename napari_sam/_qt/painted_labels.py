"""Labels that are painted, so that no text of theirs lays out anything."""

from typing import ClassVar, Final

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QTextLayout,
    QTextOption,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sam._qt.colors import ON_COLOR, Severity, text_color

_LINE_GAP_PX: Final = 2
_WIDTH_GAP_PX: Final = 6
_FAINT: Final = 0.5
"""Of the opacity, while it is disabled."""
_BADGE_PX: Final = 16
_BADGE_GAP_PX: Final = 8


class PaintedLabel(QWidget):
    """A text on a fixed number of lines, of which the last one is elided; all of it as tooltip.

    It accepts any width. Reason: each new text of a `QLabel` in a layout redoes all layouts up to
    napari's window, which is then repainted; and buttons below it move under the mouse.
    """

    clicked = Signal()
    """A click with the left button."""
    _more: ClassVar = ""  # what follows the ellipsis

    def __init__(self, lines: int = 1, opacity: float = 1.0, widest: str = "") -> None:
        super().__init__()
        self._widest = widest  # the text that it leaves room for; "": any width is enough
        self._text, self._tooltip, self._lines, self._opacity = "", "", lines, opacity
        self._color: QColor | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """Return the text."""
        return self._text

    def set_text(self, text: str, tooltip: str = "") -> None:
        """Show another text, and a tooltip instead of the text itself."""
        if (text, tooltip) != (self._text, self._tooltip):
            self._text, self._tooltip = text, tooltip
            self.setToolTip(tooltip or text)
            self.setAccessibleName(text)
            self.update()

    def set_color(self, color: QColor | None) -> None:
        """Show the text in a color; None: in that of the theme's texts."""
        if color != self._color:
            self._color = color
            self.update()

    def show_link(self, is_link: bool) -> None:
        """Show by the cursor whether a click leads anywhere; a key does so, too."""
        shape = Qt.CursorShape.PointingHandCursor if is_link else Qt.CursorShape.ArrowCursor
        if self.cursor().shape() != shape:
            self.setCursor(shape)
        policies = Qt.FocusPolicy
        self.setFocusPolicy(policies.TabFocus if is_link else policies.NoFocus)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Report a click."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Report a press by Enter or Space."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        """Leave room for its lines, whatever the text, in the font that it has by then."""
        line_px = self.fontMetrics().lineSpacing() + _LINE_GAP_PX
        width = self.fontMetrics().horizontalAdvance(self._widest) + _WIDTH_GAP_PX
        return QSize(width if self._widest else 0, max(_BADGE_PX, self._lines * line_px))

    def minimumSizeHint(self) -> QSize:
        """Keep the height."""
        return self.sizeHint()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint the text."""
        painter = QPainter(self)
        opacity = self._opacity * (1 if self.isEnabled() else _FAINT)
        painter.setPen(self._color or text_color(self, opacity))
        self.paint_text(painter, QRectF(self.rect()))

    def paint_text(self, painter: QPainter, box: QRectF) -> None:
        """Paint the text into a box: in the middle of it, with an ellipsis where it ends early."""
        metrics, lines = self.fontMetrics(), self._broken(box.width())
        line_px = metrics.lineSpacing() + _LINE_GAP_PX
        top = box.top() + (box.height() - len(lines) * line_px + _LINE_GAP_PX) / 2
        for number, line in enumerate(lines):
            baseline = top + number * line_px + metrics.ascent()
            painter.drawText(QPointF(box.left(), baseline), line)

    def _broken(self, width: float) -> list[str]:
        """Break the text into its lines; the last one is elided."""
        if not self._text:
            return []
        layout = QTextLayout(self._text, self.font())
        layout.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
        layout.beginLayout()
        lines: list[str] = []
        start = 0
        while len(lines) < self._lines - 1 and (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            start = line.textStart() + line.textLength()
            lines.append(self._text[line.textStart() : start].rstrip())
        layout.endLayout()
        rest = self._text[start:].strip()
        if rest:
            metrics, elide = self.fontMetrics(), Qt.TextElideMode.ElideRight
            shown = metrics.elidedText(rest, elide, int(width))
            if shown != rest:
                room_px = int(width) - metrics.horizontalAdvance(self._more)
                shown = metrics.elidedText(rest, elide, room_px) + self._more
            lines.append(shown)
        return lines


class MessageLine(PaintedLabel):
    """Two lines with what to do next, or with a message, and a badge for how much it matters.

    A longer one ends with a hint that a click shows all of it.
    """

    _more = " more"

    def __init__(self) -> None:
        super().__init__(lines=2)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # to read all messages
        self.severity = Severity.HINT
        """How much the shown text matters."""

    @property
    def text_box(self) -> QRectF:
        """The room beside the badge."""
        return QRectF(self.rect()).adjusted(_BADGE_PX + _BADGE_GAP_PX, 0, 0, 0)

    def show_message(self, text: str, severity: Severity) -> None:
        """Show a text."""
        if severity is not self.severity:
            self.severity = severity
            self.update()
        self.set_text(text)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint the badge and the text beside it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        badge = QRectF(0, (self.height() - _BADGE_PX) / 2, _BADGE_PX, _BADGE_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.severity.color)
        painter.drawEllipse(badge)
        font = self.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(ON_COLOR)
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, self.severity.letter)
        painter.setFont(self.font())
        is_hint = self.severity is Severity.HINT
        painter.setPen(text_color(self, 0.8 if is_hint else 1.0))
        self.paint_text(painter, self.text_box)
