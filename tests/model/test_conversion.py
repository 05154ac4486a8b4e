import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam.model import CheckpointError
from napari_sam.model.checkpoints.layouts import to_hugging_face
from napari_sam.model.conversion import convert
from tests.model.conftest import Hostile, as_micro_sam


def assert_same(path, tensors):
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in found)


@pytest.mark.parametrize("layout", [dict, to_hugging_face, as_micro_sam])
def test_any_layout_becomes_ours(tiny, tmp_path, layout):
    torch.save(layout(tiny), tmp_path / "in.pt")
    done = convert(tmp_path / "in.pt", tmp_path / "new" / "out.safetensors")
    assert (done.variant, done.decoder_path) == ("vit_tiny", None)
    assert_same(done.path, tiny)
    assert list(done.path.parent.iterdir()) == [done.path]


def test_tensors_that_share_memory(tiny, tmp_path):
    shared = dict(tiny)
    token = tiny["prompt_encoder.no_mask_embed.weight"]
    shared["prompt_encoder.not_a_point_embed.weight"] = token
    shared["image_encoder.neck.0.weight"] = tiny["image_encoder.neck.0.weight"].flip(0).mT
    torch.save(shared, tmp_path / "in.pt")
    done = convert(tmp_path / "in.pt", tmp_path / "out.safetensors")
    assert_same(done.path, shared)


def test_decoder_goes_beside(tiny, tmp_path):
    decoder = {"out_conv.weight": torch.ones(3, 2)}
    torch.save({"model_state": as_micro_sam(tiny), "decoder_state": decoder}, tmp_path / "in.pt")
    done = convert(tmp_path / "in.pt", tmp_path / "cells.safetensors")
    assert_same(done.path, tiny)
    assert done.decoder_path == tmp_path / "cells_decoder.safetensors"
    assert_same(done.decoder_path, decoder)


def test_nothing_is_overwritten_unasked(tiny, tmp_path):
    torch.save(tiny, tmp_path / "in.pt")
    target = tmp_path / "out.safetensors"
    target.write_text("mine")
    with pytest.raises(CheckpointError, match="already exists"):
        convert(tmp_path / "in.pt", target)
    assert target.read_text() == "mine"
    assert_same(convert(tmp_path / "in.pt", target, overwrite=True).path, tiny)


def test_refusals_write_nothing(tiny, tmp_path):
    target, trace = tmp_path / "out.safetensors", tmp_path / "trace"
    torch.save({"model_state": tiny, "extra": Hostile(trace)}, tmp_path / "hostile.pt")
    with pytest.raises(CheckpointError, match="refused"):
        convert(tmp_path / "hostile.pt", target)
    assert not trace.exists()

    incomplete = dict(tiny)
    del incomplete["image_encoder.neck.0.weight"]
    save_file(incomplete, tmp_path / "incomplete.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing keys: image_encoder\.neck\.0\.weight"):
        convert(tmp_path / "incomplete.safetensors", target)
    nan = tiny | {"image_encoder.neck.0.weight": tiny["image_encoder.neck.0.weight"] * torch.nan}
    save_file(nan, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        convert(tmp_path / "nan.safetensors", target)
    torch.save(tiny, tmp_path / "in.pt")
    with pytest.raises(CheckpointError, match="File name too long"):
        convert(tmp_path / "in.pt", tmp_path / ("x" * 300 + ".safetensors"))
    with pytest.raises(CheckpointError, match="does not end in"):
        convert(tmp_path / "in.pt", tmp_path / "out.pth")
    assert not target.exists()


def test_a_folder_that_cannot_be_written(tiny, tmp_path):
    torch.save(tiny, tmp_path / "in.pt")
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert(tmp_path / "in.pt", tmp_path / "in.pt" / "out.safetensors")
