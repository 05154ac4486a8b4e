"""What is chosen rarely: where objects are written, how masks and objects look."""

from typing import Any, Final, TypeAlias

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import (
    SPACING_PX,
    check_box,
    combo_box,
    form,
    heading,
    row,
)
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam._qt.learning_row import LearningRow
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.value_slider import ValueSlider
from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session.objects.edits import Overlap

_DEFAULT_STRENGTH: Final = round(100 * CLEAN_STRENGTH)
_LEAST_OPACITY: Final = 5
_DEFAULT_OPACITY: Final = 50
_FILLED, _OUTLINED = "filled", "outlines"
_LOW_GAP_PX: Final = 3
_BACK: Final = "Double-click, or click on the number, to go back to the default."

Row: TypeAlias = tuple[Any, ...]
"""What `form` takes: a label and a field, or what takes the row."""


class OptionsPanel(QWidget):
    """The target and overlaps of objects, the layers of prompts, and how objects are shown."""

    clean_requested = Signal(bool, float)
    """Whether outlines are to be cleaned, and how strongly, 0 to 1."""
    outlined_requested = Signal(bool)
    opacity_requested = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        groups = self._objects(), self._prompts(), self._masks(), self._display()
        self._headings = tuple(map(heading, ("Objects", "Prompts", "Masks", "Display")))
        rows: list[Row] = []
        for title, group in zip(self._headings, groups, strict=True):
            rows += (title,), *group
        self._form = form(*rows, parent=self)
        self.clean.toggled.connect(self._on_clean_changed)
        self.clean_strength.value_requested.connect(self._on_clean_changed)
        self.style_combo.activated.connect(
            lambda: self.outlined_requested.emit(self.style_combo.currentText() == _OUTLINED)
        )
        self.opacity_slider.value_requested.connect(
            lambda value: self.opacity_requested.emit(value / 100)
        )

    def set_low(self, is_low: bool) -> None:
        """Take less height, or no longer: without headings nothing has to be scrolled for."""
        self._form.setVerticalSpacing(_LOW_GAP_PX if is_low else SPACING_PX)
        for part in (*self._headings, self.learned):  # which the tooltip has, too
            part.setVisible(not is_low)

    def _objects(self) -> tuple[Row, ...]:
        self.target_combo = LayerCombo(
            "new labels layer", "The Labels layer that accepted objects are written to"
        )
        self.overlap_combo = combo_box(
            "Where a new mask overlaps existing objects, they keep their pixels,\nthey "
            "lose their pixels, or the mask is refused. Batches and automatic masks\nfollow it "
            "too; of two automatic masks, the smaller one is on top"
        )
        self.overlap_combo.addItems([str(overlap) for overlap in Overlap])
        return ("write to", self.target_combo), ("overlaps", self.overlap_combo)

    def _prompts(self) -> tuple[Row, ...]:
        tooltip = "Read prompts from your own {} layer, which is never changed"
        self.points_combo = LayerCombo("SAM points", tooltip.format("Points"))
        self.boxes_combo = LayerCombo("SAM boxes", tooltip.format("Shapes"))
        self.feedback = check_box(
            "refine the previous mask",
            "Each click corrects the shown mask instead of starting from scratch",
            checked=True,
        )
        fields = ("points", self.points_combo), ("shapes", self.boxes_combo)
        return *fields, (self.feedback,)

    def _masks(self) -> tuple[Row, ...]:
        self.clean = check_box(
            "clean outlines",
            "Smooth the outline of each mask, fill small holes, and remove specks and pieces that\n"
            "have no click. Without it, masks are as the model's authors cut them.",
            checked=True,
        )
        self.clean_strength = ValueSlider(
            f"How smooth outlines become, and how large the removed holes and specks are.\n{_BACK}",
            low=1,
            default=_DEFAULT_STRENGTH,
            title="strength",
        )
        cleaning = row(self.clean, self.clean_strength, stretch=self.clean_strength)
        self.learning = LearningRow()
        self.learned = PaintedLabel(opacity=0.8)
        return (cleaning,), (self.learning,), (self.learned,)

    def _display(self) -> tuple[Row, ...]:
        self.style_combo = combo_box(
            "How accepted objects are drawn in the target layer", [(_FILLED, ""), (_OUTLINED, "")]
        )
        self.opacity_slider = ValueSlider(
            f"How opaque filled objects are; outlines and masks follow\n{_BACK}",
            low=_LEAST_OPACITY,
            default=_DEFAULT_OPACITY,
        )
        self.coloring = check_box(
            "color by class",
            "Show the target's objects in the colors of their classes;\n"
            "without a class, gray with a light outline",
        )
        style = row(self.style_combo, self.coloring, stretch=self.style_combo)
        return ("objects", style), ("opacity", self.opacity_slider)

    def show_clean(self, is_on: bool, strength: float) -> None:
        """Show how outlines are cleaned."""
        self.clean_strength.show_value(round(100 * strength))
        self.clean_strength.set_enabled(is_on)
        with QSignalBlocker(self.clean):
            self.clean.setChecked(is_on)

    def show_learned(self, is_on: bool, summary: str, *, is_any: bool) -> None:
        """Show whether masks are learned, what is known, and whether that is anything."""
        self.learned.set_text(summary if is_on else "", summary if is_on else "")
        self.learning.show_learned(is_on, summary, is_any=is_any)

    def show_display(self, is_outlined: bool, opacity: float) -> None:
        """Show how objects are drawn."""
        self.style_combo.setCurrentText(_OUTLINED if is_outlined else _FILLED)
        self.opacity_slider.show_value(round(100 * opacity))

    def _on_clean_changed(self) -> None:
        is_on, strength = self.clean.isChecked(), self.clean_strength.value / 100
        self.clean_strength.set_enabled(is_on)
        self.clean_requested.emit(is_on, strength)
