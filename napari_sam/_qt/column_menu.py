"""The columns of the table of objects that are shown, and the menu of its header to choose them."""

from typing import Final

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QTableView

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

_OF_SLICES: Final = (SLICE, VOLUME)
_OF_FRAMES: Final = (FIRST, LAST, PARENT, LINEAGE)
_OF_PREDICTIONS: Final = (PREDICTED, CONFIDENCE)


class ColumnMenu(QMenu):
    """Lists the columns that have something to show; those that are unticked are hidden."""

    def __init__(self, view: QTableView, model: ObjectModel) -> None:
        super().__init__(view)
        self._view, self._model = view, model
        self._actions: dict[int, QAction] = {}
        for number, column in enumerate(COLUMNS[1:], 1):
            action = self._actions[number] = self.addAction(column.title)
            action.setCheckable(True)
            # Few look at it, and beside it notes do not fit into a dock of the usual width.
            action.setChecked(number != STABILITY)
            action.triggered.connect(self.show_columns)
        header = view.horizontalHeader()
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open)
        for signal in (model.modelReset, model.headerDataChanged):
            signal.connect(self.show_columns)
        self.show_columns()

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
        if is_other:
            self._view.horizontalScrollBar().setValue(0)

    def _open(self, place: QPoint) -> None:
        self.popup(self._view.horizontalHeader().mapToGlobal(place))
