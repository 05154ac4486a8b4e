"""Real weights, real images, golden outputs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from napari_sam.model import Predictor, SamConfig, load_model
from napari_sam.model.build import build_model
from napari_sam.model.vit import ViTConfig

GOLDENS = Path(__file__).parents[3] / "shared" / "goldens"
needs_goldens = pytest.mark.skipif(
    not (GOLDENS / "cases.json").is_file(), reason="the golden outputs lie outside the repository"
)

TINY_CONFIG = SamConfig(
    ViTConfig(dim=48, depth=4, heads=4, global_blocks=(1, 3), window=5, out_channels=32),
    image_size=224,
    embed_dim=32,
    decoder_heads=4,
    decoder_mlp_dim=64,
    iou_head_hidden_dim=32,
)
"""All the machinery of ViT-B in a hundredth of a second."""


def golden_cases():
    """Return image name -> prompt name -> prompt, or nothing where the goldens are missing."""
    path = GOLDENS / "cases.json"
    if not path.is_file():
        return {}
    return {name: case["prompts"] for name, case in json.loads(path.read_text()).items()}


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
def embedding_of(predictor):
    """Return a function from an image's name to its embedding; each image is encoded once."""
    return cache(lambda name: predictor.encode(sample_image(name)))


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
