"""A combo box of models, whose list is a table of what each costs and is good for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QTreeView

from napari_sam.catalogue import Offer

_COLUMNS: Final = ("model", "size", "on disk", "licence", "good for")
_SPACE_PX: Final = 24


class ModelCombo(QComboBox):
    """Shows the name of one offer, and all that is known of all in its list."""

    list_requested = Signal()
    """The list is about to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self._table = QStandardItemModel(0, len(_COLUMNS), self)
        self._table.setHorizontalHeaderLabels(list(_COLUMNS))
        view = QTreeView()
        view.setRootIsDecorated(False)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setAllColumnsShowFocus(True)
        view.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self._view = view
        self.setModel(self._table)
        self.setView(view)
        self.setMinimumWidth(80)
        self.setMaxVisibleItems(20)
        self.setToolTip("The model that finds the masks; the list shows what each is good for")
        self._offers: tuple[Offer, ...] = ()

    @property
    def offer(self) -> Offer | None:
        """The offer that is shown."""
        index = self.currentIndex()
        return self._offers[index] if 0 <= index < len(self._offers) else None

    @property
    def offers(self) -> tuple[Offer, ...]:
        """All that can be chosen."""
        return self._offers

    def set_offers(self, offers: Sequence[Offer], shown: Offer | None) -> None:
        """Show these offers, `shown` as the current one; emits nothing."""
        blocker = QSignalBlocker(self)
        if tuple(offers) != self._offers:
            self._offers = tuple(offers)
            self._table.removeRows(0, self._table.rowCount())
            for offer in offers:
                self._table.appendRow([_item(text) for text in offer.cells])
        rows = [k for k, offer in enumerate(offers) if shown is not None and offer.is_same(shown)]
        self.setCurrentIndex(rows[0] if rows else -1)
        blocker.unblock()

    def showPopup(self) -> None:
        """Make the list as wide as its contents."""
        self.list_requested.emit()
        width = sum(self._view.sizeHintForColumn(column) for column in range(len(_COLUMNS)))
        self._view.setMinimumWidth(width + len(_COLUMNS) * _SPACE_PX)
        super().showPopup()


def _item(text: str) -> QStandardItem:
    item = QStandardItem(text)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
    return item
