"""The appearance of the image to the model: values, channels and a thumbnail."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QWidget

from napari_sam._qt.building import check_box, combo_box, form, row
from napari_sam.session.image.intensity import Appearance, ChannelAxis, Intensities, first_colors
from napari_sam.session.state import SessionState

_HEIGHT_PX: Final = 96
_TOOLTIPS: Final = {
    Intensities.AS_SHOWN: "Use the layer's contrast limits and gamma",
    Intensities.PERCENTILES: "Clip the darkest and the brightest thousandth of the whole image; "
    "the same limits for all slices",
    Intensities.FULL_RANGE: "Use the full range of the data type, or of the values of a float "
    "image; the same limits for all slices",
}
_COLOURS: Final = ("red", "green", "blue")


class AppearancePanel(QWidget):
    """The choice of values and channels, and a thumbnail of the model's input."""

    appearance_requested = Signal(Appearance)

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Image appearance for SAM")
        self._appearance = Appearance()
        self._axes: tuple[ChannelAxis, ...] = ()
        self._intensities = _narrow_combo("", _TOOLTIPS.items())
        self._intensities.activated.connect(self._on_intensities_activated)
        self._pin = check_box(
            "pin contrast limits",
            "Keep the current contrast limits and gamma for SAM, so that you can adjust the "
            "display without embedding the image again",
        )
        self._pin.clicked.connect(self._on_pin_clicked)
        self._axis = _narrow_combo(
            "The channel axis of the image: its slider then only changes the display, and prompts "
            "and objects belong to all channels"
        )
        self._axis.activated.connect(self._on_axis_activated)
        self._colors = tuple(
            _narrow_combo(f"The channel that SAM sees in {color}; a single channel is gray")
            for color in _COLOURS
        )
        for combo in self._colors:
            combo.activated.connect(self._on_color_activated)
        self._thumbnail = Thumbnail()
        self._colors_row = row(*self._colors)
        values = (("values", self._intensities), ("", self._pin))
        channels = (("channels", self._axis), ("R, G, B", self._colors_row))
        self._form = form(*values, *channels, (self._thumbnail,), parent=self)
        self.show_appearance(None, ())

    # What is shown -----------------------------------------------------------------------------

    def show_state(self, state: SessionState) -> None:
        """Show the model's input; until it is known, the last one is grayed out."""
        self._thumbnail.setEnabled(state.thumbnail is not None)
        if state.thumbnail is not None or not state.has_image:
            self._thumbnail.show_pixels(state.thumbnail)

    def show_appearance(self, appearance: Appearance | None, axes: tuple[ChannelAxis, ...]) -> None:
        """Show the choice for the image, and its possible channel axes; None: no image."""
        self.setEnabled(appearance is not None)
        self._appearance, self._axes = appearance or Appearance(), axes
        self._intensities.setCurrentText(self._appearance.intensities.value)
        self._intensities.setToolTip(_TOOLTIPS[self._appearance.intensities])
        self._pin.setChecked(self._appearance.is_pinned)
        self._pin.setEnabled(self._appearance.intensities is Intensities.AS_SHOWN)
        chosen = self._channel_axis
        with QSignalBlocker(self._axis):
            self._axis.clear()
            self._axis.addItem("no channel axis", None)
            for axis in axes:
                self._axis.addItem(_text(axis), axis)
            self._axis.setCurrentIndex(0 if chosen is None else axes.index(chosen) + 1)
        self._form.setRowVisible(self._axis, bool(axes))
        self._form.setRowVisible(self._colors_row, chosen is not None)
        for combo, channel in zip(self._colors, self._appearance.colors, strict=True):
            _show_channels(combo, 0 if chosen is None else chosen.count, channel)

    @property
    def _channel_axis(self) -> ChannelAxis | None:
        """The chosen axis."""
        index = self._appearance.channel_axis
        return next((axis for axis in self._axes if axis.axis == index), None)

    # What the user does -----------------------------------------------------------------------

    def _on_intensities_activated(self) -> None:
        intensities = Intensities(self._intensities.currentText())
        self._request(replace(self._appearance, intensities=intensities))

    def _on_pin_clicked(self, is_pinned: bool) -> None:
        self._request(replace(self._appearance, is_pinned=is_pinned))

    def _on_axis_activated(self) -> None:
        axis: ChannelAxis | None = self._axis.currentData()
        if axis is None:
            self._request(replace(self._appearance, channel_axis=None))
        elif axis != self._channel_axis:
            colors = first_colors(axis.count)
            self._request(replace(self._appearance, channel_axis=axis.axis, colors=colors))

    def _on_color_activated(self) -> None:
        red, green, blue = (combo.currentData() for combo in self._colors)
        self._request(replace(self._appearance, colors=(red, green, blue)))

    def _request(self, appearance: Appearance) -> None:
        if appearance != self._appearance:
            self.appearance_requested.emit(appearance)


class Thumbnail(QWidget):
    """A picture as wide as the panel, and of limited height."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("The model's input: the whole image, or one tile of a large image")
        # In no layout: each new picture would redo the layout of the whole window.
        self._label = QLabel(self, alignment=Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._pixels: NDArray[np.uint8] | None = None
        self.setFixedHeight(_HEIGHT_PX)

    def show_pixels(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show an (H, W, 3) uint8 image, or none."""
        if pixels is not self._pixels:
            self._pixels = pixels
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the picture to the new size."""
        super().resizeEvent(event)
        self._label.resize(event.size())
        self._fit()

    def _fit(self) -> None:
        if self._pixels is None:
            self._label.clear()
            return
        height, width = self._pixels.shape[:2]
        image = QImage(
            self._pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888
        )
        ratio = self.devicePixelRatioF()
        available = QSize(max(1, self.width()), _HEIGHT_PX) * ratio
        is_small = width <= available.width() and height <= available.height()
        modes = Qt.TransformationMode
        # Small images keep their sharp pixels.
        mode = modes.FastTransformation if is_small else modes.SmoothTransformation
        keep = Qt.AspectRatioMode.KeepAspectRatio
        scaled = QPixmap.fromImage(image).scaled(available, keep, mode)
        scaled.setDevicePixelRatio(ratio)
        self._label.setPixmap(scaled)


def _narrow_combo(tooltip: str, entries: Iterable[tuple[str, str]] = ()) -> QComboBox:
    """Make a combo that accepts any width."""
    combo = combo_box(tooltip, entries)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _show_channels(combo: QComboBox, count: int, chosen: int | None) -> None:
    """List `count` channels, and none."""
    with QSignalBlocker(combo):
        combo.clear()
        combo.addItem("none", None)
        for channel in range(count):
            combo.addItem(str(channel), channel)
        combo.setCurrentIndex(0 if chosen is None else chosen + 1)


def _text(axis: ChannelAxis) -> str:
    name = f", {axis.name}" if axis.name else ""
    return f"axis {axis.axis}{name} ({axis.count} channels)"
