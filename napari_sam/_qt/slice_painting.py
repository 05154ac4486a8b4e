"""How a strip of slices is painted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtpy.QtCore import QLineF, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_sam._qt.colors import ACCENT, Severity, text_color
from napari_sam._qt.slice_columns import SliceColumn, SliceScale
from napari_sam.session.objects.slices import Origin

SIDE_PX: Final = 6
"""Left free at both sides, for grips and the caret."""
_TOP_PX: Final = 11
"""For the dots of annotated slices..."""
_BOTTOM_PX: Final = 26
"""...and for caret, numbers and the line of the whole stack."""
_LINE_PX: Final = 3
_DOT_PX: Final = 2.5
_GAP_FROM_PX: Final = 4
"""Bars that are as wide have a gap between them."""
_OPACITIES: Final = {Origin.PROPAGATED: 0.62, Origin.INTERPOLATED: 0.34, Origin.AUTOMATIC: 0.48}
_TEXT_SIZE: Final = 0.8


@dataclass(frozen=True)
class StripPicture:
    """What a strip shows."""

    scale: SliceScale
    stack: SliceScale  # all slices, of which those in `scale` have bars
    slice_index: int  # the slice in the view
    columns: Sequence[SliceColumn]
    extent: tuple[int, int] | None  # the first and the last slice of the object
    preview: tuple[int, int] | None  # where it is being dragged to


class StripPainter:
    """Paints a picture on a widget, in the colors of its theme."""

    def __init__(self, widget: QWidget, painter: QPainter) -> None:
        self._widget, self._painter = widget, painter
        self._box = QRectF(widget.rect()).adjusted(SIDE_PX, _TOP_PX, -SIDE_PX, -_BOTTOM_PX)

    @staticmethod
    def is_on_overview(widget: QWidget, y: float) -> bool:
        """Whether a position is at the line of the whole stack."""
        return bool(y > widget.height() - 3 * _LINE_PX)

    def paint(self, picture: StripPicture) -> None:
        """Paint everything."""
        scale, painter = picture.scale, self._painter
        painter.setPen(Qt.PenStyle.NoPen)
        self._paint_ground(picture)
        self._paint_bars(scale, picture.columns)
        self._paint_anchors(scale, picture.columns)
        if picture.preview is not None and picture.extent is not None:
            self._paint_preview(scale, picture.preview, picture.extent)
        if extent := picture.preview or picture.extent:
            self._paint_extent(scale, *extent)
        self._paint_caret(picture)
        if scale.n_slices < picture.stack.n_slices:
            self._paint_overview(picture)

    def _color(self, alpha: float) -> QColor:
        return text_color(self._widget, alpha)

    def _x(self, scale: SliceScale, slice_index: int) -> float:
        return float(self._box.left()) + scale.x_of(slice_index)

    def _bar(self, scale: SliceScale, slice_index: int, share: float = 1.0) -> QRectF:
        """Return the rectangle of a bar of some height, on whole pixels: narrow bars touch."""
        gap = 1 if scale.bar_px >= _GAP_FROM_PX else 0
        height = max(2.0, share * self._box.height())
        left, right = (round(self._x(scale, index)) for index in (slice_index, slice_index + 1))
        return QRectF(left, self._box.bottom() - height, max(1, right - left) - gap, height)

    def _paint_ground(self, picture: StripPicture) -> None:
        """Paint what is behind the bars: the room of the stack, and the slice in the view."""
        scale, box = picture.scale, self._box
        width = scale.n_slices * scale.slice_px
        self._painter.fillRect(
            QRectF(box.left(), box.top(), width, box.height()), self._color(0.06)
        )
        if scale.first <= picture.slice_index <= scale.last:
            shown = self._bar(scale, picture.slice_index)
            center, width = shown.center(), max(3.0, shown.width())
            shown = QRectF(center.x() - width / 2, box.top(), width, box.height())
            self._painter.fillRect(shown, self._color(0.16))

    def _paint_bars(self, scale: SliceScale, columns: Sequence[SliceColumn]) -> None:
        """Paint the bars, those of one color at once."""
        rectangles: dict[tuple[Origin, bool], list[QRectF]] = {}
        for column in columns:
            entry = column.entry
            if entry.origin is not Origin.CLEARED:
                bar = self._bar(scale, column.first, entry.confidence)
                rectangles.setdefault((entry.origin, entry.is_weak), []).append(bar)
        # The weak ones last, and wide enough to be seen in a long stack.
        for (origin, is_weak), bars in sorted(rectangles.items(), key=lambda item: item[0][1]):
            if is_weak:
                color = Severity.WARNING.color
                for bar in bars:
                    bar.setWidth(max(2.0, bar.width()))
            elif origin is Origin.ANNOTATED:
                color = ACCENT
            else:
                color = self._color(_OPACITIES[origin])
            self._painter.setBrush(color)
            self._painter.drawRects(bars)

    def _paint_anchors(self, scale: SliceScale, columns: Sequence[SliceColumn]) -> None:
        """Paint a dot above annotated slices, and a cross where the object is not."""
        painter, box = self._painter, self._box
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(ACCENT.lighter(125))
        for column in columns:
            if column.is_annotated:
                x = self._bar(scale, column.first).center().x()
                painter.drawEllipse(QPointF(x, box.top() - 5), _DOT_PX, _DOT_PX)
        crosses: list[QLineF] = []
        for column in columns:
            if column.is_cleared:
                x, y = self._bar(scale, column.first).center().x(), box.bottom() - 6
                reach = min(3.0, max(1.5, scale.bar_px / 2 - 1))
                crosses.append(QLineF(x - reach, y - reach, x + reach, y + reach))
                crosses.append(QLineF(x - reach, y + reach, x + reach, y - reach))
        painter.setPen(QPen(self._color(0.9), 1.5))
        painter.drawLines(crosses)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_preview(
        self, scale: SliceScale, preview: tuple[int, int], extent: tuple[int, int]
    ) -> None:
        """Dim what would be cut off, and outline what would be added."""
        painter, box = self._painter, self._box
        veil = QColor(self._widget.palette().window().color())
        veil.setAlphaF(0.75)
        for first, last, is_cut in (
            (extent[0], preview[0] - 1, True),
            (preview[1] + 1, extent[1], True),
            (preview[0], extent[0] - 1, False),
            (extent[1] + 1, preview[1], False),
        ):
            if first <= last:
                x, end = self._x(scale, first), self._x(scale, last) + scale.bar_px
                area = QRectF(x, box.top(), end - x, box.height())
                painter.fillRect(area, veil if is_cut else QColor(74, 103, 214, 70))

    def _paint_extent(self, scale: SliceScale, first: int, last: int) -> None:
        """Paint a line below the object's bars, with a grip at each end."""
        if last < scale.first or first > scale.last:
            return
        painter, y = self._painter, self._box.bottom() + 1
        x, end = self._x(scale, first), self._x(scale, last) + scale.bar_px
        painter.fillRect(QRectF(x, y, end - x, 2), self._color(0.75))
        for edge in (x - 2, end):
            painter.fillRect(QRectF(edge, y - 8, 2, 10), self._color(0.75))

    def _paint_caret(self, picture: StripPicture) -> None:
        """Paint a caret below the slice in the view, and its number between those of the ends."""
        scale, painter, box = picture.scale, self._painter, self._box
        index = min(max(scale.first, picture.slice_index), scale.last)
        x = self._bar(scale, index).center().x()
        y = box.bottom() + 4
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(self._color(1.0))
        if index == picture.slice_index:
            caret = QPointF(x, y), QPointF(x - 4, y + 5), QPointF(x + 4, y + 5)
        else:  # it is beyond the part that is shown
            tip = 4 if picture.slice_index > index else -4
            caret = QPointF(x + tip, y + 3), QPointF(x, y), QPointF(x, y + 6)
        painter.drawPolygon(QPolygonF(caret))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        font = painter.font()
        font.setPointSizeF(max(6.0, font.pointSizeF() * _TEXT_SIZE))
        painter.setFont(font)
        self._paint_numbers(picture, x, y + 5)
        painter.setPen(Qt.PenStyle.NoPen)

    def _paint_numbers(self, picture: StripPicture, caret_x: float, y: float) -> None:
        painter, scale = self._painter, picture.scale
        metrics, right = painter.fontMetrics(), self._widget.width() - 1.0
        taken: list[tuple[float, float]] = []
        end = self._x(scale, scale.last) + scale.bar_px
        for number, x, alpha in (
            (picture.slice_index, caret_x, 1.0),
            (scale.first, self._box.left() + scale.bar_px / 2, 0.6),
            (scale.last, end - scale.bar_px / 2, 0.6),
        ):
            text = str(number)
            width = metrics.horizontalAdvance(text)
            left = min(max(1.0, x - width / 2), right - width)
            if all(left > stop + 4 or left + width < start - 4 for start, stop in taken):
                painter.setPen(self._color(alpha))
                painter.drawText(QPointF(left, y + metrics.ascent()), text)
                taken.append((left, left + width))

    def _paint_overview(self, picture: StripPicture) -> None:
        """Paint the whole stack as a line, with the part that has bars and the slice in view."""
        painter, stack, scale = self._painter, picture.stack, picture.scale
        y = self._widget.height() - _LINE_PX - 1.0
        for first, last, color in (
            (stack.first, stack.last, self._color(0.15)),
            (scale.first, scale.last, self._color(0.45)),
            (picture.slice_index, picture.slice_index, self._color(1.0)),
        ):
            x, end = self._x(stack, first), self._x(stack, last) + stack.bar_px
            painter.fillRect(QRectF(x, y, max(2.0, end - x), _LINE_PX), color)
