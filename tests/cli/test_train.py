"""`napari-sam train` with a tiny model: its exit codes, and what it prints."""

import json

import pytest
import torch
from click.testing import CliRunner

from napari_sam.batch.validation import Validation
from napari_sam.cli.main import main
from napari_sam.model import VARIANTS
from tests.batch.labeled_images import tiny_choice, write_folders
from tests.model.conftest import TINY_CONFIG

FEW = ("--epochs", "1", "--objects-per-epoch", "2")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that trains a tiny model, which is judged by these numbers."""
    monkeypatch.setitem(VARIANTS, "vit_tiny", TINY_CONFIG)
    choice = tiny_choice(tmp_path)
    folders = write_folders(tmp_path, (0, 1))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def train(*ious, images=folders[0], labels=folders[1], more=FEW):
        numbers = iter(ious)
        monkeypatch.setattr(Validation, "mean_iou", lambda *_: next(numbers))
        arguments = (images, labels, "-o", tmp_path / "new.pt", "--model", choice.checkpoint, *more)
        return CliRunner().invoke(main, ["train", *map(str, arguments)])

    yield train
    torch.set_num_threads(threads)


def test_what_is_written_and_printed(run, tmp_path):
    result = run(0.5, 0.6, 0.7, 0.6)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "before training: one click 0.500, box 0.600"
    assert lines[1].startswith("epoch 1: loss ")
    assert "IoU after one click 0.700, +0.200" in lines[2]
    assert {path.suffix for path in tmp_path.glob("new.*")} == {".pt", ".md", ".csv"}
    again = run()
    assert again.exit_code == 2
    assert "already exists" in again.stderr
    result = run(0.5, 0.6, 0.7, 0.6, more=(*FEW, "--overwrite", "--json"))
    content = json.loads(result.stdout)
    assert content["checkpoint"] == str(tmp_path / "new.pt")
    assert [epoch["one_click_iou"] for epoch in content["epochs"]] == [0.5, 0.7]
    events = run(0.5, 0.6, 0.7, 0.6, more=(*FEW, "--overwrite", "--events")).stdout.splitlines()
    first, *_, last = map(json.loads, events)
    assert first["step"] == "embedding"
    assert last == content | {"epochs": last["epochs"]}
    epochs = [json.loads(line)["epoch"] for line in events if line.startswith('{"epoch"')]
    assert [epoch["number"] for epoch in epochs] == [0, 1]


def test_a_model_that_is_no_better_is_refused(run, tmp_path):
    result = run(0.5, 0.6, 0.4, 0.6)
    assert result.exit_code == 1
    assert "No checkpoint was written" in result.stderr
    assert "the IoU was 0.500 before, and is at best 0.400 now" in result.stderr
    assert "add images" in result.stderr
    assert not (tmp_path / "new.pt").exists()


def test_wrong_calls_are_told_before_anything_is_computed(run, tmp_path):
    missing = run(labels=tmp_path / "none")
    assert (missing.exit_code, "has labels in" in missing.stderr) == (2, True)
    suffix = run(more=("-o", "new.onnx"))
    assert (suffix.exit_code, "does not end in" in suffix.stderr) == (2, True)
    (tmp_path / "labels" / "cell_0_labels.tif").unlink()
    single = run()
    assert (single.exit_code, "two labeled images" in single.stderr) == (1, True)
    (tmp_path / "labels" / "cell_0_labels.tif").write_bytes(b"no image")
    broken = run()
    assert (broken.exit_code, "labels of cell_0.tif cannot be used" in broken.stderr) == (1, True)


def test_a_stopped_training_can_go_on(run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("napari_sam.model.training.trainer.Trainer.train", stop)
        stopped = run(0.5, 0.6)
    assert stopped.exit_code == 130
    assert "run the same command again to continue" in stopped.stderr
