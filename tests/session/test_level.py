"""The level of the shown mask: it grows and shrinks, is undone, accepted and re-edited."""

import numpy as np
import pytest

from napari_sam.session import Prompts
from napari_sam.session.decoding.cut import PUBLISHED

TIMEOUT_S = 120
COIN = Prompts(((104, 68),), (1,))
BOX = Prompts(box_xyxy=(85, 45, 125, 92))


def prompt(session, prompts):
    session.set_prompts(prompts)
    session.wait_until_idle(TIMEOUT_S)


def shown(session):
    state = session.state
    mask = np.zeros((303, 384), bool)
    for crop in state.candidates.blocks(state.chosen):
        height, width = crop.mask.shape
        mask[crop.top : crop.top + height, crop.left : crop.left + width] |= crop.mask
    return mask


@pytest.fixture
def level(session):
    return session.object_in_progress.set_level


@pytest.mark.parametrize("prompts", [COIN, BOX])
@pytest.mark.parametrize("strength", [0, 0.5])
def test_the_mask_grows_and_shrinks_at_once(session, held, level, prompts, strength):
    session.object_in_progress.set_clean(strength)
    prompt(session, prompts)
    published, n_decoded = shown(session), len(held.decoded)
    level(0.5)
    grown = shown(session)
    level(-0.5)
    shrunk = shown(session)
    assert shrunk.sum() < published.sum() < grown.sum()
    assert (published & ~grown).sum() < 0.01 * published.sum()
    assert (shrunk & ~published).sum() < 0.01 * published.sum()
    assert session.state.level == -0.5
    level(0)
    np.testing.assert_array_equal(shown(session), published)
    assert len(held.decoded) == n_decoded


def test_other_candidates_stay_as_they_are(session, level):
    prompt(session, COIN)
    before = session.state.candidates.masks
    level(0.5)
    after, chosen = session.state.candidates.masks, session.state.chosen
    assert [k for k in range(3) if after[k] is not before[k]] == [chosen]


def test_another_candidate_or_prompt_starts_at_zero(session, level):
    prompt(session, COIN)
    level(0.5)
    session.object_in_progress.choose_next()
    assert session.state.level == 0
    assert all(mask.cut == PUBLISHED for mask in session.state.candidates.masks)
    level(0.5)
    prompt(session, Prompts(((104, 68), (128, 68)), (1, 0)))
    assert session.state.level == 0


def test_the_model_goes_on_from_the_published_mask(session, held, level):
    prompt(session, COIN)
    published = session.state.candidates.logits(session.state.chosen).copy()
    level(-0.7)
    prompt(session, Prompts(((104, 68), (128, 68)), (1, 0)))
    np.testing.assert_array_equal(np.squeeze(held.decoded[-1]["mask_input"]), published)


def test_a_gesture_is_one_step_and_levels_in_a_row_are_another(session, level):
    prompt(session, COIN)
    masks = [shown(session)]
    session.object_in_progress.set_gesture(True)
    for value in (0.1, 0.2, 0.3):
        level(value)
    session.object_in_progress.set_gesture(False)
    masks.append(shown(session))
    for value in (0.35, 0.4):  # notches of the wheel
        level(value)
    masks.append(shown(session))
    for mask, value in ((masks[1], 0.3), (masks[0], 0)):
        session.undo()
        assert session.state.level == value
        np.testing.assert_array_equal(shown(session), mask)
    session.redo()
    session.redo()
    np.testing.assert_array_equal(shown(session), masks[2])
    for _ in range(3):
        session.undo()
    assert session.state.prompts.is_empty


def test_a_drag_away_and_back_is_no_step(session, level):
    prompt(session, COIN)
    session.object_in_progress.set_gesture(True)
    level(0.5)
    level(0)
    session.object_in_progress.set_gesture(False)
    session.undo()
    assert session.state.prompts.is_empty


def test_the_level_that_another_choice_reset_comes_back_with_undo(session, level):
    prompt(session, COIN)
    level(0.5)
    mask, chosen = shown(session), session.state.chosen
    session.object_in_progress.choose_next()
    session.undo()
    assert (session.state.chosen, session.state.level) == (chosen, 0.5)
    np.testing.assert_array_equal(shown(session), mask)


@pytest.mark.parametrize("value", [-0.8, 0.6])
def test_accept_writes_what_is_shown_and_reedit_shows_it_again(session, labels, level, value):
    prompt(session, COIN)
    level(value)
    mask = shown(session)
    edit = session.accept()
    np.testing.assert_array_equal(labels > 0, mask)
    assert edit.changes[0].after.state.level == value
    for _ in range(2):
        session.objects.reedit(1)
        session.wait_until_idle(TIMEOUT_S)
        np.testing.assert_array_equal(shown(session), mask)
        session.accept()
        np.testing.assert_array_equal(labels > 0, mask)
    session.objects.reedit(1)
    session.wait_until_idle(TIMEOUT_S)
    level(0)
    published = shown(session)
    session.accept()
    np.testing.assert_array_equal(labels > 0, published)
    session.undo()
    np.testing.assert_array_equal(labels > 0, mask)


def test_the_level_is_kept_when_masks_come_again(session, level):
    prompt(session, COIN)
    level(0.5)
    mask = shown(session)
    session.look_at((90, 55, 118, 82))  # another tile may serve; the object stays on its own
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.level == 0.5
    session.undo()
    session.undo()
    session.redo()
    session.redo()
    session.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(shown(session), mask)


def test_without_a_mask_there_is_no_level(session, level):
    level(0.5)
    assert session.state.level == 0
    assert not session.state.can_undo
    with pytest.raises(ValueError, match="-1 to 1"):
        level(1.5)
