"""The table of objects: sorting, filtering, and changes of the selected objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app_model.backends.qt import qkeycombo2modelkey
from app_model.types import KeyBinding
from qtpy.QtCore import (
    QEvent,
    QItemSelectionModel,
    QKeyCombination,
    QModelIndex,
    QObject,
    Qt,
    Signal,
)
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QLineEdit, QWidget

from napari_sam._qt.building import fill, row
from napari_sam._qt.object_buttons import ObjectButtons
from napari_sam._qt.object_columns import PlaneAxes
from napari_sam._qt.object_model import ObjectModel
from napari_sam._qt.row_view import RowView
from napari_sam.session.objects.records import ObjectRecord

_MIN_HEIGHT_PX: Final = 160


class ObjectTable(QWidget):
    """Shows the records of the target's objects, and requests changes of them."""

    go_requested = Signal(int)
    reopen_requested = Signal(int)
    remove_requested = Signal(list)
    merge_requested = Signal(list)
    change_requested = Signal(list, str, object)
    """label_ids, the field ("class_name", "reviewed", "note"), and its new value."""
    command_requested = Signal(str)
    """The command of a key that was pressed in the table."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[KeyBinding, str] = {}
        self._model = ObjectModel()
        self._model.change_requested.connect(self._on_cell_changed)
        self._is_stepping = False
        self.view = self._build_view()
        self.buttons = self._build_buttons()
        self.view.installEventFilter(self)
        self.view.selectionModel().currentRowChanged.connect(self._on_row_changed)
        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        fill(self, self._build_top(), self.view, self.buttons)
        self.layout().setStretchFactor(self.view, 1)

    def _build_view(self) -> RowView:
        view = RowView()
        view.setModel(self._model)
        view.setSortingEnabled(True)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.verticalHeader().hide()
        view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        # Only visible rows are measured, not thousands of others.
        view.horizontalHeader().setResizeContentsPrecision(0)
        view.setMinimumHeight(_MIN_HEIGHT_PX)
        return view

    def _build_top(self) -> QHBoxLayout:
        text = QLineEdit()
        text.setPlaceholderText("filter")
        text.setClearButtonEnabled(True)
        text.setToolTip("Show only rows that contain all of these words")
        text.textChanged.connect(self._model.set_text)
        self._progress = QLabel()
        self._progress.setToolTip("Objects that you have marked as reviewed")
        return row(text, self._progress, stretch=text)

    def _build_buttons(self) -> ObjectButtons:
        buttons = ObjectButtons()
        buttons.reopen_requested.connect(lambda: self.reopen_requested.emit(self.selected[0]))
        buttons.remove_requested.connect(lambda: self.remove_requested.emit(self.selected))
        buttons.merge_requested.connect(lambda: self.merge_requested.emit(self.selected))
        buttons.class_requested.connect(self._on_class)
        return buttons

    # What is shown -----------------------------------------------------------------------------

    def set_records(self, records: Iterable[ObjectRecord], axes: PlaneAxes) -> None:
        """Show the objects of another target."""
        self._model.set_records(records, axes)
        self._show_progress()

    def set_axes(self, axes: PlaneAxes) -> None:
        """Describe the objects by other axes."""
        self._model.set_axes(axes)

    def update_records(self, records: dict[int, ObjectRecord | None]) -> None:
        """Update or add some objects; None: the object is gone."""
        self._model.update_records(records)
        self._show_progress()

    def highlight(self, label_id: int | None) -> None:
        """Mark the row of the object under the cursor; the selection stays."""
        self._model.highlight(label_id)
        index = QModelIndex() if label_id is None else self._index_of(label_id)
        if index.isValid():
            self.view.scrollTo(index)

    def set_keys(self, keys: Mapping[KeyBinding, str]) -> None:
        """Request these commands by these keys while the table has the focus."""
        self._keys = dict(keys)

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Show these keys in the texts, by command."""
        self.buttons.show_keys(keys)

    def set_classes(self, colors: Mapping[str, str]) -> None:
        """List these classes and show their colours, "#rrggbb" by name."""
        self._model.set_colors(colors)
        self.buttons.set_classes(colors)

    def neighbour(self, step: int) -> int | None:
        """Return the object `step` rows after the selected ones, as sorted and filtered.

        Without a selected row that is the first or the last object; None beyond the ends.
        """
        rows = [index.row() for index in self.view.selectionModel().selectedRows()]
        count = self._model.rowCount()
        if rows:
            neighbour = (max(rows) if step > 0 else min(rows)) + step
        else:
            neighbour = 0 if step > 0 else count - 1
        return self._model.label_id(neighbour) if 0 <= neighbour < count else None

    def select(self, label_id: int) -> None:
        """Select the row of an object and request to go there."""
        index = self._index_of(label_id)
        if index.isValid():
            flags = QItemSelectionModel.SelectionFlag
            self._is_stepping = True
            self.view.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self._is_stepping = False
            self.view.scrollTo(index)
        self.go_requested.emit(label_id)

    def clear_selection(self) -> None:
        """Deselect all rows."""
        self.view.clearSelection()

    def _index_of(self, label_id: int) -> QModelIndex:
        number = self._model.row_of(label_id)
        return QModelIndex() if number is None else self._model.index(number, 0)

    @property
    def selected(self) -> list[int]:
        """The label_ids of the selected rows, in the order of the table."""
        numbers = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        return [self._model.label_id(number) for number in numbers]

    def _show_progress(self) -> None:
        self._progress.setText(self.progress)

    @property
    def progress(self) -> str:
        """How many objects are reviewed, in words."""
        return f"{self._model.reviewed_count} of {self._model.count} reviewed"

    # What is asked for ---------------------------------------------------------------------------

    def _on_selection_changed(self) -> None:
        self.buttons.show_count(len(self.view.selectionModel().selectedRows()))

    def _on_row_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._is_stepping and self.view.hasFocus():
            self.go_requested.emit(self._model.label_id(current.row()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Request commands by keys while the table itself, not an editor in it, has the focus."""
        is_press = event.type() == QEvent.Type.KeyPress
        if watched is self.view and is_press and isinstance(event, QKeyEvent):
            if event.keyCombination() == QKeyCombination(Qt.Key.Key_F2):
                self._edit_note()
                return True
            key = KeyBinding.from_int(int(qkeycombo2modelkey(event.keyCombination())))
            if key in self._keys:
                self.command_requested.emit(self._keys[key])
                return True
        return bool(super().eventFilter(watched, event))

    def _edit_note(self) -> None:
        current = self.view.currentIndex()
        if current.isValid():
            self.view.edit(self._model.note_index(current.row()))

    def _on_cell_changed(self, label_ids: list[int], field: str, value: object) -> None:
        selected = self.selected
        # A change in one of several selected rows is meant for all of them.
        self.change_requested.emit(
            selected if label_ids[0] in selected else label_ids, field, value
        )

    def _on_class(self, name: str | None) -> None:
        if self.selected:
            self.change_requested.emit(self.selected, "class_name", name)
