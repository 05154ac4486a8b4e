"""Which model finds the masks, where it comes from, and what it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam._qt.collapsible import CollapsibleSection, ElidingLabel
from napari_sam._qt.model_combo import ModelCombo
from napari_sam.catalogue import EMBEDDED, Offer, PublishedModel
from napari_sam.session.models.fetching import SupplyState
from napari_sam.session.models.model_choice import AUTO, ModelChoice
from napari_sam.session.state import SessionState

_FILES: Final = "Checkpoints (*.pth *.pt *.safetensors *.bin *.index.json);;All files (*)"


class ModelPanel(CollapsibleSection):
    """The model picker, its download, and the choice of device and precision.

    What a user picks is shown as picked until it is in use; what is in use the title says.
    """

    model_requested = Signal(PublishedModel)
    download_requested = Signal(PublishedModel)
    file_requested = Signal(Path)
    list_requested = Signal()
    cancel_requested = Signal()
    device_requested = Signal(str)
    exact_requested = Signal(bool)

    def __init__(self, *below: QWidget) -> None:
        contents = QWidget()
        super().__init__(contents, "Click to choose another model, or what it runs on")
        self.combo = ModelCombo()
        self.combo.activated.connect(self._on_combo_activated)
        self.combo.list_requested.connect(self.list_requested.emit)
        self._about = ElidingLabel()
        self._get = QPushButton()
        self._get.clicked.connect(self._on_get_clicked)
        self._doing = ElidingLabel()
        self._progress = QProgressBar()
        self._progress.setToolTip("How much of the file is here; you can go on working meanwhile")
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Stop the download; nothing of it is left")
        self._cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self._open = QPushButton("Open checkpoint…")
        self._open.setToolTip("Use a file of your own: SAM, MobileSAM, MedSAM, micro-sam, SamModel")
        self._open.clicked.connect(self._on_open_clicked)
        self._device = QComboBox()
        self._device.addItem(AUTO)
        self._device.setToolTip("What the model runs on; auto takes the fastest there is")
        self._device.activated.connect(
            lambda _: self.device_requested.emit(self._device.currentText())
        )
        self._exact = QCheckBox("exact (float32)")
        self._exact.clicked.connect(self.exact_requested.emit)
        self._state = SessionState()
        self._supply = SupplyState()
        self._assemble(contents, below)
        self._show_runtime()
        self._show()

    def _assemble(self, contents: QWidget, below: Sequence[QWidget]) -> None:
        column = QVBoxLayout(contents)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.combo)
        column.addWidget(self._about)
        column.addWidget(self._get)
        column.addWidget(self._doing)
        column.addLayout(_row(self._progress, self._cancel))
        column.addWidget(self._open)
        column.addLayout(_row(QLabel("device"), self._device, self._exact))
        for each in below:
            column.addWidget(each)

    # What is shown ---------------------------------------------------------------------------

    def set_offers(self, offers: Sequence[Offer]) -> None:
        """Show what there is to choose from."""
        picked = self.combo.offer
        wished = _offer_of(self._state.wish, offers)
        self.combo.set_offers(offers, wished if picked is None else picked)
        self._show_title()
        self._show()

    def show_state(self, state: SessionState) -> None:
        """Show which model is in use, and on what."""
        before, self._state = self._state, state
        if state.wish != before.wish:
            self._show_wish()
        if state.is_checking != before.is_checking:
            self._show()
        if (state.model, state.wish, state.runtime, state.devices) != (
            before.model,
            before.wish,
            before.runtime,
            before.devices,
        ):
            self._show_runtime()

    def show_supply(self, state: SupplyState) -> None:
        """Show how far a model is that was asked for."""
        before, self._supply = self._supply, state
        has_ended = before.downloading is not None and state.downloading is None
        picked = self.combo.offer
        if has_ended and picked is not None and picked.model == before.downloading:
            self._show_wish()
        self._show()

    def _show_wish(self) -> None:
        offers = self.combo.offers
        self.combo.set_offers(offers, _offer_of(self._state.wish, offers))
        self._show()

    def _show_title(self) -> None:
        state = self._state
        offer = _offer_of(state.model, self.combo.offers)
        where = "" if state.runtime is None else f" on {state.runtime}"
        self.set_title(f"Model: {state.model.name if offer is None else offer.name}{where}")

    def _show_runtime(self) -> None:
        state, runtime = self._state, self._state.runtime
        devices = dict.fromkeys([AUTO, *state.devices, state.wish.device])
        blocker = QSignalBlocker(self._device)
        self._device.clear()
        self._device.addItems(list(devices))
        self._device.setCurrentText(state.wish.device)
        blocker.unblock()
        if runtime is not None:
            self._exact.setChecked(runtime.precision == "float32")
            has_choice = runtime.fastest_precision != "float32"
            self._exact.setEnabled(has_choice)
            self._exact.setToolTip(
                f"Off: {runtime.fastest_precision}, faster on this device; masks may differ by a "
                "few pixels"
                if has_choice
                else f"{runtime.device} is fastest in float32, which is exact"
            )
        self._show_title()

    def _show(self) -> None:
        offer, supply = self.combo.offer, self._supply
        self._show_about(offer)
        is_missing = offer is not None and offer.path is None
        self._get.setVisible(is_missing and supply.downloading is None)
        if offer is not None and offer.model is not None:
            url, page = offer.model.url, offer.model.page
            self._get.setText("How to get it" if url is None else f"Download {offer.size_text}")
            self._get.setToolTip(f"See {page}" if url is None else f"Download {url} and use it")
        doing = self._doing_text()
        self._doing.show_text(doing)
        self._doing.setVisible(bool(doing))
        self._progress.setVisible(bool(doing))
        self._cancel.setVisible(supply.downloading is not None)
        # Without a share that is known, Qt has the bar go to and fro.
        self._progress.setRange(0, 1000 if supply.fraction else 0)
        self._progress.setValue(round(1000 * (supply.fraction or 0)))

    def _show_about(self, offer: Offer | None) -> None:
        if offer is not None and offer.model is None:
            self._about.show_path(str(offer.path))
        else:
            self._about.show_text("" if offer is None else _about(offer))

    def _doing_text(self) -> str:
        supply = self._supply
        if supply.downloading is not None:
            what = "Asking for" if supply.fraction is None else "Downloading"
            return f"{what} {supply.downloading.name} …"
        if supply.checking is not None:
            return f"Checking {supply.checking.name} …"
        return f"Checking {self._state.wish.name} …" if self._state.is_checking else ""

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
        elif offer.model == self._supply.downloading:  # to be used when it is here, after all
            self.download_requested.emit(offer.model)

    def _on_get_clicked(self) -> None:
        offer = self.combo.offer
        if offer is not None and offer.model is not None:
            self.download_requested.emit(offer.model)

    def _on_open_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open checkpoint", "", _FILES)
        if path:
            self.file_requested.emit(Path(path))


def _offer_of(choice: ModelChoice, offers: Sequence[Offer]) -> Offer | None:
    """Find what was chosen; a published model and a file of the user's own may share a path."""
    path = EMBEDDED.embedded if choice.checkpoint is None else choice.checkpoint
    found = [offer for offer in offers if offer.path == path]
    named = [offer for offer in found if offer.name == choice.name]
    return next(iter([*named, *reversed(found)]), None)


def _about(offer: Offer) -> str:
    where = "" if offer.path is not None else "; not on this computer yet"
    return f"Good for {offer.good_for}. {offer.licence}, {offer.size_text}{where}."


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
