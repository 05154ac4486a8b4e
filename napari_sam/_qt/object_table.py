"""The table of objects: sorting, filtering, and changes of the selected objects."""

from collections.abc import Iterable, Mapping
from typing import Final

from app_model.backends.qt import qkeycombo2modelkey
from app_model.types import KeyBinding
from qtpy.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    Qt,
    Signal,
)
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QHeaderView, QLabel, QLayout, QWidget

from napari_sam._qt.building import (
    ShortcutTexts,
    button,
    combo_box,
    fill,
    line_edit,
    rest_timer,
    row,
)
from napari_sam._qt.column_menu import ColumnMenu
from napari_sam._qt.newest_row import NewestRow
from napari_sam._qt.object_columns import CLASS, NOTE, PARENT, PlaneAxes
from napari_sam._qt.object_model import ObjectModel
from napari_sam._qt.row_view import RowView
from napari_sam.session.objects.records import ObjectRecord

_ROW_PX: Final = 24
_LEAST_HEIGHT_PX: Final = 96
"""Two rows, the titles and a scroll bar."""


class ObjectTable(QWidget):
    """Shows the records of the target's objects, and requests changes of them."""

    go_requested = Signal(int)
    reedit_requested = Signal(int)
    remove_requested = Signal(list)
    merge_requested = Signal(list)
    change_requested = Signal(list, str, object)
    """label_ids, the field ("class_name", "reviewed", "note"), and its new value."""
    command_requested = Signal(str)
    """The command of a key that was pressed in the table."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: Mapping[KeyBinding, str] = {}
        self._colors: dict[str, str] = {}
        self._place: int | None = None  # the row that was selected last
        self.texts = ShortcutTexts()
        self.model = ObjectModel(self)
        self.model.change_requested.connect(self._on_cell_changed)
        self._is_stepping = False
        self.view = self._build_view()
        self.view.installEventFilter(self)
        # When a model is reset, Qt drops the selection without a signal.
        self.model.modelAboutToBeReset.connect(self.view.clearSelection)
        self._newest, self.columns = NewestRow(self.view), ColumnMenu(self.view, self.model)
        self.view.doubleClicked.connect(self._on_double_click)
        self.view.selectionModel().currentRowChanged.connect(self._on_row_changed)
        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        fill(self, self._build_top(), self.view, self._build_buttons())
        self.layout().setStretchFactor(self.view, 1)
        self._on_selection_changed()

    def _build_view(self) -> RowView:
        view = RowView(elided_columns=(CLASS, NOTE))
        view.setAccessibleName("Objects")
        view.setModel(self.model)
        view.setSortingEnabled(True)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(_ROW_PX)
        view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        # Only visible rows are measured, not thousands of others.
        view.horizontalHeader().setResizeContentsPrecision(0)
        view.setMinimumHeight(_LEAST_HEIGHT_PX)
        return view

    def _build_top(self) -> QLayout:
        text = line_edit("filter", "Show only rows that contain all of these words")
        text.setClearButtonEnabled(True)
        text.textChanged.connect(self.model.set_text)
        self._progress = QLabel(toolTip="Objects that you have marked as reviewed")
        return row(text, self._progress, stretch=text)

    def _build_buttons(self) -> QLayout:
        """Make what acts on the selected rows."""
        self._reedit = button("Re-edit", "", lambda: self.reedit_requested.emit(self.selected[0]))
        self._delete = button("Delete", "", lambda: self.remove_requested.emit(self.selected))
        for widget, tooltip, command in (
            (self._reedit, "Re-edit this object from its original prompts", "reedit"),
            (self._delete, "Delete the selected objects", "remove"),
        ):
            self.texts.add(widget.setToolTip, tooltip, command, "{} with the cursor on it")
        self.merge = button(
            "Merge",
            "Merge the selected objects into one",
            lambda: self.merge_requested.emit(self.selected),
        )
        tooltip = "Class of the selected objects: choose one, or type a name and press Enter"
        self._class = combo_box(tooltip)
        self._class.setEditable(True)
        self._class.setInsertPolicy(self._class.InsertPolicy.NoInsert)  # it lists existing classes
        self._class.lineEdit().setPlaceholderText("class")
        # Qt sends both signals for Return on a listed name: they are one request.
        self._class_timer = rest_timer(self, 0, self._on_class)
        self._class.lineEdit().returnPressed.connect(self._class_timer.start)
        self._class.activated.connect(lambda _: self._class_timer.start())
        return row(self._reedit, self._delete, self.merge, self._class, stretch=self._class)

    # What is shown -----------------------------------------------------------------------------

    def set_records(self, records: Iterable[ObjectRecord], axes: PlaneAxes) -> None:
        """Show the objects of another target."""
        self._place = None
        self.model.set_records(records, axes)
        self._progress.setText(self.model.progress)

    def update_records(self, records: dict[int, ObjectRecord | None]) -> None:
        """Update or add some objects; None: the object is gone."""
        self.model.update_records(records)
        self._progress.setText(self.model.progress)

    def set_keys(self, keys: Mapping[KeyBinding, str]) -> None:
        """Set the commands to request by keys while the table has the focus."""
        self._keys = keys

    def add_foot(self, *widgets: QWidget) -> None:
        """Add widgets side by side below the buttons."""
        foot = row(*widgets, stretch=widgets[0])
        for widget in widgets:
            foot.setAlignment(widget, Qt.AlignmentFlag.AlignBottom)
        self.layout().addLayout(foot)

    def highlight(self, label_id: int | None) -> None:
        """Mark the row of the object under the cursor; the selection stays."""
        self.model.highlight(label_id)
        index = QModelIndex() if label_id is None else self._index_of(label_id)
        if index.isValid():
            self.view.scrollTo(index)

    def show_new(self, label_id: int) -> None:
        """Scroll to the row of a new object, unless the user has scrolled away or chosen rows."""
        index = self._index_of(label_id)
        if index.isValid():
            self._newest.show(index)

    def set_classes(self, colors: Mapping[str, str]) -> None:
        """List these classes and show their colors, "#rrggbb" by name."""
        before, self._colors = self._colors, dict(colors)
        if self._colors != before:
            self.model.set_colors(colors)
        names, former = list(colors), list(before)
        if names != former:
            typed = self._class.currentText()
            if names[: len(former)] != former:
                self._class.clear()
            self._class.addItems(names[self._class.count() :])
            self._class.setEditText(typed)

    def neighbor(self, step: int) -> int | None:
        """Return the object `step` rows after the selected ones, as sorted and filtered.

        Without a selected row that is the one at the place of the last selected row, which may have
        been deleted, or else the first or the last object; None beyond the ends.
        """
        rows, count, is_forward = self._selected_rows, self.model.rowCount(), step > 0
        if rows:
            neighbor = rows[-1 if is_forward else 0] + step
        elif self._place is not None:
            neighbor = self._place if is_forward else self._place + step
        else:
            neighbor = 0 if is_forward else count - 1
        return self.model.shown[neighbor] if 0 <= neighbor < count else None

    def next_unreviewed(self) -> int | None:
        """Return the next object that is not reviewed, from the top again; None without one."""
        rows, shown = self._selected_rows, self.model.shown
        start = rows[-1] + 1 if rows else self._place or 0
        selected = set(self.selected)
        for label_id in shown[start:] + shown[:start]:
            if label_id not in selected and not self.model.is_reviewed(label_id):
                return label_id
        return None

    def start_over(self) -> None:
        """Select no row, and begin with the first one next."""
        self.view.clearSelection()
        self._place = None

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

    def select_only(self, label_ids: Iterable[int]) -> None:
        """Select the rows of some objects, and no others; the view stays where it is."""
        flags = QItemSelectionModel.SelectionFlag
        rows = QItemSelection()
        for index in map(self._index_of, label_ids):
            if index.isValid():
                rows.select(index, index)
        self.view.selectionModel().select(rows, flags.ClearAndSelect | flags.Rows)

    def _index_of(self, label_id: int) -> QModelIndex:
        number = self.model.rows.get(label_id)
        return QModelIndex() if number is None else self.model.index(number, 0)

    @property
    def selected(self) -> list[int]:
        """The label_ids of the selected rows, in the order of the table."""
        return [self.model.shown[number] for number in self._selected_rows]

    @property
    def _selected_rows(self) -> list[int]:
        return sorted(index.row() for index in self.view.selectionModel().selectedRows())

    # What is asked for ---------------------------------------------------------------------------

    def _on_selection_changed(self) -> None:
        rows = self._selected_rows
        self._place, count = rows[0] if rows else self._place, len(rows)
        self._reedit.setEnabled(count == 1)
        self._delete.setEnabled(count > 0)
        self.merge.setEnabled(count > 1)
        self._class.setEnabled(count > 0)

    def _on_row_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._is_stepping and self.view.hasFocus():
            self.go_requested.emit(self.model.shown[current.row()])

    def _on_double_click(self, index: QModelIndex) -> None:
        """Go to the parent."""
        if index.column() == PARENT:
            parent_id = self.model.parent_of(self.model.shown[index.row()])
            if parent_id:
                self.select(parent_id)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Request commands by keys while the table itself, not an editor in it, has the focus."""
        is_press = event.type() == QEvent.Type.KeyPress
        if watched is self.view and is_press and isinstance(event, QKeyEvent):
            self.view.finish_click()
            if event.key() == Qt.Key.Key_Delete and not event.modifiers():
                self._delete.click()
                return True
            if event.key() == Qt.Key.Key_F2 and not event.modifiers():
                current = self.view.currentIndex()
                if current.isValid():
                    self.view.edit(self.model.index(current.row(), NOTE))
                return True
            key = KeyBinding.from_int(int(qkeycombo2modelkey(event.keyCombination())))
            if key in self._keys:
                self.command_requested.emit(self._keys[key])
                return True
        return bool(super().eventFilter(watched, event))

    def _on_cell_changed(self, label_ids: list[int], field: str, value: object) -> None:
        # A change in one of several selected rows is meant for all of them.
        changed = self.selected if label_ids[0] in self.selected else label_ids
        self.change_requested.emit(changed, field, value)

    def _on_class(self) -> None:
        if self.selected:
            name = self._class.currentText().strip() or None
            self.change_requested.emit(self.selected, "class_name", name)
