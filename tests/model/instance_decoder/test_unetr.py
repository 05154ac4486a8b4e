"""The network against the same weights in the order of the description."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from napari_sam.model import Predictor
from napari_sam.model.checkpoints.instance_decoders import load_instance_decoder
from napari_sam.model.checkpoints.state_dicts import Checkpoint
from tests.model.conftest import TINY_CONFIG, sample_image
from tests.model.instance_decoder.published import published_maps, random_state


def loaded(state, embed_dim):
    return load_instance_decoder(Checkpoint({}, state), "file", embed_dim)


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("side", [5, 12])
def test_maps_are_those_of_the_description(is_transposed, side):
    state = random_state(is_transposed, 24, 8)
    embedding = torch.randn(24, side, side, generator=torch.Generator().manual_seed(3))
    steps = []
    with torch.inference_mode():
        maps = loaded(state, 24)(embedding, lambda *step: steps.append(step))
        expected = published_maps(state, embedding)
    assert expected.std() > 0.1
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-4)
    assert steps == [(number, len(steps)) for number in range(1, len(steps) + 1)]
    assert len(steps) > 8


def test_it_can_be_ended_between_its_parts():
    network = loaded(random_state(False, 24, 8), 24)
    steps = []

    def stop(done, total):
        steps.append(done)
        if done == 3:
            raise InterruptedError

    with torch.inference_mode(), pytest.raises(InterruptedError):
        network(torch.zeros(24, 5, 5), stop)
    assert steps == [1, 2, 3]


def test_maps_have_the_size_of_the_image_or_the_one_asked_for(tiny_model):
    state = random_state(False, TINY_CONFIG.embed_dim, 4)
    model = copy.deepcopy(tiny_model)
    model.take_instance_decoder(loaded(state, TINY_CONFIG.embed_dim))
    predictor = Predictor(model, device="cpu")
    image = sample_image("coins")  # wider than high: the square input is padded
    embedding = predictor.encode(image)
    maps = published_maps(state, embedding.image_embedding)
    height, width = embedding.input_size
    assert maps.shape == (3, predictor.spec.input_side, predictor.spec.input_side)
    for size in (image.shape[:2], (64, 81)):
        part = maps[None, :, :height, :width]
        expected = F.interpolate(part, size, mode="bilinear", align_corners=False)[0]
        asked_for = None if size == image.shape[:2] else size
        found = predictor.instance_decoder.decode(embedding, asked_for)
        assert found.size == size
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
