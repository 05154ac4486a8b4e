"""A part of a panel that unfolds, and never asks for more width than it is given."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QMoveEvent, QResizeEvent
from qtpy.QtWidgets import QLabel, QScrollArea, QSizePolicy, QWidget
from superqt import QCollapsible

_WITHOUT_LIMIT_PX: Final = 2**24 - 1  # what Qt calls QWIDGETSIZE_MAX
_AROUND_TEXT_PX: Final = 12
_SETTLING_MS: Final = 500
"""How long a layout rests until it is what it will be."""


class CollapsibleSection(QCollapsible):
    """A widget under a title that folds it away."""

    def __init__(self, contents: QWidget, advice: str) -> None:
        super().__init__(expandedIcon="▾", collapsedIcon="▸")
        self._advice = advice
        self._title = ""
        # The height that QCollapsible unfolds to knows nothing of texts that wrap: it is reached
        # at once, and lifted. Added by `addWidget`, each resize would set it again.
        self.setDuration(0)
        self.toggled.connect(self._on_toggled)
        self._is_unfolding = False
        self._settling = QTimer(self)
        self._settling.setSingleShot(True)
        self._settling.setInterval(_SETTLING_MS)
        self._settling.timeout.connect(self._settle)
        self.toggleButton().clicked.connect(self._on_title_clicked)
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
        self._follow_layout()

    def moveEvent(self, event: QMoveEvent) -> None:
        """Stay in sight while what is above finds its place."""
        super().moveEvent(event)
        self._follow_layout()

    def _follow_layout(self) -> None:
        if self._is_unfolding:
            # What this lies in has its new height in the next round, all in it maybe some later.
            QTimer.singleShot(0, self._come_into_sight)
            self._settling.start()

    def _settle(self) -> None:
        if self._is_unfolding:
            self._is_unfolding = False
            self._come_into_sight()

    def _fit_title(self) -> None:
        button = self.toggleButton()
        room = button.width() - button.iconSize().width() - _AROUND_TEXT_PX
        middle = Qt.TextElideMode.ElideMiddle
        button.setText(button.fontMetrics().elidedText(self._title, middle, room))

    def _on_toggled(self, is_unfolded: bool) -> None:
        if is_unfolded:
            self.content().setMaximumHeight(_WITHOUT_LIMIT_PX)

    def _on_title_clicked(self, is_unfolded: bool) -> None:
        self._is_unfolding = is_unfolded

    def _come_into_sight(self) -> None:
        """Scroll what this lies in until all of it is in sight, or as much as there is room for."""
        area = self.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None:
            return
        top = self.mapTo(area.widget(), QPoint(0, 0)).y()
        bar, room = area.verticalScrollBar(), area.viewport().height()
        least = top + self.height() - room
        bar.setValue(min(max(bar.value(), least), top))


class ElidingLabel(QLabel):
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
