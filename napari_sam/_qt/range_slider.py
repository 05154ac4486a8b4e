"""A slider for a range, which keys move as well."""

from typing import Final

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from superqt import QDoubleRangeSlider

_STEPS: Final = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
}
_STEP_SHARE: Final = 0.02
"""How far a key moves an end, as a share of the whole slider."""


class RangeSlider(QDoubleRangeSlider):
    """Arrow keys move the upper end, with Shift the lower one."""

    def __init__(self, tooltip: str, name: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setToolTip(f"{tooltip}.\nArrow keys move the upper end, with Shift the lower one.")
        self.setAccessibleName(name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move an end by a step."""
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        shift = step * _STEP_SHARE * (self.maximum() - self.minimum())
        lower, upper = self.value()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            lower = min(max(lower + shift, self.minimum()), upper)
        else:
            upper = max(min(upper + shift, self.maximum()), lower)
        self.setValue((lower, upper))
