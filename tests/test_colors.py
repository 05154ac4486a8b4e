"""Colors that mean something can be told apart, also with the common kinds of color blindness."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_sam._qt.colors import ACCENT, BACKGROUND_COLOR, FOREGROUND_COLOR, Severity
from napari_sam.formats.classes import PALETTE
from napari_sam.layers import CANDIDATE_COLOR
from napari_sam.layers.class_colors import WITHOUT_CLASS
from napari_sam.layers.prompt_layers import PROMPT_COLORS
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND

# Of linear RGB, at full severity: Machado, Oliveira and Fernandes, "A physiologically-based model
# for simulation of color vision deficiency", IEEE TVCG 15 (2009).
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
LEAST_DIFFERENCE = 11
"""In CIEDE2000 units, of which one can just be seen side by side."""
LEAST_LIGHTNESS = 10
DARKEST = 35
"""In CIE L*, so that objects can be seen on a dark image."""


def lab(color: str, vision: str) -> np.ndarray:
    """Return a color as it is seen, in CIE Lab."""
    rgb = np.frombuffer(bytes.fromhex(color[1:]), np.uint8) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("vision", VISION)
def test_classes_differ_from_each_other_and_from_what_has_none(vision):
    seen = {color: lab(color, vision) for color in (*PALETTE, CANDIDATE_COLOR, WITHOUT_CLASS)}
    assert len(seen) == len(PALETTE) + 2
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert deltaE_ciede2000(first, second) > LEAST_DIFFERENCE, (one, other)
    assert all(seen[color][0] > DARKEST for color in PALETTE) or vision != "normal"


@pytest.mark.parametrize("vision", VISION)
def test_what_is_the_contrary_differs_in_lightness(vision):
    """Prompts, and weak and annotated slices; the buttons have a plus and a minus besides."""
    for one, other in (
        (PROMPT_COLORS[FOREGROUND], PROMPT_COLORS[BACKGROUND]),
        (ACCENT.name(), Severity.WARNING.color.name()),
    ):
        first, second = lab(one, vision), lab(other, vision)
        assert abs(first[0] - second[0]) > LEAST_LIGHTNESS
        assert deltaE_ciede2000(first, second) > 2 * LEAST_DIFFERENCE
    buttons = (lab(color.name(), vision) for color in (FOREGROUND_COLOR, BACKGROUND_COLOR))
    assert deltaE_ciede2000(*buttons) > LEAST_DIFFERENCE
