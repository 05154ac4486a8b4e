"""How objects and candidates are drawn, and that their colors can be told apart."""

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.colormaps.standardize_color import transform_color
from skimage import color, data

from napari_sam.layers import CANDIDATE_COLOR
from napari_sam.layers.prompt_layers import PROMPT_COLORS
from napari_sam.layers.target import OBJECT_COLORS

TIMEOUT_S = 120
# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
SIMULATED = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
DIFFERENT = 30
"""In CIELAB; two colors side by side are told apart from about 2."""


def seen(colors, matrix):
    rgb = np.array([transform_color(name)[0][:3] for name in colors], float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(linear @ matrix.T, 0, 1)
    rgb = np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return color.rgb2lab(rgb[np.newaxis])[0]


@pytest.mark.parametrize("vision", SIMULATED)
def test_candidates_prompts_and_objects_differ_for_everyone(vision):
    kinds = [[CANDIDATE_COLOR], *[[name] for name in PROMPT_COLORS.values()], OBJECT_COLORS]
    lab = [seen(colors, SIMULATED[vision]) for colors in kinds]
    for number, first in enumerate(lab):
        for second in lab[:number]:
            distances = np.linalg.norm(first[:, np.newaxis] - second, axis=2)
            assert distances.min() > DIFFERENT


def test_objects_stand_out_on_dark_and_on_light_and_from_each_other():
    for vision, (least, least_apart) in {"normal": (45, 60), "deuteranopia": (25, 35)}.items():
        lab = seen(OBJECT_COLORS, SIMULATED[vision])
        apart = np.linalg.norm(lab[:, np.newaxis] - lab, axis=2)
        assert apart[np.triu_indices(len(lab), 1)].min() > least
        assert np.diagonal(np.roll(apart, 1, axis=0)).min() > least_apart  # of neighbors
    lab = seen(OBJECT_COLORS, SIMULATED["normal"])
    assert 35 < lab[:, 0].min() <= lab[:, 0].max() < 80
    assert np.hypot(lab[:, 1], lab[:, 2]).min() > 35  # none is pale


@pytest.fixture
def opened(make_widget):
    """Open the coins with an accepted object, and candidates of another."""
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    for place in ((68, 104), (70, 228)):
        if widget.session.state.candidates is not None:
            widget.binding.objects.accept()
        viewer.layers["SAM points"].add([place])
        widget.wait_until_idle(TIMEOUT_S)
    return viewer, widget


def test_a_key_shows_outlines_and_they_stay_for_other_targets(opened):
    viewer, widget = opened
    first, changes = widget.binding.target.layer, []
    widget.binding.display.changed.connect(lambda: changes.append(None))
    assert (first.contour, first.opacity) == (0, 0.5)
    widget.binding.shortcuts.run("outlines")
    assert (first.contour, first.opacity) == (1, 1)
    second = viewer.add_labels(np.zeros((303, 384), np.uint16))
    widget.binding.target.set_layer(second)
    assert second.contour == 1
    widget.binding.display.set_outlined(False)
    assert second.contour == 0
    assert len(changes) == 2


def test_opacity_is_that_of_objects_and_candidates_together(opened):
    viewer, widget = opened
    masks = [layer for layer in viewer.layers if layer.name.startswith("SAM mask")]
    widget.binding.display.set_opacity(0.4)
    assert widget.binding.target.layer.opacity == pytest.approx(0.4)
    assert [layer.opacity for layer in masks] == [0.8] * 3
    widget.binding.display.set_outlined(True)
    assert widget.binding.target.layer.opacity == pytest.approx(0.8)
