"""Work-arounds for what Qt and napari do to a window, each with what would make it go.

Most of them are about one cost: without a GPU Qt recomposes the whole window, canvas included, for
every repaint in it, on the processor cores that the model needs. tests/test_calm_window.py and
benchmarks/live_loop.py show what they are good for.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Final

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QCursor, QShowEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QLabel,
    QLineEdit,
    QMainWindow,
    QOpenGLWidget,
    QPlainTextEdit,
    QScrollArea,
    QScrollBar,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.state import SessionState

_EDITORS: Final = (QAbstractSpinBox, QLineEdit, QPlainTextEdit, QTextEdit)
"""What the user types into."""
_SCROLL_BAR_MARGIN_PX: Final = 4
"""What napari's themes put around a scroll bar, beyond its size hint."""
_STATUS_BAR_MS: Final = 250
"""How often the status bar is repainted at least while previews are on."""
_CANVAS_PX: Final = 200
"""The least width of the canvas that a column of docks is added beside."""


def call_soon(owner: QObject, act: Callable[[], object]) -> None:
    """Act once the events that wait are processed, unless Qt has deleted the owner by then.

    Reason: PySide6 also calls methods of deleted objects, which then raise.
    Remove it when `QTimer.singleShot` forgets them, as with PyQt6.
    """
    QTimer.singleShot(0, lambda: act() if isalive(owner) else None)


class WheelGuard(QObject):
    """Keeps the mouse wheel from changing values: it scrolls what is around them.

    Reason: whoever scrolls a dock changes the settings that pass under the mouse.
    Remove it when Qt's combo boxes, spin boxes and sliders ignore the wheel without the focus.
    """

    def watch(self, panel: QWidget) -> None:
        """Guard all values in a panel; to be called again when it has others."""
        for field in panel.findChildren(QWidget):
            is_value = isinstance(field, QComboBox | QAbstractSpinBox | QAbstractSlider)
            if is_value and not isinstance(field, QScrollBar):
                field.installEventFilter(self)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        """Pass the wheel on to the widget around."""
        if event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()
        return True


class PanelColumn(QScrollArea):
    """Panels below each other that scroll vertically, and are never cut off at the right.

    Reason: a `QScrollArea` may be made narrower than its contents, and a napari dock makes it so.
    Remove it when napari scrolls its dock widgets itself, or Qt has scroll areas of one direction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(self.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it scrolls to what in it has the focus
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        contents = QWidget()
        self.panels = QVBoxLayout(contents)
        self.panels.addStretch(1)
        self._last_hint, self._is_watch_due = QSize(), False
        self._scrolls = True
        self.wheel_guard = WheelGuard(self)
        self.setWidget(contents)

    def add(self, panel: QWidget) -> None:
        """Add a panel below the others."""
        self.panels.insertWidget(self.panels.count() - 1, panel)

    def minimumSizeHint(self) -> QSize:
        """Leave room for the widest panel and the scroll bar."""
        hint = super().minimumSizeHint()
        if not self.isVisible():  # widths are known once it has the window's style
            return hint
        needed = self.widget().minimumSizeHint()
        bar_px = self.verticalScrollBar().sizeHint().width() + _SCROLL_BAR_MARGIN_PX
        return QSize(needed.width() + bar_px, hint.height() if self._scrolls else needed.height())

    def set_scrolls(self, scrolls: bool) -> None:
        """Scroll, or be as high as the panels because what is around scrolls."""
        if scrolls != self._scrolls:
            self._scrolls = scrolls
            policies = Qt.ScrollBarPolicy
            policy = policies.ScrollBarAsNeeded if scrolls else policies.ScrollBarAlwaysOff
            self.setVerticalScrollBarPolicy(policy)
            self._update_hint()

    def showEvent(self, event: QShowEvent) -> None:
        """Update the width to the window's style, which is known by now."""
        super().showEvent(event)
        call_soon(self, self._update_hint)

    def _update_hint(self) -> None:
        """Redo the layout around the column only if the column needs more or less room."""
        if self._last_hint != self.minimumSizeHint():
            self._last_hint = self.minimumSizeHint()
            self.updateGeometry()

    def _watch_values(self) -> None:
        self._is_watch_due = False
        self.wheel_guard.watch(self.widget())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Handle that a panel needs another width, or has other widgets."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self._update_hint()
            if not self._is_watch_due:  # many panels are laid out at the start
                self._is_watch_due = True
                call_soon(self, self._watch_values)
        return bool(super().eventFilter(watched, event))


class CalmStatusBar(QObject):
    """Repaints napari's status bar with each preview, rather than with each move of the mouse.

    Reason: napari writes the cursor's position there some forty times a second; previews were
    measured to come half as often.
    Remove it when napari limits how often it updates the status bar.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._bar: QWidget | None = None
        self._is_on = False
        self._preview: Candidates | None = None
        self._timer = QTimer(self, interval=_STATUS_BAR_MS, timeout=self._let_paint)

    def calm(self, on: bool) -> None:
        """Start or stop holding repaints back."""
        self._is_on = on
        if on:
            self._find_bar()
        elif self._bar is not None:
            self._timer.stop()
            bar, self._bar = self._bar, None
            with suppress(RuntimeError):  # Qt may have destroyed it with the window
                bar.removeEventFilter(self)
                bar.setUpdatesEnabled(True)

    def _find_bar(self) -> None:
        """Hold repaints of the status bar back, once the widget is in a window that has one."""
        window = self._widget.window()
        if self._bar is None and isinstance(window, QMainWindow):
            self._bar = window.statusBar()
            self._bar.installEventFilter(self)
            self._timer.start()

    def show_state(self, state: SessionState) -> None:
        """Repaint the status bar together with a new preview."""
        if self._is_on and self._bar is None:
            self._find_bar()  # previews were on before the widget was docked
        if state.preview is not self._preview:
            self._preview = state.preview
            self._let_paint()

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        """Hold repaints back after one is done."""
        if event.type() == QEvent.Type.Paint:
            call_soon(self, self._hold)
        return False

    def _let_paint(self) -> None:
        if self._bar is not None:
            self._bar.setUpdatesEnabled(True)

    def _hold(self) -> None:
        if self._bar is not None:
            self._bar.setUpdatesEnabled(False)


def rest_with_deleted_canvas(window: QWidget) -> None:
    """Have vispy draw no more on the canvas of a window once Qt has deleted that.

    Reason: Qt deletes the canvas of a window that is closed before the plugin in it, and napari's
    canvas still draws what goes from the layers: each of that would print a traceback.
    Remove it when napari's canvas lets go of the layers when it is deleted.
    """
    for canvas in window.findChildren(QOpenGLWidget):
        canvas.destroyed.connect(partial(setattr, canvas, "_vispy_canvas", None))


def make_current(canvases: Iterable[QOpenGLWidget]) -> None:
    """Have what is freed next freed in the context that draws a canvas.

    Reason: napari 0.9 frees what it has drawn of a removed layer in whatever context is current,
    which may be that of the window: a software renderer crashes when the canvas is drawn next.
    Remove it when napari makes the context of its canvas current before that.
    """
    for canvas in canvases:
        if isalive(canvas):
            canvas.makeCurrent()


def focus_canvas(window: QWidget) -> None:
    """Give the canvas under the mouse the keyboard, unless the user is editing a text.

    Reason: keys of layers do nothing after a click on a button or in a table, until the canvas has
    been clicked, which would place a prompt.
    Remove it when napari's layer keys work wherever the focus is.
    """
    focused = QApplication.focusWidget()
    # An editable combo box has the focus itself, not its line of text.
    is_combo = isinstance(focused, QComboBox) and focused.isEditable()
    if is_combo or isinstance(focused, _EDITORS) or not window.isActiveWindow():
        return
    for canvas in window.findChildren(QOpenGLWidget):
        if canvas.rect().contains(canvas.mapFromGlobal(QCursor.pos())):
            canvas.setFocus(Qt.FocusReason.MouseFocusReason)


def claim_height(widget: QWidget, least_px: int) -> None:
    """Give a docked widget the height that it asks for, or a column of its own.

    Reason: Qt gives a dock that is added below others the least height it can have, and at the left
    napari's controls and list of layers need most of the height.
    Remove it when napari shares out the height of a column of docks.
    """
    dock, window = widget.parentWidget(), widget.window()
    if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow):
        return
    if dock.isFloating():
        return
    wanted = widget.sizeHint().height()
    if dock.height() < wanted:
        window.resizeDocks([dock], [wanted], Qt.Orientation.Vertical)
    # What one column more leaves of the canvas: the column stays as wide without this dock.
    remaining = window.centralWidget().width() - widget.minimumSizeHint().width()
    if widget.height() < least_px and _shares_column(dock, window) and remaining >= _CANVAS_PX:
        window.addDockWidget(window.dockWidgetArea(dock), dock, Qt.Orientation.Horizontal)


def _shares_column(dock: QDockWidget, window: QMainWindow) -> bool:
    """Whether other docks are shown above or below a dock."""
    area, left, right = window.dockWidgetArea(dock), dock.geometry().left(), dock.geometry().right()
    return any(
        other is not dock
        and not other.isFloating()
        and other.isVisible()
        and window.dockWidgetArea(other) == area
        and other.geometry().left() <= right
        and left <= other.geometry().right()
        for other in window.findChildren(QDockWidget)
    )


def keep_tab_order(widget: QWidget) -> None:
    """Have the Tab key go through all of a widget before it goes on.

    Reason: what is built later comes last in the window, behind napari's other docks.
    Remove it when Qt inserts it behind what is beside it.
    """
    chain, part = [], widget.nextInFocusChain()
    while part is not None and part is not widget:
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isAncestorOf(part):
            chain.append(part)
        part = part.nextInFocusChain()
    for before, after in pairwise(chain):
        QWidget.setTabOrder(before, after)


def pause_spinners(window: QWidget) -> None:
    """Pause the spinning wheel of napari's activity dock; napari restarts it with the next task.

    Reason: it repaints the window 25 times a second, which was measured to make an embedding take
    two to four times as long.
    Remove it when napari's activity dock has no animation, or one that can be switched off.
    """
    for label in window.findChildren(QLabel):
        if label.movie() is not None:
            label.movie().setPaused(True)
