"""A combo box of models, whose list is a table of their sizes, licenses and purposes."""

from collections.abc import Sequence
from typing import Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QTreeView

from napari_sam.catalogue.offers import Offer
from napari_sam.catalogue.table import display_name

_COLUMNS: Final = ("Model", "Size", "On disk", "License", "Good for")
_COLUMN_MARGIN_PX: Final = 24


class ModelCombo(QComboBox):
    """Shows the name of the chosen offer, and the details of all offers in its list."""

    list_requested = Signal()
    """The list is about to open."""

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
        self.setToolTip("The model that segments; the list shows what each model is good for")
        self.setAccessibleName("Model")
        self.offers: tuple[Offer, ...] = ()

    @property
    def offer(self) -> Offer | None:
        """The chosen offer."""
        index = self.currentIndex()
        return self.offers[index] if 0 <= index < len(self.offers) else None

    def set_offers(self, offers: Sequence[Offer], chosen: Offer | None) -> None:
        """List these offers, with `chosen` as the current one; emits nothing."""
        rows = [k for k, offer in enumerate(offers) if chosen is not None and offer.is_same(chosen)]
        with QSignalBlocker(self):
            if tuple(offers) != self.offers:
                self.offers = tuple(offers)
                self._table.removeRows(0, self._table.rowCount())
                for offer in offers:
                    self._table.appendRow(_items(offer))
            self.setCurrentIndex(rows[0] if rows else -1)

    def showPopup(self) -> None:
        """Make the list as wide as its contents."""
        self.list_requested.emit()
        width = sum(self._view.sizeHintForColumn(column) for column in range(len(_COLUMNS)))
        self._view.setMinimumWidth(width + len(_COLUMNS) * _COLUMN_MARGIN_PX)
        super().showPopup()


def _items(offer: Offer) -> list[QStandardItem]:
    name, *details = offer.cells
    return [_item(display_name(name)), *map(_item, details)]


def _item(text: str) -> QStandardItem:
    item = QStandardItem(text)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
    return item
