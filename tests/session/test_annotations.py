"""Objects of labels as annotations, which the file formats take."""

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam.formats.image import ImageInfo
from napari_sam.session import ArrayLabels, ObjectRecord
from napari_sam.session.annotations import annotations_of, image_info, image_of_labels, records_of
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask, region_of


def test_masks_overlap_only_if_that_is_wanted():
    labels = ArrayLabels(np.zeros((2, 6, 6), np.uint8))
    labels.array[1, :3, :3], labels.array[1, 2:4, 2:4] = 1, 2
    first = next(record for record in find_objects(labels) if record.label_id == 1)
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :3, :3] = mask[0, 3, 0] = True  # the last pixel was erased since
    record = ObjectRecord(1, first.start, first.stop, 8, masks=(PackedMask((1, 0, 0), mask),))
    image = ImageInfo((2, 6, 6))
    (plain,) = annotations_of(labels, [record], image).objects
    (whole,) = annotations_of(labels, [record], image, overlapping=True).objects
    assert (plain.area_px, whole.area_px, whole.slice_index) == (8, 9, (1,))


def test_sizes_and_units_are_those_of_the_layer():
    layer = Labels(
        np.zeros((2, 2, 3, 4), int),
        scale=(2, 2, -0.5, 0.5),
        units=("day", "inch", "foot", "um"),
        axis_labels=("Time", "depth", "y", "x"),
    )
    info = image_info("a", layer.data.shape, layer.scale, layer.units, layer.axis_labels)
    assert info.axes == "TZYX"
    assert info.units == ("second", "inch", "micrometer", "micrometer")
    assert info.pixel_size == pytest.approx((172800, 2, 152400, 0.5))


def test_a_unit_of_time_makes_an_axis_without_a_name_a_time():
    layer = Labels(np.zeros((2, 3, 4), int), scale=(30, 0.5, 0.5), units=("second", "um", "um"))
    info = image_of_labels("a", layer.data.shape, layer.scale, layer.units, layer.axis_labels)
    assert (info.axes, info.units[0]) == ("TYX", "second")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 8, 1), (0, 1)), ((6, 1, 8), (0, 2)), ((3, 6, 8, 1), (0, 1, 2)), ((1, 6, 8), (0, 1, 2))],
)
@pytest.mark.parametrize("overlapping", [False, True])
def test_an_axis_of_channels_behind_the_plane_is_none_of_a_files(shape, axes, overlapping):
    flat = [shape[axis] for axis in axes]
    planes = np.zeros(flat, np.uint8)
    planes[..., 1:4, 2:7], planes[..., 4, 0] = 5, 9
    labels = ArrayLabels(planes.reshape(shape))
    found = list(find_objects(labels))
    records = [
        replace(record, masks=(PackedMask(record.start, labels.read(region) > 0),))
        for record in found
        for region in [region_of(record.start, record.shape)]
    ]
    sizes = (7.0, 0.5, 0.25)[-len(flat) :]
    scale = np.ones(len(shape))
    scale[list(axes)] = sizes
    image = image_of_labels("a", shape, scale, ("um",) * len(shape))
    assert (image.shape, image.pixel_size) == (tuple(flat), sizes)
    annotations = annotations_of(labels, records, image, overlapping=overlapping)
    assert {(obj.label_id, obj.mask.shape, obj.top, obj.left) for obj in annotations.objects} == {
        (5, (3, 5), 1, 2),
        (9, (1, 1), 4, 0),
    }
    again = np.zeros(shape, np.uint8)
    for record in records_of(annotations, shape):
        for part in record.masks:
            again[part.region][part.mask] = record.label_id
    np.testing.assert_array_equal(again, labels.array)
