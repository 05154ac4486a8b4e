"""Real weights, real images, golden outputs."""

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from napari_sam.model import VARIANTS, Predictor, SamConfig, load_model
from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.layouts import to_hugging_face
from napari_sam.model.sam.vit import ViTConfig
from tests.model.sam2_models import (  # noqa: F401 - fixtures
    hugging_face_image,
    hugging_face_video,
    tiny_2,
    tiny_sam2,
)
from tests.remembering import RememberingPredictor

GOLDENS = Path(__file__).parents[1] / "data" / "goldens"
"""Outputs of the published implementations; `README.md` there says what was kept of them."""

TINY_CONFIG = SamConfig(
    ViTConfig(dim=48, depth=4, heads=4, global_blocks=(1, 3), window=5, out_channels=32),
    image_size=224,
    embed_dim=32,
    decoder_heads=4,
    decoder_mlp_dim=64,
    iou_head_hidden_dim=32,
)
"""All the machinery of ViT-B in a hundredth of a second."""


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def as_micro_sam(state):
    """Return weights under the names that micro-sam's training gives them."""
    return {f"sam.{name}": value for name, value in state.items()}


def golden_cases():
    """Return image name -> prompt name -> prompt."""
    cases = json.loads((GOLDENS / "cases.json").read_text())
    return {name: case["prompts"] for name, case in cases.items()}


@cache
def sample_image(name):
    image = getattr(skimage.data, name)()
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@pytest.fixture(scope="session")
def sam():
    return load_model()


@pytest.fixture(scope="session")
def predictor(sam):
    return Predictor(sam, device="cpu")


@pytest.fixture(scope="session")
def embedding_of(sam):
    """Return a function from an image's name to its embedding; the suite encodes each once."""
    predictor = RememberingPredictor(sam, device="cpu")
    return lambda name: predictor.encode(sample_image(name))


@pytest.fixture(scope="session")
def coins(embedding_of):
    return embedding_of("coins")


@pytest.fixture(scope="session")
def tiny_model():
    """A SAM with a plain ViT and random weights."""
    torch.manual_seed(0)
    model = build_model(TINY_CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval().requires_grad_(False)


@pytest.fixture
def tiny(monkeypatch, tiny_model):
    """Weights of a variant that is in the table for the time of a test."""
    monkeypatch.setitem(VARIANTS, "vit_tiny", TINY_CONFIG)
    return tiny_model.state_dict()


@pytest.fixture(scope="session")
def tiny_hugging_face(tiny_model):
    """The same model as transformers' SamModel."""
    transformers = pytest.importorskip("transformers")
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
