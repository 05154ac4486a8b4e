"""A file of what was learned: of the same model it is taken, anything else is refused."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

from napari_sam.formats.files import FileError
from napari_sam.session import ModelChoice, read_learned, write_learned
from napari_sam.session.decoding.border import N_FEATURES
from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.learning.kept import lessons_from_json, lessons_to_json
from napari_sam.session.learning.lessons import Lesson

SAMPLES = np.linspace(-3, 3, 200 * (N_FEATURES + 1), dtype=np.float32).reshape(200, -1)
LESSON = Lesson(900.0, 0.6, {Policy(0, 1, True): 0.8}, samples=SAMPLES, moved=0.75)
KNOWN = lessons_to_json([LESSON] * 6, "mobile_sam")


def about_of(path):
    """Return the metadata of a file."""
    with safe_open(path, "numpy") as file:
        return file.metadata()


def test_it_comes_back_with_where_it_is_from(tmp_path):
    path = tmp_path / "nuclei.sam-learned.safetensors"
    write_learned(path, KNOWN, ModelChoice(), "nuclei.tif")
    read = read_learned(path, ModelChoice())
    assert read.lessons == KNOWN
    assert read.n_objects == 6
    assert read.source.startswith("6 objects of nuclei.tif, 2")
    (*_, again) = lessons_from_json(read.lessons, "mobile_sam")
    assert again.moved == 0.75
    np.testing.assert_allclose(again.samples, SAMPLES[::3], atol=0.01)
    # Others can read it, too: what is known of places is its tensors, all else strings.
    tensors = load_file(path)
    assert len(tensors) == 6
    np.testing.assert_allclose(tensors["samples.5"] / 100, SAMPLES[::3], atol=0.01)
    assert json.loads(about_of(path)["lessons"])[0] == KNOWN["lessons"][0][:4]
    # So does what an older version wrote, which knew nothing of borders.
    old = {**read.lessons, "lessons": [entry[:3] for entry in read.lessons["lessons"]]}
    assert [lesson.samples for lesson in lessons_from_json(old, "mobile_sam")] == [None] * 6


def test_another_model_and_other_content_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "nuclei.sam-learned.safetensors"
    write_learned(path, KNOWN, ModelChoice(), "nuclei.tif")
    whole, tensors, about = path.read_bytes(), load_file(path), about_of(path)
    other = tmp_path / "mine.pt"
    other.write_bytes(b"other weights")
    mine = replace(ModelChoice(), name="mine", checkpoint=other)

    def with_metadata(**others):
        return save(tensors, about | others)

    nothing = r"nothing learned; choose one that ends in \.sam-learned\.safetensors"
    damaged = r"nothing learned or is damaged; choose one that ends in \.sam-learned\.safetensors"
    cases = (
        (whole, mine, "learned with mobile_sam; choose that model"),
        (whole, replace(mine, name="mobile_sam"), "other weights of mobile_sam"),
        (whole, replace(mine, checkpoint=tmp_path / "gone.pt"), "model's file cannot be read"),
        (with_metadata(lessons="[[1e99, 2, [], null]]"), ModelChoice(), "is damaged"),
        (with_metadata(lessons="[" * 10**5), ModelChoice(), "is damaged"),
        (save({"samples.0": SAMPLES}, about), ModelChoice(), "is damaged"),
        (with_metadata(at="never", format="2"), ModelChoice(), "newer version"),
        (save({}, {"kind": about["kind"]}), ModelChoice(), "is damaged"),
        (save({"weight": SAMPLES}), ModelChoice(), nothing),  # a checkpoint
        (whole[:-1], ModelChoice(), damaged),
        (whole[:100], ModelChoice(), damaged),
        (b"{}", ModelChoice(), damaged),
        (b"", ModelChoice(), damaged),
        (whole + bytes(2**21), ModelChoice(), "too large"),
    )
    for wrong, choice, message in cases:
        path.write_bytes(wrong)
        with pytest.raises(FileError, match=message):
            read_learned(path, choice)
    save_file(tensors, path, about | {"at": "never"})
    assert read_learned(path, ModelChoice()).source == "6 objects of nuclei.tif"
    with pytest.raises(FileError, match="Nothing was learned yet"):
        write_learned(path, {}, ModelChoice(), "")
    before = path.read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(FileError, match="No space left on device"):
        write_learned(path, KNOWN, ModelChoice(), "other.tif")
    assert [file.name for file in tmp_path.iterdir() if file != other] == [path.name]
    assert path.read_bytes() == before
