"""Every published setting of automatic mask generation under its published name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QSpinBox, QWidget

from napari_sam.session.automatic.settings import AutomaticRunSettings

_ANEW: Final = " Takes effect when masks are looked for again."


class _Field(NamedTuple):
    name: str
    lowest: float
    highest: float
    step: float
    advice: str


_FIELDS: Final = (
    _Field("points_per_side", 1, 256, 4, "The grid has its square of points." + _ANEW),
    _Field(
        "points_per_batch",
        1,
        256,
        8,
        "Points decoded at a time: masks appear, and clicks of yours get their turn, after each "
        "batch. The published 64 is a little faster." + _ANEW,
    ),
    _Field("pred_iou_thresh", 0, 1, 0.01, "Masks have to be predicted a better quality"),
    _Field("stability_score_thresh", 0, 1, 0.01, "Masks have to be at least as stable"),
    _Field(
        "stability_score_offset",
        0,
        10,
        0.1,
        "How far the threshold of a mask is shifted to see how stable it is." + _ANEW,
    ),
    _Field(
        "box_nms_thresh",
        0,
        1,
        0.05,
        "Of two masks whose boxes have a larger intersection over union, one goes",
    ),
    _Field(
        "crop_n_layers",
        0,
        3,
        1,
        "Layers of zoomed crops beside the whole: layer i has 4 to the power of i crops, each with "
        "a grid of points of its own." + _ANEW,
    ),
    _Field("crop_nms_thresh", 0, 1, 0.05, "As box_nms_thresh, between crops and between tiles"),
    _Field(
        "crop_overlap_ratio",
        0,
        0.9,
        0.05,
        "How far crops overlap, as a share of the shorter side." + _ANEW,
    ),
    _Field(
        "crop_n_points_downscale_factor",
        1,
        8,
        1,
        "Points per side are divided by it once for each layer of crops." + _ANEW,
    ),
    _Field(
        "min_mask_region_area",
        0,
        100_000,
        10,
        "Holes and islands of fewer pixels are removed from each mask; 0 leaves them",
    ),
    _Field(
        "max_share",
        0,
        1,
        0.05,
        "Masks that cover a larger share of the image are left out; 1 leaves all in. Not among "
        "the published settings",
    ),
)
_DECIMALS: Final = 2


class AutomaticSettingsForm(QWidget):
    """A spin box for each setting; but point_grids and output_mode, which are for scripts."""

    changed = Signal(AutomaticRunSettings)

    def __init__(self) -> None:
        super().__init__()
        self._settings = AutomaticRunSettings()
        self.fields: dict[str, QSpinBox | QDoubleSpinBox] = {}
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        # The longest name does not fit beside a number in a dock.
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for field in _FIELDS:
            box = self._new_box(field)
            self.fields[field.name] = box
            box.valueChanged.connect(lambda value, name=field.name: self._on_value(name, value))
            form.addRow(field.name, box)
        self.show_settings(self._settings)

    @staticmethod
    def _new_box(field: _Field) -> QSpinBox | QDoubleSpinBox:
        box: QSpinBox | QDoubleSpinBox
        if isinstance(field.step, int):
            box = QSpinBox()
            box.setRange(int(field.lowest), int(field.highest))
            box.setSingleStep(field.step)
        else:
            box = QDoubleSpinBox()
            box.setDecimals(_DECIMALS)
            box.setRange(field.lowest, field.highest)
            box.setSingleStep(field.step)
        box.setKeyboardTracking(False)
        box.setToolTip(field.advice)
        return box

    def show_settings(self, settings: AutomaticRunSettings) -> None:
        """Show settings; nothing is emitted."""
        self._settings = settings
        for name, box in self.fields.items():
            value = getattr(settings, name)
            with QSignalBlocker(box):
                box.setValue(int(value) if isinstance(box, QSpinBox) else value)

    def _on_value(self, name: str, value: float) -> None:
        change: dict[str, Any] = {name: value}
        self._settings = replace(self._settings, **change)
        self.changed.emit(self._settings)
