"""Each click takes the preselected mask at once; one undo is back to before the click."""

import numpy as np
import pytest

from napari_sam.session import ArrayPlane, Prompts

TIMEOUT_S = 120
COIN = Prompts(((104, 68),), (1,))
OTHER_COIN = Prompts(((150, 68),), (1,))


@pytest.fixture
def quick(session, labels):
    """Return a session that accepts on click; `labels` is what it writes to."""
    session.object_in_progress.set_accept_on_click(True)
    return session


def prompt(session, prompts):
    session.set_prompts(prompts)
    session.wait_until_idle(TIMEOUT_S)


def undo(session):
    session.undo()
    session.wait_until_idle(TIMEOUT_S)


def test_it_is_off_by_default(session, labels):
    prompt(session, COIN)
    assert not session.object_in_progress.accept_on_click
    assert not labels.any()
    assert session.state.prompts == COIN


def test_each_click_takes_the_preselected_mask(quick, labels, listen):
    quick.object_in_progress.set_accept_on_click(False)
    prompt(quick, COIN)
    candidates = quick.state.candidates
    quick.object_in_progress.clear()

    quick.object_in_progress.set_accept_on_click(True)
    heard = listen(quick)
    prompt(quick, COIN)
    np.testing.assert_array_equal(labels > 0, candidates.masks[0].prediction.masks[candidates.best])
    assert quick.state.prompts.is_empty
    assert quick.state.candidates is None

    prompt(quick, OTHER_COIN)
    assert labels[68, 104] == 1
    assert labels[68, 150] == 2
    assert [edit.label_id for edit in heard.accepted] == [1, 2]
    assert heard.warnings == []


def test_one_undo_is_back_to_before_the_click_and_redo_accepts_again(quick, labels):
    prompt(quick, COIN)
    first = labels.copy()
    prompt(quick, OTHER_COIN)
    both = labels.copy()

    undo(quick)
    np.testing.assert_array_equal(labels, first)
    assert quick.state.prompts.is_empty
    undo(quick)
    assert not labels.any()
    assert not quick.state.can_undo

    quick.redo()
    quick.redo()
    quick.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(labels, both)
    assert quick.state.prompts.is_empty


def test_what_is_done_to_classes_and_objects_before_the_masks_come_is_a_step_of_its_own(
    quick, labels
):
    prompt(quick, OTHER_COIN)
    first = labels.copy()
    quick.set_prompts(COIN)
    quick.classes.add("cell")
    quick.objects.update([1], note="worn")
    quick.wait_until_idle(TIMEOUT_S)
    both = labels.copy()
    assert set(np.unique(both)) == {0, 1, 2}

    def known():
        names = [one.name for one in quick.classes.table.classes]
        return names, quick.editing.target.labels.registry.get(1).note

    undo(quick)
    np.testing.assert_array_equal(labels, first)
    assert (known(), quick.state.prompts.is_empty) == ((["cell"], "worn"), True)
    undo(quick)
    assert known() == (["cell"], "")
    undo(quick)
    assert (known(), quick.state.prompts.is_empty) == (([], ""), True)
    np.testing.assert_array_equal(labels, first)
    for _ in range(3):
        quick.redo()
    quick.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(labels, both)
    assert (known(), quick.state.prompts.is_empty) == ((["cell"], "worn"), True)


def test_objects_accepted_by_hand_are_undone_in_two_steps_as_ever(session, labels):
    prompt(session, COIN)
    session.accept()
    undo(session)
    assert session.state.prompts == COIN
    undo(session)
    assert session.state.prompts.is_empty


def test_a_box_from_a_script_is_accepted_at_once(quick, labels):
    prompt(quick, Prompts(box_xyxy=(80, 45, 128, 92)))
    assert labels[68, 104] == 1
    undo(quick)
    assert not labels.any()
    assert quick.state.prompts.is_empty


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(((128, 68),), (0,)),
        Prompts(((104, 68), (100, 64)), (1, 1)),
        Prompts(((104, 68),), (1,), (80, 45, 128, 92)),
    ],
)
def test_only_a_single_foreground_prompt_is_accepted(quick, labels, prompts):
    prompt(quick, prompts)
    assert not labels.any()
    assert quick.state.prompts == prompts


def test_a_click_that_goes_on_with_an_object_is_not_a_new_one(session, labels):
    prompt(session, COIN)
    session.object_in_progress.set_accept_on_click(True)
    prompt(session, OTHER_COIN)  # the point was moved
    assert not labels.any()
    assert session.state.prompts == OTHER_COIN


def test_a_click_before_the_embedding_is_ready_is_accepted_when_it_is(
    open_session, held, coins, labels
):
    session = open_session()
    session.object_in_progress.set_accept_on_click(True)
    held.encode_gate.clear()
    session.set_image(coins)
    session.set_target(ArrayPlane(labels))
    session.set_prompts(COIN)
    assert not labels.any()
    held.open()
    session.wait_until_idle(TIMEOUT_S)
    assert labels[68, 104] == 1


def test_a_click_that_was_taken_back_in_time_is_not_accepted(quick, held, labels):
    held.decode_gate.clear()
    held.decode_started.clear()
    quick.set_prompts(COIN)
    assert held.decode_started.wait(TIMEOUT_S)
    quick.undo()
    held.open()
    quick.wait_until_idle(TIMEOUT_S)
    assert not labels.any()


def test_what_cannot_be_written_is_said_and_the_click_stays(session, listen):
    full = np.full((303, 384), 255, np.uint8)
    session.set_target(ArrayPlane(full))
    session.object_in_progress.set_accept_on_click(True)
    heard = listen(session)
    prompt(session, COIN)
    assert len(heard.warnings) == 1
    assert "run out of label values" in heard.warnings[0]
    assert session.state.prompts == COIN
    assert session.state.candidates is not None

    labels = np.zeros((303, 384), np.uint8)
    session.set_target(ArrayPlane(labels))
    session.accept()  # by hand, so that the click is what undo brings back
    assert labels[68, 104] == 1
    undo(session)
    assert session.state.prompts == COIN


def test_without_a_target_somebody_is_asked_for_one(session, listen):
    heard = listen(session)
    session.object_in_progress.set_accept_on_click(True)
    prompt(session, COIN)
    assert "choose a Labels layer" in heard.warnings[0]
    assert session.state.prompts == COIN
    session.object_in_progress.clear()

    labels = np.zeros((303, 384), np.uint8)
    session.target_needed.connect(lambda: session.set_target(ArrayPlane(labels)))
    prompt(session, COIN)
    assert labels[68, 104] == 1
    assert len(heard.warnings) == 1
