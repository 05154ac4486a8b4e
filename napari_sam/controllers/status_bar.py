"""Keeping napari's status bar from taking the time that previews need."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.state import SessionState

_LEAST_MS: Final = 250


class CalmStatusBar(QObject):
    """Has the status bar repainted with each preview, rather than with each move of the mouse.

    napari writes the cursor's position there some forty times a second. Each time Qt recomposes
    the whole window, canvas included, which without a GPU keeps both the GUI thread and the
    processor busy: previews were measured to come half as often.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._bar: QWidget | None = None
        self._preview: Candidates | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_LEAST_MS)
        self._timer.timeout.connect(self._let_paint)

    def calm(self, on: bool) -> None:
        """Begin or cease to hold repaints back."""
        if on and self._bar is None:
            self._begin(self._widget.window())
        elif not on and self._bar is not None:
            self._timer.stop()
            bar, self._bar = self._bar, None
            with suppress(RuntimeError):  # Qt may have destroyed it with the window
                bar.removeEventFilter(self)
                bar.setUpdatesEnabled(True)

    def _begin(self, window: QWidget) -> None:
        if isinstance(window, QMainWindow):
            self._bar = window.statusBar()
            self._bar.installEventFilter(self)
            self._timer.start()

    def show_state(self, state: SessionState) -> None:
        """Have the status bar repainted together with a new preview."""
        if state.preview is not self._preview:
            self._preview = state.preview
            self._let_paint()

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        """Hold repaints back once one is done."""
        if event.type() == QEvent.Type.Paint:
            QTimer.singleShot(0, self._hold)
        return False

    def _let_paint(self) -> None:
        if self._bar is not None:
            self._bar.setUpdatesEnabled(True)

    def _hold(self) -> None:
        if self._bar is not None:
            self._bar.setUpdatesEnabled(False)
