"""Other models, devices and precisions while an object is being made."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_sam.model import VARIANTS, Predictor, load_model
from napari_sam.model.build import build_model
from napari_sam.model.devices import available_devices, fastest_precision
from napari_sam.session import AnnotationSession, ModelChoice, Phase, Prompts, Runtime
from napari_sam.session.model_choice import load_predictor

TIMEOUT_S = 120
COIN = Prompts(points_xy=((104, 68),), point_labels=(1,))
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB."
GPU = ModelChoice(device="cuda", exact=True)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """Write a ViT-B of another input size with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "own.safetensors"
    config = VARIANTS["vit_b"]
    model = build_model(replace(config, image_size=256))
    save_file(model.state_dict(), path)
    return path


@pytest.fixture
def session(coins):
    session = AnnotationSession()
    session.set_image(coins)
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    yield session
    session.close()


def mask(session):
    candidates = session.state.candidates
    return candidates.crop(candidates.best).mask


def test_another_model_keeps_image_and_prompts(session, small_file):
    before = mask(session)
    session.set_model(ModelChoice("own", small_file))
    assert session.state.phase is Phase.LOADING
    assert session.state.model.name == "own"
    assert session.state.candidates is None
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.phase is Phase.READY
    assert session.state.prompts == COIN
    other = session.state.candidates
    assert other.prediction.low_res_logits.shape == (3, 64, 64)
    # Masks of a model of another size are no start for this one.
    session.set_prompts(Prompts(points_xy=((104, 68), (110, 70)), point_labels=(1, 1)))
    session.set_model(ModelChoice())
    session.wait_until_idle(TIMEOUT_S)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(mask(session), before)


def test_the_memory_of_the_model_before_is_free(session, small_file):
    predictor = session._encoding._embedder.load()
    reference, weights = weakref.ref(predictor), weakref.ref(predictor._model)
    del predictor
    session.set_model(ModelChoice("own", small_file))
    session.wait_until_idle(TIMEOUT_S)
    assert reference() is None
    assert weights() is None


def test_the_same_model_is_not_loaded_again(session):
    phase = session.state.phase
    session.set_model(ModelChoice())
    assert session.state.phase is phase is Phase.READY


def test_lower_precision_where_it_is_chosen(session, monkeypatch):
    monkeypatch.setattr("napari_sam.model.devices._cpu_has_bfloat16", lambda: True)
    exact = mask(session)
    session.set_model(ModelChoice(exact=False))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.runtime.precision == "bfloat16"
    assert str(session.state.runtime) == "cpu, bfloat16"
    other = mask(session)
    assert abs(int(other.sum()) - int(exact.sum())) < 0.1 * exact.sum()


@pytest.mark.parametrize("where", ["load", "encode", "decode"])
def test_out_of_memory_steps_down_and_says_so_once(where, coins, listen, remembering_predictor):
    tried = []

    def fail(*_, **__):
        raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    def load(choice, runtime):
        tried.append((runtime.device, runtime.precision))
        if runtime.device == "cpu":
            return remembering_predictor
        if where == "load":
            fail()
        predictor = Predictor(load_model(), device="cpu")
        setattr(predictor, where, fail)
        return predictor

    session = AnnotationSession(load, model=GPU)
    heard = listen(session)
    session.set_image(coins)
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    lower = fastest_precision("cuda")
    assert tried == [("cuda", "float32"), ("cuda", lower), ("cpu", "float32")]
    assert session.state.phase is Phase.READY
    assert session.state.prompts == COIN
    assert session.state.candidates is not None
    told = [text for text in heard.warnings if "not enough memory" in text]
    if where == "decode":  # its lack of memory shows only after each embedding
        assert "runs on cpu now" in told[-1]
    else:
        assert len(told) == 1
        assert "mobile_sam on cuda: it runs on cpu now" in told[0]


def test_out_of_memory_on_the_processor_is_reported(coins, listen):
    def load(choice, runtime):
        raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    session = AnnotationSession(load)
    heard = listen(session)
    session.set_image(coins)
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert session.state.phase is Phase.FAILED
    assert "not enough memory" in heard.warnings[0]


def test_a_model_that_cannot_be_loaded_leaves_the_one_before(session, listen, tmp_path):
    before = mask(session)
    heard = listen(session)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no checkpoint")
    session.set_model(ModelChoice("broken", broken))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.model.name == "mobile_sam"
    assert session.state.phase is Phase.READY
    np.testing.assert_array_equal(mask(session), before)
    assert len(heard.warnings) == 1
    assert "broken could not be loaded" in heard.warnings[0]
    assert "mobile_sam is in use again" in heard.warnings[0]


def test_a_device_that_is_not_there_leaves_the_one_before(session, listen):
    heard = listen(session)
    session.set_model(ModelChoice(device="cuda:77"))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.runtime.device == "cpu"
    assert "cuda:77" in heard.warnings[0]


def test_the_latest_of_many_models_wins(session, small_file):
    for name in ("own", "mobile_sam", "own", "mobile_sam", "last"):
        session.set_model(ModelChoice(name, None if name == "mobile_sam" else small_file))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.model.name == "last"
    assert session.state.phase is Phase.READY
    assert session.state.candidates.prediction.low_res_logits.shape == (3, 64, 64)


def test_a_model_may_be_chosen_before_there_is_an_image(small_file, coins):
    session = AnnotationSession()
    session.preload()
    session.set_model(ModelChoice("own", small_file))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.phase is Phase.NO_IMAGE
    assert session.state.runtime.devices == available_devices()
    session.set_image(coins)
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert session.state.phase is Phase.READY


@pytest.mark.parametrize(
    ("runtime", "device", "exact"),
    [
        (Runtime("cuda:1", "float32", "bfloat16", ()), "cuda:1", False),
        (Runtime("cuda:1", "bfloat16", "bfloat16", ()), "cpu", None),
        (Runtime("mps", "float32", "float16", ()), "mps", False),
    ],
)
def test_the_ladder(runtime, device, exact):
    lighter = ModelChoice("own").lighter(runtime)
    assert lighter == ModelChoice("own", None, device, exact)
    assert ModelChoice().lighter(Runtime("cpu", "float32", "bfloat16", ())) is None


def test_the_default_loader_uses_what_it_is_told():
    runtime = Runtime("cpu", "bfloat16", "bfloat16", ("cpu",))
    predictor = load_predictor(ModelChoice(), runtime)
    assert (predictor.device, predictor.precision) == ("cpu", "bfloat16")
