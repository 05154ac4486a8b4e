"""What tells how surely a mask is the object that was known on another slice."""

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ImagePlane
from napari_sam.session.propagation.evidence import Evidence

Y, X = np.mgrid[:80, :80]
IS_CAP = np.hypot(Y - 40, X - 40) < 5
"""The object on its last slice."""


def evidence(is_inside, mask, noise):
    gray = np.where(is_inside, 180, 60) + np.random.default_rng(0).normal(0, noise, Y.shape)
    return Evidence.of(tight_crop(mask), ImagePlane(gray.clip(0, 255).astype(np.uint8)))


@pytest.mark.parametrize("noise", [0, 2, 12])
def test_a_clean_image_ends_an_object_no_sooner(noise):
    whole = np.hypot(Y - 40, X - 40) < 12
    start = evidence(whole, whole, noise)
    rough = np.hypot(Y - 40, X - 40) < 6  # a mask that is a pixel too wide
    assert evidence(IS_CAP, rough, noise).confidence(start) > 0.65
    assert evidence(np.zeros_like(whole), rough, noise).confidence(start) < 0.5
