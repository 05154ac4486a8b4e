import copy

import pytest
import torch

from napari_sam.model import VARIANTS
from napari_sam.model.build import build_model
from napari_sam.model.sam.common import fold_batch_norms
from napari_sam.model.sam.prompt_encoder import PADDING
from napari_sam.model.sam.sam import Sam
from napari_sam.model.sam.single import SingleTokens
from napari_sam.model.sam.tiny_vit import TinyViT, TinyViTConfig
from tests.model.plain_reference import PlainDecoder, PlainEncoder


@pytest.fixture
def tiny_encoder():
    torch.manual_seed(0)
    config = TinyViTConfig((8, 8, 16, 16), (1, 1, 2, 1), (1, 2, 2, 4), (7, 7, 14, 7))
    encoder = TinyViT(config).eval().requires_grad_(False)
    for name, buffer in encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for parameter in encoder.parameters():
        if parameter.ndim == 1:
            parameter.normal_()
    return encoder


@pytest.mark.parametrize("size", [224, 256])
def test_folding_batch_norms_changes_nothing(tiny_encoder, size):
    image = torch.randn(1, 3, size, size)
    expected = tiny_encoder(image)
    fold_batch_norms(tiny_encoder)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in tiny_encoder.modules())
    torch.testing.assert_close(tiny_encoder(image), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [224, 256, 320])
def test_tiny_encoder_is_the_plain_one(tiny_encoder, size):
    """With and without windows that reach beyond the image."""
    fold_batch_norms(tiny_encoder)
    holder = torch.nn.Module()
    holder.image_encoder = tiny_encoder
    image = torch.randn(1, 3, size, size)
    result = tiny_encoder(image)
    assert result.shape == (1, 256, size // 16, size // 16)
    torch.testing.assert_close(result, PlainEncoder(holder)(image), rtol=1e-4, atol=1e-4)


def test_encoder_reports_progress_in_order(tiny_encoder):
    calls = []
    tiny_encoder(torch.zeros(1, 3, 64, 64), lambda done, total: calls.append((done, total)))
    total = calls[0][1]
    assert calls == [(i + 1, total) for i in range(total)]
    assert total >= 8


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("with_mask", [False, True])
@torch.inference_mode()
def test_decoder_is_the_plain_one(sam, batch, count, with_mask):
    torch.manual_seed(1)
    image_embedding = torch.randn(1, 256, 64, 64)
    sparse = torch.randn(batch, count, 256)
    dense = torch.randn(1, 256, 64, 64) if with_mask else torch.randn(1, 256, 1, 1)
    logits, ious = PlainDecoder(sam)(image_embedding, sparse, dense)

    image_pe = sam.prompt_encoder.image_pe()
    factored, tokens = sam.factored(image_pe), (image_embedding + dense)[0].flatten(1).T
    ways = [(factored, factored.prepare(tokens))]
    if batch == 1:
        single = sam.mask_decoder.single(factored, image_pe, 64)
        ways.append((single, SingleTokens(tokens, torch.arange(64**2))))
    for transformer, image in ways:
        for multimask, wanted in ((True, slice(1, 4)), (False, slice(0, 1))):
            result = sam.mask_decoder(transformer, image, sparse, multimask)
            torch.testing.assert_close(result[0], logits[:, wanted], rtol=1e-4, atol=1e-3)
            torch.testing.assert_close(result[1], ious[:, wanted], rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_plain_decoder(tiny_model):
    torch.manual_seed(2)
    model = copy.deepcopy(tiny_model)
    plain = PlainDecoder(model).double()
    plain.decoder.requires_grad_(True)
    embedding, sparse = torch.randn(1, 32, 14, 14).double(), torch.randn(1, 2, 32).double()
    weights = torch.randn(1, 3, 56, 56).double()
    factored = model.decoder.factored(plain.image_pe[0], model.prompts.mask_rows())
    prepared = factored.prepare(embedding[0].flatten(1).T)
    gradients = []
    for logits, ious in (
        model.decoder(factored, prepared, sparse, True),
        (part[:, 1:] for part in plain(embedding, sparse, torch.zeros(1, 32, 1, 1))),
    ):
        model.decoder.zero_grad()
        ((weights * logits).sum() + ious.sum()).backward()
        gradients.append(
            {
                name: parameter.grad
                for name, parameter in model.decoder.named_parameters()
                if parameter.grad is not None
            }
        )
    ours, expected = gradients
    assert len(ours) > 100
    for name, gradient in expected.items():
        # A bias of keys shifts all scores alike; of its gradient, only rounding is left.
        torch.testing.assert_close(
            ours.get(name, torch.zeros_like(gradient)), gradient, rtol=1e-6, atol=1e-8
        )


def test_points_without_a_box_get_one_padding_point(sam):
    encoder = sam.prompt_encoder
    points, labels = torch.tensor([[[30.0, 40.0]]]), torch.tensor([[1]])
    box = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    alone = encoder.sparse(points, labels, None)
    assert alone.shape == (1, 2, 256)
    torch.testing.assert_close(alone[0, 1], encoder.not_a_point_embed.weight[0])
    both = encoder.sparse(points, labels, box)
    assert both.shape == (1, 3, 256)
    torch.testing.assert_close(both[:, :1], alone[:, :1])
    torch.testing.assert_close(both[:, 1:], encoder.sparse(None, None, box))
    assert encoder.sparse(None, None, None).shape == (1, 0, 256)


def test_padding_points_have_no_position(sam):
    points = torch.tensor([[[0.0, 0.0], [700.0, 900.0]]])
    padding = sam.prompt_encoder.sparse(points, torch.full((1, 2), PADDING), None)
    torch.testing.assert_close(padding[0, 0], padding[0, 1])


def test_preprocess_pads_with_zeros_after_normalization(sam):
    padded = sam.preprocess(torch.full((3, 100, 1024), 255, dtype=torch.uint8))
    assert padded.shape == (1, 3, 1024, 1024)
    assert padded.dtype == torch.float32
    assert (padded[:, :, 100:] == 0).all()
    expected = (255 - sam.pixel_mean) / sam.pixel_std
    torch.testing.assert_close(padded[0, :, :100], expected.expand(3, 100, 1024))


def test_image_encoder_is_injected(sam):
    encoder = torch.nn.Identity()
    assert Sam(encoder, sam.prompt_encoder, sam.mask_decoder).image_encoder is encoder


def test_published_keys():
    keys = build_model(VARIANTS["vit_t"]).state_dict()
    assert "image_encoder.layers.2.blocks.5.attn.attention_biases" in keys
    assert "mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.bias" in keys
    assert len(keys) == 435
