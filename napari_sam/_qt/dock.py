"""How the parts of the dock are laid out: below each other, or in two columns where it is wide."""

from collections.abc import Callable
from typing import Final

from qtpy.QtCore import QEvent, QObject, QSize, Signal
from qtpy.QtGui import QFontInfo, QResizeEvent
from qtpy.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.tabs import DockTabs
from napari_sam._qt.workarounds import PanelColumn

NARROWEST_PX: Final = 340
_WIDE_PX: Final = 2 * NARROWEST_PX + 40
_LOW_PX: Final = 720
"""Below this height everything is closer together."""
_VERY_LOW_PX: Final = 700
"""Below this one, what has the most rows leaves out labels, too."""
_PLAY_PX: Final = 24
"""How much higher it has to become for either to end, as napari's status bar changes its height."""
_LETTER_PX: Final = 12
"""The size of the font for which that is enough: with larger texts, the dock is wider."""
_GAP_PX: Final = 8
_LOW_GAP_PX: Final = 4
_MARGIN_PX: Final = 8


class Dock(PanelColumn):
    """Controls above tabs that take the rest; it only scrolls in very short windows."""

    low_changed = Signal(bool)
    """Whether what is in it is to take less height."""
    very_low_changed = Signal(bool)
    """Whether that is not enough for what has the most rows."""

    def __init__(self, controls: tuple[QWidget, ...], message: QWidget, tabs: DockTabs) -> None:
        super().__init__()
        self.tabs = tabs
        self.help_button = FlatButton("?", "Show all keyboard shortcuts (?)")
        self.help_button.setFixedSize(28, 28)
        self._controls = QWidget()
        self._is_low = self._is_very_low = False
        self._column = column = QVBoxLayout(self._controls)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(_GAP_PX)
        *above, last = controls
        for panel in above:
            column.addWidget(panel)
        foot = QHBoxLayout()
        foot.setSpacing(_GAP_PX)
        foot.addWidget(message, 1)
        foot.addWidget(self.help_button)
        column.addLayout(foot)
        column.addWidget(last)
        column.addStretch(1)
        contents = _Contents(self.help_button)
        self._parts = QBoxLayout(QBoxLayout.Direction.TopToBottom, contents)
        self._parts.setContentsMargins(0, 0, 0, 0)
        self._parts.setSpacing(_GAP_PX)
        self._parts.addWidget(self._controls)
        self._parts.addWidget(tabs, 1)
        self.panels.setContentsMargins(_MARGIN_PX, 4, _MARGIN_PX, _MARGIN_PX)
        self.panels.insertWidget(0, contents, 1)
        self.panels.setStretch(1, 0)
        self.wheel_guard.watch(contents)

    def when_low(self, set_low: Callable[[bool], object]) -> None:
        """Have a part take less height now and whenever everything is to."""
        self.low_changed.connect(set_low)
        set_low(self._is_low)

    def when_very_low(self, set_very_low: Callable[[bool], object]) -> None:
        """Have a part with many rows take even less height, as `when_low`."""
        self.very_low_changed.connect(set_very_low)
        set_very_low(self._is_very_low)

    def lay_over_tabs(self, banner: QWidget) -> None:
        """Show a widget over the top of the tabs' pages whenever it is visible: nothing moves."""
        overlay = Overlay(banner, self.tabs.pages)
        self.tabs.pages.currentChanged.connect(overlay.raise_banner)

    def sizeHint(self) -> QSize:
        """Ask for room for everything, as Qt shares out what several docks in a column get."""
        return QSize(NARROWEST_PX, self.widget().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use two columns where there is room for them."""
        directions = QBoxLayout.Direction
        is_wide = self.width() >= _WIDE_PX
        direction = directions.LeftToRight if is_wide else directions.TopToBottom
        if direction != self._parts.direction():
            self._parts.setDirection(direction)
            self._parts.setSpacing(2 * _GAP_PX if is_wide else _GAP_PX)
            self._parts.setStretch(0, 1 if is_wide else 0)
        is_low = self.height() < _LOW_PX + self._is_low * _PLAY_PX and not is_wide
        if is_low != self._is_low:
            self._is_low = is_low
            gap_px = _LOW_GAP_PX if is_low else _GAP_PX
            self._column.setSpacing(gap_px)
            self._parts.setSpacing(2 * _GAP_PX if is_wide else gap_px)
            self.low_changed.emit(is_low)
        least_px = _VERY_LOW_PX + self._is_very_low * _PLAY_PX
        is_very_low = self.height() < least_px and not is_wide
        if is_very_low != self._is_very_low:
            self._is_very_low = is_very_low
            self.very_low_changed.emit(is_very_low)
        super().resizeEvent(event)
        self._choose_scroll_bar()

    def _update_hint(self) -> None:
        super()._update_hint()
        self._choose_scroll_bar()

    def _choose_scroll_bar(self) -> None:
        """Scroll the page on top or, where not even the controls fit, the dock: never both."""
        heights = self._controls.minimumSizeHint().height(), self.tabs.least_height
        is_wide = self._parts.direction() == QBoxLayout.Direction.LeftToRight
        needed = max(heights) if is_wide else sum(heights) + self._parts.spacing()
        margins = self.panels.contentsMargins()
        is_enough = needed + margins.top() + margins.bottom() <= self.viewport().height()
        for page in self.tabs.findChildren(PanelColumn):
            page.set_scrolls(is_enough)


class _Contents(QWidget):
    """Always as wide as a column at least, whichever page is built: the dock does not grow then."""

    def __init__(self, sample: QWidget) -> None:
        super().__init__()
        self._sample = sample  # of the size of texts

    def minimumSizeHint(self) -> QSize:
        """Need the more width the larger texts are."""
        letter_px = max(_LETTER_PX, QFontInfo(self._sample.font()).pixelSize())
        width = (NARROWEST_PX - 2 * _MARGIN_PX) * letter_px // _LETTER_PX
        return QSize(width, super().minimumSizeHint().height())


class Overlay(QObject):
    """Keeps a widget at the top of another one, above what is in it."""

    def __init__(self, banner: QWidget, below: QWidget) -> None:
        super().__init__(banner)
        self._banner, self._below = banner, below
        was_hidden = banner.isHidden()
        banner.setParent(below)
        banner.setVisible(not was_hidden)
        for widget in (banner, below):
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the size below, and what the banner needs."""
        kinds = QEvent.Type
        needs = (kinds.Show, kinds.LayoutRequest) if watched is self._banner else (kinds.Resize,)
        if event.type() in needs and not self._banner.isHidden():
            width = self._below.width()
            height = self._banner.heightForWidth(width)
            if height <= 0:
                height = self._banner.sizeHint().height()
            self._banner.setGeometry(0, 0, width, height)
            self.raise_banner()
        return False

    def raise_banner(self) -> None:
        """Put it on top again, where another page has come on top."""
        self._banner.raise_()
