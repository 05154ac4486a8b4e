"""Other models, devices and precisions while an object is being made."""

import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_sam.model import VARIANTS, Predictor, load_model
from napari_sam.model.build import build_model
from napari_sam.model.runtime.devices import available_devices, fastest_precision
from napari_sam.session import AnnotationSession, ModelChoice, Phase, Prompts
from napari_sam.session.models.model_choice import Runtime, load_predictor
from napari_sam.session.plane_request import PlaneRequest
from tests.model.conftest import TINY_CONFIG
from tests.remembering import RememberingPredictor

pytestmark = pytest.mark.slow

TIMEOUT_S = 120
COIN = Prompts(points_xy=((104, 68),), point_labels=(1,))
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB."
GPU = ModelChoice(device="cuda", exact=True)


@pytest.fixture
def small_file(tmp_path, monkeypatch):
    """Write a small ViT of another input size with random weights."""
    config = replace(TINY_CONFIG, image_size=256)
    monkeypatch.setitem(VARIANTS, "vit_tiny", config)
    torch.manual_seed(0)
    path = tmp_path / "own.safetensors"
    save_file(build_model(config).state_dict(), path)
    return path


@pytest.fixture
def session(coins):
    session = AnnotationSession()
    session.set_image(coins)
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    yield session
    session.close()


@pytest.fixture
def forgetful(monkeypatch):
    """Let nothing be remembered of a model."""
    monkeypatch.setattr("napari_sam.model.Predictor", Predictor)


def mask(session):
    candidates = session.state.candidates
    return candidates.crop(candidates.best).mask


def test_another_model_keeps_image_and_prompts(session, small_file):
    before = mask(session)
    session.set_model(ModelChoice("own", small_file))
    assert session.state.is_checking
    assert session.state.phase is Phase.READY, "the model before is in use until then"
    assert session.state.candidates is not None
    session.wait_until_idle(TIMEOUT_S)
    assert not session.state.is_checking
    assert session.state.active_model.name == "own"
    assert session.state.phase is Phase.READY
    assert session.state.prompts == COIN
    other = session.state.candidates
    assert other.masks[0].prediction.low_res_logits.shape[1:] == (64, 64)
    # Masks of a model of another size are no start for this one.
    session.set_prompts(Prompts(points_xy=((104, 68), (110, 70)), point_labels=(1, 1)))
    session.set_model(ModelChoice())
    session.wait_until_idle(TIMEOUT_S)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(mask(session), before)


def test_the_memory_of_the_model_before_is_free(forgetful, session, small_file):
    predictor = session.embedding.embedder.load().encoder
    reference, weights = weakref.ref(predictor), weakref.ref(predictor._model)
    del predictor
    session.set_model(ModelChoice("own", small_file))
    session.wait_until_idle(TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while weights() is not None and time.monotonic() < deadline:
        time.sleep(0.01)  # a worker lets go of its last job a moment after it has delivered it
    assert reference() is None
    assert weights() is None


def test_the_same_model_is_not_loaded_again(session):
    phase = session.state.phase
    session.set_model(ModelChoice())
    assert session.state.phase is phase is Phase.READY


def test_lower_precision_where_it_is_chosen(session, monkeypatch):
    monkeypatch.setattr("napari_sam.model.runtime.devices._cpu_has_bfloat16", lambda: True)
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
        predictor = RememberingPredictor(load_model(), device="cpu")
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
        assert "now runs on cpu" in told[-1]
    else:
        assert len(told) == 1
        assert "mobile_sam on cuda, so it now runs on cpu" in told[0]


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


def test_a_bad_file_does_not_touch_the_model_in_use(session, listen, tmp_path):
    embedder, candidates = session.embedding.embedder, session.state.candidates
    heard = listen(session)
    for name, content in (("broken", b"no checkpoint"), ("gone", None)):
        path = tmp_path / f"{name}.pth"
        if content is not None:
            path.write_bytes(content)
        session.set_model(ModelChoice(name, path))
        session.wait_until_idle(TIMEOUT_S)
        assert f"{name} cannot be used: " in heard.warnings[-1]
        assert heard.warnings[-1].endswith(" mobile_sam stays in use.")
    assert len(heard.warnings) == 2
    assert session.embedding.embedder is embedder
    assert {state.phase for state in heard.states} == {Phase.READY}
    assert all(state.candidates is candidates for state in heard.states)
    assert session.state.requested_model == session.state.active_model == ModelChoice()


def test_shapes_are_checked_while_the_model_before_is_in_use(session, listen, tmp_path):
    weights = load_model().state_dict()
    path = tmp_path / "odd.pt"
    torch.save({name: value[:1] for name, value in weights.items() if value.ndim}, path)
    embedder = session.embedding.embedder
    heard = listen(session)
    session.set_model(ModelChoice("odd", path))
    session.wait_until_idle(TIMEOUT_S)
    assert len(heard.warnings) == 1
    assert session.embedding.embedder is embedder


def test_a_device_that_is_not_there_leaves_the_one_before(session, listen):
    embedder = session.embedding.embedder
    heard = listen(session)
    session.set_model(ModelChoice(device="cuda:77"))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.runtime.device == "cpu"
    assert session.embedding.embedder is embedder
    assert "This computer has no device 'cuda:77'; choose one of auto, cpu" in heard.warnings[0]


def test_going_back_while_a_model_is_checked_changes_nothing(session, small_file):
    embedder = session.embedding.embedder
    session.set_model(ModelChoice("own", small_file))
    session.set_model(ModelChoice())
    assert not session.state.is_checking
    session.wait_until_idle(TIMEOUT_S)
    assert session.embedding.embedder is embedder
    assert session.state.phase is Phase.READY


def test_what_fails_after_the_check_falls_back(coins, listen, small_file, remembering_predictor):
    def load(choice, runtime):
        if choice.checkpoint is not None:
            raise RuntimeError("no luck")
        return remembering_predictor

    session = AnnotationSession(load)
    heard = listen(session)
    session.set_image(coins)
    session.wait_until_idle(TIMEOUT_S)
    session.set_model(ModelChoice("own", small_file))
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert "own could not be loaded" in heard.warnings[0]
    assert "mobile_sam is in use instead" in heard.warnings[0]
    assert session.state.phase is Phase.READY
    assert session.state.requested_model == session.state.active_model == ModelChoice()


@pytest.mark.parametrize("has_image", [True, False])
def test_a_session_that_begins_with_a_bad_file(has_image, coins, listen, tmp_path):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no checkpoint")
    session = AnnotationSession(model=ModelChoice("broken", broken))
    heard = listen(session)
    if has_image:
        session.set_image(coins)
    else:
        session.embedding.preload()
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert len(heard.warnings) == 1
    assert "broken could not be loaded" in heard.warnings[0]
    assert heard.warnings[0].endswith("mobile_sam is in use instead.")
    assert session.state.active_model == session.state.requested_model == ModelChoice()
    assert session.state.phase is (Phase.READY if has_image else Phase.NO_IMAGE)
    assert session.state.runtime.device == "cpu"


def test_a_load_error_goes_when_another_model_is_loaded(listen):
    session = AnnotationSession(model=ModelChoice(device="cuda:77"))
    heard = listen(session)
    session.embedding.preload()
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.phase is Phase.FAILED
    assert session.state.hint == heard.warnings[0]
    assert session.state.devices == available_devices()
    session.set_model(ModelChoice())
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert session.state.phase is Phase.NO_IMAGE
    assert session.state.hint == "Open or drop an image."


def test_why_an_image_was_refused_stays_when_another_model_is_loaded(session, small_file):
    session.show(PlaneRequest(refusal="It has too many axes."))
    session.set_model(ModelChoice("own", small_file))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.active_model.name == "own"
    assert session.state.phase is Phase.FAILED
    assert session.state.hint == "It has too many axes."


@pytest.mark.parametrize("works", [True, False])
def test_the_image_may_go_while_a_model_is_loaded(
    works, coins, listen, small_file, remembering_predictor
):
    may_load, is_loading = threading.Event(), threading.Event()

    def load(choice, runtime):
        if choice.checkpoint is not None:
            is_loading.set()
            assert may_load.wait(TIMEOUT_S)
            if not works:
                raise RuntimeError("no luck")
        return remembering_predictor

    session = AnnotationSession(load)
    session.set_image(coins)
    session.wait_until_idle(TIMEOUT_S)
    heard = listen(session)
    session.set_model(ModelChoice("own", small_file))
    while not is_loading.is_set():
        session.background.dispatcher.run_pending(0.05)
    session.set_image(None)
    may_load.set()
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert session.state.active_model.name == ("own" if works else "mobile_sam")
    assert session.state.runtime.device == "cpu"
    assert session.state.phase is Phase.NO_IMAGE
    assert len(heard.warnings) == (0 if works else 1)


def test_a_lighter_fallback_is_not_what_the_user_wished(
    monkeypatch, coins, small_file, remembering_predictor
):
    def find_runtime(choice):
        device = "cpu" if choice.device == "cpu" else "cuda"
        exact = device == "cpu" if choice.exact is None else choice.exact
        return Runtime(device, "float32" if exact else "float16", "float16", ("cuda", "cpu"))

    def load(choice, runtime):
        if choice.checkpoint is not None and runtime.device == "cuda":
            raise torch.OutOfMemoryError(OUT_OF_MEMORY)
        return remembering_predictor

    monkeypatch.setattr("napari_sam.session.embedding.embeddings.find_runtime", find_runtime)
    session = AnnotationSession(load)
    session.set_image(coins)
    session.wait_until_idle(TIMEOUT_S)
    session.set_model(ModelChoice("large", small_file))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.runtime.device == session.state.active_model.device == "cpu"
    assert session.state.requested_model == ModelChoice("large", small_file)
    assert not session.state.is_checking
    session.set_model(ModelChoice())
    session.wait_until_idle(TIMEOUT_S)
    session.close()
    assert session.state.runtime.device == "cuda"
    assert session.state.requested_model == session.state.active_model == ModelChoice()


def test_a_file_that_has_changed_is_another_choice(tmp_path):
    path = tmp_path / "best.pt"
    path.write_bytes(b"1")
    before = ModelChoice(device="cpu").with_weights("best.pt", path)
    assert before == ModelChoice(device="cpu").with_weights("a/best.pt", path)
    path.write_bytes(b"22")
    assert before != before.with_weights("best.pt", path)
    path.unlink()
    assert before.with_weights("best.pt", path).version is None
    assert before.with_weights("mobile_sam", None) == ModelChoice(device="cpu")


def test_the_latest_of_many_models_wins(session, small_file):
    for name in ("own", "mobile_sam", "own", "mobile_sam", "last"):
        session.set_model(ModelChoice(name, None if name == "mobile_sam" else small_file))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.active_model.name == "last"
    assert session.state.phase is Phase.READY
    assert session.state.candidates.masks[0].prediction.low_res_logits.shape == (3, 64, 64)


def test_a_model_may_be_chosen_before_there_is_an_image(small_file, coins):
    session = AnnotationSession()
    session.embedding.preload()
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
