"""The image to annotate, and the progress of its embedding."""

import time
from typing import Final

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGroupBox

from napari_sam._qt.building import button, fill, progress_bar, row
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam._qt.prefetch_row import PrefetchRow
from napari_sam._qt.workarounds import FixedHeightLabel
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.state import SessionState

# Each change makes Qt recompose the whole window, on the processor cores that the embedding needs.
_TICK_MS: Final = 500


class ImagePanel(QGroupBox):
    """The image combo, the embedding's progress and button, and the prefetch row."""

    cancel_requested = Signal()
    embed_requested = Signal()

    def __init__(self) -> None:
        super().__init__("Image")
        self.image_combo = LayerCombo("no image", "The image layer to annotate")
        self.prefetch_row = PrefetchRow()
        self._progress = progress_bar("The image is embedded once, in the background")
        self._progress.setTextVisible(False)
        self._progress.setFixedHeight(6)
        self._button = button("Cancel", "", self._on_button_clicked)
        self.convert = button(
            "Convert to an image", "Replace the layer with an image of its pixels"
        )
        self.convert.hide()
        self._convertible = ""
        self._status = FixedHeightLabel()
        self._started_s = self._elapsed_s = 0.0
        self._state = SessionState()
        self._timer = QTimer(self, interval=_TICK_MS, timeout=self._show_progress)
        status = row(self._status, self._button, stretch=self._status)
        fill(self, self.image_combo, self.convert, status, self._progress, self.prefetch_row)
        for widget in (self._button, self._progress):
            # They are shown for a moment with each tile: the panels below must not jump.
            policy = widget.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            widget.setSizePolicy(policy)

    def offer_conversion(self, name: str) -> None:
        """Offer to convert the layer of this name, which is not an image; "" hides the offer."""
        self._convertible = name
        self.convert.setVisible(bool(name))
        self._show_progress()

    def show_state(self, state: SessionState) -> None:
        """Show the progress of the image."""
        previous, self._state = self._state, state
        self.prefetch_row.show_progress(state.prefetch)
        was_working = previous.is_working
        if state.phase is Phase.EMBEDDING and previous.phase is not Phase.EMBEDDING:
            self._started_s = time.monotonic()  # without the time to load the model
        if state.is_working and not was_working:
            self._started_s = time.monotonic()
            self._timer.start()
        elif was_working and not state.is_working:
            self._elapsed_s = time.monotonic() - self._started_s
            self._timer.stop()
        self._button.setText("Cancel" if state.is_working else "Embed")
        stop = "Stop embedding the image; your prompts are kept"
        self._button.setToolTip(stop if state.is_working else "Embed the image")
        self._progress.setVisible(state.is_working)
        self._button.setVisible(state.is_working or state.can_embed)
        if not (state.is_working and was_working):
            self._show_progress()

    def _show_progress(self) -> None:
        self._progress.setValue(round(self._state.progress * 100))
        self._status.set_text(self._status_text())

    def _status_text(self) -> str:
        state, runtime = self._state, self._state.runtime
        on_device = "" if runtime is None else f" on {runtime}"
        if state.is_working:
            elapsed_s = time.monotonic() - self._started_s
            task = "Loading the model" if state.phase is Phase.LOADING else f"Embedding{on_device}"
            return f"{task} … {elapsed_s:.1f} s"
        if state.phase is Phase.READY:
            return f"Ready (embedded in {self._elapsed_s:.1f} s{on_device})"
        if state.phase is Phase.CANCELLED:
            return "Embedding canceled"
        if state.phase is Phase.FAILED:
            if state.has_image:
                return "Could not embed the image; see below"
            return state.hint.partition(". ")[0]  # the rest is what to do
        if self._convertible:
            return f"'{self._convertible}' was opened as labels, not as an image"
        return f"Model ready{on_device}" if runtime else "No image selected"

    def _on_button_clicked(self) -> None:
        if self._state.is_working:
            self.cancel_requested.emit()
        else:
            self.embed_requested.emit()
