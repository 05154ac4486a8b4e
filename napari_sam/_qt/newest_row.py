"""Keeps the newest row of a table in sight, unless the user scrolls away from it."""

from qtpy.QtCore import QModelIndex, QPersistentModelIndex

from napari_sam._qt.row_view import RowView


class NewestRow:
    """Scrolls to new rows, and tells whether it is the user who scrolls."""

    def __init__(self, view: RowView) -> None:
        self._view, self._bar = view, view.verticalScrollBar()
        self._newest = QPersistentModelIndex()
        self._is_scrolling = self._is_away = False
        self._bar.actionTriggered.connect(self._on_scrolling)
        self._bar.valueChanged.connect(self._on_scrolled)
        view.model().modelReset.connect(self._on_reset)

    def show(self, index: QModelIndex) -> None:
        """Scroll to a new row, unless the user has scrolled away or chosen rows."""
        self._newest = QPersistentModelIndex(index)
        if not self._is_away and not self._view.selectionModel().hasSelection():
            self._view.executeDelayedItemsLayout()
            self._view.scrollTo(index)

    def _on_scrolling(self) -> None:
        """Notice that the user scrolls, rather than a row that is pointed at, stepped to or new."""
        self._is_scrolling = self._bar.sliderPosition() != self._bar.value()

    def _on_scrolled(self) -> None:
        if self._is_scrolling:
            self._is_scrolling = False
            place = self._view.visualRect(QModelIndex(self._newest))
            is_in_sight = self._view.viewport().rect().intersects(place)
            self._is_away = self._newest.isValid() and not is_in_sight

    def _on_reset(self) -> None:
        """Begin again with the objects of another target."""
        self._is_away = False
