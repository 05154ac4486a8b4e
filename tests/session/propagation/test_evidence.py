"""What tells how surely a mask is the object that was known on another slice."""

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ImagePlane
from napari_sam.session.propagation.evidence import Evidence

Y, X = np.mgrid[:80, :80]
IS_CAP = np.hypot(Y - 40, X - 40) < 5
"""The object on its last slice."""


def evidence(is_inside, mask, noise):
    return measured(np.where(is_inside, 180, 60), mask, noise)


def measured(gray, mask, noise):
    gray = gray + np.random.default_rng(0).normal(0, noise, Y.shape)
    return Evidence.of(tight_crop(mask), ImagePlane(gray.clip(0, 255).astype(np.uint8)))


@pytest.mark.parametrize("noise", [0, 2, 12])
def test_a_clean_image_ends_an_object_no_sooner(noise):
    whole = np.hypot(Y - 40, X - 40) < 12
    start = evidence(whole, whole, noise)
    rough = np.hypot(Y - 40, X - 40) < 6  # a mask that is a pixel too wide
    assert evidence(IS_CAP, rough, noise).confidence(start) > 0.65
    assert evidence(np.zeros_like(whole), rough, noise).confidence(start) < 0.5


def test_a_border_may_fade_as_the_object_does():
    distance = np.hypot(Y - 40, X - 40)

    def seen(radius, brightness):
        return 60 + brightness * ndimage.gaussian_filter(np.where(distance < radius, 1.0, 0), 1.2)

    start = measured(seen(12, 120), distance < 12, 6)
    pole, too_wide = seen(8, 60), distance < 10
    assert 0.5 < measured(pole, too_wide, 6).confidence(start) < 0.65
    something_within = measured(seen(7, 180), distance < 12, 6)
    assert something_within.difference > 0.5 * start.difference
    assert something_within.confidence(start) < 0.5
