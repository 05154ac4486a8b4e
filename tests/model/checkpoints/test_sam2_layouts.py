"""Checkpoints of SAM 2.1 by Meta, by Hugging Face, and of others that look like them."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam.model import VARIANTS, CheckpointError, load_model
from napari_sam.model.build import build_model, check_complete
from napari_sam.model.checkpoints.sam2_layouts import from_hugging_face_2, to_hugging_face_2
from napari_sam.model.checkpoints.state_dicts import Checkpoint, read_checkpoint
from napari_sam.model.conversion import convert
from napari_sam.model.sam2.config import SAM2_VARIANTS
from tests.model.sam2_models import hugging_face_config

MEMORY = (*("memory_", "maskmem_", "no_mem_pos_enc", "no_obj_", "mask_downsample.", "obj_ptr_"),)
"""What the names of weights that only sequences need begin with."""


def assert_same(state, other):
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


def without_memory(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith(MEMORY)}


def shapes(state):
    return {name: tensor.shape for name, tensor in state.items()}


def test_names_and_shapes_are_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    config = VARIANTS["hiera_base_plus"]
    with torch.device("meta"):
        ours = build_model(config).state_dict()
        video = transformers.Sam2VideoModel(hugging_face_config(transformers, config, True))
        image = transformers.Sam2Model(hugging_face_config(transformers, config, False))
    for theirs, expected in (
        (video.state_dict(), ours),
        (image.state_dict(), without_memory(ours)),
    ):
        published = from_hugging_face_2(theirs)
        assert shapes(published) == shapes(expected)
        assert shapes(to_hugging_face_2(published)) == shapes(theirs)


@pytest.mark.parametrize("variant", SAM2_VARIANTS)
def test_variants_are_detected(variant):
    with torch.device("meta"):
        state = build_model(VARIANTS[variant]).state_dict()
    assert check_complete(Checkpoint(state), "memory") == variant
    assert check_complete(Checkpoint(without_memory(state)), "memory") == variant


def test_any_layout_is_loaded(tiny_2, tmp_path):
    theirs = to_hugging_face_2(tiny_2)
    assert_same(from_hugging_face_2(theirs), tiny_2)
    torch.save({"model": tiny_2}, tmp_path / "meta.pt")  # like MedSAM2's
    torch.save({"model": tiny_2, "epoch": 7, "optimizer": {}}, tmp_path / "trained.pt")
    save_file({n: t.contiguous() for n, t in theirs.items()}, tmp_path / "model.safetensors")
    for path in (tmp_path / "meta.pt", tmp_path / "trained.pt", tmp_path):
        model = load_model(checkpoint=path)
        assert_same(model.state_dict(), tiny_2)
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert_same(load_model("hiera_test", tmp_path / "meta.pt").state_dict(), tiny_2)
    with pytest.raises(CheckpointError, match="is a hiera_test, not a hiera_large"):
        load_model("hiera_large", tmp_path / "meta.pt")


def test_weights_for_images_alone(tiny_2, tmp_path):
    part = without_memory(tiny_2)
    save_file({n: t.contiguous() for n, t in part.items()}, tmp_path / "image.safetensors")
    model = load_model(checkpoint=tmp_path / "image.safetensors")
    assert model.config.memory is None
    assert_same(model.state_dict(), part)


@pytest.mark.parametrize("is_for_sequences", [True, False])
def test_conversion_between_layouts(tiny_2, tmp_path, is_for_sequences):
    weights = tiny_2 if is_for_sequences else without_memory(tiny_2)
    torch.save({"model": weights}, tmp_path / "meta.pt")
    theirs, back = tmp_path / "model.safetensors", tmp_path / "back.pt"
    assert convert(tmp_path / "meta.pt", theirs, for_hugging_face=True).variant == "hiera_test"
    assert_same(load_file(theirs), to_hugging_face_2(weights))
    convert(theirs, back)
    content = torch.load(back, weights_only=True)
    assert list(content) == ["model"]
    assert_same(content["model"], weights)


def test_faults_are_named(tiny_2, tmp_path):
    path = tmp_path / "model.pt"
    for change, match in (
        ({"sam_mask_decoder.conv_s0.bias": None}, r"1 missing keys: sam_mask_decoder\.conv_s0"),
        ({"adapter.weight": torch.zeros(1)}, r"1 unexpected keys: adapter\.weight"),
        ({"no_obj_embed_spatial": None}, "before SAM 2.1"),
        ({"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(5, 3, 7, 7)}, "5 channels"),
    ):
        changed = tiny_2 | change
        torch.save({name: tensor for name, tensor in changed.items() if tensor is not None}, path)
        with pytest.raises(CheckpointError, match=match):
            load_model(checkpoint=path)
    assert_same(read_checkpoint(path).state_dict, changed)
