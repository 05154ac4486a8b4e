"""Volumes, extents and centers of objects of several slices."""

import math

import numpy as np
import pandas as pd
import pytest

from napari_sam.formats import Annotations, ExportObject, ImageInfo, find_format
from napari_sam.formats.stack_measurements import voxel_volume, write_stack_measurements


def ball(step_z: float) -> np.ndarray:
    """Return voxels of a ball of radius 6, in units of rows and columns of half a unit."""
    z, y, x = np.ogrid[-6 : 6 + step_z / 2 : step_z, -8:8.1:0.5, -8:8.1:0.5]
    return z**2 + y**2 + x**2 <= 36


@pytest.mark.parametrize("step_z", [0.5, 2.0, 3.0])
def test_a_ball_has_its_volume_whatever_the_distance_of_slices(tmp_path, step_z):
    voxels = ball(step_z)
    image = ImageInfo(voxels.shape, "", "ZYX", (step_z, 0.5, 500), ("um", "um", "nm"))
    parts = [ExportObject(3, plane, 0, 0, (z,)) for z, plane in enumerate(voxels) if plane.any()]
    write_stack_measurements(tmp_path / "a.csv", Annotations(image, parts))
    (row,) = pd.read_csv(tmp_path / "a.csv").to_dict("records")
    truth = 4 / 3 * math.pi * 6**3
    assert row["volume [nm^3]"] == pytest.approx(truth * 1e9, rel=0.08)
    assert row["equivalent_diameter [nm]"] == pytest.approx(12_000, rel=0.03)
    assert row["volume_px"] == np.count_nonzero(voxels)
    assert (row["first_z"], row["last_z"], row["n_slices"]) == (0, len(parts) - 1, len(parts))
    assert row["extent_z [nm]"] == pytest.approx(len(parts) * step_z * 1000)
    assert row["extent_y [nm]"] == row["extent_x [nm]"] == pytest.approx(12_500)
    assert row["centroid_z [nm]"] == pytest.approx(6000)
    assert row["centroid_x [nm]"] == pytest.approx(8000)


def test_each_time_has_a_row_and_a_gap_counts_for_the_extent_only(tmp_path):
    dot = np.ones((1, 2), bool)
    places = [(0, 1), (0, 4), (2, 3)]
    parts = [ExportObject(5, dot, 1, 1, place, "cell", parent_id=2) for place in places]
    image = ImageInfo((3, 6, 4, 4), "", "TZYX", (30, 2, 1, 1), ("s", "um", "um", "um"))
    files = find_format("csv").write(tmp_path / "a.csv", Annotations(image, parts))
    assert [file.name for file in files] == ["a.csv", "a_objects.csv"]
    slices, objects = (pd.read_csv(file) for file in files)
    assert slices[["t_index", "z_index"]].values.tolist() == [list(place) for place in places]
    assert slices["area [um^2]"].tolist() == [2, 2, 2]
    assert objects["t_index"].tolist() == [0, 2]
    assert objects["n_slices"].tolist() == [2, 1]
    assert objects["volume [um^3]"].tolist() == [8, 4]
    assert objects["extent_z [um]"].tolist() == [8, 2]
    assert set(objects["parent_id"]) == {2}
    assert set(objects["class"]) == {"cell"}


def test_a_film_has_frames_and_no_volumes(tmp_path):
    parts = [ExportObject(1, np.ones((2, 2), bool), 0, t, (t,)) for t in (1, 3)]
    image = ImageInfo((5, 6, 6), "", "TYX", (30, 1, 1), ("s", "um", "um"))
    write_stack_measurements(tmp_path / "a.csv", Annotations(image, parts))
    (row,) = pd.read_csv(tmp_path / "a.csv").to_dict("records")
    assert (row["first_t"], row["last_t"], row["n_slices"]) == (1, 3, 2)
    assert (row["extent_x [um]"], row["centroid_x [um]"]) == (4, 2.5)
    assert not any("volume" in name for name in row)
    assert voxel_volume(image) is None


def test_without_a_common_unit_there_are_voxels_only(tmp_path):
    image = ImageInfo((2, 3, 3), "", "ZYX", (1, 0.5, 0.5), ("pixel", "um", "um"))
    parts = [ExportObject(1, np.ones((2, 2), bool), 0, 0, (z,)) for z in (0, 1)]
    write_stack_measurements(tmp_path / "a.csv", Annotations(image, parts))
    (row,) = pd.read_csv(tmp_path / "a.csv").to_dict("records")
    assert row["volume_px"] == 8
    empty = ["volume [um^3]", "equivalent_diameter [um]", "extent_z [um]", "centroid_z [um]"]
    assert all(math.isnan(row[name]) for name in empty)
    assert row["extent_y [um]"] == 1


def test_an_image_without_slices_has_one_table(tmp_path):
    dot = ExportObject(1, np.ones((1, 1), bool), 0, 0)
    files = find_format("csv").write(tmp_path / "a.csv", Annotations(ImageInfo((3, 3)), [dot]))
    assert [file.name for file in files] == ["a.csv"]
