"""Clean outlines: pure rules, then the setting of a session."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts
from napari_sam.session.decoding.candidate import cell_at
from napari_sam.session.decoding.cleaning import cleaned

TIMEOUT_S = 120
CLICK = (30, 30)


def logits_of(mask, height=4.0):
    return np.where(mask, height, -height).astype(np.float32)


def disk(centre, radius):
    y, x = np.ogrid[:64, :64]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_strength_zero_and_an_empty_mask_change_nothing():
    noisy = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    assert cleaned(noisy, [CLICK], 0) is noisy
    empty = -np.abs(noisy) - 1
    np.testing.assert_array_equal(cleaned(empty, [CLICK], 1), empty)


def test_small_holes_are_filled_and_large_ones_stay():
    mask = disk(CLICK, 18) & ~disk((24, 24), 2) & ~disk((36, 36), 7)
    clean = cleaned(logits_of(mask), [CLICK], 1) > 0
    assert clean[24, 24]
    assert not clean[36, 36]


def test_pieces_that_nobody_clicked_on_go_however_large():
    mask = disk((15, 15), 6) | disk((45, 45), 15)
    clean = cleaned(logits_of(mask), [(15, 15)], 0.5) > 0
    assert clean[15, 15]
    assert not clean[45, 45]


def test_without_a_click_only_specks_go():
    mask = disk((15, 15), 6) | disk((45, 45), 15) | disk((5, 58), 1)
    clean = cleaned(logits_of(mask), [], 0.5) > 0
    assert clean[15, 15]
    assert clean[45, 45]
    assert not clean[5, 58]


def test_a_comb_becomes_smooth_and_no_border_moves_by_more_than_a_cell():
    logits = logits_of(disk(CLICK, 15))
    logits[38:46, ::2] = np.minimum(logits[38:46, ::2], -0.2)  # the model is unsure there
    logits[38:46, 1::2] = np.minimum(logits[38:46, 1::2], 0.2)
    mask, clean = logits > 0, cleaned(logits, [CLICK], 1) > 0

    def length(piece):
        return np.count_nonzero(piece ^ ndimage.binary_erosion(piece))

    cross = ndimage.generate_binary_structure(2, 1)
    assert length(clean) < length(mask)
    assert not (clean & ~ndimage.binary_dilation(mask, cross)).any()
    assert not (ndimage.binary_erosion(mask, cross) & ~clean).any()


def test_another_object_in_a_large_region_is_no_hole():
    region = np.ones((256, 256), bool)
    region[64:128, 64:128] &= ~disk((32, 32), 10)
    region[128:192, 64:128] &= ~disk((32, 32), 2)
    clean = cleaned(logits_of(region), [], 1) > 0
    assert not clean[96, 96]
    assert clean[160, 96]


def test_smoothing_keeps_the_area():
    mask = disk(CLICK, 12)
    clean = cleaned(logits_of(mask), [CLICK], 1) > 0
    assert abs(np.count_nonzero(clean) - np.count_nonzero(mask)) <= 4


@pytest.fixture
def session(real_predictor):
    session = AnnotationSession(lambda *_: real_predictor)
    session.set_image(ImagePlane(data.coins()))
    session.set_target(ArrayPlane(np.zeros((303, 384), np.uint16)))
    yield session
    session.close()


def test_a_session_cleans_what_is_shown_and_back(session):
    session.set_prompts(Prompts(((104, 68),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    published = session.state.candidates
    session.object_in_progress.set_clean(1)
    clean = session.state.candidates
    for mask, shown in zip(published.masks, clean.masks, strict=True):
        clicks = [cell_at(mask.tile, mask.logits.shape[-1], 104, 68)]
        shown_logits = shown.prediction.low_res_logits[shown.index]
        np.testing.assert_array_equal(shown_logits, cleaned(mask.logits, clicks, 1))
        np.testing.assert_array_equal(shown.logits, mask.logits)  # feedback is the model's own
    assert session.accept() is not None
    session.wait_until_idle(TIMEOUT_S)
    session.set_prompts(Prompts(((104, 68), (110, 70)), (1, 1)))
    session.wait_until_idle(TIMEOUT_S)
    clean = session.state.candidates.masks[0]
    assert clean.prediction is not clean.published
    session.object_in_progress.set_clean(0)
    published = session.state.candidates.masks[0]
    assert published.prediction is published.published
