"""The pictures of the candidates in a real viewer."""

import numpy as np
from napari.layers import Image
from qtpy.QtGui import QColor
from skimage import data

TIMEOUT_S = 120


def pictures(widget):
    return [button._picture for button in widget.controllers.annotate.mask_panel._buttons]


def test_each_candidate_has_a_picture_in_its_color(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    assert pictures(widget) == [None] * 3
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    panel = widget.controllers.annotate.mask_panel
    for button, color in zip(panel._buttons, panel.colors, strict=True):
        image, solid = button._picture.toImage(), QColor(color)
        places = np.ndindex(image.height(), image.width())
        colors = [image.pixelColor(x, y) for y, x in places]
        tinted = [pixel for pixel in colors if pixel.hsvSaturationF() > 0.1]
        assert 100 < len(tinted) < 0.9 * len(colors)
        assert all(abs(pixel.hueF() - solid.hueF()) < 0.05 for pixel in tinted)
    before = pictures(widget)
    widget.session.object_in_progress.choose_next()
    widget.wait_until_idle(TIMEOUT_S)
    assert pictures(widget) == before  # another choice draws nothing again
    widget.session.object_in_progress.clear()
    widget.wait_until_idle(TIMEOUT_S)
    assert pictures(widget) == [None] * 3
