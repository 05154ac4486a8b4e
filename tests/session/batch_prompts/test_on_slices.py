"""Prompts on several slices of a stack become objects, which are carried through a range."""

import numpy as np
import pytest

from napari_sam.session import Origin, Prompts
from napari_sam.session.batch_prompts.decode import BatchPrompt
from tests.session.propagation.volume import Volume, moving_discs

TIMEOUT_S = 120
IMAGE = moving_discs()[:8]
FIRST, SECOND = (30, 34), (70, 66)  # x, y on slice 4


def click(x, y, **about):
    return BatchPrompt(Prompts(((x, y),), (1,)), **about)


@pytest.fixture
def volume():
    return Volume(IMAGE)


@pytest.fixture
def session(volume, remembering_predictor):
    yield from volume.opened(remembering_predictor)


def run(session, prompts, indices):
    session.batch_prompts.start_on_slices(prompts, indices)
    session.wait_until_idle(TIMEOUT_S)


def test_objects_are_carried_through_the_range_and_undone_in_one_step(session, volume):
    texts, states = [], []
    session.batch_prompts.finished.connect(texts.append)
    session.batch_prompts.changed.connect(lambda: states.append(session.batch_prompts.state))
    prompts = {4: [click(*FIRST)], 5: [click(71, 66, class_name="b")], 6: []}
    run(session, prompts, range(3, 7))
    assert volume.slices_with(1) == volume.slices_with(2) == [3, 4, 5, 6]
    first, second = (volume.labels.registry.get(label_id) for label_id in (1, 2))
    assert [e.slice_index for e in first.slices if e.origin is Origin.ANNOTATED] == [4]
    assert [e.slice_index for e in second.slices if e.origin is Origin.ANNOTATED] == [5]
    assert (first.class_name, second.class_name) == (None, "b")
    assert texts == ["2 of 2 objects added. One Undo removes them all."]
    assert states[-1] is None
    assert {state.is_carrying for state in states if state} == {True, False}
    session.undo()
    assert not volume.labels.array.any()
    session.redo()
    assert volume.slices_with(1) == [3, 4, 5, 6]


def test_masks_that_overlap_on_neighboring_slices_are_one_object(session, volume):
    prompts = {index: [click(30, 30 + index), click(66 + index, 66)] for index in (4, 5)}
    run(session, prompts, range(4, 6))
    assert sorted(np.unique(volume.labels.array)) == [0, 1, 2]
    for record in volume.labels.registry:
        assert [(e.slice_index, e.origin) for e in record.slices] == [
            (4, Origin.ANNOTATED),
            (5, Origin.ANNOTATED),
        ]
        assert record.slices.get(5).state.prompts.points_xy in (((30, 35),), ((71, 66),))


def test_prompts_of_one_object_are_one_however_far_apart(session, volume):
    far = {3: [click(30, 33, object_id=7)], 7: [click(30, 37, object_id=7)]}
    run(session, far, range(3, 8))
    (record,) = volume.labels.registry
    assert volume.slices_with(1) == [3, 4, 5, 6, 7]
    origins = {entry.slice_index: entry.origin for entry in record.slices}
    assert origins[3] is origins[7] is Origin.ANNOTATED
    assert {origins[n] for n in (4, 5, 6)} == {Origin.INTERPOLATED}


def test_a_stopped_batch_keeps_what_is_segmented_and_carries_nothing(session, volume):
    def stop():
        state = session.batch_prompts.state
        if state is not None and state.share >= 0.5 and not state.is_stopping:
            session.batch_prompts.stop()

    session.batch_prompts.changed.connect(stop)
    run(session, {4: [click(*FIRST)], 6: [click(72, 66)]}, range(8))
    assert volume.slices_with(1) == [4]
    assert session.stack.state.run is None
    assert session.batch_prompts.state is None
