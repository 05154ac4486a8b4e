"""When the results of an image are complete, and which files are left alone."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest

from napari_sam.batch.images import ImageFile
from napari_sam.batch.job import BatchJob
from napari_sam.batch.manifest import RunError, RunManifest
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.formats.files import FileError, write_text
from napari_sam.session.models.model_choice import ModelChoice


@pytest.fixture
def job(tmp_path):
    return BatchJob(
        *(tmp_path / "masks", AutomaticSettings(), 1.0, ("tiff", "coco"), "smaller", False, True),
        *(ModelChoice(), "digest of weights"),
    )


IMAGE = ImageFile("/images/deep/cells.png", "deep/cells")


def write(job, *files, image=IMAGE, content="digest"):
    with RunManifest(job.folder).writing(image, job, content) as results:
        for name in files:
            (results.folder / name).write_text(name)
        results.count(7)


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_results_get_their_names_together(job):
    manifest = RunManifest(job.folder)
    with suppress(KeyboardInterrupt), manifest.writing(IMAGE, job, "digest") as results:
        (results.folder / "cells.tif").touch()
        raise KeyboardInterrupt
    assert tree(job.folder) == []
    write(job, "cells.tif", "cells.json")
    expected = [".napari-sam/deep/cells.json", "deep/cells.json", "deep/cells.tif"]
    assert tree(job.folder) == expected
    assert manifest.complete(IMAGE, job, "digest")["masks"] == 7


def test_when_results_are_not_complete(job):
    manifest = RunManifest(job.folder)
    assert manifest.complete(IMAGE, job, "digest") is None
    write(job, "cells.tif")
    assert manifest.complete(IMAGE, job, "digest") is not None
    assert manifest.complete(IMAGE, job, "digest of another image") is None
    assert manifest.complete(IMAGE, replace(job, formats=("tiff",)), "digest") is not None
    assert manifest.complete(IMAGE, replace(job, formats=("npy",)), "digest") is None
    (job.folder / "deep" / "cells.tif").write_text("cut")
    assert manifest.complete(IMAGE, job, "digest") is None


@pytest.mark.parametrize(
    "name", ["../mine.tif", "/mine.tif", "deep/../../mine.tif", "..\\mine.tif"]
)
def test_a_record_that_names_files_elsewhere_removes_none(job, name):
    write(job, "cells.tif")
    mine = job.folder.parent / "mine.tif"
    mine.touch()
    path = job.folder / ".napari-sam" / "deep" / "cells.json"
    record = json.loads(path.read_text())
    for changes in ({"files": {**record["files"], name: 0}}, {"outputs": [[]]}):
        path.write_text(json.dumps({**record, **changes}))
        assert RunManifest(job.folder).of(IMAGE) is None
        assert RunManifest(job.folder).complete(IMAGE, job, "digest") is None
    write(replace(job, overwrite=True), "cells.json")
    assert mine.exists()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"content": 1}', "\0"])
def test_a_damaged_record_is_none(job, damage):
    write(job, "cells.tif")
    (job.folder / ".napari-sam" / "deep" / "cells.json").write_text(damage)
    assert RunManifest(job.folder).of(IMAGE) is None
    RunManifest(job.folder).check([IMAGE], job)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": AutomaticSettings(points_per_side=16)}, r"points_per_side \(32, not 16\)"),
        ({"overlap": "better"}, r'overlap \("smaller", not "better"\)'),
        ({"weights": "other"}, "another model:"),
    ],
)
def test_results_of_other_settings_are_in_the_way(job, change, words):
    manifest = RunManifest(job.folder)
    write(job, "cells.tif")
    manifest.check([IMAGE], job)
    manifest.check([IMAGE], replace(job, settings=AutomaticSettings(points_per_batch=3)))
    other = replace(job, **change)
    with pytest.raises(RunError, match=words):
        manifest.check([IMAGE], other)
    manifest.check([IMAGE], replace(other, overwrite=True))
    assert manifest.complete(IMAGE, replace(other, overwrite=True), "digest") is None


def test_files_of_others_are_left_alone(job):
    (job.folder / "deep").mkdir(parents=True)
    mine = job.folder / "deep" / "cells.tif"
    mine.write_text("mine")
    with pytest.raises(RunError, match="is not a result of this image"):
        write(job, "cells.tif")
    assert mine.read_text() == "mine"
    assert tree(job.folder) == ["deep/cells.tif"]
    own = ImageFile(str(mine), "deep/cells")
    with pytest.raises(RunError, match="would replace the image"):
        write(replace(job, overwrite=True), "cells.tif", image=own)
    write(replace(job, overwrite=True), "cells.tif")
    assert mine.read_text() == "cells.tif"


def test_what_was_written_before_goes_with_the_record(job):
    write(job, "cells.tif", "cells_2.tif")
    write(job, "cells.tif")
    assert tree(job.folder) == [".napari-sam/deep/cells.json", "deep/cells.tif"]


def test_a_file_that_took_the_place_of_a_result_stays(job):
    write(job, "cells.tif", "cells_2.tif", "cells_3.tif")
    edited, link = job.folder / "deep" / "cells_2.tif", job.folder / "deep" / "cells_3.tif"
    edited.write_text("edited by hand")
    link.unlink()
    link.symlink_to(edited)
    write(job, "cells.tif")
    assert edited.read_text() == "edited by hand"
    assert link.is_symlink()


def test_results_go_where_links_lead(job, tmp_path):
    write(job, "cells.tif")
    result, elsewhere = job.folder / "deep" / "cells.tif", tmp_path / "cells.tif"
    result.rename(elsewhere)
    result.symlink_to(elsewhere)
    write(job, "cells.tif", content="of another image")
    assert result.is_symlink()
    assert elsewhere.read_text() == "cells.tif"


def test_what_was_begun_is_replaced(job):
    write(job, "cells.tif", "cells.json")
    path = job.folder / ".napari-sam" / "deep" / "cells.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "is_complete": False}))
    (job.folder / "deep" / "cells.json").unlink()
    left = job.folder / ".napari-sam" / "deep" / "cells.01234567.part"
    records_of_images = job.folder / ".napari-sam" / "slides.part"
    for folder in (left, records_of_images):
        folder.mkdir()
    manifest = RunManifest(job.folder)
    manifest.clear_up()
    assert not left.exists()
    assert records_of_images.exists()
    assert manifest.complete(IMAGE, job, "digest") is None
    write(job, "cells.tif", "cells.json")
    assert manifest.complete(IMAGE, job, "digest") is not None


def test_a_folder_that_cannot_be_written(job):
    job.folder.write_text("a file")
    with pytest.raises(FileError, match="cannot be written"):
        write(job, "cells.tif")


def test_why_results_cannot_be_written(job, monkeypatch):
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr("napari_sam.batch.manifest.shutil.disk_usage", lambda folder: usage)
    with (
        pytest.raises(FileError, match=r"cannot be written to .*masks \(.*only 1 MiB are free"),
        RunManifest(job.folder).writing(IMAGE, job, "digest") as results,
    ):
        write_text(results.folder / "none" / "cells.csv", "a table")
    assert tree(job.folder) == []
