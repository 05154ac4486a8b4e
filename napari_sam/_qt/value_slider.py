"""A slim slider with its value beside it."""

from collections.abc import Callable
from typing import Final

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QWidget

from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.spoken_names import spoken_name

_GAP_PX: Final = 6
_PAGE: Final = 10


def percent(value: int) -> str:
    """Return a share as text."""
    return f"{value} %"


class ValueSlider(QWidget):
    """Chooses a whole number; a double click, or one on the value, goes back to the default.

    It has the same size whatever it says.
    """

    value_requested = Signal(int)
    """What the user chose."""
    dragged = Signal(bool)
    """A drag has begun, or ended."""

    def __init__(
        self,
        tooltip: str,
        *,
        low: int = 0,
        high: int = 100,
        default: int = 0,
        text: Callable[[int], str] = percent,
        title: str = "",
    ) -> None:
        super().__init__()
        self._default, self._text, self._is_showing = default, text, False
        self.slider = QSlider(Qt.Orientation.Horizontal, minimum=low, maximum=high, pageStep=_PAGE)
        widest = max(text(low), text(high), key=len)
        self._value = self._label(widest)
        self._labels = [self._value]
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(_GAP_PX)
        if title:
            self._labels.append(label := self._label(title))
            label.set_text(title, tooltip)
            layout.addWidget(label)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self._value)
        self.slider.setToolTip(tooltip)
        self.slider.setAccessibleName(title or spoken_name(tooltip))
        self._tooltip = tooltip
        for part in (self.slider, *self._labels):
            part.installEventFilter(self)
        self.slider.valueChanged.connect(self._on_value_changed)
        self.slider.sliderPressed.connect(lambda: self.dragged.emit(True))
        self.slider.sliderReleased.connect(lambda: self.dragged.emit(False))
        self.show_value(default)

    def _label(self, widest: str) -> PaintedLabel:
        label = PaintedLabel(opacity=0.8, widest=widest)
        label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return label

    @property
    def value(self) -> int:
        """What is shown."""
        return int(self.slider.value())

    def show_value(self, value: int) -> None:
        """Show another value."""
        self._is_showing = True
        self.slider.setValue(value)
        self._is_showing = False
        self._value.set_text(self._text(value), self._tooltip)

    def set_enabled(self, is_enabled: bool) -> None:
        """Allow another value; without that, a drag ends."""
        if is_enabled != self.slider.isEnabled():
            if not is_enabled:
                self.slider.setSliderDown(False)
            for part in (self.slider, *self._labels):
                part.setEnabled(is_enabled)

    def _on_value_changed(self, value: int) -> None:
        if not self._is_showing:
            self._value.set_text(self._text(value), self._tooltip)
            self.value_requested.emit(value)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Go back to the default."""
        kinds = QEvent.Type
        if self.slider.isEnabled() and event.type() == (
            kinds.MouseButtonDblClick if watched is self.slider else kinds.MouseButtonPress
        ):
            self.slider.setValue(self._default)
            return True
        return bool(super().eventFilter(watched, event))
