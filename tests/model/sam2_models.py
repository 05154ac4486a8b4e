"""SAM 2.1 with a small image encoder and random weights, ours and transformers'."""

import warnings

import pytest
import torch

from napari_sam.bench.peers import hugging_face_2_shape, hugging_face_2_video_shape
from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.sam2_layouts import to_hugging_face_2
from napari_sam.model.checkpoints.variants import VARIANTS
from napari_sam.model.sam2.config import MemoryConfig, Sam2Config
from napari_sam.model.sam2.hiera import HieraConfig

TINY_2 = Sam2Config(
    HieraConfig(dim=8, heads=1, depths=(1, 2, 3, 2), global_blocks=(4,), background=7),
    memory=MemoryConfig(layers=2, mlp_dim=64),
    image_size=256,
    embed_dim=128,
    decoder_heads=4,
    decoder_mlp_dim=64,
    iou_head_hidden_dim=32,
)
"""All the machinery of hiera_tiny, with windows that do not divide the image."""


def random_model(config):
    """A model with random weights."""
    torch.manual_seed(0)
    model = build_model(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_matrix = parameter.ndim > 1 and "embed" not in name and "token" not in name
            width = parameter[0].numel() if is_matrix else 4
            # Large enough in the attention to memories for these to decide about the mask.
            gain = 3 if name.startswith("memory_attention") and is_matrix else 1
            parameter.normal_(std=gain * width**-0.5)
            if "norm" in name and name.endswith("weight"):
                parameter += 1
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_sam2():
    return random_model(TINY_2)


@pytest.fixture
def tiny_2(monkeypatch, tiny_sam2):
    """Weights of a variant that is in the table for the time of a test."""
    monkeypatch.setitem(VARIANTS, "hiera_test", TINY_2)
    return tiny_sam2.state_dict()


def hugging_face_config(transformers, config, video):
    """The shape of a model as transformers has it."""
    if not video:
        return transformers.Sam2Config(**hugging_face_2_shape(config))
    return transformers.Sam2VideoConfig(**hugging_face_2_video_shape(config))


def hugging_face_model(model, video):
    """The same model as transformers' Sam2Model or Sam2VideoModel."""
    transformers = pytest.importorskip("transformers")
    config = hugging_face_config(transformers, model.config, video)
    kind = transformers.Sam2VideoModel if video else transformers.Sam2Model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = kind(config).eval().requires_grad_(False)
    wanted = theirs.state_dict()
    weights = to_hugging_face_2(model.state_dict())
    theirs.load_state_dict({name: weights[name] for name in wanted}, strict=True)
    return theirs


@pytest.fixture(scope="session")
def hugging_face_image(tiny_sam2):
    return hugging_face_model(tiny_sam2, video=False)


@pytest.fixture(scope="session")
def hugging_face_video(tiny_sam2):
    return hugging_face_model(tiny_sam2, video=True)
