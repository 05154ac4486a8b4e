"""What an instance decoder learns from, and that it learns with the network that finds objects."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.model import VARIANTS, Predictor
from napari_sam.model.checkpoints.state_dicts import read_checkpoint
from napari_sam.model.instance_decoder.config import InstanceDecoderConfig
from napari_sam.model.instance_decoder.unetr import Unetr
from napari_sam.model.training.files import write_trained
from napari_sam.model.training.instance_targets import instance_targets, maps_loss
from napari_sam.model.training.instance_trainer import InstanceTrainer
from tests.model.conftest import TINY_CONFIG
from tests.model.sam2_models import random_model


def test_targets_are_low_inside_each_object_and_1_elsewhere():
    labels = np.zeros((60, 50), np.int16)
    labels[5:16, 10:31], labels[30:51, 5:8], labels[48:51, 5:26] = 1, 2, 2  # the second is an L
    labels[55:] = -1
    foreground, center, boundary = instance_targets(labels)
    np.testing.assert_array_equal(foreground, labels > 0)
    assert center[10, 20] == boundary[10, 20] == 0
    assert center[5, 10] == boundary[5, 10] == 1
    assert boundary[10, 12] == pytest.approx(0.6)
    assert (np.stack([center, boundary])[:, labels <= 0] == 1).all()
    row, column = np.argwhere((center == 0) & (labels == 2))[0]  # inside, unlike the mean of an L
    assert boundary[row, column] == 0
    maps, valid = torch.from_numpy(instance_targets(labels)), torch.ones(labels.shape)
    assert maps_loss(maps, maps, valid) < 1e-4
    assert maps_loss(1 - maps, maps, valid) > 1
    assert maps_loss(1 - maps, maps, valid * 0) < 1e-4  # padding does not count


@pytest.mark.parametrize("is_transposed", [False, True])
def test_what_learns_computes_what_finds_objects(is_transposed):
    torch.manual_seed(0)
    network = Unetr(InstanceDecoderConfig(8, 2, is_transposed))
    embedding = torch.randn(8, 6, 6)
    network.with_gradients(embedding)  # for the statistics of the normalizations
    folded = copy.deepcopy(network.eval())
    folded.fold()
    with torch.no_grad():
        torch.testing.assert_close(network.with_gradients(embedding), folded(embedding))


def test_a_new_decoder_lies_beside_safetensors_and_is_the_same_for_a_seed(tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "vit_tiny", TINY_CONFIG)
    model = random_model(TINY_CONFIG)
    torch.save(model.state_dict(), tmp_path / "base.pt")
    spec, settings = Predictor(model, "cpu").spec, TrainingSettings()
    trainers = [InstanceTrainer(tmp_path / "base.pt", spec, settings, "cpu") for _ in range(2)]
    assert trainers[0].is_new
    first, second = (trainer.weights() for trainer in trainers)
    assert all(torch.equal(first[name], second[name]) for name in first)
    write_trained(tmp_path / "new.safetensors", tmp_path / "base.pt", {}, first)
    assert load_file(tmp_path / "new_decoder.safetensors").keys() == first.keys()
    assert read_checkpoint(tmp_path / "new.safetensors").decoder_state.keys() == first.keys()
