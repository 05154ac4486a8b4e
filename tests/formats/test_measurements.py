import csv

import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    labels_from_objects,
    objects_from_labels,
    write_measurements,
)
from tests.formats.cases import NAMES

LABELS = np.zeros((2, 30, 40), np.uint16)
LABELS[0, 2:12, 3:9] = 4
LABELS[0, 12:20, 3:30] = 9
LABELS[1, 5:25, 5:25] = 4
LABELS[1, 10:20, 10:20] = 0
SQUARE_UM = ImageInfo(LABELS.shape, pixel_size=(2, 0.5, 0.5), units=("um",) * 3)


def test_values_are_those_of_regionprops(tmp_path):
    intensity = np.random.default_rng(0).random(LABELS.shape)
    annotations = Annotations(SQUARE_UM, objects_from_labels(LABELS))
    write_measurements(tmp_path / "a.csv", annotations, intensity)
    table = pd.read_csv(tmp_path / "a.csv")
    assert table[["z_index", "label_id"]].values.tolist() == [[0, 4], [0, 9], [1, 4]]
    for _, row in table.iterrows():
        z = int(row["z_index"])
        region = next(
            region
            for region in regionprops(LABELS[z], intensity[z], spacing=(0.5, 0.5))
            if region.label == row["label_id"]
        )
        assert row["area_px"] == region.num_pixels
        assert row["area [um^2]"] == pytest.approx(region.area)
        assert row["perimeter [um]"] == pytest.approx(region.perimeter)
        assert (row["centroid_y [um]"], row["centroid_x [um]"]) == pytest.approx(region.centroid)
        assert row["axis_major_length [um]"] == pytest.approx(region.axis_major_length)
        assert row["feret_diameter_max [um]"] == pytest.approx(region.feret_diameter_max)
        assert row["solidity"] == pytest.approx(region.solidity)
        assert row["euler_number"] == region.euler_number
        assert row["intensity_mean"] == pytest.approx(region.intensity_mean)
        box = row[["top_px", "left_px", "bottom_px", "right_px"]].tolist()
        assert box == list(region.bbox)


def test_overlapping_objects_are_measured_alone(tmp_path, annotations):
    write_measurements(tmp_path / "a.csv", annotations)
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["area_px"].tolist() == [obj.area_px for obj in annotations.objects]
    assert table["class"].tolist() == [obj.class_name for obj in annotations.objects]
    assert table["score"].dropna().tolist() == [0.5, 0.25, 1.0]
    np.testing.assert_allclose(table["area [um^2]"], table["area_px"] * 0.125)
    with pytest.raises(FileError, match="overlaps"):
        labels_from_objects(annotations)


def test_what_is_not_defined_is_left_empty(tmp_path):
    dot = ExportObject(1, np.ones((1, 1), bool), 3, 4)
    image = ImageInfo((9, 9), pixel_size=(2, 1))
    write_measurements(tmp_path / "a.csv", Annotations(image, [dot]))
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (row["perimeter [pixel]"], row["class"], row["score"]) == ("", "", "")
    assert (row["area [pixel^2]"], row["centroid_y [pixel]"]) == ("2.0", "6.0")
    assert row["area_px"] == "1"


@pytest.mark.parametrize(("name", "mark"), [("cell", b""), (NAMES[0], b"\xef\xbb\xbf")])
def test_a_byte_order_mark_comes_only_with_names_that_need_it(tmp_path, name, mark):
    dot = ExportObject(1, np.ones((1, 1), bool), 0, 0, (), name)
    write_measurements(tmp_path / "a.csv", Annotations(ImageInfo((3, 3)), [dot]))
    content = (tmp_path / "a.csv").read_bytes()
    assert content.startswith(mark + b"label_id,class,")
    assert pd.read_csv(tmp_path / "a.csv")["class"].tolist() == [name]


def test_what_cannot_be_measured_is_refused(tmp_path):
    with pytest.raises(FileError, match="intensities have the shape"):
        write_measurements(tmp_path / "a.csv", Annotations(SQUARE_UM, ()), np.zeros((30, 40)))
    mixed = ImageInfo((3, 3), units=("s", "um"))
    with pytest.raises(FileError, match="Rows are in second, columns in micrometer"):
        write_measurements(tmp_path / "a.csv", Annotations(mixed, ()))


def test_rows_in_another_unit_are_converted(tmp_path):
    dot = ExportObject(1, np.ones((2, 3), bool), 4, 0)
    image = ImageInfo((9, 9), pixel_size=(500, 0.2), units=("nm", "um"))
    write_measurements(tmp_path / "a.csv", Annotations(image, [dot]))
    (row,) = pd.read_csv(tmp_path / "a.csv").to_dict("records")
    assert row["area [um^2]"] == pytest.approx(2 * 3 * 0.5 * 0.2)
    assert row["centroid_y [um]"] == pytest.approx(4.5 * 0.5)
