import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_sam.catalogue import local_files
from napari_sam.catalogue.local_files import candidates, locate, own_files, safetensors_elements
from napari_sam.catalogue.offers import list_offers
from napari_sam.catalogue.table import BUNDLED, MODELS, find_model
from napari_sam.model import VARIANTS
from napari_sam.model.build import build_model
from napari_sam.storage.decoder_files import decoder_path, find_decoder
from tests.systems import needs_pipes

CONTENT = b"weights" * 100
VARIABLES = ("XDG_CACHE_HOME", "TORCH_HOME", "HF_HUB_CACHE", "HF_HOME", "MICROSAM_CACHEDIR")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Let everything lie in a home of the test's own."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "mine"))
    return tmp_path


@pytest.fixture
def model():
    digits = hashlib.sha256(CONTENT).hexdigest()
    return replace(find_model("vit_b"), sha256=digits, size_bytes=len(CONTENT))


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_table_names_each_model_once():
    names = [model.name for model in MODELS]
    assert len(set(names)) == len(names)
    assert len({model.file_name for model in MODELS}) == len(names)
    for model in MODELS:
        with torch.device("meta"):
            built = build_model(VARIANTS[model.variant])
        assert sum(weights.numel() for weights in built.parameters()) == model.parameters
        assert model.url is None or model.known_hash is not None
        if model.page.startswith(("https://bioimage.io", "https://github.com/computational")):
            assert model.decoder is not None
            assert model.decoder.known_hash is not None
            assert decoder_path(Path(model.file_name)).name == model.decoder.file_name
    assert find_model("vit_h").good_for.endswith("65 times as large as mobile_sam, and slower")
    assert {model.name for model in MODELS} >= {
        *("vit_b", "vit_h", "vit_l_lm", "medsam"),
        *("vit_h_histopathology", "vit_b_medical_imaging"),
    }


def test_unknown_name():
    with pytest.raises(ValueError, match="choose one of mobile_sam, vit_b"):
        find_model("vit_x")


def test_both_mobile_sams_have_names_of_their_own(home, monkeypatch):
    """To micro-sam, vit_t is a model; to us, it is the variant of several."""
    with pytest.raises(ValueError, match="mobile_sam_original"):
        find_model("vit_t")
    assert BUNDLED.name == "mobile_sam"
    original = find_model("mobile_sam_original")
    assert original.variant == BUNDLED.variant == "vit_t"
    monkeypatch.setenv("MICROSAM_CACHEDIR", str(home / "micro"))
    path = put(home / "micro" / "models" / "vit_t")
    digits = hashlib.sha256(CONTENT).hexdigest()
    assert locate(replace(original, sha256=digits, size_bytes=len(CONTENT))) == path


def test_a_file_fetched_by_hand_is_recognized(home):
    medsam = find_model("medsam")
    assert medsam.url is None
    path = put(home / "mine" / "medsam_vit_b.pth")
    assert locate(replace(medsam, size_bytes=len(CONTENT))) is None
    digits = hashlib.sha256(CONTENT).hexdigest()
    assert locate(replace(medsam, size_bytes=len(CONTENT), sha256=digits)) == path


def test_the_embedded_model_is_there():
    assert locate(BUNDLED) == BUNDLED.bundled
    assert BUNDLED.bundled == VARIANTS["vit_t"].bundled_checkpoint
    assert BUNDLED.bundled.is_file()


@pytest.mark.parametrize(
    "place",
    [
        "mine/sam_vit_b_01ec64.pth",
        ".cache/napari-segment-anything/sam_vit_b_01ec64.pth",
        ".cache/torch/hub/checkpoints/sam_vit_b_01ec64.pth",
        "micro/models/vit_b",
    ],
)
def test_files_of_other_tools_are_used_in_place(home, monkeypatch, model, place):
    monkeypatch.setenv("MICROSAM_CACHEDIR", str(home / "micro"))
    assert locate(model) is None
    path = put(home / place)
    assert candidates(model) == [path]
    assert locate(model) == path


def test_another_content_under_the_name_is_not_the_model(home, model):
    path = put(home / "mine" / model.file_name, CONTENT[:-1] + b"?")
    assert candidates(model) == [path]
    assert locate(model) is None
    assert candidates(model) == [], "it is known to be something else"
    put(path)
    assert locate(model) == path, "a file that has changed is looked at again"


def test_a_file_of_another_size_is_not_even_read(home, monkeypatch, model):
    monkeypatch.setattr(local_files.hashlib, "file_digest", None)
    put(home / "mine" / model.file_name, CONTENT[:-1])
    assert candidates(model) == []
    assert locate(model) is None


@needs_pipes
def test_hugging_face_cache(home, model):
    small = replace(model, parameters=12)
    hub = home / ".cache" / "huggingface" / "hub"
    path = hub / "models--facebook--sam-vit-base" / "snapshots" / "abc" / "model.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"weight": torch.zeros(3, 4)}, path)
    assert locate(small) == path
    assert locate(replace(small, parameters=13)) is None
    path.write_bytes(path.read_bytes()[:-1])
    assert locate(small) is None
    path.unlink()
    os.mkfifo(path)
    assert locate(small) is None


def test_a_pickle_in_the_hugging_face_cache_is_told_by_its_size(home, model):
    hub = home / ".cache" / "huggingface" / "hub"
    folder = hub / "models--facebook--sam-vit-base" / "snapshots" / "abc"
    path = put(folder / "pytorch_model.bin")
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / "pytorch_model.bin").symlink_to(home / "nowhere")
    assert locate(replace(model, parameters=len(CONTENT) // 4)) == path
    assert locate(replace(model, parameters=len(CONTENT))) is None


@pytest.mark.parametrize("content", [b"", b"12345678", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 40])
def test_no_safetensors(home, content):
    assert safetensors_elements(put(home / "model.safetensors", content)) == 0


def test_own_files(home):
    assert own_files() == []
    names = ["b.pth", "a.safetensors", "c.pt"]
    paths = [put(home / "mine" / name) for name in names]
    put(home / "mine" / "notes.txt")
    assert own_files() == sorted(paths)


def test_decoders_beside_their_models_are_no_models(home):
    folder = home / "mine"
    names = ("a.pt", "a_decoder.safetensors", "b_decoder.pt", "vit_b_lm.pt", "vit_b_lm_decoder.pt")
    for name in names:
        put(folder / name)
    assert [path.name for path in own_files()] == ["a.pt", "b_decoder.pt", "vit_b_lm.pt"]
    assert find_decoder(folder / "a.pt") == folder / "a_decoder.safetensors"
    assert find_decoder(folder / "b.pt") == folder / "b_decoder.pt"
    assert find_decoder(folder / "b_decoder.pt") is None


def test_a_file_that_is_not_what_its_name_says_is_ones_own(home):
    path = put(home / "mine" / "vit_t_lm.pt")  # micro-sam tells no sizes
    assert [offer.name for offer in list_offers() if offer.path == path] == ["vit_t_lm"]
    assert locate(find_model("vit_t_lm")) is None
    (offer,) = [offer for offer in list_offers() if offer.path == path]
    assert (offer.name, offer.model) == ("vit_t_lm.pt", None)


def test_files_of_one_name_are_told_apart(home):
    opened = [home / "x" / "a" / "best.pt", home / "x" / "b" / "best.pt", home / "vit_b"]
    own = [offer for offer in list_offers([*opened, opened[0]]) if offer.model is None]
    assert [offer.path for offer in own] == opened
    names = [offer.name for offer in own]
    assert names == [str(Path("a", "best.pt")), str(Path("b", "best.pt")), f"{home.name}/vit_b"]
    deep = [home / "a" / "run" / "best.pt", home / "b" / "run" / "best.pt"]
    names = [offer.name for offer in list_offers(deep)][-2:]
    assert names == [str(Path("a", "run", "best.pt")), str(Path("b", "run", "best.pt"))]
    assert [offer.name for offer in list_offers(opened[:1])][-1] == "best.pt"


@pytest.mark.parametrize("method", ["is_file", "iterdir", "stat", "glob"])
def test_what_may_not_be_read_is_passed_over(home, monkeypatch, model, method):
    put(home / "mine" / model.file_name)
    put(home / "mine" / "own.pt")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, method, refuse)
    assert len(list_offers()) >= len(MODELS)
    locate(model)


def test_a_file_whose_content_may_not_be_read_is_passed_over(home, monkeypatch, model):
    put(home / "mine" / model.file_name)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(local_files.hashlib, "file_digest", refuse)
    assert locate(model) is None
