"""A table in which several chosen rows stay chosen while a cell of one of them is edited."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QEvent, QItemSelectionModel, QModelIndex, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QAbstractItemView, QApplication, QTableView

_Flag = QItemSelectionModel.SelectionFlag
_PRESS_AND_RELEASE: Final = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease)


class RowView(QTableView):
    """Chooses rows, as file managers do.

    A press on one of several chosen rows leaves all of them chosen; that one alone is chosen if it
    was no double click, which edits the cell for all of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self._is_held_back = False
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.timeout.connect(self._choose_current)

    def selectionCommand(
        self, index: QModelIndex, event: QEvent | None = None
    ) -> QItemSelectionModel.SelectionFlag:
        """Return what is chosen by what the user does; while that is held back, nothing else."""
        self._wait.stop()
        kind = None if event is None else event.type()
        if kind == QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            self._is_held_back = self._is_one_of_several(index, event)
        if not self._is_held_back or kind not in _PRESS_AND_RELEASE:
            return super().selectionCommand(index, event)
        # A tick is for all of them: who sets one has chosen nothing.
        is_tick = bool(index.flags() & Qt.ItemFlag.ItemIsUserCheckable)
        if kind == QEvent.Type.MouseButtonRelease and not is_tick:
            self._wait.start(QApplication.doubleClickInterval())
        return _Flag.NoUpdate

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Leave chosen what was, and edit."""
        self._wait.stop()
        self._is_held_back = False
        super().mouseDoubleClickEvent(event)

    def _is_one_of_several(self, index: QModelIndex, event: QMouseEvent) -> bool:
        is_plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        is_left = event.button() == Qt.MouseButton.LeftButton
        chosen = self.selectionModel()
        is_chosen = index.isValid() and chosen.isRowSelected(index.row(), QModelIndex())
        return is_plain and is_left and is_chosen and len(chosen.selectedRows()) > 1

    def _choose_current(self) -> None:
        index = self.currentIndex()
        if index.isValid():
            self.selectionModel().select(index, _Flag.ClearAndSelect | _Flag.Rows)
