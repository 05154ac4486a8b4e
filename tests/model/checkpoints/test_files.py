"""Checkpoints in several files, as Hugging Face saves what is large."""

import json
import os
import pickle
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam.model import CheckpointError, load_model
from napari_sam.model.checkpoints.state_dicts import read_checkpoint
from tests.model.conftest import Hostile
from tests.systems import needs_pipes

pytestmark = pytest.mark.slow

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path, tiny_hugging_face):
    tiny_hugging_face.save_pretrained(tmp_path, max_shard_size="100KB")
    assert not (tmp_path / "model.safetensors").exists()
    assert len(_shards(tmp_path)) > 2
    return tmp_path


@pytest.fixture
def pickled(folder):
    """The same with PyTorch's files instead of safetensors."""
    for shard in _shards(folder):
        torch.save(load_file(shard), shard.with_suffix(".bin"))
        shard.unlink()
    index = (folder / INDEX).read_text().replace(".safetensors", ".bin")
    (folder / INDEX).unlink()
    (folder / "pytorch_model.bin.index.json").write_text(index)
    return folder


def _shards(folder):
    return sorted(folder.glob("*.safetensors"))


def _edit_index(folder, edit):
    index = json.loads((folder / INDEX).read_text())
    edit(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


def assert_same(state, other):
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


def assert_refused(path, *words):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    for word in words:
        assert word in str(caught.value)


def test_folder_and_index(tiny, folder):
    for path in (folder, folder / INDEX, str(folder)):
        assert_same(read_checkpoint(path).state_dict, tiny)
        assert_same(load_model(checkpoint=path).state_dict(), tiny)


def test_files_of_pytorch(tiny, pickled):
    for path in (pickled, pickled / "pytorch_model.bin.index.json"):
        assert_same(load_model(checkpoint=path).state_dict(), tiny)


@pytest.mark.parametrize(
    "kind", [pytest.param("pipe", marks=needs_pipes), "long name", "shard of a long name"]
)
def test_what_is_no_file_is_refused(tmp_path, kind):
    path, name = tmp_path / "model.safetensors", "x" * 300 + ".safetensors"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "long name":
        path = tmp_path / name
    else:
        path = tmp_path / INDEX
        path.write_text(json.dumps({"weight_map": {"weight": name}}))
    assert_refused(path, "pipe" if kind == "pipe" else "cannot be read (File name too long)")


def test_an_archive_is_not_unpacked_beyond_its_size(tmp_path):
    path, bomb = tmp_path / "model.pt", tmp_path / "bomb.pt"
    torch.save({"weight": torch.zeros(10_000)}, path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for entry in archive.infolist():
            out.writestr(entry.filename, archive.read(entry))
    assert_refused(bomb, "is compressed")


@pytest.mark.parametrize("dtype", ["F4", "I3"])
def test_unknown_types_of_numbers_are_refused(tmp_path, dtype):
    header = json.dumps({"w": {"dtype": dtype, "shape": [2], "data_offsets": [0, 1]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(CheckpointError):
        load_model(checkpoint=path)


def test_the_cache_of_hugging_face_holds_links(tiny, folder, tmp_path_factory):
    snapshot = tmp_path_factory.mktemp("snapshot")
    for file in folder.iterdir():
        (snapshot / file.name).symlink_to(file)
    assert_same(load_model(checkpoint=snapshot).state_dict(), tiny)


def test_one_file_goes_before_an_index(tiny, folder):
    save_file(tiny, folder / "model.safetensors")
    _shards(folder)[0].unlink()
    assert_same(load_model(checkpoint=folder).state_dict(), tiny)


def test_missing_file(folder):
    gone = _shards(folder)[1]
    gone.unlink()
    assert_refused(folder, str(gone), "is missing", INDEX)


def test_damaged_file(folder):
    shard = _shards(folder)[1]
    shard.write_bytes(shard.read_bytes()[:-1])
    assert_refused(folder, str(shard), "truncated")


@pytest.mark.parametrize(
    "name", ["../{}", "..", ".", "", "a/../../{}", "sub/{}", "/tmp/{}", "..\\{}", "C:{}", "C:\\{}"]
)
def test_names_that_leave_the_folder(folder, tmp_path_factory, name):
    shard = _shards(folder)[0]
    for place in (folder.parent, folder / "sub"):
        place.mkdir(exist_ok=True)
        (place / shard.name).write_bytes(shard.read_bytes())
    name = name.format(shard.name)

    def point_elsewhere(weight_map):
        for key, file in weight_map.items():
            if file == shard.name:
                weight_map[key] = name

    _edit_index(folder, point_elsewhere)
    assert_refused(folder, repr(name), "outside its folder")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "not the index"),
        (b"{}", "not the index"),
        (b'{"weight_map": {}}', "not the index"),
        (b'{"weight_map": ["a.safetensors"]}', "not the index"),
        (b'{"weight_map": {"a": 1}}', "not the index"),
        (b'{"weight_map": {"a": null}}', "not the index"),
    ],
)
def test_malformed_index(tmp_path, content, reason):
    (tmp_path / INDEX).write_bytes(content)
    assert_refused(tmp_path, str(tmp_path / INDEX), reason)


def test_the_configuration_is_no_index(folder):
    assert_refused(folder / "config.json", "not the index of a checkpoint", "or the folder")


def test_listed_tensors_must_be_there(folder):
    shard = _shards(folder)[0].name
    _edit_index(folder, lambda weight_map: weight_map.update({"a.b": shard, "c.d": shard}))
    assert_refused(folder, shard, "2 missing: a.b, c.d", "does not match its index")


def test_tensors_must_be_listed(folder):
    shard = _shards(folder)[0]
    key = "mask_decoder.iou_token.weight"
    save_file(load_file(shard) | {key: torch.zeros(1, 32)}, shard)
    assert_refused(folder, str(shard), f"1 not listed: {key}")


def test_hostile_file_does_not_run(pickled, tmp_path):
    trace = tmp_path / "trace"
    shard = sorted(pickled.glob("*.bin"))[-1]
    torch.save({"weight": Hostile(trace)}, shard)
    assert_refused(pickled, str(shard), "refused", "run code (")
    assert not trace.exists()


def test_file_without_tensors(pickled):
    shard = sorted(pickled.glob("*.bin"))[0]
    torch.save([1, 2], shard)
    assert_refused(pickled, str(shard), "no state dict")


def test_entries_that_are_no_tensors(pickled):
    shard = sorted(pickled.glob("*.bin"))[0]
    torch.save(dict.fromkeys(torch.load(shard), 1), shard)
    assert_refused(pickled, "not a tensor")


def _nothing(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("<html>404 Not Found</html>")


def _half(path):
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def _old_half(path):
    torch.save({"weight": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-100])


def _other_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")


@pytest.mark.parametrize("lazily", [True, False])
@pytest.mark.parametrize("write", [_nothing, _text, _half, _old_half, _other_archive])
def test_what_is_no_checkpoint_is_said_in_plain_words(tmp_path, write, lazily):
    path = tmp_path / "bad.pt"
    write(path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, lazily=lazily)
    assert str(caught.value) == (
        f"{path} is not a PyTorch checkpoint, or is truncated or damaged. "
        "Download the checkpoint again."
    )


def _module(path):
    torch.save(torch.nn.Linear(2, 2), path)


def _pickle_of_today(path):
    path.write_bytes(pickle.dumps({"weight": Hostile(path.with_name("trace"))}))


def _program(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is going out of use
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


@pytest.mark.parametrize("lazily", [True, False])
@pytest.mark.parametrize("write", [_module, _pickle_of_today, _program])
def test_what_would_run_code_is_told_from_what_is_damaged(tmp_path, write, lazily):
    path = tmp_path / "hostile.pt"
    write(path)
    with pytest.raises(CheckpointError, match="would run code") as caught:
        read_checkpoint(path, lazily=lazily)
    assert "damaged" not in str(caught.value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("is_zip", [True, False])
def test_lazily_read_weights_are_the_same(tiny, tmp_path, is_zip):
    path = tmp_path / "tiny.pt"
    torch.save(dict(tiny), path, _use_new_zipfile_serialization=is_zip)
    assert_same(read_checkpoint(path, lazily=True).state_dict, tiny)
