"""The whole model against transformers' SamModel with the same random weights."""

from dataclasses import replace

import pytest
import torch

POINTS = torch.tensor([[[30.0, 40.0], [200.0, 10.0]], [[0.0, 0.0], [100.0, 149.0]]])
LABELS = torch.tensor([[1, 0], [1, 1]])
BOXES = torch.tensor([[10.0, 20.0, 130.0, 140.0], [0.0, 0.0, 223.0, 100.0]])


@pytest.fixture(scope="module")
def image():
    torch.manual_seed(4)
    return torch.randn(1, 3, 224, 224)


def assert_close(result, expected, relative=1e-4):
    assert result.shape == expected.shape
    assert torch.linalg.norm(result - expected) <= relative * torch.linalg.norm(expected)


def test_image_embedding(tiny_model, tiny_hugging_face, image):
    assert_close(tiny_model.image_encoder(image), tiny_hugging_face.get_image_embeddings(image))


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", ["points", "boxes", "both", "mask"])
def test_masks(tiny_model, tiny_hugging_face, image, kind, multimask):
    torch.manual_seed(5)
    points, labels = (POINTS, LABELS) if kind != "boxes" else (None, None)
    boxes = BOXES if kind in ("boxes", "both") else None
    mask = 5 * torch.randn(1, 1, 56, 56) if kind == "mask" else None
    if kind == "mask":
        points, labels = points[:1], labels[:1]
    embedding = tiny_model.image_encoder(image)
    expected = tiny_hugging_face(
        image_embeddings=embedding,
        input_points=None if points is None else points[None],
        input_labels=None if labels is None else labels[None],
        input_boxes=None if boxes is None else boxes[None],
        input_masks=mask,
        multimask_output=multimask,
    )
    encoder, decoder = tiny_model.prompt_encoder, tiny_model.mask_decoder
    factored = tiny_model.factored(encoder.image_pe())
    tokens = tiny_model.prepare((embedding[0],), factored)
    if mask is not None:
        tokens = replace(tokens, columns=encoder.mask_columns(mask))
    logits, ious = decoder(factored, tokens, encoder.sparse(points, labels, boxes), multimask)
    assert_close(logits, expected.pred_masks[0])
    assert_close(ious, expected.iou_scores[0])
