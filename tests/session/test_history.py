from __future__ import annotations

import pytest

from napari_sam.session import Prompts
from napari_sam.session.candidates import ObjectState
from napari_sam.session.history import Edit, History


def edit(plane_id=1, labels=None):
    click = ObjectState(Prompts(((1, 2),), (1,)))
    return Edit(ObjectState(), click, plane_id, labels)


@pytest.fixture
def accepted():
    """Stands for a LabelsEdit, which the history carries and never looks into."""
    return object()


def test_edits_come_back_in_reverse_and_are_repeated_in_order():
    history, first, second = History(), edit(), edit()
    history.push(first)
    history.push(second)
    assert [history.undo(), history.undo(), history.undo()] == [second, first, None]
    assert [history.redo(), history.redo(), history.redo()] == [first, second, None]


def test_what_can_be_done():
    history = History()
    assert (history.can_undo, history.can_redo) == (False, False)
    history.push(edit())
    assert (history.can_undo, history.can_redo) == (True, False)
    history.undo()
    assert (history.can_undo, history.can_redo) == (False, True)


def test_a_new_edit_ends_what_could_be_redone():
    history = History()
    history.push(edit())
    history.undo()
    history.push(edit())
    assert not history.can_redo


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
    assert not history.can_undo


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
    assert not history.can_undo


def test_undone_prompts_of_other_planes_are_forgotten_too(accepted):
    history = History()
    history.push(edit(plane_id=1, labels=accepted))
    history.push(edit(plane_id=1))
    history.undo()
    history.undo()
    history.drop_prompts_of(1)
    assert history.redo().labels is accepted
    assert not history.can_redo
