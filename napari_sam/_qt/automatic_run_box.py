"""The controls that start a run of automatic masks, and its progress."""

from math import log
from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QProgressBar, QStackedWidget, QWidget

from napari_sam._qt.building import SPACING_PX, button, combo_box, fill, form, row
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.slice_range_row import SliceRangeRow
from napari_sam.engine.automatic_presets import PRESETS
from napari_sam.engine.methods import Method
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.request import automatic_tiles
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.image.tiles import Tile

_TILE_SIDES: Final = (4, 2, 1, 1 / 2, 1 / 4)
"""In sides of the model's input."""
_METHODS: Final = (
    (Method.GRID, "grid of clicks", "Masks from a grid of clicks, with any model"),
    (
        Method.AIS,
        "AIS: instance decoder",
        "Automatic instance segmentation: all objects from what the model's instance decoder tells "
        "of each pixel. The sliders segment again at once",
    ),
    (
        Method.APG,
        "APG: clicks by the decoder",
        "Automatic prompt generation: a click into each object that the instance decoder shows",
    ),
)
_CUSTOM: Final = "custom settings"
_SETTINGS: Final = "Settings…"
_STRETCHES: Final = (7, 8)
"""Shares of preset and detail in a row that they share."""


class AutomaticRunBox(QWidget):
    """Preset, detail, the buttons that start a run, and the progress."""

    preset_chosen = Signal(AutomaticRunSettings)
    method_chosen = Signal(Method)
    detail_chosen = Signal()
    go_requested = Signal()
    """The user wants to see the plane of the masks."""

    def __init__(self) -> None:
        super().__init__()
        self._settings = AutomaticRunSettings()
        self._shape: tuple[int, int] | None = None
        self._input_side = 1
        self._is_running = self._is_link = False
        self.preset = combo_box("", ((preset.name, preset.advice) for preset in PRESETS))
        self.preset.setAccessibleName("preset")
        self.preset.activated.connect(self._on_preset)
        self.method = combo_box("", ((text, tooltip) for _, text, tooltip in _METHODS))
        self.method.setToolTip("How masks are found; this model has an instance decoder")
        self.method.activated.connect(lambda index: self.method_chosen.emit(_METHODS[index][0]))
        self.slices = SliceRangeRow(
            "The {} slice to find masks on; those of several slices are linked to objects"
        )
        self.slices.changed.connect(self._show_cost)
        self.detail = combo_box("")
        self.detail.setAccessibleName("detail")
        self.detail.currentIndexChanged.connect(self._on_detail)
        self.progress = QProgressBar(minimum=0, maximum=1000)
        self.visible = button(
            "Visible part",
            "Try these settings on the visible part of the image, as finely as the screen shows it",
        )
        self.whole = button("Whole image", "")
        self.remaining = button(
            "Remaining",
            "Only where there is no object yet: searches the whole image, and leaves out masks "
            "that lie mostly on objects of the target",
        )
        self.cancel = button("Cancel", "Stop the run; the masks found so far are kept")
        self.all_settings = button(
            _SETTINGS, "Every published setting under its published name, in a window"
        )
        self.outcome = PaintedLabel(lines=2)
        self.outcome.clicked.connect(self._on_outcome_clicked)
        self._pages = QStackedWidget()
        self._lay_out()
        self.show_plane(None, 1)
        self.show_state(AutomaticState())

    def _lay_out(self) -> None:
        running = QWidget()
        fill(running, row(self.progress, self.cancel, stretch=self.progress))
        # Both pages have their places all the time, so that nothing moves.
        for page in (self.outcome, running):
            self._pages.addWidget(page)
        self._presets = row(self.preset, self.all_settings, stretch=self.preset)
        self._labels = QLabel("preset"), QLabel("detail")
        preset, detail = self._labels
        self._choices = form(
            ("method", self.method), (preset, self._presets), (detail, self.detail)
        )
        self.show_methods(is_offered=False)
        buttons = row(self.visible, self.whole, self.remaining)
        fill(self, self._choices, self.slices, buttons, self._pages)

    def set_very_low(self, is_very_low: bool) -> None:
        """Take less height: preset and detail share a row, whose tooltips name them; or no more."""
        for label in self._labels:
            label.setHidden(is_very_low)
        self.all_settings.setText("…" if is_very_low else _SETTINGS)
        if is_very_low:
            self._presets.insertWidget(1, self.detail)
            for place, stretch in enumerate(_STRETCHES):
                self._presets.setStretch(place, stretch)
        else:
            detail_row, _ = self._choices.getWidgetPosition(self._labels[1])
            self._choices.setWidget(detail_row, QFormLayout.ItemRole.FieldRole, self.detail)
        self._align()

    def _align(self) -> None:
        """Leave no gap where no row has a label."""
        has_label = not (self._labels[0].isHidden() and self.method.isHidden())
        self._choices.setHorizontalSpacing(SPACING_PX if has_label else 0)

    @property
    def finest_px(self) -> int | None:
        """Side of the tiles besides the whole image; None: there are none."""
        side = self.detail.currentData()
        return None if side is None else int(side)

    def finer_detail(self, tile: Tile) -> int | None:
        """Return the side of tiles about as fine as one, if they are finer than the chosen ones."""
        sides = [side for side in map(self.detail.itemData, range(self.detail.count())) if side]
        side = min(sides, key=lambda side: abs(log(side / tile.side)), default=None)
        return side if side and (self.finest_px is None or side < self.finest_px) else None

    @property
    def can_start(self) -> bool:
        """Whether there is an image and no run."""
        return self._shape is not None and not self._is_running

    def show_plane(self, shape: tuple[int, int] | None, input_side: int) -> None:
        """Offer the tile sizes that suit the model and a plane's shape; None: there is no image."""
        self._shape, self._input_side = shape, input_side
        chosen = self.detail.currentData()
        with QSignalBlocker(self.detail):
            self.detail.clear()
            self.detail.addItem("whole image", None)
            for side in (int(input_side * factor) for factor in _TILE_SIDES):
                if shape is not None and side * 1.2 <= max(shape):
                    self.detail.addItem(f"and {side} px tiles", side)
            self.detail.setCurrentIndex(max(0, self.detail.findData(chosen)))
        self._show_cost()
        self._enable()

    def show_methods(self, *, is_offered: bool) -> None:
        """Offer the methods of instance decoders, with models that have one."""
        self._choices.setRowVisible(self.method, is_offered)
        self._align()

    def show_settings(self, settings: AutomaticRunSettings) -> None:
        """Show the method, and which preset these settings are, if any."""
        self._settings = settings
        self.method.setCurrentIndex([method for method, *_ in _METHODS].index(settings.method))
        self.preset.setEnabled(settings.method is Method.GRID)
        presets = [
            settings.with_preset(AutomaticRunSettings.of_preset(preset)) for preset in PRESETS
        ]
        with QSignalBlocker(self.preset):
            custom = self.preset.findText(_CUSTOM)
            if settings in presets and custom >= 0:
                self.preset.removeItem(custom)
            elif settings not in presets and custom < 0:
                self.preset.addItem(_CUSTOM)
            last = self.preset.count() - 1
            self.preset.setCurrentIndex(presets.index(settings) if settings in presets else last)
        self._show_cost()

    def show_outcome(self, text: str, *, is_link: bool = False) -> None:
        """Say what the last run has found; a click on a link goes to the masks."""
        self._is_link = is_link
        self.outcome.set_text(text)
        self.outcome.show_link(is_link)

    def _on_outcome_clicked(self) -> None:
        if self._is_link:
            self.go_requested.emit()

    def show_state(self, state: AutomaticState) -> None:
        """Show the progress of a run."""
        self._is_running = state.is_running
        self._pages.setCurrentIndex(int(state.is_running))
        self.progress.setValue(round(1000 * state.fraction))
        self.progress.setFormat(state.summary)
        self._enable()

    def _enable(self) -> None:
        for widget in (self.visible, self.whole, self.remaining):
            widget.setEnabled(self.can_start)

    def _on_detail(self) -> None:
        self._show_cost()
        self.detail_chosen.emit()

    def _show_cost(self) -> None:
        """Show what the whole image takes: how many clicks, or tiles."""
        if self._shape is None:
            return
        tile_count = len(automatic_tiles(Tile(0, 0, 0, *self._shape), self.finest_px))
        if self._settings.method is not Method.GRID:
            self._show_cost_of_maps(max(1, tile_count - 1))
            return
        points = tile_count * (self._settings.published.points_per_side or 0) ** 2
        in_tiles = self._in_tiles(tile_count)
        self.whole.setToolTip(f"Generate masks from {points:,} clicks{in_tiles}")
        longest = max(self._shape)
        text = "The model sees the whole image at once"
        if longest > self._input_side:
            missed_px = longest // max(1, self._settings.published.points_per_side or 0)
            text += (
                f", reduced from {longest:,} to {self._input_side} pixels: objects smaller than "
                f"about {missed_px} pixels may be missed. With tiles, each tile is processed as "
                "well, so the run takes that many times longer"
            )
        self.detail.setToolTip(f"{text}.\nNow: {points:,} clicks{in_tiles}")

    def _show_cost_of_maps(self, tile_count: int) -> None:
        assert self._shape is not None
        in_tiles = self._in_tiles(tile_count)
        self.whole.setToolTip(f"Find all objects with the instance decoder{in_tiles}")
        text = "The model sees the whole image at once"
        if max(self._shape) > self._input_side:
            text += (
                f", reduced from {max(self._shape):,} to {self._input_side} pixels. With tiles, it "
                "sees tiles alone, and what it tells of them is stitched"
            )
        self.detail.setToolTip(f"{text}.")

    def _in_tiles(self, tile_count: int) -> str:
        text = "" if tile_count == 1 else f" in {tile_count:,} tiles"
        if self.slices.chosen is not None and len(self.slices.chosen) > 1:
            text += f" on each of {len(self.slices.chosen):,} slices"
        return text

    def _on_preset(self, index: int) -> None:
        if index < len(PRESETS):
            self.preset_chosen.emit(AutomaticRunSettings.of_preset(PRESETS[index]))
