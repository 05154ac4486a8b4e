from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import ArrayPlane, ObjectRecord, Overlap, Prompts
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects import history as history_module
from napari_sam.session.objects.history import Edit, History, is_with_stroke
from napari_sam.session.objects.planning import NewObject, plan_object


def edit(plane_id=1, labels=None):
    click = ObjectState(Prompts(((1, 2),), (1,)))
    return Edit(ObjectState(), click, plane_id, labels)


@pytest.fixture
def accepted():
    """Write one object into labels."""
    return written(np.ones((4, 4), bool))


def written(mask):
    plane = ArrayPlane(np.zeros((64, 3000), np.uint16))
    record = ObjectRecord(0, (), (), 0)
    labels = plan_object(plane, NewObject([(mask, 0, 0)], record), Overlap.KEEP)
    labels.write()
    return labels


def test_edits_come_back_in_reverse_and_are_repeated_in_order():
    history, first, second = History(), edit(), edit()
    history.push(first)
    history.push(second)
    assert [history.undo(), history.undo(), history.undo()] == [second, first, None]
    assert [history.redo(), history.redo(), history.redo()] == [first, second, None]


def test_what_follows_a_stroke_is_known_to():
    history, stroke = History(), replace(edit(), stroke_ids=(4,))
    history.push(edit())
    history.join_stroke()
    assert not history.last.is_after_stroke
    history.push(stroke)
    history.push(edit())
    assert not is_with_stroke(history.last, stroke)
    history.join_stroke()
    assert is_with_stroke(history.undo(), history.last)


def test_what_can_be_done():
    history = History()
    assert (history.last is not None, history.redoable is not None) == (False, False)
    history.push(edit())
    assert (history.last is not None, history.redoable is not None) == (True, False)
    history.undo()
    assert (history.last is not None, history.redoable is not None) == (False, True)


def test_a_new_edit_ends_what_could_be_redone():
    history = History()
    history.push(edit())
    history.undo()
    history.push(edit())
    assert history.redoable is None


def test_the_last_edit_can_be_replaced_and_forgotten():
    history, first, second, third = History(), edit(), edit(), edit()
    history.push(first)
    history.push(second)
    history.replace_last(third)
    assert history.last is third
    history.replace_last(None)
    assert history.last is first


def test_the_oldest_edits_go_after_a_thousand():
    history, first, second = History(), edit(), edit()
    history.push(first)
    history.push(second)
    for _ in range(999):
        history.push(edit())
    undone = [history.undo() for _ in range(1000)]
    assert undone[-1] is second
    assert history.last is None


def test_the_oldest_edits_go_when_they_take_much_memory(monkeypatch):
    noise = np.random.default_rng(0).random((64, 3000)) > 0.5  # which cannot be compressed
    size_bytes = edit(labels=written(noise)).size_bytes
    assert size_bytes > noise.size / 8
    monkeypatch.setattr(history_module, "_MAX_BYTES", 3.5 * size_bytes)
    history, edits = History(), [edit(labels=written(noise)) for _ in range(5)]
    for one in edits:
        history.push(one)
    assert [history.undo() for _ in range(4)] == [*edits[:1:-1], None]
    monkeypatch.setattr(history_module, "_MAX_BYTES", 1)
    history.push(edits[0])
    assert history.last is edits[0]


def test_prompts_of_other_planes_are_forgotten_and_accepts_kept(accepted):
    history, here = History(), edit(plane_id=2)
    history.push(edit(plane_id=1))
    history.push(edit(plane_id=1, labels=accepted))
    history.push(here)
    history.drop_prompts_of(1)
    assert history.undo() is here
    kept = history.undo()
    assert kept.labels is accepted
    assert kept.plane_id == 1
    assert kept.before.prompts.is_empty
    assert kept.after.prompts.is_empty
    assert history.last is None


def test_undone_prompts_of_other_planes_are_forgotten_too(accepted):
    history = History()
    history.push(edit(plane_id=1, labels=accepted))
    history.push(edit(plane_id=1))
    history.undo()
    history.undo()
    history.drop_prompts_of(1)
    assert history.redo().labels is accepted
    assert history.redoable is None
