"""The last messages, in a small list that a click elsewhere closes."""

from collections.abc import Sequence

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

_MARGIN_PX = 12


class MessageHistory(QFrame):
    """Lists messages, the newest first, each with its time."""

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner, Qt.WindowType.Popup)
        self._text = QLabel(wordWrap=True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # names in files may look like HTML
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        layout.addWidget(self._text)

    def show_messages(self, messages: Sequence[str], below: QWidget) -> None:
        """Open the list below a widget."""
        self._text.setText("\n\n".join(messages) if messages else "No messages yet.")
        self.setFixedWidth(max(below.width(), 320))
        self.adjustSize()
        self.move(below.mapToGlobal(QPoint(0, below.height())))
        self.show()
