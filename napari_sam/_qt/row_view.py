"""A table whose selected rows stay selected while a cell of one of them is edited."""

from typing import Final

from qtpy.QtCore import QEvent, QItemSelectionModel, QModelIndex, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QAbstractItemView, QApplication, QTableView

_Flag = QItemSelectionModel.SelectionFlag
_PRESS_AND_RELEASE: Final = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease)


class RowView(QTableView):
    """Selects rows as file managers do.

    A press on one of several selected rows keeps all of them selected. A double click then edits
    the cell for all of them; after a single click, or once a key is pressed, that row alone is
    selected.

    Columns are as wide as their contents, but for those that are elided, one after the other,
    where the others leave too little room.
    """

    def __init__(self, elided_columns: tuple[int, ...] = ()) -> None:
        super().__init__()
        self._elided_columns = elided_columns
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)  # Tab leaves the table; arrow keys go through it
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self._keeps_selection = False
        self.horizontalHeader().sectionClicked.connect(self.show_sorted)
        self._click_timer = QTimer(self, singleShot=True, timeout=self._select_current)

    def selectionCommand(
        self, index: QModelIndex, event: QEvent | None = None
    ) -> QItemSelectionModel.SelectionFlag:
        """Return how an event changes the selection."""
        self._click_timer.stop()
        kind = None if event is None else event.type()
        if kind == QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            self._keeps_selection = self._is_selected_with_others(index, event)
        if not self._keeps_selection or kind not in _PRESS_AND_RELEASE:
            return super().selectionCommand(index, event)
        # A tick is set for all selected rows, which stay selected.
        is_tick = bool(index.flags() & Qt.ItemFlag.ItemIsUserCheckable)
        if kind == QEvent.Type.MouseButtonRelease and not is_tick:
            self._click_timer.start(QApplication.doubleClickInterval())
        return _Flag.NoUpdate

    def sizeHintForColumn(self, column: int) -> int:
        """Return how wide a column is."""
        if column not in self._elided_columns:
            return int(super().sizeHintForColumn(column))
        header = self.horizontalHeader()
        shown = [c for c in range(header.count()) if not self.isColumnHidden(c)]
        widths = {
            c: max(super(RowView, self).sizeHintForColumn(c), header.sectionSizeHint(c))
            for c in shown
        }
        missing = sum(widths.values()) - self.viewport().width()
        for c in self._elided_columns:
            if c in widths:
                width = max(widths[c] - max(missing, 0), header.sectionSizeHint(c))
                missing -= widths[c] - width
                widths[c] = width
        return int(widths.get(column, 0))

    def finish_click(self) -> None:
        """Select the clicked row alone now, rather than wait for a double click."""
        if self._click_timer.isActive():
            self._click_timer.stop()
            self._select_current()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Keep the selection, and edit."""
        self._click_timer.stop()
        self._keeps_selection = False
        super().mouseDoubleClickEvent(event)

    def show_sorted(self) -> None:
        """Scroll to what a title has brought to the top, or to the selected row."""
        rows = [index.row() for index in self.selectionModel().selectedRows()]
        self.scrollTo(self.model().index(min(rows, default=0), 0))

    def _is_selected_with_others(self, index: QModelIndex, event: QMouseEvent) -> bool:
        is_plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        is_left = event.button() == Qt.MouseButton.LeftButton
        selection = self.selectionModel()
        is_selected = index.isValid() and selection.isRowSelected(index.row(), QModelIndex())
        return is_plain and is_left and is_selected and len(selection.selectedRows()) > 1

    def _select_current(self) -> None:
        index = self.currentIndex()
        if index.isValid():
            self.selectionModel().select(index, _Flag.ClearAndSelect | _Flag.Rows)
