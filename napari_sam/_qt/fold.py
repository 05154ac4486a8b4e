"""A part of a panel that unfolds, and never asks for more width than it is given."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget
from superqt import QCollapsible

_WITHOUT_LIMIT_PX: Final = 2**24 - 1  # what Qt calls QWIDGETSIZE_MAX
_AROUND_TEXT_PX: Final = 12


class Fold(QCollapsible):
    """A widget under a title that folds it away.

    Parameters
    ----------
    contents : QWidget
        What is folded; as high as its texts need at the width that there is.
    advice : str
        Added to the title in its tooltip.
    """

    def __init__(self, contents: QWidget, advice: str) -> None:
        super().__init__(expandedIcon="▾", collapsedIcon="▸")
        self._advice = advice
        self._title = ""
        # The height that QCollapsible unfolds to knows nothing of texts that wrap: it is reached
        # at once, and lifted. Added by `addWidget`, each resize would set it again.
        self.setDuration(0)
        self.toggled.connect(self._on_toggled)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.content().layout().addWidget(contents)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.toggleButton().setSizePolicy(policy)

    @property
    def title(self) -> str:
        """The whole title, however much of it is in sight."""
        return self._title

    def set_title(self, title: str) -> None:
        """Show another title, without its middle where there is no room for it."""
        self._title = title
        self.toggleButton().setToolTip(f"{title}\n{self._advice}")
        self._fit_title()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much of the title as there is room for."""
        super().resizeEvent(event)
        self._fit_title()

    def _fit_title(self) -> None:
        button = self.toggleButton()
        room = button.width() - button.iconSize().width() - _AROUND_TEXT_PX
        middle = Qt.TextElideMode.ElideMiddle
        button.setText(button.fontMetrics().elidedText(self._title, middle, room))

    def _on_toggled(self, is_unfolded: bool) -> None:
        if is_unfolded:
            self.content().setMaximumHeight(_WITHOUT_LIMIT_PX)


class AboutLabel(QLabel):
    """Says something in as many lines as it takes, or names a file in one."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._path = ""

    def show_text(self, text: str) -> None:
        """Show a text."""
        self._path = ""
        self.setText(text)
        self.setToolTip("")

    def show_path(self, path: str) -> None:
        """Show a path, without its middle where there is no room for it."""
        self._path = path
        self.setToolTip(path)
        self._fit_path()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much of a path as there is room for."""
        super().resizeEvent(event)
        if self._path:
            self._fit_path()

    def _fit_path(self) -> None:
        middle = Qt.TextElideMode.ElideMiddle
        self.setText(self.fontMetrics().elidedText(self._path, middle, self.width() - 2))
