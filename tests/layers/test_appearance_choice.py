"""The choice of an image's appearance in the panel, and what the model sees then."""

import copy

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox
from skimage import data

from napari_sam.session.image.intensity import Appearance, Intensities

TIMEOUT_S = 120
COINS = data.coins()[:190, :250]
"""Small enough to be seen as a whole, however much of it the window shows."""


@pytest.fixture
def open_panel(make_widget, remembering_predictor):
    """Open the widget in a window that shows, with that of the appearance open.

    One embedding serves for all images: what is made of it does not matter, and encoding takes a
    second.
    """
    predictor, gray = copy.copy(remembering_predictor), np.repeat(COINS[..., np.newaxis], 3, axis=2)

    def encode(pixels, on_block=None):
        is_alike = pixels.shape == gray.shape
        return remembering_predictor.encode(gray if is_alike else pixels, on_block)

    predictor.encode = encode

    def make(*layers):
        viewer, widget = make_widget(*layers, show=True, load_predictor=lambda *_: predictor)
        widget.controllers.windows[1].show()
        QApplication.processEvents()
        return viewer, widget, widget.controllers.appearance.panel

    return make


def pick(widget, combo, text):
    combo.setCurrentText(text)
    combo.activated.emit(combo.currentIndex())
    widget.wait_until_idle(TIMEOUT_S)


def picture(panel):
    """Return the mean of the thumbnail's red, green and blue."""
    image = panel._thumbnail._label.pixmap().toImage()
    colors = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return np.mean([(one.red(), one.green(), one.blue()) for one in colors], axis=0)


def four_channels():
    channels = [COINS, np.zeros_like(COINS), np.full_like(COINS, 200), COINS]
    return Image(np.stack(channels), name="four", contrast_limits=(0, 255), rgb=False)


def test_the_thumbnail_is_what_the_model_got(open_panel):
    _, widget, panel = open_panel(Image(COINS, name="coins", contrast_limits=(0, 255)))
    pixmap = panel._thumbnail._label.pixmap()
    assert pixmap.height() / pixmap.devicePixelRatio() == pytest.approx(96, abs=2)
    assert pixmap.width() / pixmap.height() == pytest.approx(250 / 190, abs=0.05)
    np.testing.assert_allclose(picture(panel), COINS.mean(), atol=8)
    pick(widget, panel._intensities, "robust percentiles")
    assert panel._thumbnail.isEnabled()
    low, high = np.percentile(COINS, (0.1, 99.9))
    expected = np.clip((COINS - low) / (high - low), 0, 1).mean() * 255
    np.testing.assert_allclose(picture(panel), expected, atol=8)


def test_a_wide_image_fits_the_panel(open_panel):
    _, _, panel = open_panel(Image(np.tile(COINS, (1, 6)), name="wide"))
    pixmap = panel._thumbnail._label.pixmap()
    assert pixmap.width() / pixmap.devicePixelRatio() <= panel._thumbnail.width()
    assert 10 < pixmap.height() / pixmap.devicePixelRatio() < 96


def test_without_an_image_there_is_nothing_to_choose(open_panel):
    viewer, widget, panel = open_panel(Image(COINS, name="coins"))
    viewer.layers.clear()
    widget.wait_until_idle(TIMEOUT_S)
    assert panel._thumbnail._label.pixmap().isNull()
    assert not panel._intensities.isEnabled()
    viewer.add_image(COINS, name="again")
    widget.wait_until_idle(TIMEOUT_S)
    assert panel._intensities.isEnabled()
    assert not panel._thumbnail._label.pixmap().isNull()


def test_the_pin_belongs_to_what_is_shown(open_panel):
    image = Image(COINS, name="coins", contrast_limits=(0, 255))
    _, widget, panel = open_panel(image)
    panel._pin.click()
    before = widget.session.state.thumbnail
    image.contrast_limits = (100, 120)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.thumbnail is before
    pick(widget, panel._intensities, "full range")
    assert not panel._pin.isEnabled()
    pick(widget, panel._intensities, "as shown")
    assert panel._pin.isEnabled()
    np.testing.assert_array_equal(widget.session.state.thumbnail, before)
    panel._pin.click()
    widget.wait_until_idle(TIMEOUT_S)
    assert (widget.session.state.thumbnail != before).any()


def test_channel_controls_show_where_there_are_channels(open_panel):
    coins = Image(COINS, name="coins")
    _, widget, panel = open_panel(coins, four_channels())
    assert panel._axis.isVisible()
    assert not panel._colors[0].isVisible()
    pick(widget, panel._axis, "axis 0 (4 channels)")
    assert [combo.currentText() for combo in panel._colors] == ["0", "1", "2"]
    assert panel._colors[0].isVisible()
    np.testing.assert_allclose(picture(panel), (COINS.mean(), 0, 200), atol=8)

    pick(widget, panel._colors[2], "none")
    np.testing.assert_allclose(picture(panel), (COINS.mean(), 0, 0), atol=8)
    pick(widget, panel._colors[1], "none")  # one channel alone is gray
    np.testing.assert_allclose(picture(panel), COINS.mean(), atol=8)
    pick(widget, panel._axis, "no channel axis")
    assert not panel._colors[0].isVisible()

    widget.binding.set_image(coins)
    widget.wait_until_idle(TIMEOUT_S)
    assert not panel._axis.isVisible()


def test_the_choice_of_the_image_shows_when_it_is_chosen_again(open_panel):
    first, second = Image(COINS, name="first"), four_channels()
    _, widget, panel = open_panel(first, second)
    chosen = Appearance(Intensities.FULL_RANGE, channel_axis=0, colors=(3, None, 1))
    widget.binding.plane.set_appearance(chosen)
    widget.binding.set_image(first)
    assert panel._intensities.currentText() == "as shown"
    widget.binding.set_image(second)
    assert panel._intensities.currentText() == "full range"
    assert [combo.currentText() for combo in panel._colors] == ["3", "none", "1"]
    assert widget.binding.plane.source.appearances.of(second) == chosen


def test_everything_says_what_it_is_for(open_panel):
    _, _, panel = open_panel(four_channels())
    for kind in (QComboBox, QCheckBox):
        for control in panel.findChildren(kind):
            assert control.toolTip()
    assert panel._thumbnail.toolTip()


def test_closed_it_hears_nothing_more(make_widget):
    image = Image(COINS, name="coins", contrast_limits=(0, 255))
    _, widget = make_widget(image)
    widget.close()
    image.contrast_limits, image.gamma = (3, 9), 0.5
    assert not widget.controllers.annotate._appearance_timer.isActive()


def test_masks_of_another_image_are_still_there_after_a_contrast_change_here(make_widget):
    first, second = Image(data.coins(), name="a"), Image(data.coins()[::-1], name="b")
    viewer, widget = make_widget(first, second)
    session = widget.session
    widget.binding.set_image(first)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    candidates = session.state.candidates
    assert candidates is not None

    widget.binding.set_image(second)
    second.contrast_limits = (10, 100)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.set_image(first)
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates is candidates
