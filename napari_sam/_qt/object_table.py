"""The table of objects: sorted, filtered, and what can be done with many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam._qt.object_model import ObjectModel, PlaneAxes
from napari_sam._qt.row_view import RowView
from napari_sam._qt.shortcut_texts import ShortcutTexts
from napari_sam.session.objects.records import ObjectRecord

_LEAST_HEIGHT_PX = 160


class ObjectTable(QWidget):
    """Shows the records of the target's objects; asks for what is to be done with them."""

    go_requested = Signal(int)
    reopen_requested = Signal(int)
    remove_requested = Signal(list)
    merge_requested = Signal(list)
    change_requested = Signal(list, str, object)
    command_requested = Signal(str)
    """With the command of a key that was pressed in the table."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[KeyBinding, str] = {}
        self._keyed = ShortcutTexts()
        self._model = ObjectModel()
        self._model.change_requested.connect(self._on_cell_changed)
        self._is_stepping = False
        self.view = RowView()
        self.view.installEventFilter(self)
        self.view.setModel(self._model)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.view.verticalHeader().hide()
        self.view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        # As wide as what is in sight needs, whatever the other thousands of rows hold.
        self.view.horizontalHeader().setResizeContentsPrecision(0)
        self.view.setMinimumHeight(_LEAST_HEIGHT_PX)
        self.view.selectionModel().currentRowChanged.connect(self._on_row_changed)
        self.view.selectionModel().selectionChanged.connect(self._show_what_can_be_done)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._build_top())
        layout.addWidget(self.view, 1)
        layout.addLayout(self._build_buttons())
        self._show_what_can_be_done()

    def _build_top(self) -> QHBoxLayout:
        text = QLineEdit()
        text.setPlaceholderText("filter")
        text.setClearButtonEnabled(True)
        text.setToolTip("Shows the objects in whose row all these words occur")
        text.textChanged.connect(self._model.set_text)
        self._progress = QLabel()
        self._progress.setToolTip("Objects that you have marked as reviewed")
        row = QHBoxLayout()
        row.addWidget(text, 1)
        row.addWidget(self._progress)
        return row

    def _build_buttons(self) -> QHBoxLayout:
        def button(text: str, tip: str, action: object) -> QPushButton:
            made = QPushButton(text)
            made.setToolTip(tip)
            made.clicked.connect(action)
            return made

        self._reopen = button("Reopen", "", self._on_reopen)
        self._delete = button("Delete", "", self._on_delete)
        for one, tip, command, how in (
            (self._reopen, "Make this object again, from its prompts", "reopen", "{} over it"),
            (self._delete, "Delete these objects", "remove", "{} over one"),
        ):
            self._keyed.add(one.setToolTip, tip, command, how)
        self._merge = button("Merge", "Make one object of these", self._on_merge)
        self._class = QComboBox()
        self._class.setEditable(True)
        self._class.setToolTip(
            "The class of the chosen objects: choose one, or type and press Enter"
        )
        self._class.lineEdit().setPlaceholderText("class")
        self._class.lineEdit().returnPressed.connect(self._on_class)
        self._class.activated.connect(self._on_class)
        row = QHBoxLayout()
        for widget in (self._reopen, self._delete, self._merge):
            row.addWidget(widget)
        row.addWidget(self._class, 1)
        return row

    # What is shown -----------------------------------------------------------------------------

    def set_records(self, records: Iterable[ObjectRecord], axes: PlaneAxes) -> None:
        """Show the objects of another target."""
        self._model.set_records(records, axes)
        self._show_progress()

    def set_axes(self, axes: PlaneAxes) -> None:
        """Show the same objects as they are told by other axes."""
        self._model.set_axes(axes)

    def update_records(self, records: dict[int, ObjectRecord | None]) -> None:
        """Show what has become of some objects; None: they are gone."""
        self._model.update_records(records)
        self._show_progress()

    def point_at(self, label_id: int | None) -> None:
        """Mark the row of the object under the cursor; what is chosen stays so."""
        self._model.point_at(label_id)
        index = QModelIndex() if label_id is None else self._index_of(label_id)
        if index.isValid():
            self.view.scrollTo(index)

    def set_keys(self, keys: Mapping[KeyBinding, str]) -> None:
        """Have these keys ask for these commands while the table has the keyboard."""
        self._keys = dict(keys)

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Name these keys in the texts, by command."""
        self._keyed.show(keys)

    def set_classes(self, colors: Mapping[str, str]) -> None:
        """Offer these classes, and show their colours: "#rrggbb" by name, in their order."""
        self._model.set_colors(colors)
        text = self._class.currentText()
        self._class.clear()
        self._class.addItems(list(colors))
        self._class.setEditText(text)

    def neighbour(self, step: int) -> int | None:
        """Return the object `step` rows further on, as they are sorted and filtered now.

        Without a chosen row that is the first one, or the last one; None beyond the ends.
        """
        rows = [index.row() for index in self.view.selectionModel().selectedRows()]
        count = self._model.rowCount()
        if rows:
            row = (max(rows) if step > 0 else min(rows)) + step
        else:
            row = 0 if step > 0 else count - 1
        if not 0 <= row < count:
            return None
        return self._model.label_id(row)

    def choose(self, label_id: int) -> None:
        """Choose the row of one object and ask to go there."""
        index = self._index_of(label_id)
        if index.isValid():
            flags = QItemSelectionModel.SelectionFlag
            self._is_stepping = True
            self.view.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self._is_stepping = False
            self.view.scrollTo(index)
        self.go_requested.emit(label_id)

    def choose_none(self) -> None:
        """Have no row chosen."""
        self.view.clearSelection()

    def _index_of(self, label_id: int) -> QModelIndex:
        row = self._model.row_of(label_id)
        return QModelIndex() if row is None else self._model.index(row, 0)

    @property
    def chosen(self) -> list[int]:
        """The label_ids of the rows that are selected, in the order of the table."""
        rows = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        return [self._model.label_id(row) for row in rows]

    def _show_progress(self) -> None:
        self._progress.setText(self.progress)

    @property
    def progress(self) -> str:
        """How many of the objects are reviewed, in words."""
        return f"{self._model.reviewed_count} of {self._model.count} reviewed"

    def _show_what_can_be_done(self) -> None:
        count = len(self.view.selectionModel().selectedRows())
        self._reopen.setEnabled(count == 1)
        self._delete.setEnabled(count > 0)
        self._merge.setEnabled(count > 1)
        self._class.setEnabled(count > 0)

    # What is asked for ---------------------------------------------------------------------------

    def _on_row_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._is_stepping and self.view.hasFocus():
            self._go_to(current)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Give commands by keys while the table itself, and not an editor in it, has them."""
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
            self.view.edit(self._model.note_of(current.row()))

    def _go_to(self, index: QModelIndex) -> None:
        self.go_requested.emit(self._model.label_id(index.row()))

    def _on_cell_changed(self, label_ids: list[int], what: str, value: object) -> None:
        chosen = self.chosen
        # A change in one of several chosen rows is meant for all of them.
        self.change_requested.emit(chosen if label_ids[0] in chosen else label_ids, what, value)

    def _on_reopen(self) -> None:
        self.reopen_requested.emit(self.chosen[0])

    def _on_delete(self) -> None:
        self.remove_requested.emit(self.chosen)

    def _on_merge(self) -> None:
        self.merge_requested.emit(self.chosen)

    def _on_class(self) -> None:
        name = self._class.currentText().strip()
        if self.chosen:
            self.change_requested.emit(self.chosen, "class_name", name or None)
