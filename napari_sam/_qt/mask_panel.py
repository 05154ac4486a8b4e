"""The candidates to choose from."""

from typing import Final

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import QGroupBox, QListWidget, QListWidgetItem

from napari_sam._qt.building import ShortcutTexts, fill, swatch
from napari_sam._qt.workarounds import FixedHeightLabel
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.state import SessionState

_ROW_HEIGHT_PX: Final = 24
_SWATCH_PX: Final = 14


class MaskPanel(QGroupBox):
    """A row for each candidate, in the model's order, and why one is preselected."""

    candidate_requested = Signal(int)

    def __init__(self, colors: tuple[str, ...]) -> None:
        super().__init__("Masks")
        self._rows = QListWidget()
        self.texts = ShortcutTexts()
        self.texts.add(
            self._rows.setToolTip,
            "The masks to choose from, with scores: how well each one fits, as the model "
            "estimates (predicted IoU)",
            "next",
            "{} shows the next mask",
        )
        self._rows.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self._rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._colors = colors
        self._rows.currentRowChanged.connect(self._on_rows_current_row_changed)
        self._reason = FixedHeightLabel(min_lines=2)
        fill(self, self._rows, self._reason)
        self._shown: tuple[Candidates | None, int | None, int] | None = None
        self.show_state(SessionState())

    def show_state(self, state: SessionState) -> None:
        """Show the candidates and the chosen one."""
        candidates, count = state.candidates, state.spec.candidate_count
        if self._shown == (candidates, state.chosen, count):  # candidates compare by identity
            return
        self._shown = candidates, state.chosen, count
        self._set_row_count(count)
        scores = () if candidates is None else candidates.iou_predictions
        with QSignalBlocker(self._rows):
            for row in range(self._rows.count()):
                item = self._rows.item(row)
                score = f"score {min(scores[row], 1):.2f}" if row < len(scores) else "-"
                item.setText(f"Mask {row + 1}    {score}")
                item.setToolTip("" if candidates is None else _ranking_text(candidates, row))
            self._rows.setEnabled(bool(scores))
            self._rows.setCurrentRow(-1 if state.chosen is None else state.chosen)
        self._show_reason(state)

    def _set_row_count(self, count: int) -> None:
        rows = self._rows
        if rows.count() == count:
            return
        with QSignalBlocker(rows):
            rows.clear()
            for row in range(count):
                color = self._colors[row % len(self._colors)]
                item = QListWidgetItem(swatch(color, _SWATCH_PX), "")
                item.setSizeHint(QSize(0, _ROW_HEIGHT_PX))
                rows.addItem(item)
            rows.setFixedHeight(count * _ROW_HEIGHT_PX + 2 * rows.frameWidth() + 4)

    def _show_reason(self, state: SessionState) -> None:
        candidates, chosen = state.candidates, state.chosen
        if candidates is None or candidates.ranking is None or chosen is None:
            self._reason.set_text("")
            self._reason.setToolTip("")
            return
        best = f"Mask {candidates.best + 1}: {candidates.ranking.reason}"
        if chosen == candidates.best:
            self._reason.set_text(best)
        elif chosen == state.reedited_choice:
            self._reason.set_text(f"Mask {chosen + 1}: the mask you accepted before")
        else:
            self._reason.set_text(f"Mask {chosen + 1}: your choice")
        self._reason.setToolTip(f"Preselected: {best}")

    def _on_rows_current_row_changed(self, row: int) -> None:
        if row >= 0:
            self.candidate_requested.emit(row)


def _ranking_text(candidates: Candidates, row: int) -> str:
    """Return what the candidate of a row is ranked by; empty without one."""
    if candidates.ranking is None or row >= len(candidates):
        return ""
    features = candidates.ranking.features
    return (
        f"score {features.iou_predictions[row]:.2f}, "
        f"stability {features.stability_score[row]:.2f}, "
        f"about {features.area_px[row]:,.0f} pixels"
    )
