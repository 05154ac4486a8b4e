"""The columns of the table of objects that are shown, and the menu to choose and to sort them."""

from functools import partial
from typing import Final

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu

from napari_sam._qt.object_columns import (
    COLUMNS,
    CONFIDENCE,
    FIRST,
    LAST,
    LINEAGE,
    PARENT,
    PREDICTED,
    SLICE,
    STABILITY,
    VOLUME,
)
from napari_sam._qt.object_model import ObjectModel
from napari_sam._qt.row_view import RowView

_OF_SLICES: Final = (SLICE, VOLUME)
_OF_FRAMES: Final = (FIRST, LAST, PARENT, LINEAGE)
_OF_PREDICTIONS: Final = (PREDICTED, CONFIDENCE)


class ColumnMenu(QMenu):
    """Lists the columns that have something to show; those that are unticked are hidden.

    A right click on a title opens it, and so does the menu key in the table.
    """

    def __init__(self, view: RowView, model: ObjectModel) -> None:
        super().__init__(view)
        self._view, self._model = view, model
        self._orders = [QAction(column.title, self) for column in COLUMNS]
        self.addMenu(self._build_orders())
        self.addSeparator()
        self._actions: dict[int, QAction] = {}
        for number, column in enumerate(COLUMNS[1:], 1):
            action = self._actions[number] = self.addAction(column.title)
            action.setCheckable(True)
            # Few look at it, and beside it notes do not fit into a dock of the usual width.
            action.setChecked(number != STABILITY)
            action.triggered.connect(self.show_columns)
        for widget in (view, view.horizontalHeader()):
            widget.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            widget.customContextMenuRequested.connect(self._open)
        for signal in (model.modelReset, model.headerDataChanged):
            signal.connect(self.show_columns)
        self.show_columns()

    def _build_orders(self) -> QMenu:
        menu = QMenu("Sort by", self)
        for number, action in enumerate(self._orders):
            action.triggered.connect(partial(self._sort, number))
            menu.addAction(action)
        return menu

    def _sort(self, number: int) -> None:
        """Sort by a column, or the other way round."""
        header, orders = self._view.horizontalHeader(), Qt.SortOrder
        order = orders.AscendingOrder
        if header.sortIndicatorSection() == number and header.sortIndicatorOrder() == order:
            order = orders.DescendingOrder
        self._view.sortByColumn(number, order)
        self._view.show_sorted()

    def show_columns(self) -> None:
        """Show the columns that are ticked and have something to show, the first ones in sight."""
        is_other, axes = False, self._model.axes
        for number, action in self._actions.items():
            is_possible = axes.has_slices or number not in _OF_SLICES
            is_possible &= axes.has_frames or number not in _OF_FRAMES
            is_possible &= axes.has_predictions or number not in _OF_PREDICTIONS
            action.setVisible(is_possible)
            is_hidden = not (is_possible and action.isChecked())
            is_other |= is_hidden != self._view.isColumnHidden(number)
            self._view.setColumnHidden(number, is_hidden)
            self._orders[number].setVisible(not is_hidden)
        if is_other:
            self._view.horizontalScrollBar().setValue(0)

    def _open(self, place: QPoint) -> None:
        self.popup(self._view.horizontalHeader().mapToGlobal(place))
