"""Embedding the slices of a stack before they are shown."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_sam._qt.building import button, check_box, fill, progress_bar, row, show_count
from napari_sam.session.prefetch.queue import PrefetchState


def is_prefetching(state: PrefetchState | None) -> bool:
    """Whether slices are being embedded."""
    return state is not None and not state.is_over


class PrefetchRow(QWidget):
    """The button to embed all slices of a stack, and the progress of that.

    Hidden where there is no stack, unless one is being embedded: that can be paused anywhere.
    """

    pause_requested = Signal()
    resume_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._state: PrefetchState | None = None
        self._count = 1
        self.prefetch = check_box(
            "prefetch next slices",
            "Embed the next slices while idle; if off, each slice is embedded when you open it",
            checked=True,
        )
        self.embed_all = button("Embed all slices", "")
        self._progress = progress_bar("Embedded slices and the time left")
        self._pause = button("Pause", "", self._on_pause_clicked)
        self.cancel = button("Cancel", "Stop embedding slices; those already embedded stay ready")
        self._outcome = QLabel(wordWrap=True)
        buttons = row(self._pause, self.cancel)
        both = row(self.prefetch, self.embed_all, stretch=self.embed_all)
        fill(self, both, self._progress, buttons, self._outcome)
        self._show(None)

    def show_stack(self, count: int) -> None:
        """Show the button for a stack of `count` slices, and not for a single slice."""
        self._count = count
        self._update_visibility()
        self.embed_all.setToolTip(
            f"Embed all {count} slices in the background, the next ones first, and keep them on "
            "disk.\nYou can keep working; only the visible region of each slice is embedded."
        )

    def show_progress(self, state: PrefetchState | None) -> None:
        """Show the progress."""
        if state != self._state:
            self._show(state)

    def _show(self, state: PrefetchState | None) -> None:
        self._state = state
        self._update_visibility()
        for widget in (self._progress, self._pause, self.cancel):
            widget.setVisible(self._is_running)
        self._outcome.setVisible(state is not None and state.is_over)
        if state is None:
            return
        show_count(self._progress, state.done + len(state.failures), state.total, state.summary)
        self._pause.setText("Resume" if state.is_paused else "Pause")
        verb = "Continue" if state.is_paused else "Pause"
        self._pause.setToolTip(f"{verb} embedding slices")
        failed = f", {len(state.failures)} failed" if state.failures else ""
        self._outcome.setText(f"{state.done} of {state.total} slices embedded{failed}")
        self._outcome.setToolTip("\n".join(state.failures))

    @property
    def _is_running(self) -> bool:
        return is_prefetching(self._state)

    def _update_visibility(self) -> None:
        self.setVisible(self._count > 1 or self._is_running)
        self.prefetch.setVisible(self._count > 1)
        self.embed_all.setVisible(not self._is_running)

    def _on_pause_clicked(self) -> None:
        if self._state is not None and self._state.is_paused:
            self.resume_requested.emit()
        else:
            self.pause_requested.emit()
