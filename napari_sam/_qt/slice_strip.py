"""A strip with a bar for each slice of a stack: where an object is, and how surely."""

from collections.abc import Callable
from typing import Final

from qtpy.QtCore import QEvent, QPointF, QSize, Qt, Signal
from qtpy.QtGui import QFocusEvent, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_sam._qt.slice_columns import SliceColumn, SliceScale
from napari_sam._qt.slice_painting import SIDE_PX, StripPainter, StripPicture
from napari_sam.session.objects.slices import ObjectSlices

_LEAST_HEIGHT_PX: Final = 72
_HEIGHT_PX: Final = 96
_MOST_HEIGHT_PX: Final = 160
_GRIP_PX: Final = 6
"""How near to an end of the object the mouse takes hold of it."""

_Range = tuple[int, int]


class SliceStrip(QWidget):
    """Shows the slices of an object; a click goes to a slice, dragged ends cut or extend it."""

    slice_requested = Signal(int)
    range_requested = Signal(int, int)
    """The first and the last slice that the object is to be on."""

    def __init__(self) -> None:
        super().__init__()
        self._n_slices, self._slice_index = 1, 0
        self._slices: ObjectSlices | None = None
        self.object_range: _Range | None = None
        """The first and the last slice that the object is on; None without any."""
        self._columns: tuple[SliceScale, list[SliceColumn]] | None = None
        self._part = SliceScale(0, 1, 1)
        self._dragged_end: int | None = None  # 0 for the first slice, 1 for the last
        self._preview: _Range | None = None
        self._is_scrubbing: SliceScale | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(_LEAST_HEIGHT_PX)
        self.setMaximumHeight(_MOST_HEIGHT_PX)
        self.setAccessibleName("Slices of the object")

    def sizeHint(self) -> QSize:
        """Leave room for bars whose heights can be told apart."""
        return QSize(0, _HEIGHT_PX)

    # What is shown -----------------------------------------------------------------------------

    def show_stack(self, n_slices: int, slice_index: int) -> None:
        """Show a stack, and which slice of it is in the view."""
        if (n_slices, slice_index) != (self._n_slices, self._slice_index):
            if n_slices != self._n_slices:
                self._n_slices, self._part = n_slices, SliceScale(0, n_slices, 1)
                self._end_drag()
            self._slice_index = slice_index
            self.update()

    def show_slices(self, slices: ObjectSlices | None) -> None:
        """Show the slices of an object; None without one."""
        if slices is self._slices:
            return
        self._slices, self._columns = slices, None
        with_object = () if slices is None else slices.with_object
        self.object_range = None
        if with_object:
            self.object_range = with_object[0].slice_index, with_object[-1].slice_index
        else:
            self._end_drag()
        self.update()

    @property
    def scale(self) -> SliceScale:
        """The slices that have bars: all, or in a long stack those around the object."""
        stack, extent = self.stack_scale, self.object_range
        if extent is not None and self._dragged_end is None:
            self._part = stack.part_around(*extent, self._part)
        elif extent is None:
            self._part = stack
        return SliceScale(self._part.first, self._part.n_slices, stack.width_px)

    @property
    def stack_scale(self) -> SliceScale:
        """All slices, as the line below the bars shows them."""
        return SliceScale(0, self._n_slices, self.width() - 2 * SIDE_PX)

    @property
    def columns(self) -> list[SliceColumn]:
        """The bars."""
        scale = self.scale
        if self._columns is None or self._columns[0] != scale:
            self._columns = scale, scale.columns(self._slices or ())
        return self._columns[1]

    @property
    def _picture(self) -> StripPicture:
        return StripPicture(
            self.scale,
            self.stack_scale,
            self._slice_index,
            self.columns,
            self.object_range,
            self._preview,
        )

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint the bars."""
        StripPainter(self, QPainter(self)).paint(self._picture)

    def text_at(self, x: float) -> str:
        """Return in words what is known of the slice at a position."""
        index = self.scale.slice_at(x - SIDE_PX)
        texts = (column.text for column in self.columns if column.first <= index <= column.last)
        return next(texts, f"Slice {index}")

    def event(self, event: QEvent) -> bool:
        """Say what is known of the slice under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.text_at(event.pos().x()), self)
            return True
        return bool(super().event(event))

    # The mouse ---------------------------------------------------------------------------------

    def _end_at(self, position: QPointF) -> int | None:
        """Return the end of the object at a position: 0 for the first slice, 1 for the last."""
        extent, scale = self.object_range, self.scale
        if extent is None or self._is_on_overview(position):
            return None
        x = position.x() - SIDE_PX
        edges = scale.x_of(extent[0]), scale.x_of(extent[1]) + scale.bar_px
        near = [abs(x - edge) for edge in edges]
        end = int(near[1] < near[0] or (near[1] == near[0] and x > edges[1]))
        # Within a bar the grip leaves room to click on it.
        is_inside = edges[0] < x < edges[1]
        reach = min(_GRIP_PX, scale.bar_px / 3) if is_inside else _GRIP_PX
        return end if near[end] <= reach else None

    def _is_on_overview(self, position: QPointF) -> bool:
        is_part = self.scale.n_slices < self._n_slices
        return is_part and StripPainter.is_on_overview(self, position.y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of an end of the object, or go to a slice."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._dragged_end = self._end_at(event.position())
        if self._dragged_end is None:
            on_overview = self._is_on_overview(event.position())
            self._is_scrubbing = self.stack_scale if on_overview else self.scale
            self._go_to(event.position().x())
        else:
            self.setFocus(Qt.FocusReason.MouseFocusReason)  # for Escape
            self._preview = self.object_range
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show where a dragged end would come, go to the slice under the mouse, or show a grip."""
        x = event.position().x()
        if self._is_scrubbing is not None:
            self._go_to(x)
        elif self._dragged_end is not None:
            self._preview = self._dragged_to(x)
            self.update()
            QToolTip.showText(event.globalPosition().toPoint(), self._preview_text, self)
        elif self._end_at(event.position()) is not None:
            self.setCursor(Qt.CursorShape.SizeHorCursor)
        else:
            self.unsetCursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Request the range that was dragged to; without a drag, go to the slice at the end."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._is_scrubbing = None
        if self._dragged_end is None:
            return
        end, preview, extent = self._dragged_end, self._preview, self.object_range
        self._end_drag()
        if preview is None or extent is None:
            return
        if preview != extent:
            self.range_requested.emit(*preview)
        else:
            self.slice_requested.emit(extent[end])

    def _go_to(self, x: float) -> None:
        if self._is_scrubbing is not None:
            index = self._is_scrubbing.slice_at(x - SIDE_PX)
            if index != self._slice_index:
                self.slice_requested.emit(index)

    def _dragged_to(self, x: float) -> _Range | None:
        extent, scale = self.object_range, self.scale
        if extent is None or self._dragged_end is None:
            return None
        # An edge between two slices belongs to the object's side of it.
        shift = scale.slice_px / 2
        if self._dragged_end == 0:
            return min(scale.slice_at(x - SIDE_PX + shift), extent[1]), extent[1]
        return extent[0], max(scale.slice_at(x - SIDE_PX - shift), extent[0])

    @property
    def _preview_text(self) -> str:
        preview, extent = self._preview, self.object_range
        if preview is None or extent is None or preview == extent:
            return ""
        is_cut = preview[0] > extent[0] or preview[1] < extent[1]
        return f"{'Cut' if is_cut else 'Extend'} to slices {preview[0]}-{preview[1]}"

    def _end_drag(self) -> None:
        self._dragged_end = self._preview = self._is_scrubbing = None
        self.update()

    # The keyboard ------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go to slices by the arrow keys, move the nearest end with Shift, cancel by Escape."""
        key, keys = event.key(), Qt.Key
        if key == keys.Key_Escape and self._dragged_end is not None:
            self._end_drag()
            return
        extent = self.object_range or (0, self._n_slices - 1)
        steps: dict[int, Callable[[], int]] = {
            keys.Key_Left: lambda: self._slice_index - 1,
            keys.Key_Right: lambda: self._slice_index + 1,
            keys.Key_Home: lambda: extent[0],
            keys.Key_End: lambda: extent[1],
        }
        if key not in steps:
            super().keyPressEvent(event)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._move_end(1 if key == keys.Key_Right else -1 if key == keys.Key_Left else 0)
        elif 0 <= (index := steps[key]()) < self._n_slices:
            self.slice_requested.emit(index)

    def _move_end(self, step: int) -> None:
        extent = self.object_range
        if extent is None or step == 0:
            return
        first, last = extent
        if abs(self._slice_index - first) < abs(self._slice_index - last):
            first = min(max(0, first + step), last)
        else:
            last = max(min(self._n_slices - 1, last + step), first)
        if (first, last) != extent:
            self.range_requested.emit(first, last)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Leave a drag: Escape would no longer end it."""
        self._end_drag()
        super().focusOutEvent(event)
