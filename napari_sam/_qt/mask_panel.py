"""The candidates to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGroupBox, QListWidget, QListWidgetItem, QVBoxLayout

from napari_sam._qt.shortcut_texts import ShortcutTexts
from napari_sam._qt.workarounds import FixedHeightLabel
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.state import SessionState

_ROW_HEIGHT_PX: Final = 24


class MaskPanel(QGroupBox):
    """A row for each candidate, in the model's order, with its predicted IoU; why one is first."""

    candidate_requested = Signal(int)

    def __init__(self, colors: tuple[str, ...]) -> None:
        super().__init__("Masks")
        self._rows = QListWidget()
        self._keyed = ShortcutTexts()
        self._keyed.add(
            self._rows.setToolTip,
            "The three masks of the prompts, with the model's own guess of how well each fits",
            "next",
            "{} shows the next one",
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
        self._reason = FixedHeightLabel(wraps=False)  # its tooltip has all of the longest one
        layout = QVBoxLayout(self)
        layout.addWidget(self._rows)
        layout.addWidget(self._reason)
        self._shown: tuple[Candidates | None, int | None] | None = None
        self.show_state(SessionState())

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Name these keys in the texts, by command."""
        self._keyed.show(keys)

    def show_state(self, state: SessionState) -> None:
        """Show the candidates and which of them is chosen."""
        candidates = state.candidates
        if self._shown == (candidates, state.chosen):  # each candidates equal but themselves
            return
        self._shown = candidates, state.chosen
        scores = () if candidates is None else candidates.iou_predictions
        blocked = self._rows.blockSignals(True)
        for number in range(self._rows.count()):
            item = self._rows.item(number)
            if number < len(scores):
                item.setText(f"Mask {number + 1}    predicted IoU {min(scores[number], 1):.2f}")
            else:
                item.setText(f"Mask {number + 1}    -")
            item.setToolTip("" if candidates is None else _numbers(candidates, number))
        self._rows.setEnabled(bool(scores))
        self._rows.setCurrentRow(-1 if state.chosen is None else state.chosen)
        self._rows.blockSignals(blocked)
        self._show_reason(state)

    def _show_reason(self, state: SessionState) -> None:
        candidates, chosen = state.candidates, state.chosen
        if candidates is None or candidates.ranking is None or chosen is None:
            self._reason.set_text("")
            self._reason.setToolTip("")
            return
        why_best = f"Mask {candidates.best + 1}: {candidates.ranking.reason}"
        if chosen == candidates.best:
            self._reason.set_text(why_best)
        elif chosen == state.kept:
            self._reason.set_text(f"Mask {chosen + 1}: what you accepted before")
        else:
            self._reason.set_text(f"Mask {chosen + 1}: your choice")
        self._reason.setToolTip(f"Why a mask is preselected: {why_best}")

    def _on_rows_current_row_changed(self, row: int) -> None:
        if row >= 0:
            self.candidate_requested.emit(row)


def _numbers(candidates: Candidates, number: int) -> str:
    """Return what a candidate is ranked by; nothing for one that there is not."""
    if candidates.ranking is None or number >= len(candidates):
        return ""
    traits = candidates.ranking.traits
    return (
        f"predicted IoU {traits.iou_predictions[number]:.2f}, "
        f"stability {traits.stability_score[number]:.2f}, "
        f"about {traits.area_px[number]:,.0f} pixels"
    )
