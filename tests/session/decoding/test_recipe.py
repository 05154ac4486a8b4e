"""Where the masks of recipes are cut."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.session.decoding.recipe import cut_for

SIDE = 64


def hill(height, steepness):
    """Logits that fall off from the middle, on a tile with cells of two pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    logits = (height - steepness * np.hypot(y, x)).astype(np.float32)
    prediction = SimpleNamespace(low_res_logits=logits[None])
    return SimpleNamespace(tile=SimpleNamespace(side=2 * SIDE)), prediction


def area_px(prediction, cut):
    return 4 * int((prediction.low_res_logits[0] > cut).sum())


def test_a_mask_that_would_almost_vanish_is_cut_lower():
    vague = hill(0.5, 0.1)
    assert area_px(vague[1], 1.5) == 0
    cut = cut_for(*vague, 0, 1.5, 1000)
    assert area_px(vague[1], cut) == pytest.approx(1000, rel=0.05)
    assert cut_for(*vague, 0, 1.5, 0) == 1.5  # where no size is known
    # Not where it is nearly large enough, or clearly the mask of a small object.
    assert cut_for(*vague, 0, cut, 1100) == cut
    assert cut_for(*hill(30, 5), 0, 0, 1000) == 0
    # However far it would have to be cut, it is not cut into what is surely background.
    assert cut_for(*hill(0.5, 5), 0, 0, 9000) == -4
