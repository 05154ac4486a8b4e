"""Instance decoders: in the file of their model or beside it, recognized by their weights."""

import pytest
import torch
from safetensors.torch import save_file

from napari_sam.engine.instances import instance_decoder_of
from napari_sam.engine.spec import Capability
from napari_sam.model import CheckpointError, Predictor, load_model
from napari_sam.model.build import check_loadable
from napari_sam.model.checkpoints.instance_decoders import load_instance_decoder
from napari_sam.model.checkpoints.state_dicts import Checkpoint, read_checkpoint
from tests.model.conftest import TINY_CONFIG, as_micro_sam
from tests.model.instance_decoder.published import random_state

PARAMETERS = {False: 9_591_235, True: 11_028_931}


@pytest.fixture
def decoder():
    return random_state(False, TINY_CONFIG.embed_dim, 4)


@pytest.mark.parametrize("is_transposed", [False, True])
def test_published_names_and_shapes_are_loaded(is_transposed):
    network = load_instance_decoder(Checkpoint({}, random_state(is_transposed)), "file", 256)
    assert network.config.is_transposed is is_transposed
    in_batch_norms = 2 * sum(network.config.widths)  # which are part of convolutions now
    counted = sum(weights.numel() for weights in network.parameters())
    assert counted == PARAMETERS[is_transposed] - in_batch_norms
    assert not network.training


def test_in_one_file_or_beside_it(tiny, decoder, tmp_path):
    torch.save({"model_state": as_micro_sam(tiny), "decoder_state": decoder}, tmp_path / "a.pt")
    for name in ("b.pt", "c", "d.pt", "e.pt"):
        torch.save(tiny, tmp_path / name)
    torch.save(decoder, tmp_path / "b_decoder.pt")
    torch.save({"decoder_state": decoder}, tmp_path / "c_decoder")  # in micro-sam's cache
    save_file(decoder, tmp_path / "d_decoder.safetensors")
    for name in ("a.pt", "b.pt", "c", "d.pt"):
        predictor = Predictor(load_model(checkpoint=tmp_path / name), device="cpu")
        assert Capability.INSTANCE_DECODER in predictor.spec.capabilities
        assert instance_decoder_of(predictor) is predictor.instance_decoder
    without = Predictor(load_model(checkpoint=tmp_path / "e.pt"), device="cpu")
    assert instance_decoder_of(without) is None
    with pytest.raises(ValueError, match="choose one of micro-sam's"):
        _ = without.instance_decoder


def _missing(state):
    del state["deconv2.block.2.running_var"]


def _misshapen(state):
    state["decoder.blocks.1.block.1.weight"] = torch.zeros(8, 15, 3, 3)


def _additional(state):
    state["decoder.blocks.3.block.1.bias"] = torch.zeros(4)


def _nan(state):
    state["out_conv.bias"] = torch.full((3,), torch.nan)


def _of_another_embedding(state):
    state.update(random_state(False, 16, 4))


def _of_another_kind(state):
    del state["base.block.1.weight"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_missing, "this instance decoder .*missing keys: deconv2.block.2.running_var"),
        (_misshapen, "of another shape: decoder.blocks.1.block.1.weight"),
        (_additional, "unexpected keys: decoder.blocks.3.block.1.bias"),
        (_nan, "NaN or infinite"),
        (_of_another_embedding, "16 channels; those of the model have 32"),
        (_of_another_kind, "of another kind than micro-sam's"),
    ],
)
def test_faults_are_named(tiny, decoder, tmp_path, change, reason):
    change(decoder)
    torch.save(tiny, tmp_path / "in.pt")
    torch.save(decoder, tmp_path / "in_decoder.pt")
    with pytest.raises(CheckpointError, match=rf"in_decoder.pt .*{reason}"):
        load_model(checkpoint=tmp_path / "in.pt")
    if change is not _nan:  # whose values are not looked at before
        checkpoint = read_checkpoint(tmp_path / "in.pt", lazily=True)
        with pytest.raises(CheckpointError, match=reason):
            check_loadable(checkpoint, tmp_path / "in.pt")


def test_a_decoder_alone_is_no_model(decoder, tmp_path):
    torch.save(decoder, tmp_path / "vit_b_decoder.pt")
    with pytest.raises(CheckpointError, match=r"is an instance decoder .*Choose the model's file"):
        load_model(checkpoint=tmp_path / "vit_b_decoder.pt")
