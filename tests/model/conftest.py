"""Real weights, real images, golden outputs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from napari_sam.model import Predictor, load_model

GOLDENS = Path(__file__).parents[3] / "shared" / "goldens"
needs_goldens = pytest.mark.skipif(
    not (GOLDENS / "cases.json").is_file(), reason="the golden outputs lie outside the repository"
)


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
