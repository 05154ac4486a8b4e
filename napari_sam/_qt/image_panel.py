"""The image to annotate, and one line on the state of it and of the model."""

import time
from typing import Final

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QWidget

from napari_sam._qt.building import fill, keep_size, row
from napari_sam._qt.colors import Severity
from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.prefetch_row import is_prefetching
from napari_sam.catalogue.table import display_name
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.state import SessionState

# Each change makes Qt recompose the whole window, on the processor cores that the embedding needs.
_TICK_MS: Final = 500
_SLOT_SIZE_PX: Final = (76, 22)
_LINE_PX: Final = 3
_SEPARATOR: Final = " · "


class ImagePanel(QWidget):
    """The image combo, the buttons for what is set up once, and the status with its progress."""

    cancel_requested = Signal()
    embed_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.image_combo = LayerCombo("no image", "The image layer to annotate")
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.image_combo.setSizePolicy(policy)
        self.appearance = FlatButton(
            "",
            "Image appearance for SAM: values and channels that the model sees",
            icon="appearance",
        )
        self.model = FlatButton("", "Model, device and embeddings", icon="model")
        self._status = PaintedLabel()
        self._button = FlatButton("Cancel", "", self._on_button_clicked)
        self.convert = FlatButton("Convert", "Replace the layer with an image of its pixels")
        self._progress = QProgressBar(minimum=0, maximum=1000, textVisible=False)
        self._progress.setFixedHeight(_LINE_PX)
        self._progress.setStyleSheet("QProgressBar { border: 0px; margin: 0px; padding: 0px; }")
        self._convertible = ""
        self._started_s = self._elapsed_s = 0.0
        self._state = SessionState()
        self.is_refining = False
        """Whether the status says that better masks are on their way."""
        self._timer = QTimer(self, interval=_TICK_MS, timeout=self._show_progress)
        image = row(self.image_combo, self.appearance, self.model, stretch=self.image_combo)
        status = row(self._status, self._build_slot(), stretch=self._status)
        fill(self, image, status, self._progress)
        self.layout().setSpacing(4)
        keep_size(self._progress)
        self.convert.hide()
        self.show_state(SessionState())

    def _build_slot(self) -> QWidget:
        """Make the place of the one button that is needed now; it never takes more or less room."""
        slot = QWidget()
        slot.setFixedSize(*_SLOT_SIZE_PX)
        layout = QHBoxLayout(slot)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._button, self.convert):
            widget.setFixedHeight(_SLOT_SIZE_PX[1])
            layout.addWidget(widget)
        return slot

    # What is shown -----------------------------------------------------------------------------

    def offer_conversion(self, name: str) -> None:
        """Offer to convert the layer of this name, which is not an image; "" hides the offer."""
        self._convertible = name
        self._show_buttons()
        self._show_progress()

    def show_refining(self, is_on: bool) -> None:
        """Say that better masks than the shown ones are on their way, or not."""
        if is_on != self.is_refining:
            self.is_refining = is_on
            self._status.set_color(Severity.WARNING.color if is_on else None)
            self._show_progress()

    def show_state(self, state: SessionState) -> None:
        """Show the progress of the image."""
        previous, self._state = self._state, state
        was_working = previous.is_working
        if state.phase is Phase.EMBEDDING and previous.phase is not Phase.EMBEDDING:
            self._started_s = time.monotonic()  # without the time to load the model
        if state.is_working and not was_working:
            self._started_s = time.monotonic()
            self._timer.start()
        elif was_working and not state.is_working:
            self._elapsed_s = time.monotonic() - self._started_s
            self._timer.stop()
        self._show_buttons()
        if not (state.is_working and was_working):
            self._show_progress()

    def _show_buttons(self) -> None:
        state = self._state
        self._button.setText("Cancel" if state.is_working else "Embed")
        stop = "Stop embedding the image; your prompts are kept"
        self._button.setToolTip(stop if state.is_working else "Embed the image")
        is_needed = state.is_working or state.can_embed
        self._button.setVisible(is_needed)
        self.convert.setVisible(bool(self._convertible) and not is_needed)

    def _show_progress(self) -> None:
        state = self._state
        is_prefetching_now = is_prefetching(state.prefetch) and not state.is_working
        share = state.progress
        if is_prefetching_now and state.prefetch is not None:
            share = state.prefetch.done / max(1, state.prefetch.total)
        self._progress.setVisible(state.is_working or is_prefetching_now)
        self._progress.setValue(round(share * 1000))
        self._status.set_text(self._status_text(), self._status_tooltip())

    def _status_text(self) -> str:
        state = self._state
        if state.is_working:
            elapsed_s = time.monotonic() - self._started_s
            task = "Loading the model" if state.phase is Phase.LOADING else "Embedding"
            return f"{task} … {elapsed_s:.1f} s"
        if state.phase is Phase.READY:
            if is_prefetching(state.prefetch) and state.prefetch is not None:
                return f"Ready{_SEPARATOR}{state.prefetch.summary}"
            progress = "Refining" if self.is_refining else "Ready"
            return _SEPARATOR.join([progress, self._tile_text(), self._model_name])
        if state.phase is Phase.CANCELLED:
            return "Embedding canceled"
        if state.phase is Phase.FAILED:
            if state.has_image:
                return "Could not embed the image; see below"
            return state.hint.partition(". ")[0]  # the rest is what to do
        if self._convertible:
            return f"'{self._convertible}' was opened as labels, not as an image"
        return _SEPARATOR.join(["No image", self._model_name]) if state.runtime else "No image"

    def _tile_text(self) -> str:
        side = self._state.tile_px
        return "whole image" if side is None else f"tile {side:,} px"

    @property
    def _model_name(self) -> str:
        return display_name(self._state.active_model.name)

    def _status_tooltip(self) -> str:
        state = self._state
        if state.phase is not Phase.READY:
            return ""
        device = "" if state.runtime is None else f" on {state.runtime}"
        sees = "the whole image" if state.tile_px is None else f"a tile of {state.tile_px:,} px"
        return (
            f"{self._status_text()}\nEmbedded in {self._elapsed_s:.1f} s{device}\n"
            f"At the next click, the model sees {sees}"
        )

    def _on_button_clicked(self) -> None:
        if self._state.is_working:
            self.cancel_requested.emit()
        else:
            self.embed_requested.emit()
