"""What the model sees of the image: its values, its channels, and a small picture of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QWidget,
)

from napari_sam._qt.collapsible import CollapsibleSection
from napari_sam.session.image.intensity import Appearance, ChannelAxis, Intensities, first_colours
from napari_sam.session.state import SessionState

_TITLE: Final = "What SAM sees"
_HEIGHT_PX: Final = 96
_ADVICE: Final = {
    Intensities.AS_SHOWN: "Black and white are the layer's contrast limits, with its gamma",
    Intensities.PERCENTILES: "Black and white leave out the darkest and the brightest thousandth "
    "of the whole image; the same for all its slices",
    Intensities.FULL_RANGE: "Black and white are the ends of the data type, or of the values of a "
    "whole image of floats; the same for all its slices",
}
_COLOURS: Final = ("red", "green", "blue")


class AppearancePanel(CollapsibleSection):
    """The choice of intensities and channels, and the thumbnail of what came of it."""

    look_requested = Signal(Appearance)

    def __init__(self) -> None:
        contents = QWidget()
        super().__init__(contents, "Click to choose which values and channels the model gets")
        self.set_title(_TITLE)
        self._look = Appearance()
        self._axes: tuple[ChannelAxis, ...] = ()
        self._intensities = _narrow_combo()
        for place, intensities in enumerate(Intensities):
            self._intensities.addItem(intensities.value)
            advice = _ADVICE[intensities]
            self._intensities.setItemData(place, advice, Qt.ItemDataRole.ToolTipRole)
        self._intensities.activated.connect(self._on_intensities_activated)
        self._pin = QCheckBox("pin contrast limits")
        self._pin.setToolTip(
            "Keep what SAM sees now: from here on you can change the layer's contrast limits and "
            "gamma for your own eyes, and nothing is embedded again"
        )
        self._pin.clicked.connect(self._on_pin_clicked)
        self._axis = _narrow_combo()
        self._axis.setToolTip(
            "The axis of the image that holds its channels: its slider then only changes what you "
            "see, and prompts and objects belong to all channels"
        )
        self._axis.activated.connect(self._on_axis_activated)
        self._colours = tuple(_narrow_combo() for _ in _COLOURS)
        for combo, colour in zip(self._colours, _COLOURS, strict=True):
            combo.setToolTip(f"The channel that SAM sees in {colour}; a single one is gray")
            combo.activated.connect(self._on_colour_activated)
        self._thumbnail = Thumbnail()
        self._assemble(contents)
        self.show_look(None, ())

    def _assemble(self, contents: QWidget) -> None:
        colours = QHBoxLayout()
        for combo in self._colours:
            colours.addWidget(combo, 1)
        self._form = QFormLayout(contents)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("values", self._intensities)
        self._form.addRow("", self._pin)
        self._form.addRow("channels", self._axis)
        self._form.addRow("R, G, B", colours)
        self._colours_row = colours
        self._form.addRow(self._thumbnail)

    # What is shown -----------------------------------------------------------------------------

    def show_state(self, state: SessionState) -> None:
        """Show what the model got; the picture before is gray until then."""
        self._thumbnail.setEnabled(state.thumbnail is not None)
        if state.thumbnail is not None or not state.has_image:
            self._thumbnail.show_pixels(state.thumbnail)

    def show_look(self, look: Appearance | None, axes: tuple[ChannelAxis, ...]) -> None:
        """Show what is chosen for the image, and which axes may hold channels; None: no image."""
        self.content().setEnabled(look is not None)
        self._look, self._axes = Appearance() if look is None else look, axes
        self._intensities.setCurrentText(self._look.intensities.value)
        self._intensities.setToolTip(_ADVICE[self._look.intensities])
        self._pin.setChecked(self._look.is_pinned)
        self._pin.setEnabled(self._look.intensities is Intensities.AS_SHOWN)
        blocker = QSignalBlocker(self._axis)
        self._axis.clear()
        self._axis.addItem("no channel axis", None)
        for axis in axes:
            self._axis.addItem(_text(axis), axis)
        chosen = self._channel_axis
        self._axis.setCurrentIndex(0 if chosen is None else axes.index(chosen) + 1)
        blocker.unblock()
        self._show_colours()

    @property
    def _channel_axis(self) -> ChannelAxis | None:
        """The axis that is chosen."""
        return next((one for one in self._axes if one.axis == self._look.channel_axis), None)

    def _show_colours(self) -> None:
        axis = self._channel_axis
        self._form.setRowVisible(self._axis, bool(self._axes))
        self._form.setRowVisible(self._colours_row, axis is not None)
        for combo, channel in zip(self._colours, self._look.colours, strict=True):
            _show_channels(combo, 0 if axis is None else axis.count, channel)

    # What the user does -----------------------------------------------------------------------

    def _on_intensities_activated(self) -> None:
        self._request(replace(self._look, intensities=Intensities(self._intensities.currentText())))

    def _on_pin_clicked(self, is_pinned: bool) -> None:
        self._request(replace(self._look, is_pinned=is_pinned))

    def _on_axis_activated(self) -> None:
        axis: ChannelAxis | None = self._axis.currentData()
        if axis is None:
            self._request(replace(self._look, channel_axis=None))
        elif axis != self._channel_axis:
            colours = first_colours(axis.count)
            self._request(replace(self._look, channel_axis=axis.axis, colours=colours))

    def _on_colour_activated(self) -> None:
        red, green, blue = (combo.currentData() for combo in self._colours)
        self._request(replace(self._look, colours=(red, green, blue)))

    def _request(self, look: Appearance) -> None:
        if look != self._look:
            self.look_requested.emit(look)


class Thumbnail(QWidget):
    """A picture as wide as there is room for, and of limited height."""

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("What the model got of the image, or of the part of a large one in use")
        # In no layout: each picture would have all of the window laid out again.
        self._label = QLabel(self)
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._pixels: NDArray[np.uint8] | None = None
        self.setFixedHeight(_HEIGHT_PX)

    def show_pixels(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show an (H, W, 3) uint8 image, or none."""
        if pixels is not self._pixels:
            self._pixels = pixels
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show it as large as there is room for."""
        super().resizeEvent(event)
        self._label.resize(event.size())
        self._fit()

    def pixmap(self) -> QPixmap:
        """Return what is shown."""
        return self._label.pixmap()

    def _fit(self) -> None:
        if self._pixels is None:
            self._label.clear()
            return
        height, width = self._pixels.shape[:2]
        image = QImage(
            self._pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888
        )
        ratio = self.devicePixelRatioF()
        room = QSize(max(1, self.width()), _HEIGHT_PX) * ratio
        is_small = width <= room.width() and height <= room.height()
        modes = Qt.TransformationMode
        # Pixels that are few are shown as they are.
        mode = modes.FastTransformation if is_small else modes.SmoothTransformation
        keep = Qt.AspectRatioMode.KeepAspectRatio
        scaled = QPixmap.fromImage(image).scaled(room, keep, mode)
        scaled.setDevicePixelRatio(ratio)
        self._label.setPixmap(scaled)


def _narrow_combo() -> QComboBox:
    """Make a combo that is content with whatever width there is."""
    combo = QComboBox()
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _show_channels(combo: QComboBox, count: int, chosen: int | None) -> None:
    """Offer so many channels, and none."""
    blocker = QSignalBlocker(combo)
    combo.clear()
    combo.addItem("none", None)
    for channel in range(count):
        combo.addItem(str(channel), channel)
    combo.setCurrentIndex(0 if chosen is None else chosen + 1)
    blocker.unblock()


def _text(axis: ChannelAxis) -> str:
    name = f", {axis.name}" if axis.name else ""
    return f"axis {axis.axis}{name} ({axis.count} channels)"
