"""The rows of the table of objects."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Final

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QColor, QFont

from napari_sam._qt.object_columns import AREA, CLASS, COLUMNS, REVIEWED, VOLUME, PlaneAxes
from napari_sam.session.objects.records import ObjectRecord

_ROOT: Final = QModelIndex()
_LAYOUT: Final = "QList<QPersistentModelIndex>", "QAbstractItemModel::LayoutChangeHint"
"""Which overload of the signals of a changed layout: PySide6 takes the one without arguments."""
_UNSEEN: Final = (
    "Accepted as predicted: mark the object as reviewed, or change its class, to make it an example"
)
_HIGHLIGHT: Final = QColor(70, 130, 255, 80)
"""Marks the row of the object under the cursor; visible in dark and in light themes."""


class ObjectModel(QAbstractTableModel):
    """A row for each record that passes the filter, sorted by a column.

    It sorts and filters by itself: a `QSortFilterProxyModel` reads two values per comparison, which
    takes half a second for some thousand rows in Python. Edits are requests: `change_requested`.
    """

    change_requested = Signal(list, str, object)
    """label_ids, the field ("class_name", "reviewed", "note"), and its new value."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._records: dict[int, ObjectRecord] = {}
        self.shown: list[int] = []
        """The label_ids, row by row."""
        self.rows: dict[int, int] = {}
        """The rows of the objects that are shown, by label_id."""
        self._words: list[str] = []
        self._sorting = COLUMNS[0], False  # the column, and whether the largest come first
        self.axes = PlaneAxes()
        """The axes that describe the records."""
        self._colors: dict[str, str] = {}
        self._highlighted: int | None = None

    def set_colors(self, colors: Mapping[str, str]) -> None:
        """Show classes with these colors, "#rrggbb" by name."""
        self._colors = dict(colors)
        if self.shown:
            last = len(self.shown) - 1
            self.dataChanged.emit(self.index(0, CLASS), self.index(last, CLASS))

    def highlight(self, label_id: int | None) -> None:
        """Mark the row of an object; None: no row."""
        if label_id == self._highlighted:
            return
        changed, self._highlighted = (self._highlighted, label_id), label_id
        for row in [self.rows[label_id] for label_id in changed if label_id in self.rows]:
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    def set_records(self, records: Iterable[ObjectRecord], axes: PlaneAxes) -> None:
        """Replace all records, and the axes that describe them."""
        self.beginResetModel()
        self.axes = axes
        self._records = {record.label_id: record for record in records}
        self._set_order(self._sorted(filter(self._passes, self._records)))
        self.endResetModel()

    def update_records(self, records: Mapping[int, ObjectRecord | None]) -> None:
        """Update or add some records; None: the object is gone."""
        present = {label_id: record for label_id, record in records.items() if record is not None}
        self._records.update(present)
        passing = set(filter(self._passes, present))
        self._show_changes(gone=records.keys() - passing, passing=passing)
        for label_id in records.keys() - present.keys():
            self._records.pop(label_id, None)

    def set_axes(self, axes: PlaneAxes) -> None:
        """Describe the records by other axes."""
        self.axes = axes
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, AREA, VOLUME)
        self._filter()

    def set_text(self, text: str) -> None:
        """Show only rows with all these words, ignoring case."""
        self._words = text.casefold().split()
        self._filter()

    def _filter(self) -> None:
        passing = set(filter(self._passes, self._records))
        self._show_changes(gone=self.rows.keys() - passing, passing=passing)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; rows of equal value by label_id."""
        self._sorting = COLUMNS[column], order == Qt.SortOrder.DescendingOrder
        self._sort()

    def _passes(self, label_id: int) -> bool:
        if not self._words:
            return True
        record = self._records[label_id]
        columns = [column for column in COLUMNS if column is not COLUMNS[REVIEWED]]
        texts = [column.text(record, self.axes).casefold() for column in columns]
        return all(any(word in text for text in texts) for word in self._words)

    def _sorted(self, label_ids: Iterable[int]) -> list[int]:
        column, is_largest_first = self._sorting

        def key(label_id: int) -> Any:
            return column.sort_key(self._records[label_id], self.axes)

        if column is COLUMNS[0]:
            return sorted(label_ids, reverse=is_largest_first)
        return sorted(sorted(label_ids), key=key, reverse=is_largest_first)

    def _show_changes(self, gone: Set[int], passing: set[int]) -> None:
        """Remove rows, append new ones, and sort."""
        if removed := self.rows.keys() & gone:
            kept = [label_id for label_id in self.shown if label_id not in removed]
            first = min(self.rows[label_id] for label_id in removed)
            if not removed.issuperset(self.shown[first : first + len(removed)]):
                # Next to each other, they are removed at once: one by one, thousands take seconds.
                first = len(kept)
                self._reorder([*kept, *(n for n in self.shown if n in removed)])
            self.beginRemoveRows(_ROOT, first, first + len(removed) - 1)
            self._set_order(kept)
            self.endRemoveRows()
        if new := sorted(passing - self.rows.keys()):
            first = len(self.shown)
            self.beginInsertRows(_ROOT, first, first + len(new) - 1)
            self._set_order(self.shown + new)
            self.endInsertRows()
        if passing:
            rows_of = [self.rows[label_id] for label_id in passing]
            last = self.index(max(rows_of), len(COLUMNS) - 1)
            self.dataChanged.emit(self.index(min(rows_of), 0), last)
        self._sort()

    def _sort(self) -> None:
        self._reorder(self._sorted(self.shown))

    def _reorder(self, ordered: list[int]) -> None:
        if ordered == self.shown:
            return
        hint = self.LayoutChangeHint.VerticalSortHint  # selected rows take one index each
        self.layoutAboutToBeChanged[_LAYOUT].emit([], hint)
        # The selection is made of these indexes, among others.
        before = self.persistentIndexList()
        cells = [(self.shown[index.row()], index.column()) for index in before]
        self._set_order(ordered)
        after = [self.index(self.rows[label_id], column) for label_id, column in cells]
        self.changePersistentIndexList(before, after)
        self.layoutChanged[_LAYOUT].emit([], hint)

    def _set_order(self, shown: list[int]) -> None:
        self.shown = shown
        self.rows = {label_id: row for row, label_id in enumerate(shown)}

    def is_reviewed(self, label_id: int) -> bool:
        """Whether an object is reviewed."""
        return self._records[label_id].reviewed

    def parent_of(self, label_id: int) -> int:
        """Return the object that divided into another one; 0 without one."""
        return self._records[label_id].parent_id

    @property
    def progress(self) -> str:
        """How many objects, shown or not, are reviewed, in words."""
        reviewed = sum(record.reviewed for record in self._records.values())
        return f"{reviewed} of {len(self._records)} reviewed"

    # Qt's interface ---------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of shown objects."""
        return 0 if parent.isValid() else len(self.shown)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.header(self.axes)
        return column.tooltip if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows, or the value to edit."""
        record, column = self._records[self.shown[index.row()]], COLUMNS[index.column()]
        if index.column() == REVIEWED:
            if role == Qt.ItemDataRole.CheckStateRole:
                return Qt.CheckState.Checked if record.reviewed else Qt.CheckState.Unchecked
            return None
        if role == Qt.ItemDataRole.BackgroundRole and record.label_id == self._highlighted:
            return _HIGHLIGHT
        if role == Qt.ItemDataRole.DecorationRole and index.column() == CLASS:
            color = self._colors.get(record.class_name or "")
            return None if color is None else QColor(color)
        if index.column() == CLASS and record.class_unseen and not record.reviewed:
            if role == Qt.ItemDataRole.FontRole:
                return _italic()
            if role == Qt.ItemDataRole.ToolTipRole:
                return _UNSEEN
        if role == Qt.ItemDataRole.TextAlignmentRole and column.is_number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole and column.cell_tooltip is not None:
            return column.cell_tooltip(record) or None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            value = column.value(record, self.axes)
            return value if isinstance(value, int) else column.text(record, self.axes)
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what a cell allows."""
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        if index.column() == REVIEWED:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if COLUMNS[index.column()].field:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def setData(self, index: QModelIndex, value: Any, role: int = 0) -> bool:
        """Request a change; the cell shows it once it is made."""
        label_ids = [self.shown[index.row()]]
        if role == Qt.ItemDataRole.CheckStateRole:
            is_on = Qt.CheckState(value) == Qt.CheckState.Checked
            self.change_requested.emit(label_ids, "reviewed", is_on)
            return True
        field = COLUMNS[index.column()].field
        if role == Qt.ItemDataRole.EditRole and field:
            empty = None if field == "class_name" else ""
            self.change_requested.emit(label_ids, field, str(value).strip() or empty)
            return True
        return False


def _italic() -> QFont:
    """Return a font that is italic, and as the table has it otherwise."""
    font = QFont()
    font.setItalic(True)
    return font
