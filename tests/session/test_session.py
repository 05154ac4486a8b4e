"""The session as a whole, on real weights and threads."""

import dataclasses
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_sam.session import (
    ArrayPlane,
    ImagePlane,
    ModelChoice,
    Overlap,
    Phase,
    Prompts,
    TargetError,
)
from napari_sam.session.jobs import run_until
from napari_sam.session.plane_request import PlaneRequest

TIMEOUT_S = 120
COIN = Prompts(((104, 68),), (1,))
COIN_AND_BACKGROUND = Prompts(((104, 68), (128, 68)), (1, 0))
THREE_POINTS = Prompts(((104, 68), (128, 68), (100, 64)), (1, 0, 1))
OTHER_COIN = Prompts(((150, 68),), (1,))
BOTH_COINS = Prompts(((104, 68), (150, 68)), (1, 1))
BACKGROUND_ONLY = Prompts(((128, 68),), (0,))


def wait(session):
    session.wait_until_idle(TIMEOUT_S)


def prompt(session, prompts):
    session.set_prompts(prompts)
    wait(session)


def masks(session):
    return session.state.candidates.masks[0].prediction.masks


def hold_decode(session, held, prompts):
    """Set prompts and return while their decode is held."""
    held.decode_gate.clear()
    held.decode_started.clear()
    session.set_prompts(prompts)
    assert held.decode_started.wait(TIMEOUT_S)


def hold_encode(session, held, plane):
    held.encode_gate.clear()
    held.encode_started.clear()
    session.set_image(plane)
    assert held.encode_started.wait(TIMEOUT_S)


def release(session, held):
    held.open()
    wait(session)


# From image to masks ---------------------------------------------------------------------


def test_a_click_gives_three_masks_under_it_and_preselects_the_best(session):
    prompt(session, COIN)
    assert masks(session).shape == (3, 303, 384)
    assert masks(session)[:, 68, 104].all()
    assert session.state.chosen == session.state.candidates.best
    assert session.state.candidates.prompts == COIN


def test_a_box_gives_masks(session):
    prompt(session, Prompts(box_xyxy=(80, 45, 128, 92)))
    assert masks(session)[session.state.chosen, 68, 104]


def test_the_phases_of_an_image(open_session, listen, coins):
    session = open_session()
    heard = listen(session)
    assert session.state.phase is Phase.NO_IMAGE
    session.set_image(coins)
    wait(session)
    phases = [state.phase for state in heard.states]
    assert list(dict.fromkeys(phases)) == [Phase.LOADING, Phase.EMBEDDING, Phase.READY]
    progress = [state.progress for state in heard.states]
    assert progress == sorted(progress)
    assert 0.25 in progress
    assert session.state.runtime.device == "cpu"


def test_prompts_set_before_the_embedding_is_ready_are_decoded_when_it_is(
    open_session, held, coins
):
    session = open_session()
    hold_encode(session, held, coins)
    session.set_prompts(COIN)
    assert held.decoded == []
    assert session.state.prompts == COIN
    release(session, held)
    assert session.state.candidates.prompts == COIN


def test_fast_edits_cost_one_decode_and_the_last_is_shown(session, held):
    hold_decode(session, held, COIN)
    session.set_prompts(OTHER_COIN)
    session.set_prompts(COIN_AND_BACKGROUND)
    release(session, held)
    assert len(held.decoded) == 2
    assert session.state.candidates.prompts == COIN_AND_BACKGROUND


def test_a_second_visit_to_the_same_pixels_does_not_encode_again(session, held, coins, blank):
    session.set_image(blank)
    wait(session)
    session.set_image(ImagePlane(coins.data.copy(), name="copy"))
    wait(session)
    assert session.state.phase is Phase.READY
    assert len(held.encoded) == 2


def test_loading_ahead_leaves_no_phase_and_shows_the_device(open_session):
    session = open_session()
    session.embedding.preload()
    wait(session)
    assert session.state.phase is Phase.NO_IMAGE
    assert session.state.runtime.device == "cpu"


def test_loading_ahead_never_takes_an_images_place(open_session, held, coins, blank):
    session = open_session()
    hold_encode(session, held, blank)
    session.set_image(coins)
    session.embedding.preload()
    release(session, held)
    assert session.state.phase is Phase.READY


def test_embedding_again_what_is_embedded_does_nothing(session, held):
    session.embedding.embed()
    assert session.is_idle
    assert session.state.phase is Phase.READY
    assert len(held.encoded) == 1


# Cancel, change of image, failures ---------------------------------------------------------


def test_cancel_stops_the_encode_and_keeps_the_prompts(open_session, held, listen, coins):
    session = open_session()
    hold_encode(session, held, coins)
    session.set_prompts(COIN)
    session.embedding.cancel()
    heard = listen(session)
    release(session, held)
    assert session.state.phase is Phase.CANCELLED
    assert session.state.prompts == COIN
    assert heard.states == []


def test_cancel_and_embed_again(open_session, held, coins):
    session = open_session()
    hold_encode(session, held, coins)
    session.set_prompts(COIN)
    session.embedding.cancel()
    session.embedding.embed()
    release(session, held)
    assert session.state.phase is Phase.READY
    assert session.state.candidates.prompts == COIN


def test_cancelling_what_is_ready_does_nothing(session):
    session.embedding.cancel()
    assert session.state.phase is Phase.READY


def test_an_encode_of_the_old_image_is_never_applied(open_session, held, listen, coins, blank):
    session = open_session()
    heard = listen(session)
    hold_encode(session, held, blank)
    session.set_image(coins)
    session.set_prompts(COIN)
    release(session, held)
    assert session.state.candidates.masks[0].prediction.original_size == coins.shape
    assert heard.warnings == []  # the old one, being blank, would have warned


def test_an_encode_that_ends_after_the_image_is_gone_is_not_applied(open_session, held, blank):
    session = open_session()
    hold_encode(session, held, blank)
    session.set_image(None)
    release(session, held)
    assert session.state.phase is Phase.NO_IMAGE


def test_a_new_image_drops_prompts_masks_and_target(session, labels, blank):
    prompt(session, COIN)
    session.set_image(blank)
    assert session.state.prompts.is_empty
    assert session.state.candidates is None
    assert not session.state.can_undo
    wait(session)
    session.set_prompts(Prompts(((5, 5),), (1,)))
    wait(session)
    with pytest.raises(TargetError, match="no target"):
        session.accept()
    assert not labels.any()


def test_a_decode_of_the_old_image_is_never_applied(session, held, blank):
    hold_decode(session, held, COIN)
    session.set_image(blank)
    release(session, held)
    assert session.state.candidates is None
    assert session.state.phase is Phase.READY


def test_no_image_after_one(session):
    prompt(session, COIN)
    session.set_image(None)
    assert session.state.phase is Phase.NO_IMAGE
    assert session.state.candidates is None
    assert session.state.hint == "Open or drop an image."


def test_a_refused_image_says_why_until_the_next(session, coins):
    prompt(session, COIN)
    session.show(PlaneRequest(refusal="Too strange."))
    assert (session.state.phase, session.state.hint) == (Phase.FAILED, "Too strange.")
    assert session.state.prompts.is_empty
    session.set_image(coins)
    wait(session)
    assert session.state.phase is Phase.READY
    assert session.state.hint != "Too strange."


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("The checkpoint is damaged: download it again."), "download it again"),
        (RuntimeError("odd"), r"\(RuntimeError\): odd"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
    ],
)
def test_a_model_that_fails_to_load_is_reported_and_can_be_tried_again(
    open_session, held, listen, coins, error, message
):
    failures = [error]

    def load(*_):
        if failures:
            raise failures.pop()
        return held

    session = open_session(load)
    heard = listen(session)
    session.set_image(coins)
    session.set_prompts(COIN)
    wait(session)
    assert session.state.phase is Phase.FAILED
    assert heard.warnings == [session.state.hint]
    assert re.search(message, session.state.hint)
    session.embedding.embed()
    wait(session)
    assert session.state.candidates.prompts == COIN


def test_a_failure_while_loading_ahead_speaks_of_the_model(open_session, listen):
    def load(*_):
        message = "the file is missing"
        raise ValueError(message)

    session = open_session(load)
    heard = listen(session)
    session.embedding.preload()
    wait(session)
    assert session.state.phase is Phase.FAILED
    assert heard.warnings == ["The model mobile_sam could not be loaded: the file is missing"]


def test_an_encode_that_fails_is_reported_and_the_next_image_works(
    open_session, held, listen, coins, blank, monkeypatch
):
    def fail(*_, **__):
        message = "odd"
        raise RuntimeError(message)

    session = open_session()
    heard = listen(session)
    monkeypatch.setattr(held, "encode", fail)
    session.set_image(blank)
    wait(session)
    assert session.state.phase is Phase.FAILED
    assert heard.warnings == ["The image could not be embedded (RuntimeError): odd"]
    monkeypatch.undo()
    session.set_image(coins)
    prompt(session, COIN)
    assert session.state.phase is Phase.READY
    assert len(session.state.candidates) == 3


def test_a_decode_that_fails_is_reported_and_the_next_click_works(
    session, held, listen, monkeypatch
):
    def fail(*_, **__):
        raise MemoryError

    heard = listen(session)
    monkeypatch.setattr(held, "decode", fail)
    prompt(session, COIN)
    assert len(heard.warnings) == 1
    assert "not enough memory" in heard.warnings[0]
    assert not session.state.is_decoding
    monkeypatch.undo()
    prompt(session, COIN_AND_BACKGROUND)
    assert session.state.candidates.prompts == COIN_AND_BACKGROUND


@pytest.mark.parametrize("shape", [(40, 50), (1, 1)])
def test_a_constant_image_warns_and_can_be_prompted(open_session, listen, shape):
    session = open_session()
    heard = listen(session)
    session.set_image(ImagePlane(np.zeros(shape, np.uint8)))
    prompt(session, Prompts(((0, 0),), (1,)))
    assert len(heard.warnings) == 1
    assert "have the same value (0)" in heard.warnings[0]
    assert masks(session).shape == (3, *shape)


def test_an_image_with_content_does_not_warn(open_session, listen, coins):
    session = open_session()
    heard = listen(session)
    session.set_image(coins)
    wait(session)
    assert heard.warnings == []


# Prompts that say little ---------------------------------------------------------------------


def test_background_only_gives_no_candidates_and_a_hint(session, held):
    prompt(session, BACKGROUND_ONLY)
    assert session.state.candidates is None
    assert "add a foreground point" in session.state.hint
    assert held.decoded == []


def test_taking_the_last_foreground_point_away_drops_the_candidates(session):
    prompt(session, COIN_AND_BACKGROUND)
    session.set_prompts(BACKGROUND_ONLY)
    assert session.state.candidates is None


@pytest.mark.parametrize(
    "prompts", [Prompts(((-50, 4),), (1,)), Prompts(box_xyxy=(5, 5, 5, 5)), Prompts()]
)
def test_prompts_without_use_are_not_decoded(session, held, prompts):
    prompt(session, prompts)
    assert session.state.candidates is None
    assert held.decoded == []


def test_a_point_outside_is_left_out_of_the_decode_and_remarked_on(session, held):
    prompt(session, Prompts(((104, 68), (-50, 4)), (1, 0)))
    np.testing.assert_array_equal(held.decoded[-1]["points_xy"], [(104, 68)])
    np.testing.assert_array_equal(held.decoded[-1]["point_labels"], [1])
    assert "outside the image" in session.state.hint


# Choosing and feedback -----------------------------------------------------------------------


def test_choices_go_round(session):
    prompt(session, COIN)
    start = session.state.chosen
    chosen = []
    for _ in range(3):
        session.object_in_progress.choose_next()
        chosen.append(session.state.chosen)
    assert chosen == [(start + n) % 3 for n in (1, 2, 3)]
    session.object_in_progress.choose_next(-1)
    assert session.state.chosen == (start - 1) % 3


def test_choosing_what_is_not_there_is_refused(session):
    with pytest.raises(IndexError, match="no candidate 0"):
        session.object_in_progress.choose(0)
    session.object_in_progress.choose_next()
    prompt(session, COIN)
    with pytest.raises(IndexError, match="no candidate 3"):
        session.object_in_progress.choose(3)


def test_the_first_click_has_no_mask_prompt(session, held):
    prompt(session, COIN)
    assert held.decoded[-1]["mask_input"] is None


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_next_decode_starts_from_the_chosen_candidates_logits(session, held, index):
    prompt(session, COIN)
    logits = session.state.candidates.logits(index).copy()
    session.object_in_progress.choose(index)
    prompt(session, COIN_AND_BACKGROUND)
    np.testing.assert_array_equal(held.decoded[-1]["mask_input"], logits)


def test_without_feedback_no_decode_has_a_mask_prompt(session, held):
    session.object_in_progress.set_feedback(False)
    prompt(session, COIN)
    prompt(session, COIN_AND_BACKGROUND)
    assert [decoded["mask_input"] for decoded in held.decoded] == [None, None]


def test_a_moved_point_has_no_mask_prompt(session, held):
    prompt(session, COIN)
    prompt(session, OTHER_COIN)
    assert held.decoded[-1]["mask_input"] is None


def test_a_dragged_second_point_starts_from_the_first_ones_mask_all_along(session, held):
    prompt(session, COIN)
    logits = session.state.candidates.logits(session.state.chosen).copy()
    for x in (128, 129, 130):
        prompt(session, Prompts(((104, 68), (x, 68)), (1, 0)))
        np.testing.assert_array_equal(held.decoded[-1]["mask_input"], logits)


def test_no_logits_leak_into_the_next_object_after_accept(session, held, labels):
    prompt(session, COIN)
    prompt(session, COIN_AND_BACKGROUND)
    session.accept()
    assert labels.any()
    prompt(session, THREE_POINTS)  # which extend the prompts of the object before
    assert held.decoded[-1]["mask_input"] is None


def test_neither_logits_nor_choice_leak_into_the_next_object_after_clear(session, held):
    prompt(session, COIN)
    prompt(session, COIN_AND_BACKGROUND)
    session.object_in_progress.choose_next()
    session.object_in_progress.clear()
    prompt(session, THREE_POINTS)
    assert held.decoded[-1]["mask_input"] is None
    assert session.state.chosen == session.state.candidates.best


def test_no_logits_leak_from_a_decode_that_was_held_over_clear(session, held):
    hold_decode(session, held, COIN)
    session.object_in_progress.clear()
    session.set_prompts(COIN_AND_BACKGROUND)
    release(session, held)
    assert held.decoded[-1]["mask_input"] is None
    assert session.state.candidates.prompts == COIN_AND_BACKGROUND


def test_undo_finds_the_same_masks(session):
    prompt(session, COIN)
    session.object_in_progress.choose(1)
    prompt(session, COIN_AND_BACKGROUND)
    two = masks(session).copy()
    prompt(session, THREE_POINTS)
    session.undo()
    wait(session)
    assert session.state.prompts == COIN_AND_BACKGROUND
    np.testing.assert_array_equal(masks(session), two)
    session.undo()
    session.redo()
    wait(session)
    np.testing.assert_array_equal(masks(session), two)


# Undo and redo of prompts ----------------------------------------------------------------------


def test_undo_of_an_accept_shows_the_very_same_masks_at_once(session):
    session.set_target(ArrayPlane(np.zeros((303, 384), np.uint16)))
    prompt(session, COIN)
    candidates, chosen = session.state.candidates, session.state.chosen
    session.accept()
    session.undo()
    assert session.state.candidates is candidates
    assert session.state.chosen == chosen
    assert not session.state.is_decoding


def test_prompts_are_undone_and_redone_one_by_one(session):
    session.set_prompts(COIN)
    session.set_prompts(COIN_AND_BACKGROUND)
    session.undo()
    assert session.state.prompts == COIN
    session.undo()
    assert session.state.prompts.is_empty
    assert not session.state.can_undo
    session.undo()
    session.redo()
    session.redo()
    assert session.state.prompts == COIN_AND_BACKGROUND
    assert not session.state.can_redo
    session.redo()
    assert session.state.prompts == COIN_AND_BACKGROUND


def test_the_same_prompts_again_are_no_edit(session, held):
    prompt(session, COIN)
    prompt(session, COIN)
    assert len(held.decoded) == 1
    session.undo()
    assert not session.state.can_undo


def test_clear_can_be_undone(session):
    prompt(session, COIN)
    session.object_in_progress.clear()
    assert session.state.candidates is None
    session.undo()
    wait(session)
    assert session.state.candidates.prompts == COIN


def test_redo_brings_the_choice_back(session):
    prompt(session, COIN)
    session.object_in_progress.choose_next()
    chosen = session.state.chosen
    session.undo()
    session.redo()
    wait(session)
    assert session.state.chosen == chosen


def test_a_gesture_is_one_undo_step(session):
    session.set_prompts(COIN)
    session.object_in_progress.set_gesture(True)
    for x in (105, 106, 107):
        session.set_prompts(Prompts(((x, 68),), (1,)))
    session.object_in_progress.set_gesture(False)
    session.undo()
    assert session.state.prompts == COIN
    session.redo()
    assert session.state.prompts.points_xy == ((107, 68),)


def test_two_gestures_are_two_undo_steps(session):
    for x in (104, 110):
        session.object_in_progress.set_gesture(True)
        session.set_prompts(Prompts(((x, 68),), (1,)))
        session.set_prompts(Prompts(((x + 1, 68),), (1,)))
        session.object_in_progress.set_gesture(False)
    session.undo()
    assert session.state.prompts.points_xy == ((105, 68),)


def test_a_choice_within_a_gesture_does_not_split_it(session):
    session.object_in_progress.set_gesture(True)
    prompt(session, COIN)
    session.object_in_progress.choose_next()
    session.set_prompts(OTHER_COIN)
    session.object_in_progress.set_gesture(False)
    session.undo()
    assert session.state.prompts.is_empty


def test_a_gesture_to_nowhere_leaves_no_undo_step(session):
    session.set_prompts(COIN)
    session.object_in_progress.set_gesture(True)
    session.set_prompts(OTHER_COIN)
    session.set_prompts(COIN)
    session.object_in_progress.set_gesture(False)
    session.undo()
    assert session.state.prompts.is_empty


# Accept ------------------------------------------------------------------------------------------


def test_accept_writes_the_chosen_mask_and_starts_the_next_object(session, labels, listen):
    prompt(session, COIN)
    session.object_in_progress.choose(1)
    mask = masks(session)[1].copy()
    heard = listen(session)
    edit = session.accept()
    np.testing.assert_array_equal(labels, mask.astype(np.uint16), strict=True)
    assert heard.accepted == [edit]
    assert session.state.prompts.is_empty
    assert session.state.candidates is None
    assert not session.state.can_accept


def test_what_listens_to_accepts_finds_the_session_ready_for_the_next_object(session, labels):
    prompt(session, COIN)
    prompts_then = []
    session.accepted.connect(lambda _: prompts_then.append(session.state.prompts))
    session.accept()
    assert prompts_then == [Prompts()]


def test_objects_are_numbered_and_do_not_overwrite_each_other(session, labels):
    prompt(session, COIN)
    session.accept()
    first = labels.copy()
    prompt(session, Prompts(box_xyxy=(80, 45, 180, 92)))
    session.object_in_progress.choose(2)
    session.accept()
    assert labels.max() == 2
    np.testing.assert_array_equal(labels[first == 1], 1)


def test_accept_takes_other_objects_pixels_if_allowed(session, labels):
    labels[:] = 7
    prompt(session, COIN)
    with pytest.raises(TargetError, match="replace the others"):
        session.accept()
    assert session.state.prompts == COIN
    session.editing.set_overlap(Overlap.REPLACE)
    mask = masks(session)[session.state.chosen].copy()
    session.accept()
    np.testing.assert_array_equal(labels == 8, mask)


def test_accept_without_a_mask_says_what_to_do(session, labels):
    with pytest.raises(TargetError, match="click on an object"):
        session.accept()
    assert not session.state.can_undo


def test_accept_without_a_target_keeps_the_prompts(session):
    prompt(session, COIN)
    with pytest.raises(TargetError, match="choose a Labels layer"):
        session.accept()
    assert session.state.prompts == COIN
    assert session.state.candidates is not None


def test_a_target_of_another_shape_is_refused_and_the_one_before_kept(session, labels):
    with pytest.raises(TargetError, match=r"\(5, 5\).*\(303, 384\)"):
        session.set_target(ArrayPlane(np.zeros((5, 5), int)))
    prompt(session, COIN)
    session.accept()
    assert labels.any()


def test_accept_while_decoding_is_done_once_when_the_masks_come(session, held, labels, listen):
    heard = listen(session)
    hold_decode(session, held, COIN)
    assert session.accept() is None
    assert session.accept() is None
    assert not labels.any()
    release(session, held)
    assert len(heard.accepted) == 1
    assert labels.max() == 1
    assert session.state.prompts.is_empty


def test_accept_while_decoding_waits_for_the_newest_prompts(session, held, labels, listen):
    heard = listen(session)
    hold_decode(session, held, COIN)
    session.set_prompts(OTHER_COIN)
    session.accept()
    release(session, held)
    assert len(heard.accepted) == 1
    assert labels[68, 150] == 1
    assert labels[68, 104] == 0


def test_an_accept_that_waits_outlives_the_model(session, held, labels, listen, monkeypatch):
    heard = listen(session)
    monkeypatch.setattr("napari_sam.session.embedding.active_model.check", lambda choice: None)
    hold_decode(session, held, COIN)
    session.accept()
    session.set_model(ModelChoice("other", Path("other.pt")))
    while session.state.active_model.name != "other":
        session.background.dispatcher.run_pending(0.05)
    assert heard.accepted == []
    release(session, held)
    assert len(heard.accepted) == 1
    assert labels[68, 104] == 1


def test_a_click_after_an_accept_that_waits_takes_it_back(session, held, labels):
    hold_decode(session, held, COIN)
    session.accept()
    session.set_prompts(COIN_AND_BACKGROUND)
    release(session, held)
    assert not labels.any()
    assert session.state.prompts == COIN_AND_BACKGROUND


def test_a_click_on_the_next_object_never_joins_one_that_waits_for_its_mask(
    session, held, labels, listen
):
    heard = listen(session)
    hold_decode(session, held, COIN)
    session.accept()
    assert session.state.hint == "The object is accepted as soon as its mask is there."
    session.set_prompts(BOTH_COINS)
    session.object_in_progress.finish_drawing(is_other_shape=False)
    assert session.state.prompts == COIN
    assert heard.warnings == [
        "Wait for the mask of the object before, which is accepted first; then repeat."
    ]
    release(session, held)
    assert len(heard.accepted) == 1
    assert (labels[68, 104], labels[68, 150]) == (1, 0)
    assert session.state.prompts.is_empty


def test_the_shown_mask_is_accepted_without_waiting_for_one_in_more_detail(session, held):
    image, blob = np.full((1500, 1500), 40, np.uint8), Prompts(((310, 310),), (1,))
    rows, columns = np.ogrid[:1500, :1500]
    image[np.hypot(rows - 310, columns - 310) < 9] = 200
    labels = np.zeros(image.shape, np.uint16)
    session.set_image(ImagePlane(image))
    session.set_target(ArrayPlane(labels))
    wait(session)
    held.encode_gate.clear()
    session.set_prompts(blob)
    run_until(lambda: session.state.refining_hint, session.background.dispatcher, TIMEOUT_S, "test")
    assert session.state.refining_hint.startswith("Accept the shown mask, or wait")
    assert session.state.hint.startswith("Accept the shown mask")
    shown = session.state.candidates.crop(session.state.chosen)
    edit = session.accept()
    assert edit is not None
    assert (labels > 0).sum() == shown.mask.sum()
    assert session.state.prompts.is_empty
    release(session, held)
    assert labels.max() == 1


def test_an_accept_that_waited_in_vain_warns_and_keeps_the_prompts(session, held, listen):
    heard = listen(session)
    hold_decode(session, held, COIN)
    session.accept()
    release(session, held)
    assert len(heard.warnings) == 1
    assert "no target" in heard.warnings[0]
    assert session.state.prompts == COIN


def test_undo_and_redo_of_accept_restore_labels_and_prompts(session, labels):
    labels[60:70, 60:100] = 3
    before = labels.copy()
    prompt(session, COIN)
    session.object_in_progress.choose(1)
    prompt(session, COIN_AND_BACKGROUND)
    shown = masks(session).copy()
    session.accept()
    after = labels.copy()
    assert (after != before).any()
    session.undo()
    wait(session)
    np.testing.assert_array_equal(labels, before)
    assert session.state.prompts == COIN_AND_BACKGROUND
    assert session.state.chosen == 1
    np.testing.assert_array_equal(masks(session), shown)
    session.redo()
    np.testing.assert_array_equal(labels, after)
    assert session.state.prompts.is_empty
    assert session.state.candidates is None


def test_an_accept_can_be_undone_after_another_image_came(session, labels, blank):
    prompt(session, COIN)
    session.accept()
    session.set_image(blank)
    prompt(session, Prompts(((5, 5),), (1,)))
    session.undo()
    assert labels.any()
    session.undo()
    assert not labels.any()
    assert session.state.prompts.is_empty
    assert not session.state.can_undo


def test_an_undo_that_the_target_refuses_warns(session, labels, listen, monkeypatch):
    prompt(session, COIN)
    edit = session.accept()

    def refuse(*_):
        message = "The layer has another shape now."
        raise TargetError(message)

    monkeypatch.setattr(edit.target, "read", refuse)
    heard = listen(session)
    session.undo()
    assert heard.warnings == ["The layer has another shape now."]
    assert session.state.prompts == COIN


# Snapshots, threads, scripts -------------------------------------------------------------------


def test_snapshots_are_frozen_and_stay_as_they_were(session):
    before = session.state
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.prompts = COIN
    prompt(session, COIN)
    assert before.prompts.is_empty
    assert before.candidates is None


def test_a_snapshot_says_that_masks_are_on_their_way(session, held):
    hold_decode(session, held, COIN)
    assert session.state.is_decoding
    assert session.state.can_accept
    release(session, held)
    assert not session.state.is_decoding


def test_every_listener_hears_snapshots_in_order_even_if_one_changes_the_state(session, listen):
    def move_on(state):
        if state.prompts == COIN:
            session.set_prompts(OTHER_COIN)

    session.changed.connect(move_on)
    heard = listen(session)
    prompt(session, COIN)
    assert heard.states[0].prompts == COIN
    assert heard.states[-1] is session.state


def test_listeners_are_called_on_the_owners_thread(session):
    threads = set()
    session.changed.connect(lambda _: threads.add(threading.current_thread()))
    prompt(session, COIN)
    assert threads == {threading.current_thread()}


def test_waiting_ends_with_a_timeout_while_a_job_is_held(session, held):
    hold_decode(session, held, COIN)
    with pytest.raises(TimeoutError, match="still busy"):
        session.wait_until_idle(0)


def test_closing_in_the_middle_of_both_jobs_ends_their_threads(open_session, held, coins, blank):
    session = open_session()
    others = set(threading.enumerate())
    session.set_image(coins)
    wait(session)
    hold_decode(session, held, COIN)
    hold_encode(session, held, blank)
    own = [thread for thread in threading.enumerate() if thread not in others]
    assert len(own) == 2
    session.close()
    held.open()
    for thread in own:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    assert session.is_idle


def test_what_is_asked_of_a_closed_session_is_not_computed(session, held):
    session.close()
    session.set_prompts(COIN)
    session.embedding.preload()
    wait(session)
    assert held.decoded == []
    session.close()


SCRIPT = """
import json, sys, warnings
warnings.simplefilter("error")
import napari_sam.session.session as module
without_torch = "torch" not in sys.modules
import doctest
results = doctest.testmod(module)
unwanted = [m for m in ("napari", "qtpy", "PyQt6", "vispy", "magicgui") if m in sys.modules]
print(json.dumps([results.attempted, results.failed, unwanted, without_torch]))
"""


@pytest.fixture(scope="module")
def script():
    """Return what a plain script reports that runs the docstring's example."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_docstrings_example_runs_in_a_plain_script(script):
    attempted, failed, *_ = script
    assert attempted >= 8
    assert failed == 0


def test_a_plain_script_loads_neither_qt_nor_napari(script):
    assert script[2] == []


def test_torch_is_imported_only_when_it_is_needed(script):
    assert script[3]


def test_a_preview_that_fails_is_logged_once(session, held, caplog, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(held, "decode", fail)
    for x in range(100, 105):
        session.object_in_progress.preview.want(Prompts(((x, 68),), (1,)))
        wait(session)
    assert len([each for each in caplog.records if "preview" in each.message]) == 1


# Planes that are left and set again --------------------------------------------------------------


def test_going_back_to_a_plane_finds_its_object_and_decodes_nothing(session, held, coins, blank):
    session.set_image(coins, "coins")
    wait(session)
    prompt(session, COIN)
    session.object_in_progress.choose(2)
    found = session.state.candidates
    decoded = len(held.decoded)
    session.set_image(blank, "blank")
    assert session.state.prompts.is_empty
    assert session.state.candidates is None
    wait(session)
    session.set_image(coins, "coins")
    assert session.state.prompts == COIN
    assert session.state.candidates is found
    assert session.state.chosen == 2
    wait(session)
    assert session.state.candidates is found
    assert len(held.decoded) == decoded
    target = np.zeros((303, 384), np.uint16)
    session.set_target(ArrayPlane(target))
    session.accept()
    np.testing.assert_array_equal(target > 0, found.masks[2].prediction.masks[2])
    session.set_image(blank, "blank")
    session.set_image(coins, "coins")
    assert session.state.prompts.is_empty, "what was accepted is no longer being made"


def test_a_plane_of_another_key_or_of_none_begins_anew(session, coins, blank):
    session.set_image(coins, ("coins", "bright"))
    prompt(session, COIN)
    for key in (("coins", "dark"), None):
        session.set_image(coins, key)
        assert session.state.prompts.is_empty
    session.set_image(coins, ("coins", "bright"))
    assert session.state.prompts == COIN


def test_taking_back_a_click_before_its_masks_came_shows_those_before(session, held):
    prompt(session, COIN)
    found = session.state.candidates
    hold_decode(session, held, COIN_AND_BACKGROUND)
    session.undo()
    held.decode_gate.set()
    wait(session)
    assert session.state.prompts == COIN
    assert session.state.candidates is found
