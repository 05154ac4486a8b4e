"""A file of what was learned: of the same model it is taken, anything else is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_sam.formats.files import FileError
from napari_sam.session import ModelChoice, read_learned, write_learned
from napari_sam.session.decoding.border import N_FEATURES
from napari_sam.session.decoding.recipe import Policy
from napari_sam.session.learning.kept import lessons_from_json, lessons_to_json
from napari_sam.session.learning.lessons import Lesson

SAMPLES = np.linspace(-3, 3, 200 * (N_FEATURES + 1), dtype=np.float32).reshape(200, -1)
LESSON = Lesson(900.0, 0.6, {Policy(0, 1, True): 0.8}, samples=SAMPLES, moved=0.75)
KNOWN = lessons_to_json([LESSON] * 6, "mobile_sam")


def test_it_comes_back_with_where_it_is_from(tmp_path):
    path = tmp_path / "nuclei.sam-learned.json"
    write_learned(path, KNOWN, ModelChoice(), "nuclei.tif")
    read = read_learned(path, ModelChoice())
    assert read.lessons == KNOWN
    assert read.n_objects == 6
    assert read.source.startswith("6 objects of nuclei.tif, 2")
    (*_, again) = lessons_from_json(read.lessons, "mobile_sam")
    assert again.moved == 0.75
    np.testing.assert_allclose(again.samples, SAMPLES[::3], atol=0.01)
    # So does what an older version wrote, which knew nothing of borders.
    old = {**read.lessons, "lessons": [entry[:3] for entry in read.lessons["lessons"]]}
    assert [lesson.samples for lesson in lessons_from_json(old, "mobile_sam")] == [None] * 6


def test_another_model_and_other_content_are_refused(tmp_path):
    path = tmp_path / "nuclei.sam-learned.json"
    write_learned(path, KNOWN, ModelChoice(), "nuclei.tif")
    content = json.loads(path.read_text())
    other = tmp_path / "mine.pt"
    other.write_bytes(b"other weights")
    mine = replace(ModelChoice(), name="mine", checkpoint=other)
    cases = (
        (content, mine, "learned with mobile_sam; choose that model"),
        (content, replace(mine, name="mobile_sam"), "other weights of mobile_sam"),
        (content, replace(mine, checkpoint=tmp_path / "gone.pt"), "model's file cannot be read"),
        (content | {"lessons": [[1e99, 2, []]]}, ModelChoice(), "is damaged"),
        (content | {"at": "never", "format": 2}, ModelChoice(), "newer version"),
        ([], ModelChoice(), r"nothing learned; choose one that ends in \.sam-learned\.json"),
        ({"kind": content["kind"]}, ModelChoice(), "newer version"),
        ("x" * 2**21, ModelChoice(), "too large"),
    )
    for wrong, choice, message in cases:
        path.write_text(json.dumps(wrong))
        with pytest.raises(FileError, match=message):
            read_learned(path, choice)
    path.write_text(json.dumps(content | {"at": None}))
    assert read_learned(path, ModelChoice()).source == "6 objects of nuclei.tif"
    with pytest.raises(FileError, match="Nothing was learned yet"):
        write_learned(path, {}, ModelChoice(), "")
