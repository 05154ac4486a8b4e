"""A label that never needs more width than it gets."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy
from superqt import QElidingLabel


class ElidingLabel(QElidingLabel):
    """Shows a wrapped text, or a path on one line without its middle where space is short."""

    def __init__(self) -> None:
        super().__init__()
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setTextFormat(Qt.TextFormat.PlainText)  # names in files may look like HTML
        self.show_text("")

    def show_text(self, text: str) -> None:
        """Show a text on as many lines as it needs."""
        self._show(text, "", Qt.TextElideMode.ElideNone)

    def show_path(self, path: str) -> None:
        """Show a path, and all of it as tooltip."""
        self._show(path, path, Qt.TextElideMode.ElideMiddle)

    def _show(self, text: str, tooltip: str, mode: Qt.TextElideMode) -> None:
        self.setWordWrap(mode is Qt.TextElideMode.ElideNone)
        self.setElideMode(mode)
        self.setText(text)
        self.setToolTip(tooltip)
