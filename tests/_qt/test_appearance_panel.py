import numpy as np
import pytest
from qtpy.QtWidgets import QCheckBox, QComboBox

from napari_sam._qt.appearance_panel import AppearancePanel, Thumbnail
from napari_sam.session.image.intensity import Appearance, ChannelAxis, Intensities
from napari_sam.session.state import SessionState

CHANNELS = ChannelAxis(0, 4, "c")


@pytest.fixture
def panel(shown):
    return shown(AppearancePanel())


def pick(combo, text):
    combo.setCurrentText(text)
    combo.activated.emit(combo.currentIndex())


def test_without_an_image_there_is_nothing_to_choose(panel):
    assert not panel._intensities.isEnabled()
    panel.show_appearance(Appearance(), ())
    assert panel._intensities.isEnabled()
    assert not panel._axis.isVisible()


def test_choices_are_requested(panel, heard):
    requests = heard(panel, "appearance_requested")
    panel.show_appearance(Appearance(), (CHANNELS,))
    pick(panel._intensities, "as shown")
    assert requests == []  # it is so already
    pick(panel._intensities, "full range")
    panel._pin.click()
    pick(panel._axis, "axis 0, c (4 channels)")
    assert [appearance for _, appearance in requests] == [
        Appearance(Intensities.FULL_RANGE),
        Appearance(is_pinned=True),
        Appearance(channel_axis=0, colors=(0, 1, 2)),
    ]


def test_colors_show_with_a_channel_axis_and_are_requested(panel, heard):
    requests = heard(panel, "appearance_requested")
    panel.show_appearance(Appearance(channel_axis=0, colors=(3, None, 1)), (CHANNELS,))
    assert [combo.currentText() for combo in panel._colors] == ["3", "none", "1"]
    assert panel._colors[0].isVisible()
    pick(panel._colors[1], "2")
    assert requests[-1][1].colors == (3, 2, 1)
    pick(panel._axis, "no channel axis")
    assert requests[-1][1].channel_axis is None


def test_only_shown_values_can_be_pinned(panel):
    panel.show_appearance(Appearance(Intensities.PERCENTILES), ())
    assert not panel._pin.isEnabled()
    assert "thousandth" in panel._intensities.toolTip()


def test_the_last_picture_is_grayed_out_until_there_is_another(panel):
    panel.show_appearance(Appearance(), ())
    pixels = np.full((10, 20, 3), 90, np.uint8)
    panel.show_state(SessionState(has_image=True, thumbnail=pixels))
    assert panel._thumbnail.isEnabled()
    panel.show_state(SessionState(has_image=True))
    assert not panel._thumbnail.isEnabled()
    assert not panel._thumbnail._label.pixmap().isNull()
    panel.show_state(SessionState())
    assert panel._thumbnail._label.pixmap().isNull()


@pytest.mark.parametrize(("height", "width"), [(50, 500), (500, 50), (4, 4)])
def test_a_picture_fits_in_its_proportions(shown, height, width):
    thumbnail = shown(Thumbnail(), width=200)
    thumbnail.show_pixels(np.zeros((height, width, 3), np.uint8))
    pixmap = thumbnail._label.pixmap()
    ratio = pixmap.devicePixelRatio()
    assert pixmap.width() / ratio <= 200
    assert pixmap.height() / ratio <= 96
    assert pixmap.width() / pixmap.height() == pytest.approx(width / height, rel=0.1)


def test_every_control_has_a_tooltip(panel):
    panel.show_appearance(Appearance(channel_axis=0), (CHANNELS,))
    for kind in (QComboBox, QCheckBox):
        for control in panel.findChildren(kind):
            assert control.toolTip()
    assert panel._thumbnail.toolTip()
