"""Objects of a session carried on by SAM 2.1's memory; its weights are random, the rest is real."""

import copy

import numpy as np
import pytest
import torch

from napari_sam.engine.masks import tight_crop
from napari_sam.model import Predictor
from napari_sam.session import Embedder, Origin, Prompts, stack_planes
from napari_sam.session.propagation import stack_run
from napari_sam.session.propagation.propagate import propagated
from napari_sam.session.propagation.remembering import Remembering
from tests.model.sam2_models import tiny_sam2  # noqa: F401 - a fixture

from .volume import Volume, moving_discs

COUNT, SHOWN = 5, 2
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def predictor(tiny_sam2):  # noqa: F811
    """Return one that sees the object on every slice."""
    model = copy.deepcopy(tiny_sam2)
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 50
    return Predictor(model, device="cpu")


@pytest.fixture
def volume():
    return Volume(moving_discs(COUNT, 240))


@pytest.fixture
def session(volume, predictor, monkeypatch):
    """Open a session with an object on one slice, that may project nothing."""
    monkeypatch.setattr(stack_run, "Projection", None)
    for session in volume.opened(predictor, SHOWN):
        session.stack.propagation.remember(True)
        session.set_prompts(Prompts(((32, 30),), (1,)))
        session.wait_until_idle(TIMEOUT_S)
        session.accept()
        session.wait_until_idle(TIMEOUT_S)
        yield session


def carry(session):
    session.stack.propagate()
    session.wait_until_idle(TIMEOUT_S)


def test_a_run_gives_what_the_model_remembers_and_is_undone_as_one(session, volume, predictor):
    accepted = volume.labels.array.copy()
    start = tight_crop(accepted[SHOWN] == 1)
    carry(session)
    assert volume.slices_with(1) == list(range(COUNT))
    planes = stack_planes(moving_discs(COUNT, 240))
    remembering = Remembering(Embedder(load_predictor=lambda *_: predictor))
    for mask in propagated(planes, {SHOWN: start}, remembering):
        expected = mask.crop.within(0, 0, planes[0].shape)
        np.testing.assert_array_equal(volume.labels.array[mask.slice_index] == 1, expected)
    carried = volume.labels.array.copy()
    session.undo()
    np.testing.assert_array_equal(volume.labels.array, accepted)
    session.redo()
    np.testing.assert_array_equal(volume.labels.array, carried)


def test_the_next_slice_and_what_follows_a_correction(session, volume):
    session.stack.continue_in_next(1)
    session.wait_until_idle(TIMEOUT_S)
    assert volume.slices_with(1) == [SHOWN, SHOWN + 1]
    carry(session)
    session.show(volume.request(0))
    session.set_prompts(Prompts())
    session.stack.corrections.switch(True)
    session.set_prompts(Prompts(((30, 29),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    origins = {entry.slice_index: entry.origin for entry in session.stack.state.slices}
    assert origins[0] is origins[SHOWN] is Origin.ANNOTATED
    assert 1 in origins


def test_a_run_that_is_stopped_keeps_what_is_known(session, volume):
    session.stack.propagate()
    session.stack.stop()
    session.wait_until_idle(TIMEOUT_S)
    assert session.stack.state.run is None
    assert SHOWN in volume.slices_with(1)


def test_a_model_without_memory_projects(remembering_predictor, monkeypatch):
    monkeypatch.setattr(stack_run, "Remembering", None)
    volume = Volume(moving_discs())
    for session in volume.opened(remembering_predictor):
        session.stack.propagation.remember(True)
        session.set_prompts(Prompts(((30, 34),), (1,)))
        session.wait_until_idle(TIMEOUT_S)
        session.stack.propagate(first=4, last=5)
        session.wait_until_idle(TIMEOUT_S)
        assert volume.slices_with(1) == [4, 5]
