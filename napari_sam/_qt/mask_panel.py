"""The candidates to choose from."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGroupBox, QListWidget, QListWidgetItem, QVBoxLayout

from napari_sam.session import SessionState

_ROW_HEIGHT_PX: Final = 24


class MaskPanel(QGroupBox):
    """A row for each candidate, in the model's order, with its predicted IoU.

    Parameters
    ----------
    colors : sequence of str
        The colour in which each candidate is shown.
    """

    candidate_requested = Signal(int)

    def __init__(self, colors: tuple[str, ...]) -> None:
        super().__init__("Masks")
        self._rows = QListWidget()
        self._rows.setToolTip(
            "The three masks of the prompts, with the model's own guess of how well each fits;"
            " W shows the next one"
        )
        self._rows.setIconSize(QSize(14, 14))
        self._rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for color in colors:
            swatch = QPixmap(14, 14)
            swatch.fill(QColor(color))
            icon = QIcon()
            for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Selected):
                icon.addPixmap(swatch, mode)  # the same colour as in the image, in any state
            item = QListWidgetItem(icon, "")
            item.setSizeHint(QSize(0, _ROW_HEIGHT_PX))
            self._rows.addItem(item)
        self._rows.setFixedHeight(len(colors) * _ROW_HEIGHT_PX + 2 * self._rows.frameWidth() + 4)
        self._rows.currentRowChanged.connect(self._on_rows_current_row_changed)
        layout = QVBoxLayout(self)
        layout.addWidget(self._rows)
        self._shown: tuple[tuple[float, ...], int | None] | None = None
        self.show_state(SessionState())

    def show_state(self, state: SessionState) -> None:
        """Show the candidates and which of them is chosen."""
        scores = () if state.candidates is None else state.candidates.iou_predictions
        if (scores, state.chosen) == self._shown:
            return
        self._shown = scores, state.chosen
        blocked = self._rows.blockSignals(True)
        for number in range(self._rows.count()):
            item = self._rows.item(number)
            if number < len(scores):
                item.setText(f"Mask {number + 1}    predicted IoU {min(scores[number], 1):.2f}")
            else:
                item.setText(f"Mask {number + 1}    -")
        self._rows.setEnabled(bool(scores))
        self._rows.setCurrentRow(-1 if state.chosen is None else state.chosen)
        self._rows.blockSignals(blocked)

    def _on_rows_current_row_changed(self, row: int) -> None:
        if row >= 0:
            self.candidate_requested.emit(row)
