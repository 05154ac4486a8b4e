"""Embedding the slices of a stack before they are needed."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam.session.prefetch.preparation import PreparationState


class PrefetchRow(QWidget):
    """The button to prepare a whole stack and how far that is.

    Hidden where there is no stack, unless one is being prepared: that can be paused anywhere.
    """

    prepare_requested = Signal()
    pause_requested = Signal()
    resume_requested = Signal()
    cancel_requested = Signal()
    ahead_requested = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._shown: PreparationState | None = None
        self._count = 1
        self._ahead = QCheckBox("embed the next slices while idle")
        self._ahead.setToolTip("Off: a slice is embedded when you come to it, and not before")
        self._ahead.setChecked(True)
        self._ahead.toggled.connect(self.ahead_requested.emit)
        self._prepare = QPushButton("Prepare whole stack")
        self._prepare.clicked.connect(lambda: self.prepare_requested.emit())
        self._progress = QProgressBar()
        self._pause = QPushButton("Pause")
        self._pause.clicked.connect(self._on_pause_clicked)
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Prepare no more slices; those that are ready stay so")
        self._cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self._outcome = QLabel()
        self._outcome.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self._pause)
        buttons.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._ahead)
        column.addWidget(self._prepare)
        column.addWidget(self._progress)
        column.addLayout(buttons)
        column.addWidget(self._outcome)
        self._show(None)

    def show_stack(self, count: int) -> None:
        """Offer to prepare a stack of so many slices; a single one is no stack."""
        self._count = count
        self._show_what_is_of_use()
        self._prepare.setToolTip(
            f"Embed all {count} slices in the background, the next ones first, and keep them on "
            "disk.\nYou can go on working; the part of the slices that is in sight is prepared."
        )

    def show_preparation(self, state: PreparationState | None) -> None:
        """Show how far a preparation is."""
        if state != self._shown:
            self._show(state)

    def _show(self, state: PreparationState | None) -> None:
        self._shown = state
        self._show_what_is_of_use()
        is_on = self._is_on
        for part in (self._progress, self._pause, self._cancel):
            part.setVisible(is_on)
        self._outcome.setVisible(state is not None and state.is_over)
        if state is None:
            return
        self._progress.setRange(0, state.total)
        self._progress.setValue(state.done + len(state.failures))
        self._progress.setFormat(state.summary)
        self._progress.setToolTip("Slices that are ready, and how long the others will take")
        self._pause.setText("Resume" if state.is_paused else "Pause")
        self._pause.setToolTip(
            "Go on preparing slices" if state.is_paused else "Stop until you press Resume"
        )
        failed = f", {len(state.failures)} failed" if state.failures else ""
        self._outcome.setText(f"{state.done} of {state.total} slices are ready{failed}")
        self._outcome.setToolTip("\n".join(state.failures))

    @property
    def _is_on(self) -> bool:
        return self._shown is not None and not self._shown.is_over

    def _show_what_is_of_use(self) -> None:
        self.setVisible(self._count > 1 or self._is_on)
        self._ahead.setVisible(self._count > 1)
        self._prepare.setVisible(not self._is_on)

    def _on_pause_clicked(self) -> None:
        if self._shown is not None and self._shown.is_paused:
            self.resume_requested.emit()
        else:
            self.pause_requested.emit()
