"""The rows of the table of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor

from napari_sam.session.objects.records import ObjectRecord

_ROOT: Final = QModelIndex()


@dataclass(frozen=True)
class PlaneAxes:
    """Which axes of the target are shown, as far as its objects are told by them."""

    # the axes that are not shown, along which there are several slices
    sliced: tuple[int, ...] = ()
    pixel_area: float = 1.0  # how large a pixel is along the others, in square units
    unit: str = ""  # what one unit is called; "" if that is pixels

    def area_of(self, record: ObjectRecord) -> float | int:
        """Return an object's area in square units; in pixels, a whole number."""
        return record.area_px * self.pixel_area if self.unit else record.area_px

    def slice_of(self, record: ObjectRecord) -> tuple[int, ...]:
        """Return the first slice in which an object has pixels."""
        return tuple(record.start[axis] for axis in self.sliced)


@dataclass(frozen=True)
class _Column:
    """A column: its title and tooltip, and what it shows and sorts by of a record."""

    title: str
    tip: str
    value: Callable[[ObjectRecord, PlaneAxes], Any]
    is_number: bool = True
    key: str = ""  # of what the user can change in it


_COLUMNS: Final = (
    _Column("id", "The object's integer in the labels", lambda r, _: r.label_id),
    _Column("class", "Its class", lambda r, _: r.class_name or "", False, "class_name"),
    _Column("✓", "Reviewed: whether you have looked at it again", lambda r, _: r.reviewed, False),
    _Column("area", "Pixels, or square units of the layer", lambda r, axes: axes.area_of(r)),
    _Column("score", "The model's guess of the IoU, at most 1", lambda r, _: r.score),
    _Column("stability", "How little the mask depends on its threshold", lambda r, _: r.stability),
    _Column(
        "slice",
        "Where it begins, along the axes that are not shown",
        lambda r, axes: axes.slice_of(r),
    ),
    _Column("note", "What you want to remember of it", lambda r, _: r.note, False, "note"),
)
_POINTED: Final = QColor(70, 130, 255, 80)
"""Lies on the row of the object under the cursor; seen in dark themes and in light ones."""
_REVIEWED: Final = [column.title for column in _COLUMNS].index("✓")
_CLASS: Final = [column.title for column in _COLUMNS].index("class")
_AREA: Final = [column.title for column in _COLUMNS].index("area")
_NOTE: Final = [column.title for column in _COLUMNS].index("note")


class ObjectModel(QAbstractTableModel):
    """One row for each record that a text lets pass, in the order of a column.

    It sorts and filters on its own: a `QSortFilterProxyModel` asks for two values in each
    comparison, which takes half a second for some thousand rows in Python. What is edited is asked
    for by `change_requested`.
    """

    change_requested = Signal(list, str, object)
    """label_ids, what of them ("class_name", "reviewed", "note"), and its new value."""

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[int, ObjectRecord] = {}
        self._shown: list[int] = []  # label_ids, row by row
        self._rows: dict[int, int] = {}
        self._words: list[str] = []
        self._sorting = _COLUMNS[0], False  # whether the largest come first
        self._axes = PlaneAxes()
        self._colors: dict[str, QColor] = {}
        self._pointed: int | None = None

    def set_colors(self, colors: Mapping[str, str]) -> None:
        """Show classes with these colours, "#rrggbb" by name."""
        self._colors = {name: QColor(color) for name, color in colors.items()}
        if self._shown:
            last = len(self._shown) - 1
            self.dataChanged.emit(self.index(0, _CLASS), self.index(last, _CLASS))

    def point_at(self, label_id: int | None) -> None:
        """Mark the row of one object; None: of none."""
        rows = [self.row_of(one) for one in (self._pointed, label_id) if one is not None]
        self._pointed = label_id
        for row in rows:
            if row is not None:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(_COLUMNS) - 1))

    def set_records(self, records: Iterable[ObjectRecord], axes: PlaneAxes) -> None:
        """Show these records and no others, as they are told by these axes."""
        self.beginResetModel()
        self._axes = axes
        self._records = {record.label_id: record for record in records}
        self._number(self._sorted(filter(self._passes, self._records)))
        self.endResetModel()

    def update_records(self, records: Mapping[int, ObjectRecord | None]) -> None:
        """Show what is known of some objects now; None: they are gone."""
        for label_id, record in records.items():
            if record is None:
                self._records.pop(label_id, None)
            else:
                self._records[label_id] = record
        passing = {one for one in records if one in self._records and self._passes(one)}
        self._show_changes(gone=records.keys() - passing, passing=passing)

    def set_axes(self, axes: PlaneAxes) -> None:
        """Show the same records as they are told by other axes."""
        self._axes = axes
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, _AREA, _AREA)
        self._filter()

    def set_text(self, text: str) -> None:
        """Show only rows with these words, whatever their case."""
        self._words = text.casefold().split()
        self._filter()

    def _filter(self) -> None:
        passing = set(filter(self._passes, self._records))
        self._show_changes(gone=self._rows.keys() - passing, passing=passing)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Show the rows in the order of a column; of equal ones, the smaller label_id first."""
        self._sorting = _COLUMNS[column], order == Qt.SortOrder.DescendingOrder
        self._sort()

    def _passes(self, label_id: int) -> bool:
        if not self._words:
            return True
        texts = [
            self._text(self._records[label_id], column).casefold()
            for column in _COLUMNS
            if column is not _COLUMNS[_REVIEWED]
        ]
        return all(any(word in text for text in texts) for word in self._words)

    def _sorted(self, label_ids: Iterable[int]) -> list[int]:
        column, is_largest_first = self._sorting

        def key(label_id: int) -> Any:
            value = column.value(self._records[label_id], self._axes)
            return value.casefold() if isinstance(value, str) else -1.0 if value is None else value

        return sorted(sorted(label_ids), key=key, reverse=is_largest_first)

    def _show_changes(self, gone: Iterable[int], passing: set[int]) -> None:
        """Take rows out, append those that are new, and sort."""
        for rows in _runs([self._rows[one] for one in gone if one in self._rows]):
            self.beginRemoveRows(_ROOT, rows.start, rows.stop - 1)
            del self._shown[rows.start : rows.stop]
            self.endRemoveRows()
        self._number(self._shown)
        if new := sorted(passing - self._rows.keys()):
            first = len(self._shown)
            self.beginInsertRows(_ROOT, first, first + len(new) - 1)
            self._number(self._shown + new)
            self.endInsertRows()
        if passing:
            rows_of = [self._rows[one] for one in passing]
            last = self.index(max(rows_of), len(_COLUMNS) - 1)
            self.dataChanged.emit(self.index(min(rows_of), 0), last)
        self._sort()

    def _sort(self) -> None:
        ordered = self._sorted(self._shown)
        if ordered == self._shown:
            return
        self.layoutAboutToBeChanged.emit()
        # Of what is selected, among others.
        before = self.persistentIndexList()
        places = [(self._shown[index.row()], index.column()) for index in before]
        self._number(ordered)
        after = [self.index(self._rows[label_id], column) for label_id, column in places]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _number(self, shown: list[int]) -> None:
        self._shown = shown
        self._rows = {label_id: row for row, label_id in enumerate(shown)}

    def note_of(self, row: int) -> QModelIndex:
        """Return the cell with what the user wants to remember of an object."""
        return self.index(row, _NOTE)

    def label_id(self, row: int) -> int:
        """Return which object a row is about."""
        return self._shown[row]

    def row_of(self, label_id: int) -> int | None:
        """Return the row of an object; None if it has none, or is not among those shown."""
        return self._rows.get(label_id)

    @property
    def reviewed_count(self) -> int:
        """How many objects are reviewed."""
        return sum(record.reviewed for record in self._records.values())

    @property
    def count(self) -> int:
        """How many objects there are, shown or not."""
        return len(self._records)

    # What Qt asks for ------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of objects that are shown."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = _COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            unit = f" ({self._axes.unit}²)" if section == _AREA and self._axes.unit else ""
            return column.title + unit
        return column.tip if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows or is edited as."""
        record, column = self._records[self._shown[index.row()]], _COLUMNS[index.column()]
        if index.column() == _REVIEWED:
            if role == Qt.ItemDataRole.CheckStateRole:
                return Qt.CheckState.Checked if record.reviewed else Qt.CheckState.Unchecked
            return None
        if role == Qt.ItemDataRole.BackgroundRole and record.label_id == self._pointed:
            return _POINTED
        if role == Qt.ItemDataRole.DecorationRole and index.column() == _CLASS:
            return self._colors.get(record.class_name or "")
        if role == Qt.ItemDataRole.TextAlignmentRole and column.is_number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            value = column.value(record, self._axes)
            return value if isinstance(value, int) else self._text(record, column)
        return None

    def _text(self, record: ObjectRecord, column: _Column) -> str:
        value = column.value(record, self._axes)
        if value is None:
            return ""
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        if index.column() == _REVIEWED:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if _COLUMNS[index.column()].key:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def setData(self, index: QModelIndex, value: Any, role: int = 0) -> bool:
        """Ask for a change; the cell shows it when it is made."""
        label_ids = [self.label_id(index.row())]
        if role == Qt.ItemDataRole.CheckStateRole:
            is_on = Qt.CheckState(value) == Qt.CheckState.Checked
            self.change_requested.emit(label_ids, "reviewed", is_on)
            return True
        key = _COLUMNS[index.column()].key
        if role == Qt.ItemDataRole.EditRole and key:
            nothing = None if key == "class_name" else ""
            self.change_requested.emit(label_ids, key, str(value).strip() or nothing)
            return True
        return False


def _runs(numbers: list[int]) -> Iterator[range]:
    """Yield the runs of consecutive numbers among some, the last first."""
    run = range(0)
    for number in sorted(numbers, reverse=True):
        if run and number == run.start - 1:
            run = range(number, run.stop)
        else:
            if run:
                yield run
            run = range(number, number + 1)
    if run:
        yield run
