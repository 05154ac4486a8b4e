"""The classes as a row of colored chips; new objects get the class of the framed one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from qtpy.QtCore import QEvent, QObject, QPoint, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QContextMenuEvent,
    QKeyEvent,
    QPainter,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QColorDialog, QHBoxLayout, QMenu, QSizePolicy, QWidget

from napari_sam._qt.building import follow_each_other, line_edit
from napari_sam._qt.class_requests import ClassRequests
from napari_sam._qt.colors import base_color, legible_on, text_color
from napari_sam._qt.flat_button import FlatButton
from napari_sam.formats.classes import ObjectClass

_HEIGHT_PX: Final = 26
_WIDEST_PX: Final = 128
_MARGIN_PX: Final = 10
_GAP_PX: Final = 4
_FOCUS_RADIUS_PX: Final = 4
_MOST: Final = 30
"""So many chips are made; the list shows the other classes."""
_NOTCH: Final = 120
"""How far a notch of a mouse wheel turns it, as Qt counts."""


class ClassChip(FlatButton):
    """A class: its key and name on its color."""

    def __init__(self, entry: ObjectClass, key: str, ask: Callable[[str, QPoint], None]) -> None:
        text = f"{key} {entry.name}" if key else entry.name
        super().__init__(text, checkable=True)
        self.entry, self._ask = entry, ask
        self.setFixedHeight(_HEIGHT_PX)

    def sizeHint(self) -> QSize:
        """Leave room for the name, up to a limit."""
        width = self.fontMetrics().horizontalAdvance(self.text()) + 2 * _MARGIN_PX
        return QSize(min(_WIDEST_PX, width), _HEIGHT_PX)

    def paint_background(self, painter: QPainter, box: QRectF) -> None:
        """Paint the color, and a frame around that of the current class."""
        inner, radius = box.adjusted(2.5, 2.5, -2.5, -2.5), box.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        frame_color = text_color(self)
        if self.hasFocus():  # frame and background change places, so that both can be seen
            painter.setBrush(frame_color)
            painter.drawRoundedRect(box, _FOCUS_RADIUS_PX, _FOCUS_RADIUS_PX)
            frame_color = base_color(self)
        painter.setBrush(QColor(self.entry.color))
        painter.drawRoundedRect(inner, radius - 2.5, radius - 2.5)
        if self.isChecked():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(frame_color, 1.6))
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)

    @property
    def content_color(self) -> QColor:
        """Black or white, whichever can be read on the color."""
        return legible_on(QColor(self.entry.color))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask what to do with the class."""
        self._ask(self.entry.name, event.globalPos())


class ClassChips(ClassRequests):
    """A chip for each of the first classes; the mouse wheel scrolls, and a menu has the rest."""

    apply_requested = Signal(str)
    """The name of a class, for what is selected or else for new objects."""

    def __init__(self) -> None:
        super().__init__()
        self.chips: list[ClassChip] = []
        self.menu = QMenu(self)
        """What is done with all classes; to be filled by the owner."""
        self._shown: tuple[tuple[ObjectClass, str], ...] | None = None
        self._offset_px = 0
        self._renamed = ""
        self._strip = QWidget()
        self._strip.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._strip.setFixedHeight(_HEIGHT_PX)
        # First in the row, where it stays however many classes there are.
        self.add = FlatButton("+ class", "Add a class", lambda: self.edit(""))
        self.more = FlatButton("", "All classes, and files of them", icon="more")
        for button in (self.add, self.more):
            button.setFixedHeight(_HEIGHT_PX)
        self.more.set_menu(self.menu)
        self._editor = line_edit("")
        self._editor.setParent(self)
        for widget in (self._strip, self._editor):
            widget.installEventFilter(self)
        self._editor.returnPressed.connect(self._on_edited)
        self._editor.hide()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(_GAP_PX)
        layout.addWidget(self.add)
        layout.addWidget(self._strip, 1)
        layout.addWidget(self.more)
        self.setFixedHeight(_HEIGHT_PX)
        self.show_classes((), None, {})

    # What is shown -----------------------------------------------------------------------------

    def show_classes(
        self, classes: Sequence[ObjectClass], current: str | None, keys: Mapping[str | None, str]
    ) -> None:
        """Show the classes, with their keys by name."""
        shown = list(classes[:_MOST])
        shown += [entry for entry in classes[_MOST:] if entry.name == current]
        content = tuple((entry, keys.get(entry.name, "")) for entry in shown)
        if content != self._shown:
            self._shown = content
            self._make_chips(content)
        for chip in self.chips:
            is_new = chip.entry.name == current and not chip.isChecked()
            chip.setChecked(chip.entry.name == current)
            if is_new:
                self._scroll_to(chip)

    def _make_chips(self, content: Sequence[tuple[ObjectClass, str]]) -> None:
        for chip in self.chips:
            chip.setParent(None)
            chip.deleteLater()
        self.chips = [ClassChip(*entry, self._ask) for entry in content]
        for chip in self.chips:
            name = chip.entry.name
            chip.setParent(self._strip)
            chip.installEventFilter(self)
            chip.setToolTip(
                f"{name}: the class of the selected rows, or of the object that is re-edited; "
                "without any, of new objects, and once more for no class. Its key does the same.\n"
                "Right-click to rename, recolor or delete it."
            )
            chip.clicked.connect(lambda _, chip=chip: self._on_clicked(chip))
            chip.show()
        follow_each_other(self.add, *self.chips, self.more)
        self._place()

    def _place(self) -> None:
        """Put the chips side by side, as far as the row is scrolled."""
        width = sum(chip.sizeHint().width() + _GAP_PX for chip in self.chips)
        most = max(0, width - _GAP_PX - self._strip.width())
        self._offset_px = min(max(0, self._offset_px), most)
        left = -self._offset_px
        for chip in self.chips:
            size = chip.sizeHint()
            chip.setGeometry(left, 0, size.width(), size.height())
            left += size.width() + _GAP_PX

    def _scroll_to(self, chip: ClassChip) -> None:
        if chip.x() < 0:
            self._offset_px += chip.x()
        elif chip.x() + chip.width() > self._strip.width():
            self._offset_px += chip.x() + chip.width() - self._strip.width()
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Begin with the first chip in another width, as far as the current one allows it."""
        super().resizeEvent(event)
        self.layout().activate()
        self._offset_px = 0
        self._place()
        for chip in self.chips:
            if chip.isChecked():
                self._scroll_to(chip)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the row; past its ends, what is around it."""
        delta, offset_px = event.angleDelta(), self._offset_px
        self._offset_px -= (delta.y() or delta.x()) * _WIDEST_PX // (2 * _NOTCH)
        self._place()
        event.setAccepted(self._offset_px != offset_px)

    # What is asked for ---------------------------------------------------------------------------

    def _on_clicked(self, chip: ClassChip) -> None:
        chip.setChecked(not chip.isChecked())  # until it is the class of new objects
        self.apply_requested.emit(chip.entry.name)

    def _ask(self, name: str, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction("Rename…", lambda: self.edit(name))
        menu.addAction("Color…", lambda: self._recolor(name))
        menu.addAction("Delete", lambda: self.remove_requested.emit(name))
        menu.exec(place)

    def _recolor(self, name: str) -> None:
        current = next(chip.entry.color for chip in self.chips if chip.entry.name == name)
        color = QColorDialog.getColor(QColor(current), self, f"Color of '{name}'")
        if color.isValid():
            self.recolor_requested.emit(name, color.name())

    # A name --------------------------------------------------------------------------------------

    def edit(self, name: str) -> None:
        """Ask for the name of a new class, or for another one of a class."""
        self._renamed = name
        self._editor.setText(name)
        asked = f"New name of '{name}'" if name else "Name of the new class"
        self._editor.setPlaceholderText(asked)
        self._editor.setAccessibleName(asked)
        self._editor.setGeometry(self._strip.geometry())
        self._editor.show()
        self._editor.raise_()
        self._editor.selectAll()
        self._editor.setFocus()

    def _on_edited(self) -> None:
        name, renamed = self._editor.text().strip(), self._renamed
        self._editor.hide()
        if name and not renamed:
            self.add_requested.emit(name)
        elif name and name != renamed:
            self.rename_requested.emit(renamed, name)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Close the field by Escape or a click elsewhere; follow the strip and the focus."""
        if watched is self._editor:
            is_escape = (
                event.type() == QEvent.Type.KeyPress
                and isinstance(event, QKeyEvent)
                and event.key() == Qt.Key.Key_Escape
            )
            if is_escape or event.type() == QEvent.Type.FocusOut:
                self._editor.hide()
                return is_escape
        elif isinstance(watched, ClassChip):
            if event.type() == QEvent.Type.FocusIn:
                self._scroll_to(watched)
        elif event.type() == QEvent.Type.Resize:
            self._place()
        return False
