"""Objects carried through a stack by real weights, corrected, cut, cleared and undone."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import ArrayStack, Origin, Outline, Prompts, TargetError
from napari_sam.session.objects.brush_history import Dab, strokes_of
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.object_editing import reedit
from napari_sam.session.objects.records import RecordChange
from napari_sam.session.objects.slices import ObjectSlice
from napari_sam.session.prompts.shapes import OutlineKind

from .volume import Volume, moving_discs

IMAGE = moving_discs()
SQUARE = (-1, -1), (1, -1), (1, 1), (-1, 1)


@pytest.fixture
def volume():
    return Volume(IMAGE)


@pytest.fixture
def session(volume, remembering_predictor):
    yield from volume.opened(remembering_predictor)


def click(session, x, y, label=1):
    session.set_prompts(Prompts(((x, y),), (label,)))
    session.wait_until_idle(60)


def carry(session, *args, **options):
    session.stack.propagate(*args, **options)
    session.wait_until_idle(120)


def origins(session):
    return {entry.slice_index: entry.origin for entry in session.stack.state.slices}


def check_record(volume, label_id):
    """Check that the record says what is in the labels."""
    record = volume.labels.registry.get(label_id)
    places = np.argwhere(volume.labels.array == label_id)
    assert record.area_px == len(places)
    assert record.start == tuple(places.min(axis=0))
    assert record.stop == tuple(places.max(axis=0) + 1)


def test_an_object_in_progress_is_accepted_and_carried_on_in_one_step(session, volume):
    click(session, 30, 34)
    carry(session)
    assert 1 in volume.labels.array[4]
    assert volume.slices_with(1) == list(range(1, 8))  # to its small ends
    known = origins(session)
    assert [n for n, origin in known.items() if origin is Origin.ANNOTATED] == [4]
    assert len(volume.labels.registry) == 1
    check_record(volume, 1)
    carried = volume.labels.array.copy()
    session.undo()
    assert volume.slices_with(1) == [4]
    assert origins(session) == {4: Origin.ANNOTATED}
    session.redo()
    np.testing.assert_array_equal(volume.labels.array, carried)
    assert origins(session) == known
    check_record(volume, 1)


def test_an_object_goes_on_beyond_its_expected_depth_from_where_it_was_carried_to(session, volume):
    volume.stack = ArrayStack(IMAGE, slice_distance_px=30.0)  # two slices to either side
    session.show(volume.request(4))
    click(session, 30, 34)
    carry(session)
    assert volume.slices_with(1) == list(range(2, 7))
    assert session.stack.state.question == "Object 1: 5 slices and not ended. Go on?"
    runs = []
    session.stack.propagation.finished.connect(runs.append)
    session.stack.go_on()
    session.wait_until_idle(120)
    assert volume.slices_with(1) == list(range(1, 8))
    assert sorted(index for indices in runs[0].reached.values() for index in indices) == [1, 7]
    assert not session.stack.state.question
    check_record(volume, 1)
    session.undo()
    assert volume.slices_with(1) == list(range(2, 7))


def test_a_corrected_slice_is_an_anchor_and_only_what_is_beside_it_changes(session, volume):
    click(session, 30, 34)
    carry(session)
    before = volume.labels.array.copy()
    session.show(volume.request(6))
    session.objects.reedit(1)
    session.set_prompts(Prompts(((30, 36),), (1,), (20, 26, 40, 46)))
    session.wait_until_idle(60)
    session.accept()
    session.wait_until_idle(60)
    known = origins(session)
    assert known[4] is known[6] is Origin.ANNOTATED
    assert known[5] is Origin.PROPAGATED  # it fits the correction
    np.testing.assert_array_equal(volume.labels.array[5], before[5])
    np.testing.assert_array_equal(volume.labels.array[:5], before[:5])
    check_record(volume, 1)
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)
    check_record(volume, 1)


def test_a_cleared_slice_ends_the_object_and_stays_clear(session, volume):
    click(session, 30, 34)
    carry(session)
    before = volume.labels.array.copy()
    session.show(volume.request(6))
    told = []
    session.stack.corrections.cleared.connect(lambda *about: told.append(about))
    session.stack.corrections.clear_slice()
    session.wait_until_idle(60)
    assert told == [(1, [6], []), (1, [6, 7], [])]
    assert origins(session)[6] is Origin.CLEARED
    assert max(volume.slices_with(1)) == 5
    carry(session, [1])
    assert max(volume.slices_with(1)) == 5
    check_record(volume, 1)
    session.undo()
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)


def test_the_range_of_an_object_is_cut_and_extended(session, volume):
    click(session, 30, 34)
    carry(session, first=4, last=6)
    assert volume.slices_with(1) == [4, 5, 6]
    before = volume.labels.array.copy()
    session.stack.corrections.set_range(4, 5)
    session.wait_until_idle(60)
    assert volume.slices_with(1) == [4, 5]
    session.stack.corrections.set_range(3, 6)
    session.wait_until_idle(60)
    assert volume.slices_with(1) == [3, 4, 5, 6]
    check_record(volume, 1)
    known = origins(session)
    assert [index for index in known if known[index] is Origin.CLEARED] == [2, 7]
    session.show(volume.request(6))
    session.stack.continue_in_next()  # as the user says so
    session.wait_until_idle(60)
    assert volume.slices_with(1) == [3, 4, 5, 6, 7]
    session.undo()
    assert volume.slices_with(1) == [3, 4, 5, 6]
    session.undo()
    assert volume.slices_with(1) == [4, 5]
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)
    with pytest.raises(TargetError, match="Nothing would be left"):
        session.stack.corrections.set_range(0, 2)


def test_several_objects_are_carried_at_once_and_undone_at_once(session, volume):
    click(session, 30, 34)
    session.accept()
    click(session, 70, 66)
    session.accept()
    before = volume.labels.array.copy()
    carry(session, [1, 2])
    assert len(volume.slices_with(1)) > 2 < len(volume.slices_with(2))
    for label_id in (1, 2):
        check_record(volume, label_id)
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)


def test_an_object_is_continued_slice_by_slice(session, volume):
    wanted = []
    session.stack.slice_wanted.connect(wanted.append)
    click(session, 30, 34)
    session.stack.continue_in_next()
    session.wait_until_idle(60)
    assert wanted == [5]
    assert volume.slices_with(1) == [4, 5]
    session.show(volume.request(5))
    session.stack.continue_in_next()
    session.wait_until_idle(60)
    assert wanted == [5, 6]
    assert volume.slices_with(1) == [4, 5, 6]
    session.show(volume.request(4))
    session.stack.continue_in_next()
    session.wait_until_idle(60)
    assert wanted == [5, 6, 5]
    session.show(volume.request(8))
    with pytest.raises(TargetError, match="last slice"):
        session.stack.continue_in_next()


def test_an_object_is_annotated_on_a_slice_that_it_is_not_on(session, volume):
    click(session, 30, 34)
    session.accept()
    session.show(volume.request(2))
    session.objects.reedit(1)
    click(session, 30, 32)
    session.accept()
    session.wait_until_idle(60)
    assert volume.slices_with(1) == [2, 4]
    assert set(origins(session).values()) == {Origin.ANNOTATED}
    carry(session)
    assert origins(session)[3] is Origin.INTERPOLATED
    check_record(volume, 1)


def test_a_stopped_run_keeps_what_there_is(session, volume):
    click(session, 30, 34)
    session.accept()
    session.stack.propagate([1])
    session.stack.stop()
    session.wait_until_idle(60)
    assert session.stack.state.run is None
    check_record(volume, 1)


def test_undo_during_a_run_takes_back_what_is_written_and_ends_it(session, volume):
    click(session, 30, 34)
    session.accept()
    before = volume.labels.array.copy()
    session.stack.propagate([1])
    while len(volume.slices_with(1)) < 3:
        session.background.dispatcher.run_pending(1)
    session.undo()
    session.wait_until_idle(60)
    assert session.stack.state.run is None
    np.testing.assert_array_equal(volume.labels.array, before)
    check_record(volume, 1)


def test_a_click_corrects_the_chosen_object_and_is_undone_with_what_follows(session, volume):
    click(session, 30, 34)
    carry(session)
    before = volume.labels.array.copy()
    session.stack.corrections.switch(True)
    told = []
    session.stack.corrections.followed.connect(lambda *about: told.append(about))
    session.show(volume.request(6))
    known = session.stack.state.slices
    click(session, 30, 36)
    assert origins(session)[6] is Origin.ANNOTATED
    left, changed = session.stack.state.slices.changed_since(known)
    n_weak = sum(entry.is_weak for entry in session.stack.state.slices)
    assert told == [(1, sorted({*left, *changed} - {6}), n_weak)]
    assert session.state.prompts.is_empty
    assert len(volume.labels.registry) == 1
    check_record(volume, 1)
    click(session, 30, 37, label=0)
    assert origins(session)[6] is Origin.CLEARED
    assert session.state.prompts.is_empty
    session.undo()
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)
    session.stack.corrections.switch(False)
    click(session, 66, 70)
    assert not session.state.prompts.is_empty


def test_a_click_far_from_the_corrected_object_does_not_move_it_there(session, volume):
    click(session, 30, 34)
    session.accept()
    before = volume.labels.array.copy()
    session.stack.corrections.switch(True)
    said = []
    session.notifier.warned.connect(said.append)
    click(session, 66, 70)
    np.testing.assert_array_equal(volume.labels.array, before)
    assert session.state.prompts.is_empty
    assert [text.split(":")[0] for text in said] == ["This click is far from object 1"]
    session.set_prompts(Prompts((), (), (58, 62, 76, 80)))  # a box means that it is there
    session.wait_until_idle(60)
    assert volume.labels.array[4, 70, 66] == 1


def test_an_outline_expects_the_shapes_of_the_nearest_annotated_slices(session, volume):
    click(session, 30, 34)
    session.accept()
    for index, radius in (6, 12), (5, 14):
        session.show(volume.request(index))
        session.stack.corrections.switch(True)
        corners = [(x * radius + 30, y * radius + 30 + index) for x, y in SQUARE]
        line = Outline(tuple(corners), OutlineKind.ELLIPSE)
        session.set_prompts(Prompts(outline=line))
        session.wait_until_idle(60)
    entries = {entry.slice_index: entry for entry in volume.labels.registry.get(1).slices}
    assert [len(entries[index].state.shapes) for index in (4, 5, 6)] == [0, 2, 1]
    # Files keep no shapes: an object that is edited again finds them in the labels.
    record = volume.labels.registry.get(1)
    states = [reedit(volume.request(index).target, record) for index in (4, 5, 6)]
    assert [len(state.shapes) for state in states] == [0, 2, 1]
    assert np.count_nonzero(states[2].shapes[0].mask) == np.count_nonzero(volume.labels.array[5])
    for index in (5, 6):
        true, mask = IMAGE[index] > 125, volume.labels.array[index] == 1
        true[50:] = False
        assert np.count_nonzero(true & mask) > 0.85 * np.count_nonzero(true | mask)


def test_a_stroke_is_undone_with_what_follows_it(session, volume):
    click(session, 30, 34)
    carry(session, first=3, last=4)
    before, record = volume.labels.array.copy(), volume.labels.registry.get(1)
    where = np.s_[5:6, 20:52, 14:46]
    mask = IMAGE[where] > 125
    dab = Dab((5, 20, 14), mask, before[where], mask.astype(before.dtype))
    volume.labels.array[where][mask] = 1
    places = np.argwhere(volume.labels.array == 1)
    box = {"start": tuple(places.min(axis=0)), "stop": tuple(places.max(axis=0) + 1)}
    slices = record.slices.updated([ObjectSlice(5)])
    painted = replace(record, area_px=len(places), slices=slices, **box)
    stroke = LabelsEdit(volume.labels, strokes_of([dab]), (RecordChange(record, painted),), 1)
    stroke.apply_records()
    session.brush_history.note(stroke, (5,))
    session.wait_until_idle(60)
    after = volume.labels.array.copy()
    assert 1 in after[6]  # carried on
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)
    session.redo()
    np.testing.assert_array_equal(volume.labels.array, after)
    session.stack.corrections.switch(True)
    assert session.accept() is None  # what clicks correct is accepted already


def test_an_object_that_was_ended_too_soon_is_carried_on_from_a_slice_that_is_added(
    session, volume
):
    click(session, 30, 34)
    carry(session, first=3, last=4)
    assert volume.slices_with(1) == [3, 4]
    session.stack.corrections.switch(True)
    session.show(volume.request(5))
    click(session, 30, 35)
    assert origins(session)[5] is Origin.ANNOTATED
    assert volume.slices_with(1)[:4] == [3, 4, 5, 6]
    session.undo()
    assert volume.slices_with(1) == [3, 4]
    check_record(volume, 1)


def test_tracks_that_are_joined_are_not_carried_anywhere(session, volume):
    click(session, 30, 34)
    carry(session, first=3, last=4)
    session.show(volume.request(6))
    click(session, 30, 34)
    session.accept()
    before = volume.labels.array.copy()
    session.tracks.join(1, 2)
    session.wait_until_idle(60)
    np.testing.assert_array_equal(volume.labels.array, before > 0)
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)


def test_a_background_click_in_the_middle_takes_the_chosen_object_off_the_slice(session, volume):
    click(session, 30, 34)
    session.accept()
    click(session, 30, 34, label=0)  # it is on this slice alone
    assert volume.slices_with(1) == [4]
    session.object_in_progress.clear()
    carry(session, [1], first=3, last=6)
    before = volume.labels.array.copy()
    session.show(volume.request(6))
    click(session, 30, 46, label=0)  # on its rim or beyond: another object
    assert not session.state.prompts.is_empty
    click(session, 30, 36, label=0)
    np.testing.assert_array_equal(volume.labels.array, before)
    session.object_in_progress.clear()
    told = []
    session.stack.corrections.cleared.connect(lambda *about: told.append(about))
    session.show(volume.request(5))
    click(session, 30, 35, label=0)
    assert session.state.prompts.is_empty
    assert origins(session)[5] is Origin.CLEARED
    assert volume.slices_with(1) == [3, 4]
    assert told == [(1, [5], []), (1, [5, 6], [])]
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, before)
