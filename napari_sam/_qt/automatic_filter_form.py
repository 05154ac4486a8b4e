"""Sliders that filter the automatic masks on offer."""

from math import ceil, floor, inf, log10
from typing import Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSlider,
    QFormLayout,
    QLayout,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_sam._qt.building import button, fill, form, row
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.range_slider import RangeSlider
from napari_sam.engine.methods import Method
from napari_sam.session.automatic.settings import AutomaticRunSettings

_SLIDERS: Final = (
    ("pred_iou_thresh", "score", 0.5, "The model's own estimate of how well a mask fits"),
    (
        "stability_score_thresh",
        "stability",
        0.5,
        "How little a mask changes when its threshold is shifted",
    ),
    (
        "box_nms_thresh",
        "box overlap",
        0.1,
        "Of masks whose boxes overlap more than this, only the best is kept (box NMS); move left "
        "for fewer similar masks",
    ),
)
_INSTANCE_SLIDERS: Final = (
    (
        "center_distance_threshold",
        "center",
        0.0,
        "Objects begin where the distance to their center is lower; move left to separate more",
    ),
    (
        "boundary_distance_threshold",
        "boundary",
        0.0,
        "Objects begin where the distance to the boundary, which is low inside, is lower",
    ),
    (
        "foreground_threshold",
        "foreground",
        0.0,
        "Objects end where the foreground is lower; move right for smaller objects",
    ),
)
_AT_ONCE: Final = ". The masks are filtered at once, without another run"


class AutomaticFilterForm(QWidget):
    """Thresholds, and the range of sizes."""

    values_chosen = Signal(dict)
    """Other values of settings, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.sliders: dict[str, Any] = {}
        self._pages = QStackedWidget()  # of a grid of clicks, and of an instance decoder
        self._forms: list[QFormLayout] = []
        for sliders in (_SLIDERS, _INSTANCE_SLIDERS):
            page = QWidget()
            self._forms.append(form(*(self._slider_row(*about) for about in sliders)))
            fill(page, self._forms[-1])
            self._pages.addWidget(page)
        self.areas = RangeSlider(
            f"The smallest and the largest mask, in pixels{_AT_ONCE}", "smallest and largest area"
        )
        self.areas.valueChanged.connect(self._on_areas)
        self._area_text = PaintedLabel()
        areas = QWidget()
        parts = row(self.areas, self._area_text)
        parts.setStretch(0, 2)
        fill(areas, parts)
        fill(self, self._pages, form(("area", areas)), self._build_likeness())
        self.show_plane(1, AutomaticRunSettings())

    def _build_likeness(self) -> QLayout:
        self.like = button(
            "Like these",
            "Find only objects like the examples, to be reviewed, the most similar first. The\n"
            "examples are the objects chosen in the table, or else all of the target, or else the\n"
            "last examples; rejected masks count as counterexamples",
        )
        self.rest = button(
            "Find the rest",
            "Find everything here that is like the objects you accepted, five or more of one\n"
            "kind, to be reviewed: pixels like theirs are found, and the model refines them.\n"
            "Rejected masks count as counterexamples the next time. Best for many small objects",
        )
        tooltip = (
            "Likeness: how similar masks must be to the examples, after 'Like these' or "
            "'Find the rest'"
        )
        _, slider = self._slider_row("least_likeness", "likeness", 0.0, tooltip)
        return row(self.like, self.rest, slider, stretch=slider)

    def _slider_row(
        self, name: str, text: str, lowest: float, tooltip: str
    ) -> tuple[str, QLabeledDoubleSlider]:
        slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        slider.setRange(lowest, 1)
        slider.setDecimals(2)
        slider.setSingleStep(0.01)
        slider.setToolTip(f"{tooltip} ({name}){_AT_ONCE}")
        slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # only the slider in it is to have it
        slider.findChild(QAbstractSlider).setAccessibleName(text)
        slider.valueChanged.connect(lambda value: self.values_chosen.emit({name: round(value, 2)}))
        self.sliders[name] = slider
        return text, slider

    def set_low(self, is_low: bool) -> None:
        """Take less height, or no longer: all thresholds but the score are in the window, too."""
        for name in ("stability_score_thresh", "box_nms_thresh"):
            self._forms[0].setRowVisible(self.sliders[name], not is_low)

    def show_plane(self, area_px: int, settings: AutomaticRunSettings) -> None:
        """Offer sizes up to that of a plane; nothing is emitted."""
        with QSignalBlocker(self.areas):
            self.areas.setRange(0, max(1.0, ceil(10 * log10(max(area_px, 1))) / 10))
        self.show_settings(settings)

    def show_settings(self, settings: AutomaticRunSettings) -> None:
        """Show settings; nothing is emitted."""
        for name, slider in self.sliders.items():
            parts = settings, settings.instances, settings.published
            part = next(part for part in parts if hasattr(part, name))
            with QSignalBlocker(slider):
                slider.setValue(getattr(part, name))
        self._show_page(int(settings.method is not Method.GRID))
        low, high, top = settings.min_area_px, settings.max_area_px, self.areas.maximum()
        upper = top if high == inf else min(top, log10(high))
        with QSignalBlocker(self.areas):
            self.areas.setValue((log10(max(low, 1)), upper))
        shortest = "any size" if not low and high == inf else f"from {_short(low)}"
        if high < inf:
            shortest = f"{_short(low)} to {_short(high)}" if low else f"up to {_short(high)}"
        most = "any size" if high == inf else f"{high:,.0f} px"
        self._area_text.set_text(shortest, f"{low:,.0f} px to {most}")

    def _show_page(self, number: int) -> None:
        """Show thresholds; the others, which may be more, need no height."""
        self._pages.setCurrentIndex(number)
        for index in range(self._pages.count()):
            is_shown = index == number
            policy = QSizePolicy.Policy.Preferred if is_shown else QSizePolicy.Policy.Ignored
            self._pages.widget(index).setSizePolicy(policy, policy)

    def _on_areas(self, values: tuple[float, float]) -> None:
        low, high = values
        min_area_px = 0 if low <= 0 else floor(10**low)
        max_area_px = inf if high >= self.areas.maximum() else ceil(10**high)
        self.values_chosen.emit({"min_area_px": min_area_px, "max_area_px": max_area_px})


def _short(area_px: float) -> str:
    """Return an area in few letters: 1.2k."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if area_px >= size:
            return f"{area_px / size:.3g}{unit}"
    return f"{area_px:.0f}"
