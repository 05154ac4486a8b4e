"""The plain ViT: against stored outputs of the published model, and against transformers."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file

from napari_sam.model import VARIANTS, Predictor
from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.state_dicts import check_keys
from napari_sam.model.sam import vit
from tests.model.conftest import GOLDENS, TINY_CONFIG

OUTPUTS = GOLDENS / "tiny_vit_sam_outputs.safetensors"
WEIGHTS = GOLDENS / "tiny_vit_sam_weights.safetensors"
PROMPTS = ("points", "boxes", "points_and_boxes", "points_and_mask")


@cache
def golden():
    return load_file(OUTPUTS)


@pytest.fixture(scope="module")
def published():
    model = build_model(TINY_CONFIG)
    model.load_state_dict(check_keys(model, load_file(WEIGHTS), WEIGHTS))
    return model.eval().requires_grad_(False)


def assert_close(result, expected, relative=1e-5):
    assert result.shape == expected.shape
    assert torch.linalg.norm(result - expected) <= relative * torch.linalg.norm(expected)
    assert (result - expected).abs().max() <= 10 * relative * expected.abs().max()


def as_tokens(grid):
    """Bring (C, e, e) into the rows of tokens that the decoder takes."""
    return grid.flatten(1).T


def test_image_embedding(published):
    image = golden()["image"]
    assert_close(published.image_encoder(published.preprocess(image)), golden()["image_embedding"])


def test_image_pe(published):
    assert_close(published.prompt_encoder.image_pe(), as_tokens(golden()["image_pe"][0]))


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts(published, name):
    inputs = {key: golden().get(f"{name}/{key}") for key in ("points_xy", "point_labels")}
    encoder = published.prompt_encoder
    sparse = encoder.sparse(*inputs.values(), golden().get(f"{name}/box_xyxy"))
    assert_close(sparse, golden()[f"{name}/sparse_embeddings"])
    dense = encoder.dense(golden().get(f"{name}/mask_input"))
    expected = golden()[f"{name}/dense_embeddings"]
    for one in expected:
        assert_close(dense.expand(one.shape[1] ** 2, -1), as_tokens(one))


@pytest.mark.parametrize("name", PROMPTS)
def test_masks(published, name):
    factored = published.factored(published.prompt_encoder.image_pe())
    decoder, dense = published.mask_decoder, golden()[f"{name}/dense_embeddings"][0]
    embedding = as_tokens(golden()["image_embedding"][0])
    tokens = factored.prepare(embedding + as_tokens(dense))
    sparse = golden()[f"{name}/sparse_embeddings"]
    for mode in ("multi", "single"):
        logits, ious = decoder(factored, tokens, sparse, mode == "multi")
        assert_close(logits, golden()[f"{name}/{mode}_low_res_logits"])
        assert_close(ious, golden()[f"{name}/{mode}_iou_predictions"])
        if mode == "multi":
            square = F.interpolate(logits, (224, 224), mode="bilinear", align_corners=False)
            full = F.interpolate(
                square[:, :, :150], (300, 448), mode="bilinear", align_corners=False
            )
            assert_close(full[:, :, ::10, ::10], golden()[f"{name}/mask_logits_300x448"])


def test_progress_comes_after_each_block_and_may_stop_the_encode(tiny_model):
    calls = []
    image = torch.zeros(1, 3, 224, 224)
    tiny_model.image_encoder(image, lambda done, total: calls.append((done, total)))
    assert calls == [(i + 1, 6) for i in range(6)]

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny_model.image_encoder(image, stop)


def test_predictor_runs_it_in_both_precisions(tiny_model):
    image = np.random.default_rng(0).integers(0, 256, (150, 224, 3), np.uint8)
    expected = Predictor(tiny_model, device="cpu").encode(image).numpy()
    predictor = Predictor(tiny_model, device="cpu", precision="bfloat16")
    embedding = predictor.encode(image)
    difference = np.linalg.norm(embedding.numpy() - expected)
    assert 0 < difference <= 0.05 * np.linalg.norm(expected)
    prediction = predictor.decode(embedding, points_xy=[[50, 60]], point_labels=[1])
    assert prediction.low_res_logits.shape == (3, 56, 56)
    assert prediction.masks.shape == (3, 150, 224)


def plain_attention(attention, qkv):
    """Attention as the papers write it, with the bias of every pair of tokens."""
    batch, side, _, _ = qkv.shape
    query, key, value = qkv.reshape(batch, side**2, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
    line = torch.arange(side)
    offsets = line[:, None] - line + side - 1
    grid = query.reshape(batch, attention.heads, side, side, -1)
    by_row = torch.einsum("bhyxd,ykd->bhyxk", grid, attention.rel_pos_h[offsets])
    by_column = torch.einsum("bhyxd,xkd->bhyxk", grid, attention.rel_pos_w[offsets])
    bias = by_row[..., :, None] + by_column[..., None, :]
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = (scores + bias.reshape(scores.shape)).softmax(dim=-1)
    return (weights @ value).transpose(1, 2).reshape(batch, side, side, -1)


@pytest.mark.parametrize("way", ["_in_channels", "_in_bands"])
@pytest.mark.parametrize("block", [0, 1])
def test_attention_is_the_plain_one(tiny_model, monkeypatch, block, way):
    torch.manual_seed(3)
    attention = tiny_model.image_encoder.blocks[block].attn
    monkeypatch.setattr(attention, "_in_bands", getattr(attention, way))
    qkv = 3 * torch.randn(2, attention.side, attention.side, 3 * 48)
    assert_close(attention(qkv), plain_attention(attention, qkv))


@pytest.mark.parametrize("elements", [1, 2 * 4 * 196 * 50])
def test_bands_of_any_size_are_the_whole(tiny_model, monkeypatch, elements):
    attention = tiny_model.image_encoder.blocks[1].attn
    qkv = torch.randn(2, 14, 14, 3 * 48)
    whole = attention(qkv)
    monkeypatch.setattr(vit, "BIAS_ELEMENTS", elements)
    assert_close(attention(qkv), whole)


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [("vit_b", 93_735_472), ("vit_l", 312_342_832), ("vit_h", 641_090_608)],
)
def test_full_size_has_the_published_number_of_parameters(variant, parameters):
    with torch.device("meta"):
        model = build_model(VARIANTS[variant])
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
