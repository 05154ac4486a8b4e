"""Masks keep to clicks that the model ignored."""

import numpy as np
import pytest
from skimage import data

from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts
from napari_sam.session.decoding.honoring import honoring

RADIUS = 12.5
CENTER = 32, 32


def hill(steepness=2.0):
    y, x = np.ogrid[:64, :64]
    return (steepness * (RADIUS - np.hypot(y - CENTER[0], x - CENTER[1]))).astype(np.float32)


def test_clicks_that_a_mask_keeps_to_change_nothing():
    logits = hill()
    assert honoring(logits, [(CENTER, 1), ((2, 2), 0)]) is logits


@pytest.mark.parametrize(("label", "row"), [(0, 32 + 9), (1, 32 + 16)])
def test_the_border_moves_past_a_click_and_stays_elsewhere(label, row):
    before = hill() > 0
    after = honoring(hill(), [(CENTER, 1), ((row, 32), label)]) > 0
    assert after[row, 32] == bool(label)
    moved = np.argwhere(before != after)
    assert len(moved) > 7
    assert (moved[:, 0] > 32).all()
    assert after[CENTER]


def test_close_clicks_of_both_kinds_are_all_kept_to():
    row = 32 + 9
    clicks = [(CENTER, 1), ((row, 32), 0), ((row, 34), 1), ((row, 36), 0)]
    mask = honoring(hill(), clicks) > 0
    assert [mask[cell] for cell, _ in clicks] == [bool(label) for _, label in clicks]


def test_of_two_clicks_on_one_place_the_last_one_counts():
    clicks = [(CENTER, 1), ((36, 32), 0), ((36, 32), 1), ((36, 32), 0)]
    logits = honoring(hill(), clicks)
    assert np.isfinite(logits).all()
    assert logits[36, 32] < 0
    assert logits[CENTER] > 0


@pytest.mark.parametrize("label", [0, 1])
def test_a_mask_without_a_border_is_left_to_the_model(label):
    logits = np.full((8, 8), -5 if label else 5, np.float32)
    assert honoring(logits, [((4, 4), label)]) is logits


def test_a_place_that_is_added_far_from_the_mask_is_left_to_the_model():
    logits = np.maximum(hill(), -10)
    assert honoring(logits, [(CENTER, 1), ((2, 2), 1)]) is logits


def test_every_mask_of_a_corrected_object_keeps_to_its_clicks(real_predictor):
    session = AnnotationSession(lambda *_: real_predictor)
    session.set_image(ImagePlane(data.coins()[:128, :192]))
    session.set_target(ArrayPlane(np.zeros((128, 192), np.uint16)))
    # Half a coin, which no mask of the model is.
    clicks_xy, labels = ((104, 60), (104, 74), (98, 76), (110, 76)), (1, 0, 0, 0)
    for count in range(1, 5):
        session.set_prompts(Prompts(clicks_xy[:count], labels[:count]))
        session.wait_until_idle(120)
    candidates = session.state.candidates
    for index in range(len(candidates)):
        mask = np.zeros((128, 192), bool)
        for part, top, left in candidates.blocks(index):
            mask[top : top + part.shape[0], left : left + part.shape[1]] = part
        assert [mask[y, x] for x, y in clicks_xy] == [bool(label) for label in labels]
    session.close()
