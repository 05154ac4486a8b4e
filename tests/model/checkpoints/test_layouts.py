"""Checkpoints in other people's layouts: what comes in must be what they meant."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from napari_sam.model import VARIANTS, CheckpointError, SamConfig, load_model
from napari_sam.model.build import build_model, check_complete
from napari_sam.model.checkpoints.layouts import (
    POSITION_KEYS,
    from_hugging_face,
    to_hugging_face,
    to_published,
)
from napari_sam.model.checkpoints.state_dicts import Checkpoint, read_checkpoint
from napari_sam.model.sam.vit import ViTConfig
from tests.model.conftest import TINY_CONFIG, as_micro_sam


def assert_same(state, other):
    assert list(state) == list(other)
    assert all(torch.equal(state[name], other[name]) for name in state)


def assert_loads(path, weights):
    assert_same(load_model(checkpoint=path).state_dict(), weights)
    assert_same(load_model("vit_tiny", path).state_dict(), weights)


def test_hugging_face_and_back(tiny):
    theirs = to_hugging_face(tiny)
    assert not any(name.startswith("image_encoder.") for name in theirs)
    assert "mask_decoder.output_hypernetworks_mlps.3.proj_out.bias" in theirs
    assert_same(from_hugging_face(theirs), tiny)
    assert_same(to_published(theirs), tiny)


@pytest.mark.parametrize("layout", [dict, to_hugging_face])
@pytest.mark.parametrize("prefix", ["sam.", "module.", "_orig_mod.", "model.", "module.model.sam."])
def test_prefixes_of_all_names_are_removed(tiny, layout, prefix):
    theirs = {f"{prefix}{name}": value for name, value in layout(tiny).items()}
    assert_same(to_published(theirs), tiny)
    some = theirs | {"other": torch.zeros(1)}
    assert to_published(some).keys() == some.keys()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state},
        lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"state": {}}},
        lambda state: {"model_state_dict": {f"module.{name}": state[name] for name in state}},
        lambda state: {"state_dict": {"model": state}},
    ],
)
def test_state_dicts_in_training_checkpoints(tiny, tmp_path, wrap):
    torch.save(wrap(tiny), tmp_path / "best.pt")
    assert_loads(tmp_path / "best.pt", tiny)


def test_wrappers_and_prefixes_have_an_end(tmp_path):
    nested = {}
    nested["model"] = nested
    for state in (nested, {"module." * 10_000: torch.zeros(1)}, {"module.": torch.zeros(1)}):
        torch.save(state, tmp_path / "model.pt")
        with pytest.raises(CheckpointError):
            load_model(checkpoint=tmp_path / "model.pt")


def test_published_names_stay(tiny):
    assert_same(to_published(tiny), tiny)


def test_positions_may_be_stored_twice_or_once(tiny):
    theirs = to_hugging_face(tiny)
    once = "shared_image_embedding.positional_embedding"
    other = "prompt_encoder.shared_embedding.positional_embedding"
    both = theirs | {other: theirs[once].clone()}
    assert_same(from_hugging_face(both), tiny)
    del both[once]
    assert from_hugging_face(both).keys() == tiny.keys()


def test_positions_that_differ_are_refused(tiny, tmp_path):
    theirs = to_hugging_face(tiny)
    first, second = POSITION_KEYS
    save_file(theirs | {second: theirs[first] + 1}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="two different positional encodings"):
        load_model(checkpoint=tmp_path)
    save_file(theirs | {second: theirs[first].clone()}, tmp_path / "model.safetensors")
    assert_loads(tmp_path, tiny)


@pytest.mark.parametrize("name", ["sam.pth", "vit_b", "sam.pt"])
def test_plain_pytorch_file(tiny, tmp_path, name):
    torch.save(tiny, tmp_path / name)
    assert_loads(tmp_path / name, tiny)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_hugging_face_file_and_folder(tiny, tmp_path, name):
    theirs = to_hugging_face(tiny)
    if name == "model.safetensors":
        save_file(theirs, tmp_path / name)
    else:
        torch.save(theirs, tmp_path / name)
    (tmp_path / "config.json").write_text("{}")
    assert_loads(tmp_path / name, tiny)
    assert_loads(tmp_path, tiny)


def test_micro_sam_training_checkpoint_keeps_its_decoder_aside(tiny, tmp_path):
    decoder = {"out_conv.weight": torch.ones(3, 2)}
    path = tmp_path / "best.pt"
    torch.save({"model_state": as_micro_sam(tiny), "decoder_state": decoder}, path)
    checkpoint = read_checkpoint(path)
    assert_same(checkpoint.state_dict, tiny)
    assert_same(checkpoint.decoder_state, decoder)


def test_unexpected_and_missing_keys_are_named_in_any_layout(tiny, tmp_path):
    theirs = to_hugging_face(tiny) | {"vision_encoder.adapter.weight": torch.zeros(1)}
    del theirs["mask_decoder.iou_token.weight"]
    save_file(theirs, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint=tmp_path)
    assert "1 missing keys: mask_decoder.iou_token.weight" in str(caught.value)
    assert "1 unexpected keys: vision_encoder.adapter.weight" in str(caught.value)


def test_input_size_is_what_the_weights_are_for(tiny, tmp_path):
    side = 7
    smaller = dict(tiny)
    smaller["image_encoder.pos_embed"] = tiny["image_encoder.pos_embed"][:, :side, :side].clone()
    for block in TINY_CONFIG.image_encoder.global_blocks:
        for axis in "hw":
            key = f"image_encoder.blocks.{block}.attn.rel_pos_{axis}"
            smaller[key] = tiny[key][: 2 * side - 1].clone()
    save_file(smaller, tmp_path / "small.safetensors")
    model = load_model(checkpoint=tmp_path / "small.safetensors")
    assert model.image_size == side * 16
    assert model.image_encoder(torch.zeros(1, 3, 112, 112)).shape == (1, 32, 7, 7)


@pytest.mark.parametrize("variant", ["vit_b", "vit_l", "vit_h"])
def test_variants_are_detected_from_shapes(variant):
    with torch.device("meta"):
        state_dict = build_model(VARIANTS[variant]).state_dict()
    renamed = to_published(to_hugging_face(state_dict))
    assert check_complete(Checkpoint(renamed), "memory") == variant


@pytest.mark.parametrize(
    "config",
    [
        *(config for config in VARIANTS.values() if isinstance(config, SamConfig)),
        replace(TINY_CONFIG, image_size=192),
    ],
)
@pytest.mark.parametrize("patch_px", [8, 16])
def test_prompts_and_images_have_the_same_grid(config, patch_px):
    if isinstance(config.image_encoder, ViTConfig):
        config = replace(config, image_encoder=replace(config.image_encoder, patch_px=patch_px))
        assert config.patch_px == patch_px
    with torch.device("meta"):
        model = build_model(config)
        if hasattr(model.image_encoder, "pos_embed"):
            grid = model.image_encoder.pos_embed.shape[1]
        else:
            grid = model.image_encoder(torch.zeros(1, 3, 1024, 1024)).shape[-1]
    assert model.prompt_encoder.embedding_size == config.embedding_size == grid
