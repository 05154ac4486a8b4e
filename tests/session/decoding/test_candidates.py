from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import skimage.data

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import Candidates, Prompts
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile

A, B, C = (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)
TILE = Tile(0, 0, 0, 303, 384)
BOX = (0, 0, 5, 5)
ONE = Prompts((A,), (1,))
TWO = Prompts((A, B), (1, 1))
BOXED = Prompts((A,), (1,), BOX)


@pytest.fixture(scope="module")
def prediction(real_predictor):
    """Return the model's answer to a click on a coin."""
    image = np.repeat(skimage.data.coins()[..., None], 3, axis=2)
    return real_predictor.decode(real_predictor.encode(image), [(104, 68)], [1])


def candidates_of(prompts, prediction):
    masks = tuple(Candidate(prediction, index, TILE) for index in range(len(prediction)))
    return Candidates(prompts, TILE, masks)


def shown(prompts, prediction, index=0):
    return candidates_of(prompts, prediction), index


def test_candidates_keep_the_models_order_and_scores(prediction):
    candidates = candidates_of(ONE, prediction)
    assert len(candidates) == 3
    assert candidates.iou_predictions == tuple(prediction.iou_predictions.tolist())
    assert candidates.iou_predictions[candidates.best] == max(candidates.iou_predictions)


def test_a_crop_is_the_mask_within_its_bounding_box(prediction):
    candidates = candidates_of(ONE, prediction)
    for index, mask in enumerate(prediction.masks):
        crop, top, left = candidates.crop(index)
        pasted = np.zeros_like(mask)
        pasted[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        np.testing.assert_array_equal(pasted, mask)
        assert mask.any()


@pytest.mark.parametrize("strength", [0, 1])
def test_the_area_is_that_of_the_mask_as_it_is_shown(prediction, strength):
    spotted = prediction.low_res_logits.copy()
    spotted[0, 150:170, 200:203] = 9  # nothing that belongs to a coin
    spotted = replace(prediction, low_res_logits=spotted)
    shown_masks = candidates_of(Prompts(((104, 68),), (1,)), spotted).cut(strength, 0, 0).masks
    for mask in shown_masks:
        exact = sum(np.count_nonzero(block.mask) for block in mask.blocks())
        assert mask.area_px == pytest.approx(exact, rel=0.05)


def test_the_first_prompts_have_no_mask_prompt():
    assert ObjectState().with_prompts(ONE, None).mask_prompt(None, TILE, SAM_SPEC) is None


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_next_decode_starts_from_the_chosen_logits(prediction, index):
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction, index))
    logits = state.mask_prompt(None, TILE, SAM_SPEC)
    np.testing.assert_array_equal(logits, prediction.low_res_logits[index])


def test_the_mask_prompt_is_a_copy(prediction):
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction))
    assert not np.shares_memory(state.mask_prompt(None, TILE, SAM_SPEC), prediction.low_res_logits)


def test_a_moved_point_leaves_no_step(prediction):
    moved = Prompts((B,), (1,))
    state = ObjectState(ONE).with_prompts(moved, shown(ONE, prediction))
    assert state.feedback == ()
    assert state.mask_prompt(None, TILE, SAM_SPEC) is None


def test_a_dragged_second_point_starts_from_the_first_points_mask_all_along(prediction):
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction, 1))
    moved = Prompts((A, C), (1, 1))
    state = state.with_prompts(moved, shown(TWO, prediction, 2))
    assert len(state.feedback) == 1
    logits = state.mask_prompt(None, TILE, SAM_SPEC)
    np.testing.assert_array_equal(logits, prediction.low_res_logits[1])


def test_masks_of_a_point_taken_away_are_not_used(prediction):
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction))
    assert state.with_prompts(Prompts((B,), (1,)), None).mask_prompt(None, TILE, SAM_SPEC) is None
    assert state.with_prompts(ONE, None).mask_prompt(None, TILE, SAM_SPEC) is None


def test_the_mask_of_the_most_prompts_is_used(prediction):
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction, 0))
    three = Prompts((A, B, C), (1, 1, 1))
    state = state.with_prompts(three, shown(TWO, prediction, 2))
    logits = state.mask_prompt(None, TILE, SAM_SPEC)
    np.testing.assert_array_equal(logits, prediction.low_res_logits[2])


def test_a_box_counts_as_a_prompt(prediction):
    state = ObjectState(ONE).with_prompts(BOXED, shown(ONE, prediction, 0))
    more = Prompts((A, B), (1, 1), BOX)
    state = state.with_prompts(more, shown(BOXED, prediction, 2))
    logits = state.mask_prompt(None, TILE, SAM_SPEC)
    np.testing.assert_array_equal(logits, prediction.low_res_logits[2])


def test_of_masks_of_as_many_prompts_the_later_is_used(prediction):
    other = Prompts((B,), (1,))
    three = Prompts((A, B, C), (1, 1, 1))
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction, 0))
    state = state.with_prompts(other, None).with_prompts(three, shown(other, prediction, 1))
    logits = state.mask_prompt(None, TILE, SAM_SPEC)
    np.testing.assert_array_equal(logits, prediction.low_res_logits[1])


def test_another_choice_for_the_same_prompts_replaces_their_step(prediction):
    state = ObjectState(ONE).with_prompts(TWO, shown(ONE, prediction, 0))
    state = state.with_prompts(ONE, None).with_prompts(TWO, shown(ONE, prediction, 1))
    assert len(state.feedback) == 1
    logits = state.mask_prompt(None, TILE, SAM_SPEC)
    np.testing.assert_array_equal(logits, prediction.low_res_logits[1])


def test_the_number_of_steps_is_bounded_and_the_newest_are_kept(prediction):
    state = ObjectState()
    clicks = [tuple((float(x), 0.0) for x in range(n)) for n in range(1, 42)]
    prompts = [Prompts(points, (1,) * len(points)) for points in clicks]
    for earlier, later in pairwise(prompts):
        state = state.with_prompts(later, shown(earlier, prediction))
    assert len(state.feedback) == 32
    assert state.feedback[-1].prompts == prompts[-2]
