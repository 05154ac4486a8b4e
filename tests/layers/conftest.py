"""Layers are tested in real viewers, against what a script gives on plain arrays."""

import numpy as np
import pytest
from skimage import data

from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts

TIMEOUT_S = 120


@pytest.fixture(scope="session")
def plain_mask(remembering_predictor) -> np.ndarray:
    """Return the object that a click on the plain coins gives, at (68, 104)."""
    coins = data.coins()
    labels = np.zeros(coins.shape, np.uint16)
    session = AnnotationSession(lambda *_: remembering_predictor)
    session.set_image(ImagePlane(coins, contrast_limits=(0, 255)))
    session.set_target(ArrayPlane(labels))
    session.object_in_progress.set_clean(CLEAN_STRENGTH)
    session.set_prompts(Prompts(((104, 68),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    return labels > 0
