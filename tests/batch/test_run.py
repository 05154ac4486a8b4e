import os
from dataclasses import replace

import numpy as np
import pytest

from napari_sam.batch.images import ImageFile
from napari_sam.batch.job import BatchJob
from napari_sam.batch.run import _settings_for, run_here
from napari_sam.engine.automatic_presets import CELLS
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.storage.digests import digest
from tests.systems import needs_pipes


def job_in(folder):
    return BatchJob(
        *(folder / "masks", AutomaticSettings(), 1.0, ("tiff",), "smaller", False, False),
        *(ModelChoice(), "digest of weights"),
    )


@needs_pipes
@pytest.mark.parametrize("name", ["pipe.png", "store.zarr"])
def test_a_pipe_among_the_images_fails_without_being_opened(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".zarr":
        path.mkdir()
        os.mkfifo(path / "chunk")
    else:
        os.mkfifo(path)
    (result,) = run_here(
        job_in(tmp_path), [ImageFile(str(path), "image")], pytest.fail, pytest.fail
    )
    assert result.status == "failed"
    assert "a pipe or a device, not a file" in result.error


def test_links_to_nothing_are_no_part_of_an_image(tmp_path):
    (tmp_path / "store.zarr").mkdir()
    (tmp_path / "store.zarr" / "chunk").write_text("pixels")
    before = digest(tmp_path / "store.zarr")
    (tmp_path / "store.zarr" / "link").symlink_to(tmp_path / "nothing")
    assert digest(tmp_path / "store.zarr") == before


def test_a_pattern_that_matches_nothing_is_called_one(tmp_path):
    image = ImageFile(str(tmp_path / "*.tif"), "x")
    (result,) = run_here(job_in(tmp_path), [image], pytest.fail, pytest.fail)
    assert result.error.startswith("No file matches this pattern")


def test_16_bit_gray_images_are_segmented_as_cells_unless_settings_are_given(tmp_path):
    gray, color = ImagePlane(np.zeros((8, 8), np.uint16)), ImagePlane(np.zeros((8, 8), np.uint8))
    published = AutomaticSettings(points_per_batch=3)
    given = replace(job_in(tmp_path), settings=published)
    assert _settings_for(gray, given) == (published, 1)
    job = replace(given, is_preset_by_image=True)
    assert _settings_for(color, job) == (published, 1)
    assert _settings_for(gray, job) == (replace(CELLS.settings, points_per_batch=3), 0.3)
    assert job.conditions != given.conditions  # not to be mixed in one folder
