"""The embedding's entry in napari's activity dock."""

from __future__ import annotations

from typing import Final

from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_sam.session.state import SessionState

_TICK_MS: Final = 500


class Activity(QObject):
    """Shows the embedding's progress in napari's activity dock, with napari's cancel button.

    Works from a timer alone, because napari processes events whenever one of its progress bars
    is made or moved, which nothing that is in the middle of a change can bear. What is done
    before the first tick never shows.
    """

    cancel_requested = Signal()

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._state = SessionState()
        self._progress: cancelable_progress | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._on_tick)

    def show_state(self, state: SessionState) -> None:
        """Have the next tick show how far the embedding is."""
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
                total=100, desc="SAM image embedding", cancel_callback=self.cancel_requested.emit
            )
            self._stop_spinner()
        if self._progress is not None:
            self._progress.update(round(100 * self._state.progress) - self._progress.n)

    def _stop_spinner(self) -> None:
        """Hold napari's spinning wheel still; napari starts it again with the next activity.

        It has the whole window recomposed 25 times a second. Without a GPU that takes so much of
        the processor that the embedding was measured to need two to four times as long.
        """
        for label in self._widget.window().findChildren(QLabel):
            if label.movie() is not None:
                label.movie().setPaused(True)
