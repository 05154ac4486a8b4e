"""The slices of a stack to go through: the shown one, or a range."""

from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_sam._qt.building import button, fill, row, slice_box

_SLICE_BOX_PX: Final = 40


class SliceRangeRow(QWidget):
    """Two spin boxes for the first and the last slice; hidden where there is no stack.

    They follow the shown slice until the user chooses others.

    Parameters
    ----------
    tooltip : str
        What the ends are for, with {} for "first" or "last".
    """

    changed = Signal()
    """`chosen` changed."""

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self._slice_index = 0
        self._n_slices = 1
        self._is_chosen = False  # by the user
        self.first, self.last = (
            slice_box(tooltip.format(end), _SLICE_BOX_PX) for end in ("first", "last")
        )
        for box in (self.first, self.last):
            box.setKeyboardTracking(False)
        self.first.valueChanged.connect(self._on_first)
        self.last.valueChanged.connect(self._on_last)
        self.all = button("All", "Go through the whole stack", self._choose_all)
        self.this = button("This slice", "Only the shown slice", self._choose_this)
        ends = QLabel("slices"), self.first, QLabel("to"), self.last
        fill(self, row(*ends, self.this, self.all, stretch=self.this))
        self.setVisible(False)

    @property
    def chosen(self) -> range | None:
        """The slices to go through; None for the shown one alone."""
        first, last = self.first.value(), self.last.value()
        return None if first == last == self._slice_index else range(first, last + 1)

    def show_stack(self, n_slices: int, slice_index: int) -> None:
        """Show how many slices there are, and which of them is shown."""
        if (n_slices, slice_index) == (self._n_slices, self._slice_index):
            return
        for box in (self.first, self.last):
            box.interpretText()  # typed, but not left yet
        before = self.chosen
        self._is_chosen &= n_slices >= self._n_slices and n_slices > 1
        self._n_slices, self._slice_index = n_slices, slice_index
        self.setVisible(n_slices > 1)
        for box in (self.first, self.last):
            with QSignalBlocker(box):
                box.setMaximum(n_slices - 1)
        if not self._is_chosen:
            self._set(slice_index, slice_index)
        if self.chosen != before:
            self.changed.emit()

    def _set(self, first: int, last: int) -> None:
        for box, value in ((self.first, first), (self.last, last)):
            with QSignalBlocker(box):
                box.setValue(value)

    def _choose_all(self) -> None:
        self._choose(0, self._n_slices - 1)

    def _choose_this(self) -> None:
        self._choose(self._slice_index, self._slice_index)
        self._is_chosen = False

    def _choose(self, first: int, last: int) -> None:
        before, self._is_chosen = self.chosen, True
        self._set(first, last)
        if self.chosen != before:
            self.changed.emit()

    def _on_first(self, first: int) -> None:
        self._is_chosen = True
        with QSignalBlocker(self.last):
            self.last.setValue(max(first, self.last.value()))
        self.changed.emit()

    def _on_last(self, last: int) -> None:
        self._is_chosen = True
        with QSignalBlocker(self.first):
            self.first.setValue(min(last, self.first.value()))
        self.changed.emit()
