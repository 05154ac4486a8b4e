"""Finding everything in an image, or the rest, and what is to become of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam._qt.automatic_filter_form import AutomaticFilterForm
from napari_sam._qt.automatic_settings_form import AutomaticSettingsForm
from napari_sam._qt.collapsible import CollapsibleSection
from napari_sam._qt.shortcut_texts import ShortcutTexts
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.request import automatic_tiles
from napari_sam.session.automatic.settings import PRESETS, AutomaticRunSettings
from napari_sam.session.image.tiles import Tile

_TILES_PX: Final = (4096, 2048, 1024, 512, 256)
_OWN: Final = "own settings"
_MODEL_PX: Final = 1024
"""What the model sees at once."""
_LEAST_PX: Final = 32
"""How far the points of the published grid are apart in that."""


class AutomaticPanel(QWidget):
    """Presets, buttons and progress; filters; what is done with the masks; all settings."""

    preview_requested = Signal()
    whole_requested = Signal()
    rest_requested = Signal()
    cancel_requested = Signal()
    settings_changed = Signal(AutomaticRunSettings)
    keep_requested = Signal()
    discard_requested = Signal()
    accept_requested = Signal()
    reject_requested = Signal()
    step_requested = Signal(int)
    show_all_requested = Signal()
    bring_back_requested = Signal()
    boxes_requested = Signal()
    edges_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.settings = AutomaticRunSettings()
        """What is chosen now."""
        self._elsewhere = ""
        self._shape: tuple[int, int] | None = None
        self._is_running = self._has_masks = self._is_here = self._is_reviewing = False
        self._build_search()
        self._build_results()
        self.filters = AutomaticFilterForm()
        self.filters.changed.connect(self._on_settings)
        self.form = AutomaticSettingsForm()
        self.form.changed.connect(self._on_settings)
        self.advanced = CollapsibleSection(
            self.form, "Every published setting under its published name"
        )
        self.advanced.set_title("all settings")
        self._assemble()
        self.show_place(None, "")
        self.show_search(AutomaticState())
        self.show_masks(0, 0, 0)
        self.show_review("")

    # Assembly ------------------------------------------------------------------------------

    def _build_search(self) -> None:
        self.preset = QComboBox()
        self.preset.addItems([one.name for one in PRESETS])
        for place, one in enumerate(PRESETS):
            self.preset.setItemData(place, one.advice, Qt.ItemDataRole.ToolTipRole)
        self.preset.activated.connect(self._on_preset)
        self.detail = QComboBox()
        self.detail.currentIndexChanged.connect(self._show_cost)
        self.preview = _button("Preview in sight", self.preview_requested)
        self.preview.setToolTip(
            "Look for masks only where you look now, as the whole image would be: to try settings"
        )
        self.whole = _button("Whole image", self.whole_requested)
        self.rest = _button("Find the rest", self.rest_requested)
        self.rest.setToolTip(
            "Look for masks in the whole image, only where the target has no objects yet"
        )
        self.like_size = QCheckBox("as large")
        self.like_size.setToolTip(
            "Only masks between half the size of the smallest object of the target and twice the "
            "size of its largest"
        )
        self.like_brightness = QCheckBox("as bright")
        self.like_brightness.setToolTip(
            "Only masks about as bright inside as the objects of the target"
        )
        for box in (self.like_size, self.like_brightness):
            box.setChecked(True)
        self.progress = QProgressBar()
        self.cancel = _button("Cancel", self.cancel_requested)
        self.cancel.setToolTip("Stop looking; the masks found so far stay")

    def _build_results(self) -> None:
        self._keyed = keyed = ShortcutTexts()
        self.outcome = QLabel()
        self.outcome.setWordWrap(True)
        self.keep = _button("Keep all", self.keep_requested)
        keyed.add(
            self.keep.setToolTip,
            "Write all masks that the sliders let through into the target as objects, to be "
            "undone as one",
            "undo",
        )
        self.discard = _button("Discard", self.discard_requested)
        self.discard.setToolTip("Remove all masks that are not kept")
        self.previous = _button("◂", self.step_requested, -1)
        keyed.add(self.previous.setToolTip, "Go to the mask before", "previous")
        self.next = _button("▸", self.step_requested, 1)
        keyed.add(self.next.setToolTip, "Go to the next mask, and see it alone", "next")
        for button in (self.previous, self.next):
            button.setMaximumWidth(32)
        self.accept = _button("", self.accept_requested)
        keyed.add(self.accept.setText, "Accept", "accept")
        self.accept.setToolTip("Write this mask into the target as an object, and go to the next")
        self.reject = _button("", self.reject_requested)
        keyed.add(self.reject.setText, "Reject", "reject")
        self.reject.setToolTip("Leave this mask out, and go to the next")
        self.review = QLabel()
        self.show_all = _button("Show all", self.show_all_requested)
        self.show_all.setToolTip("Look at no single mask any more")
        self.bring_back = _button("", self.bring_back_requested)
        self.bring_back.setToolTip("Offer the masks again that you have rejected")
        self.boxes = _button("Boxes", self.boxes_requested)
        self.boxes.setToolTip(
            "Object proposals: a Shapes layer with the boxes of all masks shown, ranked by score"
        )
        self.edges = _button("Edges", self.edges_requested)
        self.edges.setToolTip(
            "Edge detection as in the paper: 16 x 16 points, edges of all their masks, thinned; a "
            "new Image layer. Of a large image at the detail of the whole image at once"
        )

    def _assemble(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("preset", self.preset)
        form.addRow("detail", self.detail)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addLayout(_row(self.preview, self.whole))
        column.addLayout(_row(self.rest, self.like_size, self.like_brightness))
        column.addLayout(_row(self.progress, self.cancel))
        column.addWidget(self.filters)
        column.addWidget(self.outcome)
        column.addLayout(_row(self.keep, self.discard))
        column.addLayout(_row(self.previous, self.next, self.accept, self.reject))
        column.addLayout(_row(self.review, self.show_all, self.bring_back))
        column.addLayout(_row(self.boxes, self.edges))
        column.addWidget(self.advanced)

    # What is shown -------------------------------------------------------------------------

    def show_place(self, shape: tuple[int, int] | None, elsewhere: str) -> None:
        """Show what can be looked at."""
        self._is_here = not elsewhere
        self._elsewhere = elsewhere
        if shape != self._shape or not self.detail.count():
            self._shape = shape
            height, width = shape or (1, 1)
            before = self.detail.currentData()
            with QSignalBlocker(self.detail):
                self.detail.clear()
                self.detail.addItem("whole image at once", None)
                for side in _TILES_PX:
                    if side * 1.2 <= max(height, width):
                        self.detail.addItem(f"and in tiles of {side} px", side)
                self.detail.setCurrentIndex(max(0, self.detail.findData(before)))
            self.filters.show_plane(height * width)
        self._show_cost()
        self._show_what_is_of_use()

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Name these keys in the texts, by command."""
        self._keyed.show(keys)

    def show_search(self, state: AutomaticState) -> None:
        """Show how far a search is."""
        self._is_running = state.is_running
        self.progress.setVisible(state.is_running)
        self.cancel.setVisible(state.is_running)
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * state.fraction))
        self.progress.setFormat(state.summary)
        self._show_what_is_of_use()

    def show_masks(self, count: int, covered: int, rejected: int, remark: str = "") -> None:
        """Show how many masks are offered, covered by others, and rejected."""
        self._has_masks = count > 0
        self.keep.setText(f"Keep all {count:,}" if count else "Keep all")
        text = "1 mask" if count == 1 else f"{count:,} masks"
        if covered:
            text += f", {covered:,} of them below others"
        if self._elsewhere:
            text += f". They lie on {self._elsewhere}: go there to keep them."
        self.outcome.setText(f"{text}. {remark}" if remark else text)
        self.outcome.setVisible(count > 0 or bool(remark))
        self.bring_back.setText(f"Bring back {rejected}")
        self.bring_back.setVisible(rejected > 0)
        self._show_what_is_of_use()

    def show_review(self, text: str) -> None:
        """Show which mask is looked at alone; empty: none."""
        self.review.setText(text)
        self.review.setVisible(bool(text))
        self.show_all.setVisible(bool(text))
        self._is_reviewing = bool(text)
        self._show_what_is_of_use()

    def _show_what_is_of_use(self) -> None:
        can_start = self._shape is not None and not self._is_running
        for button in (self.preview, self.whole, self.rest, self.edges):
            button.setEnabled(can_start)
        has_masks = self._has_masks
        for part in (self.keep, self.previous, self.next):
            part.setEnabled(has_masks and self._is_here)
        for part in (self.accept, self.reject):
            part.setEnabled(has_masks and self._is_here and self._is_reviewing)
        self.discard.setEnabled(has_masks or self._is_running)
        self.boxes.setEnabled(has_masks)

    def _show_cost(self) -> None:
        """Say what the whole image means: an honest number of points."""
        if self._shape is None:
            return
        count = len(automatic_tiles(Tile(0, 0, 0, *self._shape), self.finest_px))
        points = count * self.settings.points_per_side**2
        for_each = "" if count == 1 else f" in {count:,} tiles"
        self.whole.setToolTip(f"Look for masks with {points:,} points{for_each}")
        longest = max(self._shape)
        text = "The model sees the whole image at once"
        if longest > _MODEL_PX:
            text += (
                f", of {longest:,} pixels as {_MODEL_PX}: what is smaller than about "
                f"{_LEAST_PX * longest // _MODEL_PX} pixels may be missed. With tiles, each of "
                "them is looked at as well: that takes as many times longer"
            )
        self.detail.setToolTip(f"{text}.\nNow: {points:,} points{for_each}")

    # What is chosen ------------------------------------------------------------------------

    @property
    def finest_px(self) -> int | None:
        """Side of the tiles that are looked at beside the whole image; None: there are none."""
        side = self.detail.currentData()
        return None if side is None else int(side)

    def _on_preset(self, index: int) -> None:
        if index < len(PRESETS):
            self._on_settings(PRESETS[index].settings)

    def _on_settings(self, settings: AutomaticRunSettings) -> None:
        self.settings = settings
        for form in (self.filters, self.form):
            form.show_settings(settings)
        names = [one.name for one in PRESETS if one.settings == settings]
        with QSignalBlocker(self.preset):
            own = self.preset.findText(_OWN)
            if names and own >= 0:
                self.preset.removeItem(own)
            elif not names and own < 0:
                self.preset.addItem(_OWN)
            self.preset.setCurrentText(names[0] if names else _OWN)
        self._show_cost()
        self.settings_changed.emit(settings)


def _button(text: str, signal: Signal, *arguments: int) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda: signal.emit(*arguments))
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
