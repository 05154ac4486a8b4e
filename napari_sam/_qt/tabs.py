"""The tabs that take the rest of the dock."""

from typing import Any, Final

from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from napari_sam._qt.colors import ACCENT, text_color
from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.workarounds import PanelColumn, keep_tab_order

_LINE_PX: Final = 2
_MARGIN_PX: Final = 8
_LETTERS: Final = 3
"""The space beside a title, in letters."""


class Tab(QWidget):
    """A page under a title, which may be built when the tab is first brought on top.

    A page with rows of its own scrolls them itself.
    """

    toggled = Signal(bool)
    """Whether it is the current one now."""
    title_changed = Signal(str)
    select_requested = Signal()
    offered = Signal(bool)
    """Whether it can be brought on top."""

    def __init__(
        self, page: QWidget | OnDemand[Any], title: str, tooltip: str, *, scrolls: bool = True
    ) -> None:
        super().__init__()
        self.title, self.tooltip, self._scrolls = title, tooltip, scrolls
        self.is_current = False
        """Whether it is on top of the others."""
        self.is_offered = True
        """Whether it has a title to be brought on top by."""
        self._page: OnDemand[Any] = OnDemand.of(page)
        QVBoxLayout(self).setContentsMargins(0, _MARGIN_PX, 0, 0)
        self._page.when_built(self._lay_out)

    def _lay_out(self, page: QWidget) -> None:
        if self._scrolls:
            column = PanelColumn()
            column.panels.setContentsMargins(0, 0, 0, 0)
            column.add(page)
            page = column
        self.layout().addWidget(page)

    def build(self) -> None:
        """Build the page, unless it is there already."""
        self._page.get()

    @property
    def least_height(self) -> int:
        """What it needs, unless it scrolls."""
        return 0 if self._scrolls else int(self.minimumSizeHint().height())

    def set_title(self, title: str) -> None:
        """Show another title."""
        if title != self.title:
            self.title = title
            self.title_changed.emit(title)

    def offer(self, is_offered: bool) -> None:
        """Show the title, or hide it with the page."""
        if is_offered != self.is_offered:
            self.is_offered = is_offered
            self.offered.emit(is_offered)

    def select(self) -> None:
        """Come on top."""
        if self.is_offered and not self.is_current:
            self.select_requested.emit()

    def take_keyboard(self) -> None:
        """Give the keyboard to what comes first in the page, but no key to a line of text."""
        keep_tab_order(self)
        part = self.nextInFocusChain()
        while part is not None and part is not self:
            takes_it = bool(part.focusPolicy() & Qt.FocusPolicy.TabFocus) and part.isEnabled()
            if (
                takes_it
                and not isinstance(part, QLineEdit)
                and part.isVisibleTo(self)
                and self.isAncestorOf(part)
            ):
                part.setFocus(Qt.FocusReason.TabFocusReason)
                return
            part = part.nextInFocusChain()

    def set_current(self, is_current: bool) -> None:
        """Handle that it comes on top, or goes below."""
        if is_current != self.is_current:
            self.is_current = is_current
            self.toggled.emit(is_current)


class TabButton(FlatButton):
    """The title of a tab, underlined if it is the current one."""

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab.title, tab.tooltip, checkable=True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @property
    def content_color(self) -> QColor:
        """The theme's text color, fainter below."""
        return text_color(self, 1.0 if self.isChecked() else 0.7)

    def paint_background(self, painter: QPainter, box: QRectF) -> None:
        """Paint the line below."""
        if self.shade > 0.15 and not self.isChecked():
            painter.fillRect(box, text_color(self, 0.08))
        line = QRectF(box.left(), box.bottom() - _LINE_PX, box.width(), _LINE_PX)
        painter.fillRect(line, ACCENT if self.isChecked() else text_color(self, 0.15))

    def paint_content(self, painter: QPainter, box: QRectF) -> None:
        """Paint the title."""
        font = self.font()
        font.setBold(self.isChecked())
        painter.setFont(font)
        painter.setPen(self.content_color)
        elide = Qt.TextElideMode.ElideRight
        text = painter.fontMetrics().elidedText(self.text(), elide, int(box.width()) - 4)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


class DockTabs(QWidget):
    """A row of titles, and the page of the current one."""

    def __init__(self, *tabs: Tab) -> None:
        super().__init__()
        self.tabs = tabs
        self.pages = QStackedWidget()
        self._buttons: list[TabButton] = []
        titles = QHBoxLayout()
        titles.setSpacing(0)
        for number, tab in enumerate(tabs):
            button = TabButton(tab)
            button.clicked.connect(lambda _, number=number: self.select(number))
            tab.title_changed.connect(button.setText)
            tab.select_requested.connect(lambda number=number: self.select(number))
            tab.offered.connect(lambda is_offered, number=number: self._offer(number, is_offered))
            if not tab.is_offered:
                button.hide()
            self._buttons.append(button)
            titles.addWidget(button, len(tab.title) + _LETTERS)
            self.pages.addWidget(tab)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(titles)
        layout.addWidget(self.pages, 1)
        self.select(0)

    def select(self, number: int) -> None:
        """Bring a tab on top."""
        self.tabs[number].build()
        self.pages.setCurrentIndex(number)
        for index, (button, tab) in enumerate(zip(self._buttons, self.tabs, strict=True)):
            button.setChecked(index == number)
            tab.set_current(index == number)

    @property
    def least_height(self) -> int:
        """What the titles and the pages that do not scroll need."""
        titles = self.minimumSizeHint().height() - self.pages.minimumSizeHint().height()
        return int(titles) + max(tab.least_height for tab in self.tabs)

    def _offer(self, number: int, is_offered: bool) -> None:
        """Show the title of a tab or hide it; the first tab takes the place of a hidden page."""
        self._buttons[number].setVisible(is_offered)
        if not is_offered and self.tabs[number].is_current:
            self.select(0)
