"""Records stay true when objects take pixels of others, and when a brush comes in between."""

import threading
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.session import ArrayLabels, ArrayPlane, ObjectRecord, Overlap, TargetError
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import CallbackQueue, run_until
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.editing import MAX_BLOCKS_AT_ONCE, Editing
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.measuring import find_objects, remeasured
from napari_sam.session.objects.object_editing import reedit
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.planning import NewObject, plan_object, plan_records, plan_removal
from napari_sam.session.objects.records import RecordChange
from tests.session.annotating import Annotator, Shown

TIMEOUT_S = 60


@pytest.fixture
def editing():
    """Return what writes objects into 40 x 40 pixels, taking those of others."""
    editing = Editing(SimpleNamespace(state=ObjectState()), Background(CallbackQueue()))
    editing.set_target(ArrayPlane(np.zeros((40, 40), np.uint8)))
    editing.set_overlap(Overlap.REPLACE)
    yield editing
    editing.executor.close()


def accept(editing, top, left, height, width, **what):
    """Accept a rectangle; return its number."""
    new = NewObject(
        [(np.ones((height, width), bool), top, left)], ObjectRecord(0, (), (), 0, **what)
    )
    return editing.accept(new, (Shown(), 0)).label_id


def add(editing, *boxes):
    """Add rectangles from elsewhere, and wait."""
    records = [
        ObjectRecord(0, (), (), 0, masks=(PackedMask(box[:2], np.ones(box[2:], bool)),))
        for box in boxes
    ]
    editing.add(records)
    settle(editing)


def settle(editing):
    run_until(lambda: editing.executor.is_idle, editing.executor._dispatcher, TIMEOUT_S, "editing")


def paint(editing, label_id, top, left, height, width):
    """Paint a rectangle, as with a brush."""
    labels = editing.target.labels
    where = np.s_[top : top + height, left : left + width]
    touched = {int(n) for n in np.unique(labels.array[where])} | {label_id}
    labels.array[where] = label_id
    for one in touched - {0}:
        box = (top, left), (top + height, left + width)
        labels.registry.apply(tuple(remeasured(labels, labels.registry, one, *box)))


def places(registry):
    return {one.label_id: (one.start, one.stop, one.area_px) for one in registry}


def check(labels):
    assert places(labels.registry) == places(find_objects(labels))


def test_who_loses_pixels_has_less_and_who_loses_all_is_gone_until_undo(editing):
    registry = editing.target.labels.registry
    for box in ((0, 0, 4, 4), (10, 10, 10, 10), (30, 30, 5, 5)):
        accept(editing, *box, note=f"at {box}")
    before = list(registry)
    taker = accept(editing, 0, 0, 15, 15)
    assert places(registry) == {
        2: ((10, 10), (20, 20), 75),
        3: ((30, 30), (35, 35), 25),
        taker: ((0, 0), (15, 15), 225),
    }
    check(editing.target.labels)
    editing.undo()
    assert sorted(registry, key=lambda one: one.label_id) == before
    editing.redo()
    check(editing.target.labels)


def test_a_reedited_object_takes_pixels_as_a_new_one_does(editing):
    labels = editing.target.labels
    first, other = accept(editing, 0, 0, 5, 5), accept(editing, 0, 10, 5, 5)
    new = NewObject([(np.ones((8, 20), bool), 0, 0)], labels.registry.get(first))
    editing.accept(replace(new, replaced=labels.registry.get(first)), (Shown(), 0))
    assert places(labels.registry) == {first: ((0, 0), (8, 20), 160)}
    editing.undo()
    assert set(places(labels.registry)) == {first, other}
    check(labels)


def test_of_many_that_take_from_each_other_those_with_pixels_are_there(editing):
    made = []
    editing.done.connect(lambda edit: made.append(edit.labels.n_made))
    accept(editing, 1, 1, 3, 3)
    add(editing, (0, 0, 10, 10), (2, 2, 4, 4), (0, 0, 7, 7), (5, 5, 9, 9))
    labels = editing.target.labels
    assert set(places(labels.registry)) == {2, 4, 5}
    assert made == [1, 3]
    check(labels)
    editing.undo()
    assert places(labels.registry) == {1: ((1, 1), (4, 4), 9)}
    editing.redo()
    assert set(places(labels.registry)) == {2, 4, 5}
    check(labels)


def test_what_a_brush_has_done_between_two_steps_is_counted(editing):
    labels = editing.target.labels
    first = accept(editing, 0, 0, 5, 5)
    second = accept(editing, 10, 10, 5, 5, note="kept")
    paint(editing, second, 20, 20, 3, 3)
    paint(editing, first, 12, 12, 1, 1)
    editing.undo()
    check(labels)
    assert labels.registry.get(second).note == "kept"
    paint(editing, 0, 20, 20, 3, 3)
    paint(editing, first, 11, 11, 1, 1)
    editing.redo()
    check(labels)


def remove(editing, records):
    editing.edit(lambda labels: plan_removal(labels, records), records)


def update(editing, label_id, text):
    record = editing.target.labels.registry.get(label_id)
    changes = [RecordChange(record, replace(record, note=text))]
    editing.edit(lambda labels: plan_records(labels, changes))


def test_a_painted_object_gets_another_label_id_where_redo_needs_its_own(editing):
    labels = editing.target.labels
    accept(editing, 0, 0, 3, 3)
    made = accept(editing, 0, 10, 6, 6, note="made")
    update(editing, made, "noted")
    taker = accept(editing, 4, 12, 6, 6, note="taker")
    reedited = reedit(editing.target, labels.registry.get(made))
    editing.history.push(Edit(ObjectState(), reedited, 0))
    remove(editing, [labels.registry.get(made)])
    add(editing, (20, 20, 5, 5), (22, 22, 5, 5))
    pixels = labels.array.copy()
    notes = {record.label_id: record.note for record in labels.registry}
    for _ in range(6):
        editing.undo()
    paint(editing, made, 35, 35, 3, 3)
    states = []
    editing.restored.connect(lambda _, state: states.append(state))
    for _ in range(6):
        editing.redo()
        check(labels)
    assert states[3].reedited.label_id == made
    painted = 6  # the first label_id that was never given
    assert {record.label_id: record.note for record in labels.registry} == {**notes, painted: ""}
    assert notes == {1: "", taker: "taker", 4: "", 5: ""}
    assert (labels.array[35:38, 35:38] == painted).all()
    np.testing.assert_array_equal(labels.array * (labels.array != painted), pixels)
    for _ in range(6):
        editing.undo()
        check(labels)
    assert set(places(labels.registry)) == {1, painted}


def test_a_painted_object_makes_way_for_one_that_is_redone_and_covered_at_once(editing):
    labels = editing.target.labels
    accept(editing, 30, 30, 2, 2)
    add(editing, (0, 0, 4, 4), (0, 0, 9, 9))  # object 2 is wholly covered by object 3
    editing.undo()
    for action in (editing.redo, editing.undo):
        paint(editing, 2, 1, 1, 2, 2)
        action()
        (label_id,) = np.unique(labels.array[1:3, 1:3])
        assert label_id not in (0, 2, 3)
        check(labels)


def test_no_label_id_is_given_twice(editing):
    labels = editing.target.labels
    first = accept(editing, 0, 0, 5, 5)
    remove(editing, [labels.registry.get(first)])
    second = accept(editing, 10, 10, 5, 5, note="second")
    for _ in range(3):
        editing.undo()
    paint(editing, first, 30, 30, 2, 2)
    for expected in ({first, 3}, {3}, {3, second}):
        editing.redo()
        assert set(places(labels.registry)) == expected
        check(labels)
    assert labels.registry.get(second).note == "second"
    editing.undo()
    assert accept(editing, 20, 20, 2, 2) == 4


def test_label_ids_of_objects_that_are_gone_are_given_where_no_others_are_left(editing):
    labels = editing.target.labels
    paint(editing, 254, 30, 30, 2, 2)
    assert accept(editing, 0, 0, 5, 5) == 255
    editing.undo()
    assert accept(editing, 0, 0, 5, 5) == 255
    with pytest.raises(TargetError, match="run out of label values"):
        accept(editing, 10, 0, 5, 5)
    check(labels)


def test_label_ids_that_nobody_has_taken_come_back(editing):
    labels = editing.target.labels
    first = accept(editing, 0, 0, 5, 5)
    editing.undo()
    paint(editing, 7, 30, 30, 2, 2)
    editing.redo()
    assert set(places(labels.registry)) == {first, 7}
    check(labels)


@pytest.mark.parametrize("is_undone", [True, False])
def test_a_step_without_a_free_label_id_says_so_and_can_be_tried_again(editing, is_undone):
    labels = editing.target.labels
    accept(editing, 0, 0, 5, 5)
    if is_undone:
        remove(editing, [labels.registry.get(1)])
    else:
        editing.undo()
    paint(editing, 1, 30, 30, 2, 2)
    paint(editing, 255, 35, 35, 2, 2)
    action, verb = (editing.undo, "undo") if is_undone else (editing.redo, "redo")
    with pytest.raises(TargetError, match=f"Cannot {verb}: .* run out of label values"):
        action()
    check(labels)
    paint(editing, 0, 30, 30, 2, 2)
    action()
    assert places(labels.registry)[1] == ((0, 0), (5, 5), 25)


class PaintedMeanwhile(ArrayLabels):
    """Labels in which the user paints just after a region was read to be written."""

    stroke: tuple | None = None

    def read(self, region):
        pixels = super().read(region)
        if self.stroke is not None:
            self.array[self.stroke] = 9
        return pixels


def test_a_stroke_beside_an_object_that_is_being_written_stays():
    plane = ArrayPlane(np.zeros((20, 20), np.uint8))
    plane.labels = labels = PaintedMeanwhile(plane.labels.array)
    mask = np.eye(10, dtype=bool)
    edit = plan_object(plane, NewObject([(mask, 0, 0)], ObjectRecord(0, (), (), 0)), Overlap.KEEP)
    labels.stroke = np.s_[0, 5]
    assert edit.write() is edit
    assert labels.array[0, 5] == 9
    labels.stroke = np.s_[0, 6]
    assert edit.write(is_undone=True) is edit
    assert labels.array[0, 6] == 9
    assert labels.array.sum() == 18


def test_many_small_objects_are_written_beside_the_owners_thread(editing):
    labels, threads = editing.target.labels, []
    editing.set_journal(lambda *_: threads.append(threading.get_ident()))
    add(editing, *((row, column, 1, 1) for row in range(0, 32, 2) for column in range(0, 30, 2)))
    pixels, n_objects = labels.array.copy(), len(labels.registry)
    assert n_objects > MAX_BLOCKS_AT_ONCE
    for action in (
        editing.undo,
        editing.redo,
        lambda: remove(editing, list(labels.registry)),
        editing.undo,
    ):
        action()
        assert not editing.executor.is_idle
        with pytest.raises(TargetError, match="still being written"):
            editing.undo()
        settle(editing)
        check(labels)
    assert threading.get_ident() not in threads
    np.testing.assert_array_equal(labels.array, pixels)
    assert len(labels.registry) == n_objects


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_done_the_records_are_those_of_the_pixels(seed):
    user = Annotator(seed)
    for _ in islice(user.work(), 60):
        check(user.labels)
    content = read_journal(user.journal.path)
    restored = ArrayLabels(np.zeros_like(user.labels.array))
    replay(content.entries(), restored)
    np.testing.assert_array_equal(restored.array, user.labels.array)
    assert list(places(restored.registry).items()) == list(places(user.labels.registry).items())
