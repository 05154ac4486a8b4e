"""The model in use after one that ran out of memory."""

from pathlib import Path

import pytest
import torch

from napari_sam.session import ModelChoice
from napari_sam.session.background import Background
from napari_sam.session.embedding.active_model import ActiveModel
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.jobs import CallbackQueue
from napari_sam.session.models.model_choice import Runtime

OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def model(remembering_predictor, warnings):
    """Return the model on an accelerator that has run out of memory; it runs on the processor."""
    background = Background(CallbackQueue())
    background.notifier.warned.connect(warnings.append)
    model = ActiveModel(
        lambda choice: Embedder(choice, lambda *_: remembering_predictor),
        ModelChoice("own", Path("own.pth")),
        background,
    )
    model.embedder.runtime = Runtime("cuda", "float16", "float16", ("cuda", "cpu"))
    assert model.step_down(OUT_OF_MEMORY)
    yield model
    background.close()


def test_another_error_meanwhile_does_not_hide_where_the_model_runs(model, warnings):
    assert not model.step_down(RuntimeError("odd"))
    model.embedder.load()
    model.confirm()
    (warning,) = warnings
    assert "not enough memory for own on cuda, float16, so it now runs on cpu" in warning


def test_a_model_used_instead_did_not_run_out_of_memory(model, warnings):
    assert model.fall_back(RuntimeError("odd")) == ""
    model.embedder.load()
    model.confirm()
    (warning,) = warnings
    assert warning.endswith("mobile_sam is in use instead.")
