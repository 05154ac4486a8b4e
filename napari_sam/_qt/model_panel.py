"""The model that segments, its download, and the device it runs on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QWidget

from napari_sam._qt.building import button, combo_box, fill, progress_bar, row
from napari_sam._qt.eliding_label import ElidingLabel
from napari_sam._qt.file_names import ask_for_file
from napari_sam._qt.model_combo import ModelCombo
from napari_sam.catalogue.offers import Offer
from napari_sam.catalogue.table import PublishedModel, display_name
from napari_sam.session.models.fetching import FetchState
from napari_sam.session.models.model_choice import AUTO, ModelChoice
from napari_sam.session.state import SessionState

_FILES: Final = "Checkpoints (*.pth *.pt *.safetensors *.bin *.index.json);;All files (*)"


class ModelPanel(QWidget):
    """The model picker, its download, and the choice of device and precision.

    The combo shows what the user picked, also before it is in use; the title, what is in use.
    """

    model_requested = Signal(PublishedModel)
    download_requested = Signal(PublishedModel)
    file_requested = Signal(Path)

    def __init__(self, *below: QWidget) -> None:
        super().__init__()
        self.combo = ModelCombo()
        self.combo.activated.connect(self._on_combo_activated)
        self._description = ElidingLabel()
        self._download = button("", "", self._on_download_clicked)
        self._task = ElidingLabel()
        self._progress = progress_bar("Download progress; you can keep working meanwhile")
        self.cancel = button("Cancel", "Cancel the download and delete the partial file")
        self._open = button(
            "Open checkpoint…",
            "Use your own checkpoint file: SAM, SAM 2.1, MobileSAM, MedSAM, MedSAM2, micro-sam, or "
            "any of these by Hugging Face",
            lambda: ask_for_file(self, "Open checkpoint", _FILES, self.file_requested),
        )
        self.fine_tune = button(
            "Fine-tune…", "Train the model in use on images with labels of their objects"
        )
        tooltip = "The device that the model runs on; auto takes the fastest one"
        self.device = combo_box(tooltip)
        self.device.addItem(AUTO)
        self.exact = QCheckBox("exact (float32)")
        download = row(self._progress, self.cancel, stretch=self._progress)
        device = row(QLabel("device"), self.device, self.exact, stretch=self.device)
        choice = (self.combo, self._description, self._download, self._task, download)
        files = row(self._open, self.fine_tune)
        fill(self, *choice, files, device, *below)
        self.layout().addStretch(1)
        self._state = SessionState()
        self._fetch = FetchState()
        self._show_runtime()
        self._show()

    # What is shown ---------------------------------------------------------------------------

    def set_offers(self, offers: Sequence[Offer]) -> None:
        """Show the models to choose from."""
        picked = self.combo.offer or _offer_of(self._state.requested_model, offers)
        self.combo.set_offers(offers, picked)
        self._show_title()
        self._show()

    def show_state(self, state: SessionState) -> None:
        """Show the model and the device in use."""
        previous, self._state = self._state, state
        if state.requested_model != previous.requested_model:
            self._show_requested()
        if state.is_checking != previous.is_checking:
            self._show()
        models, before = (
            (s.active_model, s.requested_model, s.runtime, s.devices) for s in (state, previous)
        )
        if models != before:
            self._show_runtime()

    def show_fetch(self, state: FetchState) -> None:
        """Show the progress of fetching a model."""
        previous, self._fetch = self._fetch, state
        has_ended = previous.downloading is not None and state.downloading is None
        picked = self.combo.offer
        if has_ended and picked is not None and picked.model == previous.downloading:
            self._show_requested()
        self._show()

    def _show_requested(self) -> None:
        offers = self.combo.offers
        self.combo.set_offers(offers, _offer_of(self._state.requested_model, offers))
        self._show()

    def _show_title(self) -> None:
        state = self._state
        offer = _offer_of(state.active_model, self.combo.offers)
        device = "" if state.runtime is None else f" on {state.runtime}"
        name = state.active_model.name if offer is None else offer.name
        self.setWindowTitle(f"Model: {display_name(name)}{device}")

    def _show_runtime(self) -> None:
        state, runtime = self._state, self._state.runtime
        devices = dict.fromkeys([AUTO, *state.devices, state.requested_model.device])
        with QSignalBlocker(self.device):
            self.device.clear()
            self.device.addItems(list(devices))
            self.device.setCurrentText(state.requested_model.device)
        if runtime is not None:
            self.exact.setChecked(runtime.precision == "float32")
            has_choice = runtime.fastest_precision != "float32"
            self.exact.setEnabled(has_choice)
            self.exact.setToolTip(
                f"Off: compute in {runtime.fastest_precision}, which is faster on this device; "
                "masks may differ by a few pixels"
                if has_choice
                else f"float32 is also the fastest precision on {runtime.device}"
            )
        self._show_title()

    def _show(self) -> None:
        offer, fetch = self.combo.offer, self._fetch
        if offer is not None and offer.model is None:
            self._description.show_path(str(offer.path))
        else:
            self._description.show_text("" if offer is None else _description(offer))
        is_missing = offer is not None and offer.path is None
        self._download.setVisible(is_missing and fetch.downloading is None)
        if offer is not None and offer.model is not None:
            text = f"Download {offer.size_text}"
            tooltip = f"Download the model from {offer.model.url} and use it"
            if offer.model.url is None:
                text, tooltip = "How to obtain it", f"See {offer.model.page}"
            self._download.setText(text)
            self._download.setToolTip(tooltip)
        task = self._task_text()
        self._task.show_text(task)
        self._task.setVisible(bool(task))
        self._progress.setVisible(bool(task))
        self.cancel.setVisible(fetch.downloading is not None)
        # Without a known fraction, the bar is indeterminate.
        self._progress.setRange(0, 1000 if fetch.fraction else 0)
        self._progress.setValue(round(1000 * (fetch.fraction or 0)))

    def _task_text(self) -> str:
        fetch = self._fetch
        if fetch.downloading is not None:
            task = "Requesting" if fetch.fraction is None else "Downloading"
            return f"{task} {display_name(fetch.downloading.name)} …"
        if fetch.checking is not None:
            return f"Checking {display_name(fetch.checking.name)} …"
        requested = display_name(self._state.requested_model.name)
        return f"Checking {requested} …" if self._state.is_checking else ""

    # What the user does ---------------------------------------------------------------------

    def _on_combo_activated(self) -> None:
        offer = self.combo.offer
        self._show()
        if offer is None:
            return
        if offer.model is None:
            self.file_requested.emit(offer.path)
        elif offer.path is not None:
            self.model_requested.emit(offer.model)
        elif offer.model == self._fetch.downloading:  # use it after all, once it is there
            self.download_requested.emit(offer.model)

    def _on_download_clicked(self) -> None:
        offer = self.combo.offer
        if offer is not None and offer.model is not None:
            self.download_requested.emit(offer.model)


def _offer_of(choice: ModelChoice, offers: Sequence[Offer]) -> Offer | None:
    """Find the offer of a choice; a published model and a user's file may share a path."""
    path = choice.file
    matches = [offer for offer in offers if offer.path == path]
    named = [offer for offer in matches if offer.name == choice.name]
    return next(iter([*named, *reversed(matches)]), None)


def _description(offer: Offer) -> str:
    missing = "" if offer.path is not None else "; not on this computer yet"
    return f"Good for {offer.good_for}. {offer.license}, {offer.size_text}{missing}."
