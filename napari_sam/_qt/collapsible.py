"""Collapsible sections and labels that never need more width than they get."""

from typing import Final

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QMoveEvent, QResizeEvent
from qtpy.QtWidgets import QScrollArea, QSizePolicy, QWidget
from superqt import QCollapsible, QElidingLabel
from superqt.utils import QSignalDebouncer

_WITHOUT_LIMIT_PX: Final = 2**24 - 1  # what Qt calls QWIDGETSIZE_MAX
_TITLE_MARGIN_PX: Final = 12
_SETTLING_MS: Final = 500
"""A layout that has not changed for so long has settled."""


class CollapsibleSection(QCollapsible):
    """A widget under a title that expands and collapses it."""

    def __init__(self, contents: QWidget, tooltip: str, title: str = "") -> None:
        super().__init__(expandedIcon="▾", collapsedIcon="▸")
        self._tooltip = tooltip
        # QCollapsible expands to a fixed height, which ignores texts that wrap: it is reached at
        # once, and lifted. With `addWidget`, each resize would set it again.
        self.setDuration(0)
        self.toggled.connect(self._on_toggled)
        self._is_expanding = False
        self._settled = QSignalDebouncer(parent=self)
        self._settled.setTimeout(_SETTLING_MS)
        self._settled.triggered.connect(self._on_settled)
        self.toggleButton().clicked.connect(self._on_title_clicked)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.content().layout().addWidget(contents)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.toggleButton().setSizePolicy(policy)
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Show another title, without its middle where space is short."""
        self.title = title  # however much of it is shown
        self.toggleButton().setToolTip(f"{title}\n{self._tooltip}")
        self._fit_title()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the title to the new width."""
        super().resizeEvent(event)
        self._fit_title()
        self._follow_layout()

    def moveEvent(self, event: QMoveEvent) -> None:
        """Stay in sight while the layout above changes."""
        super().moveEvent(event)
        self._follow_layout()

    def _follow_layout(self) -> None:
        if self._is_expanding:
            # The scroll area has its new height in the next round of the event loop, or later.
            QTimer.singleShot(0, self._scroll_into_view)
            self._settled.throttle()

    def _on_settled(self) -> None:
        if self._is_expanding:
            self._is_expanding = False
            self._scroll_into_view()

    def _fit_title(self) -> None:
        button = self.toggleButton()
        room = button.width() - button.iconSize().width() - _TITLE_MARGIN_PX
        middle = Qt.TextElideMode.ElideMiddle
        button.setText(button.fontMetrics().elidedText(self.title, middle, room))

    def _on_toggled(self, is_expanded: bool) -> None:
        if is_expanded:
            self.content().setMaximumHeight(_WITHOUT_LIMIT_PX)

    def _on_title_clicked(self, is_expanded: bool) -> None:
        self._is_expanding = is_expanded

    def _scroll_into_view(self) -> None:
        """Scroll until all of the section is visible, or as much of it as fits."""
        area = self.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None:
            return
        top = self.mapTo(area.widget(), QPoint(0, 0)).y()
        bar, room = area.verticalScrollBar(), area.viewport().height()
        least = top + self.height() - room
        bar.setValue(min(max(bar.value(), least), top))


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
