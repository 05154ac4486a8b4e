"""The switch for predicted classes, what is predicted or missing, and accepting those above."""

from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import button, check_box, fill, row
from napari_sam._qt.eliding_label import ElidingLabel
from napari_sam._qt.value_slider import ValueSlider

_THRESHOLD: Final = 90
_NOTE_LINES: Final = 3
"""Room for a note: what is below it stays where it is."""


class PredictedClassesBox(QWidget):
    """Requests predictions of classes, and to accept those that are sure enough."""

    switch_requested = Signal(bool)
    accept_requested = Signal(float)
    """The least confidence, 0 to 1."""
    threshold_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.switch = check_box(
            "predict classes from examples",
            "Predict the class of each object without one, from three objects or more of each "
            "class.\nThe table shows the predicted class and its confidence.",
        )
        self.switch.toggled.connect(self.switch_requested)
        self.accept = button(
            "Accept predicted classes above",
            "Give all objects whose predicted class is at least as sure as this that class; one "
            "undo takes it back",
            lambda: self.accept_requested.emit(self.threshold),
        )
        self.slider = ValueSlider("Least confidence", low=50, default=_THRESHOLD)
        self.slider.value_requested.connect(lambda _: self.threshold_changed.emit())
        self.note = ElidingLabel()
        self.note.setMinimumHeight(_NOTE_LINES * self.note.fontMetrics().lineSpacing())
        fill(self, self.switch, self.note, row(self.accept, self.slider, stretch=self.slider))
        self.show_predicted("", 0, is_on=False)

    @property
    def threshold(self) -> float:
        """The least confidence, 0 to 1."""
        return self.slider.value / 100

    def show_predicted(self, note: str, n_above: int, *, is_on: bool) -> None:
        """Show whether classes are predicted, a note, and whether any are above the threshold."""
        with QSignalBlocker(self.switch):
            self.switch.setChecked(is_on)
        if self.note.text() != note:
            self.note.show_text(note)
        self.accept.setEnabled(n_above > 0)
        self.slider.set_enabled(is_on)
