"""Which images are meant, what their results are called, and when they are complete."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from napari_sam.batch import ImageFile, RunError, RunManifest, Task, find_images
from napari_sam.batch.images import names_given_twice
from napari_sam.batch.outputs import OVERLAPS, without_overlaps
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.formats import (
    Annotations,
    ExportError,
    ExportObject,
    ImageInfo,
    labels_from_objects,
)
from napari_sam.formats.files import write_text
from napari_sam.session import ModelChoice


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in ("b.tif", "a.png", "deep/c.ome.tif", "deep/d.JPG", ".hidden.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "store.zarr" / "0").mkdir(parents=True)
    (folder / "store.zarr" / "0" / "x.png").write_bytes(b"a chunk")
    return folder


def names(inputs, results):
    return [image.name for image in find_images([str(one) for one in inputs], results)]


def test_folders_patterns_and_files(images, tmp_path):
    results = images / "masks"
    (results / "sub").mkdir(parents=True)
    (results / "a.png").touch()
    (results / "sub" / "a.png").touch()
    assert names([images], results) == ["a", "b", "store", "deep/c", "deep/d"]
    assert names([images / "*.png"], results) == ["a"]
    assert names([images / "**" / "*.tif"], results) == ["b", "c"]
    assert names([images / "a.png", images / "a.png", images], results)[0] == "a"
    assert len(find_images([str(images), str(images / "a.png")], results)) == 5
    assert names([images / "notes.txt", tmp_path / "none.tif"], results) == ["notes", "none"]


def test_images_of_one_name(images):
    (images / "a.tif").touch()
    assert names([images / "a.png", images / "a.tif"], images / "masks") == ["a_png", "a_tif"]
    (images / "deep" / "a.tif").touch()
    given = [str(images / "a.tif"), str(images / "deep" / "a.tif")]
    twice = names_given_twice(find_images(given, images / "masks"))
    assert twice == given
    assert names_given_twice(find_images([str(images)], images / "masks")) == []


@pytest.fixture
def task(tmp_path):
    return Task(
        *(tmp_path / "masks", AutomaticSettings(), 1.0, ("tiff", "coco"), "smaller", False, True),
        *(ModelChoice(), "digest of weights"),
    )


IMAGE = ImageFile("/images/deep/cells.png", "deep/cells")


def write(task, *files, image=IMAGE, content="digest"):
    with RunManifest(task.folder).writing(image, task, content) as results:
        for name in files:
            (results.folder / name).write_text(name)
        results.masks = 7


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_results_get_their_names_together(task):
    records = RunManifest(task.folder)
    with suppress(KeyboardInterrupt), records.writing(IMAGE, task, "digest") as results:
        (results.folder / "cells.tif").touch()
        raise KeyboardInterrupt
    assert tree(task.folder) == []
    write(task, "cells.tif", "cells.json")
    expected = [".napari-sam/deep/cells.json", "deep/cells.json", "deep/cells.tif"]
    assert tree(task.folder) == expected
    assert records.complete(IMAGE, task, "digest")["masks"] == 7


def test_when_results_are_not_complete(task):
    records = RunManifest(task.folder)
    assert records.complete(IMAGE, task, "digest") is None
    write(task, "cells.tif")
    assert records.complete(IMAGE, task, "digest") is not None
    assert records.complete(IMAGE, task, "digest of another image") is None
    assert records.complete(IMAGE, replace(task, formats=("tiff",)), "digest") is not None
    assert records.complete(IMAGE, replace(task, formats=("npy",)), "digest") is None
    (task.folder / "deep" / "cells.tif").write_text("cut")
    assert records.complete(IMAGE, task, "digest") is None


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"content": 1}', "\0"])
def test_a_damaged_record_is_none(task, damage):
    write(task, "cells.tif")
    (task.folder / ".napari-sam" / "deep" / "cells.json").write_text(damage)
    assert RunManifest(task.folder).of(IMAGE) is None
    RunManifest(task.folder).check([IMAGE], task)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": AutomaticSettings(points_per_side=16)}, r"points_per_side \(32, not 16\)"),
        ({"overlap": "better"}, r'overlap \("smaller", not "better"\)'),
        ({"weights": "other"}, "another model:"),
    ],
)
def test_results_of_other_settings_are_in_the_way(task, change, words):
    records = RunManifest(task.folder)
    write(task, "cells.tif")
    records.check([IMAGE], task)
    records.check([IMAGE], replace(task, settings=AutomaticSettings(points_per_batch=3)))
    other = replace(task, **change)
    with pytest.raises(RunError, match=words):
        records.check([IMAGE], other)
    records.check([IMAGE], replace(other, overwrite=True))
    assert records.complete(IMAGE, replace(other, overwrite=True), "digest") is None


def test_files_of_others_are_left_alone(task):
    (task.folder / "deep").mkdir(parents=True)
    mine = task.folder / "deep" / "cells.tif"
    mine.write_text("mine")
    with pytest.raises(RunError, match="is no result of this image"):
        write(task, "cells.tif")
    assert mine.read_text() == "mine"
    assert tree(task.folder) == ["deep/cells.tif"]
    own = ImageFile(str(mine), "deep/cells")
    with pytest.raises(RunError, match="would replace the image"):
        write(replace(task, overwrite=True), "cells.tif", image=own)
    write(replace(task, overwrite=True), "cells.tif")
    assert mine.read_text() == "cells.tif"


def test_what_was_written_before_goes_with_the_record(task):
    write(task, "cells.tif", "cells_2.tif")
    write(task, "cells.tif")
    assert tree(task.folder) == [".napari-sam/deep/cells.json", "deep/cells.tif"]


def test_what_was_begun_is_replaced(task):
    write(task, "cells.tif", "cells.json")
    path = task.folder / ".napari-sam" / "deep" / "cells.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "is_complete": False}))
    (task.folder / "deep" / "cells.json").unlink()
    left = task.folder / ".napari-sam" / "deep" / "cells.0123.part"
    left.mkdir()
    records = RunManifest(task.folder)
    records.clear_up()
    assert not left.exists()
    assert records.complete(IMAGE, task, "digest") is None
    write(task, "cells.tif", "cells.json")
    assert records.complete(IMAGE, task, "digest") is not None


def test_a_folder_that_cannot_be_written(task):
    task.folder.write_text("a file")
    with pytest.raises(ExportError, match="cannot be written"):
        write(task, "cells.tif")


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [("smaller", [[1, 1, 2, 1]]), ("larger", [[1, 1, 1, 1]]), ("better", [[1, 1, 2, 3]])],
)
def test_whose_the_pixels_of_several_are(overlap, expected):
    assert overlap in OVERLAPS
    spans = [(1, 0, 4, 0.5), (2, 2, 1, 0.9), (3, 3, 1, 0.6)]
    objects = [
        ExportObject(number, np.ones((1, width), bool), 0, left, score=score)
        for number, left, width, score in spans
    ]
    if overlap == "smaller":
        objects = objects[:2]
    whole = Annotations(ImageInfo((1, 4)), objects)
    flat = without_overlaps(whole, overlap)
    np.testing.assert_array_equal(labels_from_objects(flat), expected)
    assert {one.label_id: one.score for one in flat.objects}[1] == 0.5


def test_why_results_cannot_be_written(task, monkeypatch):
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr("napari_sam.batch.records.shutil.disk_usage", lambda folder: usage)
    with (
        pytest.raises(ExportError, match=r"cannot be written to .*masks \(.*only 1 MiB free"),
        RunManifest(task.folder).writing(IMAGE, task, "digest") as results,
    ):
        write_text(results.folder / "none" / "cells.csv", "a table")
    assert tree(task.folder) == []
