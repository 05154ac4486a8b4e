"""Images: the whole model against transformers' Sam2Model with the same random weights."""

from dataclasses import replace

import pytest
import torch

from tests.model.sam2_models import TINY_2, hugging_face_model, random_model

POINTS = torch.tensor([[[30.0, 40.0], [200.0, 10.0]], [[0.0, 0.0], [100.0, 149.0]]])
LABELS = torch.tensor([[1, 0], [1, 1]])
BOXES = torch.tensor([[10.0, 20.0, 130.0, 140.0], [0.0, 0.0, 223.0, 100.0]])


@pytest.fixture(scope="module")
def image():
    torch.manual_seed(4)
    return torch.randn(1, 3, 256, 256)


def assert_close(result, expected):
    assert result.shape == expected.shape
    scale = expected.abs().max().clamp(min=1)
    assert (result - expected).abs().max() <= 1e-5 * scale


def with_no_memory(model, maps):
    """Maps as transformers has them: the embedding of no memory is in the last one."""
    whole, fine, finest = maps
    return [finest[None], fine[None], (whole + model.no_mem_embed[0, 0][:, None, None])[None]]


def test_maps_of_the_image(tiny_sam2, hugging_face_image, image):
    expected = hugging_face_image.get_image_embeddings(image)
    maps = tiny_sam2.encode(image)
    assert tuple(part.shape for part in maps) == tiny_sam2.map_shapes
    for ours, theirs in zip(with_no_memory(tiny_sam2, maps), expected, strict=True):
        assert_close(ours, theirs)


def test_windows_that_fill_the_image(image):
    """As in hiera_large, where nothing is padded, and with the positions of hiera_base_plus."""
    encoder = replace(TINY_2.image_encoder, heads=2, windows=(8, 4, 8, 4), background=14)
    model = random_model(replace(TINY_2, image_encoder=encoder, memory=None))
    expected = hugging_face_model(model, video=False).get_image_embeddings(image)
    for ours, theirs in zip(with_no_memory(model, model.encode(image)), expected, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", ["points", "boxes", "both", "mask", "mask alone"])
def test_masks(tiny_sam2, hugging_face_image, image, kind, multimask):
    torch.manual_seed(5)
    points, labels = (None, None) if kind in ("boxes", "mask alone") else (POINTS, LABELS)
    boxes = BOXES if kind in ("boxes", "both") else None
    mask = 5 * torch.randn(1, 1, 64, 64) if kind.startswith("mask") else None
    if kind == "mask":
        points, labels = points[:1], labels[:1]
    maps = tiny_sam2.encode(image)
    expected = hugging_face_image(
        image_embeddings=with_no_memory(tiny_sam2, maps),
        input_points=None if points is None else points[None],
        input_labels=None if labels is None else labels[None],
        input_boxes=None if boxes is None else boxes[None],
        input_masks=mask,
        multimask_output=multimask,
    )
    encoder, decoder = tiny_sam2.prompts, tiny_sam2.decoder
    factored = tiny_sam2.factored(encoder.image_pe())
    tokens = tiny_sam2.prepare(maps, factored)
    if mask is not None:
        tokens = replace(tokens, columns=encoder.mask_columns(mask))
    decoded = decoder.decode(factored, tokens, encoder.sparse(points, labels, boxes), multimask)
    assert_close(decoded.low_res_logits, expected.pred_masks[0])
    assert_close(decoded.iou_predictions, expected.iou_scores[0])
    assert_close(decoded.object_logits, expected.object_score_logits[0])
