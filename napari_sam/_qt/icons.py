"""Icons as strokes and spots on a square of 24 units, painted in any color at any size."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

_SIDE: Final = 24.0
_PEN: Final = 1.7
_SPOT: Final = 2.1
Place = tuple[float, float]


@dataclass
class _Drawing:
    """The strokes of an icon, and what is filled in it."""

    strokes: QPainterPath = field(default_factory=QPainterPath)
    spots: QPainterPath = field(default_factory=QPainterPath)

    def line(self, *places: Place, closed: bool = False) -> None:
        polygon = QPolygonF([QPointF(*place) for place in places])
        self.strokes.addPolygon(polygon)
        if closed:
            self.strokes.closeSubpath()

    def curve(self, start: Place, *controls: tuple[Place, Place, Place]) -> None:
        self.strokes.moveTo(*start)
        for first, second, end in controls:
            self.strokes.cubicTo(*first, *second, *end)

    def spot(self, *places: Place, radius: float = _SPOT) -> None:
        for place in places:
            self.spots.addEllipse(QPointF(*place), radius, radius)


def paint_icon(painter: QPainter, name: str, box: QRectF, color: QColor) -> None:
    """Paint an icon into a square."""
    drawing = _Drawing()
    _ICONS[name](drawing)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(box.topLeft())
    painter.scale(box.width() / _SIDE, box.height() / _SIDE)
    pen = QPen(color, _PEN)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(drawing.strokes)
    painter.fillPath(drawing.spots, color)
    painter.restore()


def _points(drawing: _Drawing) -> None:
    drawing.spot((12, 12), radius=3.4)
    for start, end in (
        ((12, 2.5), (12, 5.5)),
        ((12, 18.5), (12, 21.5)),
        ((2.5, 12), (5.5, 12)),
        ((18.5, 12), (21.5, 12)),
    ):
        drawing.line(start, end)


def _rectangle(drawing: _Drawing) -> None:
    drawing.line((4, 5.5), (20, 5.5), (20, 18.5), (4, 18.5), closed=True)
    drawing.spot((4, 5.5), (20, 18.5))


def _lasso(drawing: _Drawing) -> None:
    drawing.curve(
        (8, 16.5),
        ((2, 15), (1.5, 8), (7, 5)),
        ((13, 1.5), (21.5, 4), (21.5, 9.5)),
        ((21.5, 15), (14, 17.5), (8, 16.5)),
        ((5.5, 16.2), (5, 20), (8, 19.5)),
        ((10.5, 19), (9.5, 16), (8, 16.5)),
    )


def _polygon(drawing: _Drawing) -> None:
    corners = (12, 3.5), (20.5, 10), (17, 20), (6.5, 18.5), (3.5, 9)
    drawing.line(*corners, closed=True)
    drawing.spot(*corners, radius=1.8)


def _ellipse(drawing: _Drawing) -> None:
    drawing.strokes.addEllipse(QPointF(12, 12), 9.5, 6.5)


def _scribble(drawing: _Drawing) -> None:
    drawing.curve(
        (3, 15),
        ((5, 6), (9, 3), (9.5, 8)),
        ((10, 13), (7.5, 19), (11, 19)),
        ((15, 19), (13, 8), (16.5, 8)),
        ((19.5, 8), (17.5, 15.5), (21, 14.5)),
    )


def _line(drawing: _Drawing) -> None:
    drawing.line((4.5, 19), (19.5, 5))
    drawing.spot((4.5, 19), (19.5, 5))


def _brush(drawing: _Drawing) -> None:
    drawing.line((20.5, 3.5), (11, 13))
    drawing.curve(
        (10, 12),
        ((6, 12.5), (7.5, 18), (3.5, 19.5)),
        ((8, 21.5), (13.5, 19), (12.5, 14.5)),
        ((12, 13), (11, 12), (10, 12)),
    )


def _plus(drawing: _Drawing) -> None:
    drawing.line((12, 5), (12, 19))
    drawing.line((5, 12), (19, 12))


def _minus(drawing: _Drawing) -> None:
    drawing.line((5, 12), (19, 12))


def _model(drawing: _Drawing) -> None:
    drawing.strokes.addRoundedRect(QRectF(6.5, 6.5, 11, 11), 2, 2)
    for place in (9.5, 14.5):
        for begin, end in ((3, 6.5), (17.5, 21)):
            drawing.line((place, begin), (place, end))
            drawing.line((begin, place), (end, place))


def _appearance(drawing: _Drawing) -> None:
    drawing.strokes.addEllipse(QPointF(12, 12), 8.5, 8.5)
    drawing.spots.moveTo(12, 3.5)
    drawing.spots.arcTo(QRectF(3.5, 3.5, 17, 17), 90, -180)
    drawing.spots.closeSubpath()


def _undo(drawing: _Drawing) -> None:
    drawing.curve((4.5, 9), ((8, 9), (13, 9), (15, 9)), ((21.5, 9), (21.5, 18.5), (15, 18.5)))
    drawing.line((15, 18.5), (10, 18.5))
    drawing.line((8.5, 4.5), (4, 9), (8.5, 13.5))


def _redo(drawing: _Drawing) -> None:
    drawing.curve((19.5, 9), ((16, 9), (11, 9), (9, 9)), ((2.5, 9), (2.5, 18.5), (9, 18.5)))
    drawing.line((9, 18.5), (14, 18.5))
    drawing.line((15.5, 4.5), (20, 9), (15.5, 13.5))


def _more(drawing: _Drawing) -> None:
    drawing.spot((5.5, 12), (12, 12), (18.5, 12), radius=1.9)


def _left(drawing: _Drawing) -> None:
    drawing.line((14.5, 6), (8.5, 12), (14.5, 18))


def _right(drawing: _Drawing) -> None:
    drawing.line((9.5, 6), (15.5, 12), (9.5, 18))


def _all_left(drawing: _Drawing) -> None:
    drawing.line((18, 6), (12, 12), (18, 18))
    drawing.line((11, 6), (5, 12), (11, 18))


def _all_right(drawing: _Drawing) -> None:
    drawing.line((6, 6), (12, 12), (6, 18))
    drawing.line((13, 6), (19, 12), (13, 18))


_ICONS: Final[dict[str, Callable[[_Drawing], None]]] = {
    "points": _points,
    "rectangle": _rectangle,
    "lasso": _lasso,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "scribble": _scribble,
    "line": _line,
    "brush": _brush,
    "plus": _plus,
    "minus": _minus,
    "model": _model,
    "appearance": _appearance,
    "undo": _undo,
    "redo": _redo,
    "more": _more,
    "left": _left,
    "right": _right,
    "all_left": _all_left,
    "all_right": _all_right,
}
