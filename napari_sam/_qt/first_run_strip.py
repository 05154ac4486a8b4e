"""The three steps to a first object, shown until one has been accepted or they are dismissed."""

from typing import Final

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from napari_sam._qt.colors import ACCENT, ON_COLOR, text_color
from napari_sam._qt.flat_button import FlatButton
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.state import SessionState

_STEPS: Final = (
    "Open an image, or drop one into the window",
    "Click on an object, or press R and draw a box",
    "Choose a mask and press Accept",
)
_BADGE_PX: Final = 20
_GAP_PX: Final = 8
_DISMISS_PX: Final = 22


class FirstRunStrip(QWidget):
    """Lists three steps and marks the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        """Index of the step to take next."""
        self.dismiss = FlatButton("✕", "Hide these steps; the command palette shows them again")
        self.dismiss.setFixedSize(_DISMISS_PX, _DISMISS_PX)
        self.dismiss.setAccessibleName("Hide the first steps")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.dismiss, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setAccessibleName(". ".join(_STEPS))

    def show_state(self, state: SessionState) -> None:
        """Mark the step to take next."""
        step = 0
        if state.has_image or state.phase in (Phase.LOADING, Phase.EMBEDDING):
            step = 1 if state.candidates is None else 2
        if step != self.step:
            self.step = step
            self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint the steps below each other."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height = self.height() / len(_STEPS)
        for number, text in enumerate(_STEPS):
            is_next = number == self.step
            badge = QRectF(0, number * height + (height - _BADGE_PX) / 2, _BADGE_PX, _BADGE_PX)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ACCENT if is_next else text_color(self, 0.15))
            painter.drawEllipse(badge)
            painter.setPen(ON_COLOR if is_next else text_color(self, 0.6))
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, str(number + 1))
            painter.setPen(text_color(self, 1.0 if is_next else 0.6))
            left = _BADGE_PX + _GAP_PX
            room = self.width() - left - _DISMISS_PX - _GAP_PX
            box = QRectF(left, number * height, room, height)
            elide = Qt.TextElideMode.ElideRight
            shown = self.fontMetrics().elidedText(text, elide, int(box.width()))
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(box, flags, shown)
