"""Accepted objects: re-edited, deleted, merged, noted; and everything taken back."""

import numpy as np
import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import (
    ArrayPlane,
    ImagePlane,
    ObjectRecord,
    Overlap,
    Prompts,
    TargetError,
)
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile
from napari_sam.session.objects import editing
from napari_sam.session.objects.measuring import find_objects, remeasured
from napari_sam.session.objects.object_editing import reedit

TIMEOUT_S = 120
COIN, OTHER = (104, 68), (166, 73)


@pytest.fixture
def target(session):
    """Return the plane that the session writes objects to."""
    plane = ArrayPlane(np.zeros((303, 384), np.uint16))
    session.set_target(plane)
    return plane


@pytest.fixture
def registry(target):
    return target.labels.registry


@pytest.fixture
def array(target):
    return target.labels.array


def click(session, *places, labels=None):
    session.set_prompts(Prompts(places, labels or (1,) * len(places)))
    session.wait_until_idle(TIMEOUT_S)


def accept(session, *places):
    click(session, *places)
    session.accept()
    session.wait_until_idle(TIMEOUT_S)


def check_registry(target):
    """Every record says what is in the labels, and every object has one."""
    found = {record.label_id: record for record in find_objects(target.labels)}
    known = {record.label_id: record for record in target.labels.registry}
    assert found.keys() == known.keys()
    for label_id, record in found.items():
        other = known[label_id]
        assert (record.start, record.stop, record.area_px) == (
            other.start,
            other.stop,
            other.area_px,
        )


def test_an_accepted_object_has_a_record(session, target, registry):
    accept(session, COIN)
    (record,) = registry
    assert record.label_id == 1
    assert record.state.prompts.points_xy == (COIN,)
    assert 0.5 < record.score <= 1.1
    check_registry(target)


def test_a_change_to_what_objects_have_already_is_no_step(session, target, registry):
    accept(session, COIN)
    session.objects.update([1], class_name="coin")
    session.objects.update([1], class_name="coin")
    session.undo()
    assert registry.get(1).class_name is None


def test_records_follow_undo_and_redo(session, target, registry):
    accept(session, COIN)
    accept(session, OTHER)
    check_registry(target)
    session.undo()
    assert [record.label_id for record in registry] == [1]
    session.undo()
    session.undo()
    assert len(registry) == 0
    for _ in range(4):
        session.redo()
        session.wait_until_idle(TIMEOUT_S)
    assert len(registry) == 2
    check_registry(target)


def test_an_object_reedits_with_its_prompts_and_is_replaced_in_place(session, target, array):
    accept(session, COIN)
    accept(session, OTHER)
    before = array.copy()
    session.objects.reedit(1)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.points_xy == (COIN,)
    assert len(session.state.candidates) == 3
    assert session.state.reedited_label_id == 1
    assert session.state.hint.startswith("Re-editing object 1: ")
    np.testing.assert_array_equal(array, before)  # until it is accepted again
    session.object_in_progress.choose_next()
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.reedited_label_id is None
    assert set(np.unique(array)) == {0, 1, 2}
    assert not np.array_equal(array, before)
    np.testing.assert_array_equal(array == 2, before == 2)
    check_registry(target)
    session.undo()
    np.testing.assert_array_equal(array, before)
    check_registry(target)


def test_a_reedited_object_left_alone_stays_as_it_was(session, target, array):
    accept(session, COIN)
    before = array.copy()
    for leave in (session.accept, session.object_in_progress.clear, session.undo):
        session.objects.reedit(1)
        session.wait_until_idle(TIMEOUT_S)
        leave()
        session.wait_until_idle(TIMEOUT_S)
        assert session.state.prompts.is_empty
        np.testing.assert_array_equal(array, before)
        check_registry(target)


def test_a_second_accept_of_the_choice_that_was_made_chooses_it_again(session, target):
    click(session, COIN)
    session.object_in_progress.choose(2)
    session.accept()
    session.objects.reedit(1)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.chosen == 2


def test_an_object_from_elsewhere_opens_with_its_region(session, target, array, registry):
    accept(session, COIN)
    mask = array == 1
    array[mask] = 0
    rows, columns = np.nonzero(mask)
    # As somebody might have painted it, roughly.
    array[rows.min() + 3 : rows.max() - 2, columns.min() + 3 : columns.max() - 2] = 9
    registry.replace_all(find_objects(target.labels))
    session.objects.reedit(9)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.box_xyxy is not None
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    found = array == 9
    assert (found & mask).sum() / (found | mask).sum() > 0.8
    assert set(np.unique(array)) == {0, 9}
    check_registry(target)


def test_the_region_of_a_reedited_object_becomes_logits_of_its_tile():
    array = np.zeros((600, 900), np.uint8)
    array[100:200, 300:500] = 3
    plane = ArrayPlane(array)
    plane.labels.registry.replace_all(find_objects(plane.labels))
    state = reedit(plane, plane.labels.registry.get(3))
    logits = state.mask_prompt(None, Tile(0, 0, 0, 600, 900), SAM_SPEC)
    inside = logits > 0
    cell = 900 / 256
    rows, columns = np.nonzero(inside)
    np.testing.assert_allclose((rows.min() * cell, (rows.max() + 1) * cell), (100, 200), atol=cell)
    np.testing.assert_allclose(
        (columns.min() * cell, (columns.max() + 1) * cell), (300, 500), atol=cell
    )
    part = state.mask_prompt(None, Tile(0, 100, 400, 256, 256), SAM_SPEC)  # a pixel for each cell
    np.testing.assert_array_equal(part[:100, :100] > 0, True)
    np.testing.assert_array_equal(part[100:] > 0, False)


def test_delete_merge_and_their_undo_are_exact(session, target, array, registry):
    for place in (COIN, OTHER, (228, 70)):
        accept(session, place)
    states = [array.copy()]
    session.objects.remove([2])
    states.append(array.copy())
    assert set(np.unique(array)) == {0, 1, 3}
    check_registry(target)
    session.objects.merge([3, 1])
    states.append(array.copy())
    assert set(np.unique(array)) == {0, 3}
    check_registry(target)
    assert registry.get(3).state is None
    for state in reversed(states[:-1]):
        session.undo()
        np.testing.assert_array_equal(array, state)
        check_registry(target)
    for state in states[1:]:
        session.redo()
        np.testing.assert_array_equal(array, state)
        check_registry(target)


def test_the_object_being_made_is_left_alone_by_what_is_done_to_others(session, target):
    accept(session, COIN)
    click(session, OTHER)
    before = session.state.candidates
    session.objects.remove([1])
    assert session.state.candidates is before
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.points_xy == (OTHER,)
    check_registry(target)


def test_notes_of_many_objects_at_once(session, target, registry):
    accept(session, COIN)
    accept(session, OTHER)
    session.objects.update([1, 2], class_name="coin", reviewed=True)
    assert all(record.class_name == "coin" and record.reviewed for record in registry)
    session.undo()
    assert all(record.class_name is None and not record.reviewed for record in registry)
    session.redo()
    assert all(record.class_name == "coin" for record in registry)


def test_a_deleted_object_that_is_reedited_becomes_a_new_one(session, target, array):
    accept(session, COIN)
    accept(session, OTHER)
    session.objects.reedit(1)
    session.wait_until_idle(TIMEOUT_S)
    session.objects.remove([1])
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    assert set(np.unique(array)) == {0, 2, 3}
    check_registry(target)


def test_what_is_not_there_cannot_be_changed(session, target):
    for action in (
        session.objects.reedit,
        lambda n: session.objects.remove([n]),
        lambda n: session.objects.update([n]),
    ):
        with pytest.raises(TargetError, match="no object 5"):
            action(5)
    accept(session, COIN)
    with pytest.raises(TargetError, match="two objects or more"):
        session.objects.merge([1, 1])
    target.labels.array[:] = 0
    with pytest.raises(TargetError, match="no pixels left"):
        session.objects.reedit(1)


def test_only_on_background_refuses_a_mask_that_touches_another(session, target, array):
    session.editing.set_overlap(Overlap.REFUSE)
    click(session, COIN)
    array[68, 104] = 7
    with pytest.raises(TargetError, match="Overlaps object 7: correct the mask"):
        session.accept()
    assert (array > 0).sum() == 1
    assert session.state.candidates is not None
    array[68, 104] = 0
    session.accept()
    assert (array == 1).any()


def test_what_is_left_at_the_rim_of_an_object_is_none(session, target, array):
    accept(session, COIN)
    first = array.copy()
    click(session, COIN)
    rim = np.argwhere(first)[0]
    array[tuple(rim)] = 0
    with pytest.raises(TargetError, match="Covered by object 1: choose another mask"):
        session.accept()
    array[tuple(rim)] = 1
    np.testing.assert_array_equal(array, first)


def test_an_object_that_loses_all_but_a_rim_is_named_and_stays(session, target, array, listen):
    click(session, COIN)
    session.accept()
    rows, columns = np.nonzero(array)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    array[rows, columns] = 4
    array[0, 0] = 4
    target.labels.registry.apply(
        tuple(remeasured(target.labels, target.labels.registry, 4, (0, 0), (303, 384)))
    )
    heard = listen(session)
    session.editing.set_overlap(Overlap.REPLACE)
    session.accept()
    assert heard.warnings == [
        f"Object 4 has only 1 of {len(rows) + 1} pixels left: delete it, too, or undo."
    ]
    assert array[0, 0] == 4
    check_registry(target)


# On several planes -------------------------------------------------------------------------------


@pytest.fixture
def go(session, coins):
    """Return a function that goes to a slice, with the labels of that slice as the target."""
    volume = np.zeros((3, 303, 384), np.uint16)
    pixels = [coins.data, coins.data[::-1].copy(), np.ascontiguousarray(coins.data[:, ::-1])]
    planes = [ArrayPlane(labels) for labels in volume]

    def go(number, look=0):
        plane = ImagePlane(pixels[number], contrast_limits=(0, 255 - look))
        session.set_image(plane, ("stack", number), version=look)
        session.set_target(planes[number])
        session.wait_until_idle(TIMEOUT_S)
        return planes[number].labels.array

    return go


def test_undo_takes_the_newest_step_also_after_other_slices_were_shown(session, go):
    labels = go(0)
    accept(session, COIN)
    click(session, OTHER)
    go(1)
    go(0)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert labels.any()
    assert session.state.prompts.is_empty
    session.undo()
    assert not labels.any()
    assert session.state.prompts.points_xy == (COIN,)


def test_undo_goes_to_the_slice_that_it_is_about(session, go, listen):
    heard, wanted = listen(session), []
    session.plane_wanted.connect(wanted.append)
    labels = go(0)
    accept(session, COIN)
    go(2)
    session.undo()
    assert wanted == [("stack", 0)]
    assert not labels.any()
    assert session.state.prompts.is_empty
    go(0)
    assert session.state.prompts.points_xy == (COIN,)
    assert session.state.candidates is not None
    assert heard.warnings == []
    go(1)
    session.redo()
    assert labels.any()
    go(0)
    assert session.state.prompts.is_empty


def test_another_look_keeps_the_prompts_and_the_steps(session, go):
    go(0)
    click(session, COIN)
    first = session.state.candidates
    click(session, COIN, OTHER)
    go(0, look=20)
    assert session.state.prompts.points_xy == (COIN, OTHER)
    assert session.state.candidates is not first
    session.undo()
    assert session.state.prompts.points_xy == (COIN,)
    session.undo()
    assert session.state.prompts.is_empty
    assert not session.state.can_undo


def test_an_object_written_while_another_slice_is_shown_does_not_come_back(
    session, go, monkeypatch
):
    monkeypatch.setattr(editing, "MAX_AREA_AT_ONCE_PX", 0)
    labels = go(0)
    click(session, COIN)
    session.accept()
    go(1)
    assert labels.any()
    go(0)
    assert session.state.prompts.is_empty


def test_an_object_state_without_a_reedited_object_is_never_as_accepted():
    assert not ObjectState().is_as_accepted
    record = ObjectRecord(1, (0, 0), (1, 1), 1)
    assert record.shape == (1, 1)
