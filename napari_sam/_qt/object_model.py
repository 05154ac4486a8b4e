"""The rows of the table of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal

from napari_sam.session import ObjectRecord

_ROOT: Final = QModelIndex()
SORT_ROLE: Final = int(Qt.ItemDataRole.UserRole)


@dataclass(frozen=True)
class PixelArea:
    """How large a pixel is.

    Parameters
    ----------
    area : float
        In square units.
    unit : str
        What one unit is called; "" if that is pixels.
    """

    area: float = 1.0
    unit: str = ""

    def of(self, area_px: int) -> float | int:
        """Return an area in square units; in pixels, a whole number."""
        return area_px * self.area if self.unit else area_px


@dataclass(frozen=True)
class _Column:
    """A column: its title and tooltip, and what it shows and sorts by of a record."""

    title: str
    tip: str
    value: Callable[[ObjectRecord, PixelArea], Any]
    is_number: bool = True
    key: str = ""  # of what the person can change in it


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


_COLUMNS: Final = (
    _Column("id", "The object's integer in the labels", lambda r, _: r.label_id),
    _Column("class", "Its class", lambda r, _: r.class_name or "", False, "class_name"),
    _Column("area", "Pixels, or square units of the layer", lambda r, p: p.of(r.area_px)),
    _Column("score", "The model's guess of how good the mask is", lambda r, _: r.score),
    _Column("stability", "How little the mask depends on its threshold", lambda r, _: r.stability),
    _Column("slice", "Where it begins, along the axes that are not shown", lambda r, _: _slice(r)),
    _Column("reviewed", "Whether you have looked at it again", lambda r, _: r.reviewed, False),
    _Column("note", "What you want to remember of it", lambda r, _: r.note, False, "note"),
)
_REVIEWED: Final = [column.title for column in _COLUMNS].index("reviewed")
_AREA: Final = [column.title for column in _COLUMNS].index("area")


def _slice(record: ObjectRecord) -> str:
    return ", ".join(map(str, record.start[:-2]))


class ObjectModel(QAbstractTableModel):
    """One row for each record; what is edited is asked for by `change_requested`."""

    change_requested = Signal(list, str, object)
    """label_ids, what of them ("class_name", "reviewed", "note"), and its new value."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[ObjectRecord] = []
        self._rows: dict[int, int] = {}
        self._pixel = PixelArea()

    def set_pixel(self, pixel: PixelArea) -> None:
        """Give areas in other units."""
        if pixel != self._pixel:
            self.beginResetModel()
            self._pixel = pixel
            self.endResetModel()

    def set_records(self, records: Iterable[ObjectRecord]) -> None:
        """Show these records and no others."""
        self.beginResetModel()
        self._records = list(records)
        self._rows = {record.label_id: row for row, record in enumerate(self._records)}
        self.endResetModel()

    def update_record(self, label_id: int, record: ObjectRecord | None) -> None:
        """Show what is known of one object now; None: it is gone."""
        row = self._rows.get(label_id)
        if record is None:
            if row is not None:
                self._remove(row)
        elif row is None:
            self.beginInsertRows(_ROOT, len(self._records), len(self._records))
            self._rows[label_id] = len(self._records)
            self._records.append(record)
            self.endInsertRows()
        else:
            self._records[row] = record
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(_COLUMNS) - 1))

    def _remove(self, row: int) -> None:
        self.beginRemoveRows(_ROOT, row, row)
        del self._records[row]
        self._rows = {record.label_id: n for n, record in enumerate(self._records)}
        self.endRemoveRows()

    def label_id(self, row: int) -> int:
        """Return which object a row is about."""
        return self._records[row].label_id

    def row_of(self, label_id: int) -> int | None:
        """Return the row of an object; None if it has none."""
        return self._rows.get(label_id)

    @property
    def reviewed_count(self) -> int:
        """How many objects are reviewed."""
        return sum(record.reviewed for record in self._records)

    @property
    def class_names(self) -> list[str]:
        """The classes of the objects, in alphabetical order."""
        return sorted({record.class_name for record in self._records if record.class_name})

    # What Qt asks for ------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of objects."""
        return 0 if parent.isValid() else len(self._records)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return a column's title or tooltip."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = _COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            unit = f" ({self._pixel.unit}²)" if section == _AREA and self._pixel.unit else ""
            return column.title + unit
        return column.tip if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows, sorts by or is edited as."""
        record, column = self._records[index.row()], _COLUMNS[index.column()]
        value = column.value(record, self._pixel)
        if role == SORT_ROLE:
            return -1.0 if value is None else value
        if index.column() == _REVIEWED:
            if role == Qt.ItemDataRole.CheckStateRole:
                return Qt.CheckState.Checked if value else Qt.CheckState.Unchecked
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole and column.is_number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _decimals(value) if value is None or isinstance(value, float) else value
        return None

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


class ObjectFilter(QSortFilterProxyModel):
    """Sorts the rows by their values, and shows those in which every word of a text occurs."""

    def __init__(self, model: ObjectModel) -> None:
        super().__init__()
        self._words: list[str] = []
        self.setSourceModel(model)
        self.setSortRole(SORT_ROLE)

    def set_text(self, text: str) -> None:
        """Show only rows with these words, whatever their case."""
        self._words = text.casefold().split()
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Tell whether a row is shown."""
        model = self.sourceModel()
        texts = [
            str(model.data(model.index(row, column), Qt.ItemDataRole.DisplayRole) or "").casefold()
            for column in range(len(_COLUMNS))
            if column != _REVIEWED
        ]
        return all(any(word in text for text in texts) for word in self._words)
