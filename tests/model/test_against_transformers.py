"""The whole model against transformers' SamModel with the same random weights."""

from __future__ import annotations

import warnings

import pytest
import torch
from conftest import TINY_CONFIG

from napari_sam.model.formats import to_hugging_face

transformers = pytest.importorskip("transformers")

POINTS = torch.tensor([[[30.0, 40.0], [200.0, 10.0]], [[0.0, 0.0], [100.0, 149.0]]])
LABELS = torch.tensor([[1, 0], [1, 1]])
BOXES = torch.tensor([[10.0, 20.0, 130.0, 140.0], [0.0, 0.0, 223.0, 100.0]])


@pytest.fixture(scope="module")
def theirs(tiny_model):
    encoder = TINY_CONFIG.image_encoder
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": encoder.dim,
            "output_channels": encoder.out_channels,
            "num_hidden_layers": encoder.depth,
            "num_attention_heads": encoder.heads,
            "image_size": TINY_CONFIG.image_size,
            "window_size": encoder.window,
            "global_attn_indexes": list(encoder.global_blocks),
            "num_pos_feats": TINY_CONFIG.embed_dim // 2,
            "mlp_dim": encoder.dim * encoder.mlp_ratio,
        },
        prompt_encoder_config={
            "hidden_size": TINY_CONFIG.embed_dim,
            "image_size": TINY_CONFIG.image_size,
        },
        mask_decoder_config={
            "hidden_size": TINY_CONFIG.embed_dim,
            "mlp_dim": TINY_CONFIG.decoder_mlp_dim,
            "num_attention_heads": TINY_CONFIG.decoder_heads,
            "iou_head_hidden_dim": TINY_CONFIG.iou_head_hidden_dim,
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.SamModel(config).eval().requires_grad_(False)
    weights = to_hugging_face(tiny_model.state_dict())
    positions = weights["shared_image_embedding.positional_embedding"]
    weights["prompt_encoder.shared_embedding.positional_embedding"] = positions
    model.load_state_dict(weights, strict=True)
    return model


@pytest.fixture(scope="module")
def image():
    torch.manual_seed(4)
    return torch.randn(1, 3, 224, 224)


def assert_close(result, expected, relative=1e-4):
    assert result.shape == expected.shape
    assert torch.linalg.norm(result - expected) <= relative * torch.linalg.norm(expected)


def test_image_embedding(tiny_model, theirs, image):
    assert_close(tiny_model.image_encoder(image), theirs.get_image_embeddings(image))


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", ["points", "boxes", "both", "mask"])
def test_masks(tiny_model, theirs, image, kind, multimask):
    torch.manual_seed(5)
    points, labels = (POINTS, LABELS) if kind != "boxes" else (None, None)
    boxes = BOXES if kind in ("boxes", "both") else None
    mask = 5 * torch.randn(1, 1, 56, 56) if kind == "mask" else None
    if kind == "mask":
        points, labels = points[:1], labels[:1]
    embedding = tiny_model.image_encoder(image)
    expected = theirs(
        image_embeddings=embedding,
        input_points=None if points is None else points[None],
        input_labels=None if labels is None else labels[None],
        input_boxes=None if boxes is None else boxes[None],
        input_masks=mask,
        multimask_output=multimask,
    )
    encoder, decoder = tiny_model.prompt_encoder, tiny_model.mask_decoder
    image_pe = encoder.image_pe()
    tokens = decoder.prepare(embedding[0].flatten(1).T, encoder.dense(mask), image_pe)
    logits, ious = decoder(tokens, image_pe, encoder.sparse(points, labels, boxes), multimask)
    assert_close(logits, expected.pred_masks[0])
    assert_close(ious, expected.iou_scores[0])
