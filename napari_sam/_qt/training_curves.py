"""The curves of a training: what came of each epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sam._qt.colors import ACCENT, FOREGROUND_COLOR, Severity, text_color

_HEIGHT_PX: Final = 130
_MARGIN_PX: Final = 18
_DOT_PX: Final = 2.5
_CLICK_COLOR, _BOX_COLOR = FOREGROUND_COLOR, ACCENT
_LOSS_COLOR: Final = Severity.WARNING.color


@dataclass(frozen=True)
class CurvePoint:
    """What came of an epoch; number 0 is the model before training."""

    number: int
    one_click_iou: float
    box_iou: float
    loss: float | None = None  # None before training


class TrainingCurves(QWidget):
    """Draws the IoU after one click and with a box, from 0 to 1, and the loss, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._points: Sequence[CurvePoint] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(_HEIGHT_PX)
        self.show_points(())

    def show_points(self, points: Sequence[CurvePoint]) -> None:
        """Show these epochs."""
        self._points = tuple(points)
        self.setToolTip(
            "\n".join(map(_text, points))
            or "On the images kept apart: IoU after one click and with a box; and the loss"
        )
        self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint axes, curves and their names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(_MARGIN_PX, 6, -6, -_MARGIN_PX)
        painter.setPen(QPen(text_color(self, 0.25), 1))
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        painter.drawLine(box.bottomLeft(), box.topLeft())
        painter.setPen(text_color(self, 0.7))
        painter.drawText(QPointF(4, box.top() + 9), "1")
        painter.drawText(QPointF(4, box.bottom()), "0")
        points = self._points
        highest = max((p.loss for p in points if p.loss is not None), default=1) or 1
        click = [(p.number, p.one_click_iou) for p in points]
        with_box = [(p.number, p.box_iou) for p in points]
        loss = [(p.number, p.loss / highest) for p in points if p.loss is not None]
        left = box.left()
        for name, color, values in (
            ("one click", _CLICK_COLOR, click),
            ("box", _BOX_COLOR, with_box),
            ("loss", _LOSS_COLOR, loss),
        ):
            self._paint_curve(painter, box, color, values)
            painter.setPen(color)
            painter.drawText(QPointF(left, self.height() - 4), name)
            left += painter.fontMetrics().horizontalAdvance(f"{name}   ")

    def _paint_curve(
        self, painter: QPainter, box: QRectF, color: QColor, values: Sequence[tuple[int, float]]
    ) -> None:
        last = max(1, self._points[-1].number) if self._points else 1
        line = [
            QPointF(box.left() + box.width() * n / last, box.bottom() - box.height() * value)
            for n, value in values
        ]
        painter.setPen(QPen(color, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(line))
        painter.setBrush(color)
        for place in line:
            painter.drawEllipse(place, _DOT_PX, _DOT_PX)


def _text(point: CurvePoint) -> str:
    name = f"epoch {point.number}" if point.number else "before training"
    loss = "" if point.loss is None else f", loss {point.loss:.3f}"
    return f"{name}: one click {point.one_click_iou:.3f}, box {point.box_iou:.3f}{loss}"
