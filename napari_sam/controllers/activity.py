"""The embedding's entry in napari's activity dock."""

from collections.abc import Callable
from typing import Final

from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QWidget

from napari_sam._qt.workarounds import pause_spinners
from napari_sam.session.state import SessionState

_TICK_MS: Final = 500


class Activity(QObject):
    """Shows the embedding's progress in napari's activity dock, with napari's cancel button.

    It acts from a timer alone: napari processes events whenever one of its progress bars is made
    or moved, which must not happen in the middle of a change. What is done before the first tick
    never shows.
    """

    def __init__(self, widget: QWidget, cancel: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget, self._cancel = widget, cancel
        self._state = SessionState()
        self._progress: cancelable_progress | None = None
        self._timer = QTimer(self, interval=_TICK_MS, timeout=self._on_tick)

    def show_state(self, state: SessionState) -> None:
        """Show the embedding's progress at the next tick."""
        self._state = state
        if state.is_working and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Remove the progress bar."""
        self._timer.stop()
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.close()

    def _on_tick(self) -> None:
        if not self._state.is_working:
            self.close()
            return
        if self._progress is None:
            self._progress = cancelable_progress(
                total=100, desc="SAM image embedding", cancel_callback=self._cancel
            )
            pause_spinners(self._widget.window())
        if self._progress is not None:
            self._progress.update(round(100 * self._state.progress) - self._progress.n)
