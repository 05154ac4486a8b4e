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
from superqt import QCollapsible

from napari_sam._qt.model_combo import ModelCombo
from napari_sam.catalogue import Offer, PublishedModel
from napari_sam.session import AUTO, SessionState
from napari_sam.session.model_supply import SupplyPhase, SupplyState

_FILES: Final = "Checkpoints (*.pth *.pt *.safetensors *.bin *.index.json);;All files (*)"


class ModelPanel(QCollapsible):
    """The model picker, its download, and the choice of device and precision.

    What a person picks is shown as picked until it is in use; what is in use the title says.
    """

    model_requested = Signal(PublishedModel)
    file_requested = Signal(Path)
    cancel_requested = Signal()
    device_requested = Signal(str)
    exact_requested = Signal(bool)

    def __init__(self) -> None:
        super().__init__("Model", expandedIcon="▾", collapsedIcon="▸")
        self.combo = ModelCombo()
        self.combo.activated.connect(self._on_combo_activated)
        self._about = QLabel()
        self._about.setWordWrap(True)
        self._get = QPushButton()
        self._get.clicked.connect(self._on_get_clicked)
        self._progress = QProgressBar()
        self._progress.setRange(0, 1000)
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
        self._assemble()
        self._show_runtime()
        self._show()

    def _assemble(self) -> None:
        contents = QWidget()
        column = QVBoxLayout(contents)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.combo)
        column.addWidget(self._about)
        column.addLayout(_row(self._get, self._progress, self._cancel))
        column.addLayout(_row(self._open))
        column.addLayout(_row(QLabel("on"), self._device, self._exact))
        self.addWidget(contents)

    # What is shown ---------------------------------------------------------------------------

    def set_offers(self, offers: Sequence[Offer]) -> None:
        """Show what there is to choose from."""
        picked = self.combo.offer
        self.combo.set_offers(offers, self._state.model.name if picked is None else picked.name)
        self._show()

    def show_state(self, state: SessionState) -> None:
        """Show which model is in use, and on what."""
        before, self._state = self._state, state
        if state.model.name != before.model.name:
            self.combo.set_offers(self.combo.offers, state.model.name)
            self._show()
        if (state.model, state.runtime) != (before.model, before.runtime):
            self._show_runtime()

    def show_supply(self, state: SupplyState) -> None:
        """Show how far a model is that was asked for."""
        was_busy, self._supply = self._supply.is_busy, state
        if was_busy and not state.is_busy and self.combo.offer is not None:
            self.combo.set_offers(self.combo.offers, self._state.model.name)
        self._show()

    def _show_runtime(self) -> None:
        state, runtime = self._state, self._state.runtime
        if runtime is not None:
            blocker = QSignalBlocker(self._device)
            self._device.clear()
            self._device.addItems([AUTO, *runtime.devices])
            self._device.setCurrentText(state.model.device)
            blocker.unblock()
            self._exact.setChecked(runtime.precision == "float32")
            has_choice = runtime.fastest_precision != "float32"
            self._exact.setEnabled(has_choice)
            self._exact.setToolTip(
                f"Off: {runtime.fastest_precision}, faster on this device; masks may differ by a "
                "few pixels"
                if has_choice
                else f"{runtime.device} is fastest in float32, which is exact"
            )
        where = "" if runtime is None else f" on {runtime}"
        self.setText(f"Model: {state.model.name}{where}")

    def _show(self) -> None:
        offer, supply = self.combo.offer, self._supply
        is_missing = offer is not None and offer.path is None
        self._about.setText("" if offer is None else _about(offer))
        self._get.setVisible(is_missing and not supply.is_busy)
        if offer is not None and offer.model is not None:
            is_public = offer.model.url is not None
            self._get.setText(f"Download {offer.size_text}" if is_public else "How to get it")
            self._get.setToolTip(offer.model.url or offer.model.page)
        self._progress.setVisible(supply.is_busy)
        self._cancel.setVisible(supply.is_busy)
        self._progress.setFormat(_progress_text(supply))
        is_checking = supply.phase is SupplyPhase.CHECKING
        self._progress.setRange(0, 0 if is_checking else 1000)
        self._progress.setValue(round(1000 * supply.fraction))

    # What the person does ---------------------------------------------------------------------

    def _on_combo_activated(self) -> None:
        offer = self.combo.offer
        self._show()
        if offer is None or offer.name == self._state.model.name:
            return
        if offer.path is not None:
            self._request(offer)

    def _on_get_clicked(self) -> None:
        if self.combo.offer is not None:
            self._request(self.combo.offer)

    def _request(self, offer: Offer) -> None:
        if offer.model is not None:
            self.model_requested.emit(offer.model)
        elif offer.path is not None:
            self.file_requested.emit(offer.path)

    def _on_open_clicked(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open checkpoint", "", _FILES)
        if path:
            self.file_requested.emit(Path(path))


def _about(offer: Offer) -> str:
    if offer.model is None:
        return str(offer.path)
    where = "" if offer.path is not None else "; not on this computer yet"
    return f"Good for {offer.good_for}. {offer.licence}, {offer.size_text}{where}."


def _progress_text(supply: SupplyState) -> str:
    if supply.model is None:
        return ""
    return f"{supply.model.name}: %p %"


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
