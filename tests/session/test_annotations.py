"""Objects of labels as annotations, which the file formats take."""

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.image import ImageInfo
from napari_sam.session import ArrayLabels, ObjectRecord
from napari_sam.session.annotations import annotations_of, image_info, image_of_labels, records_of
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask, region_of
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin


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


def test_what_is_known_of_slices_and_parents_comes_back():
    labels = ArrayLabels(np.zeros((4, 6, 6), np.uint8))
    labels.array[:3, :2, :2], labels.array[3, :2, :2], labels.array[3, 3:, 3:] = 3, 4, 5
    slices = ObjectSlices(
        0,
        (
            ObjectSlice(0),
            ObjectSlice(1, Origin.INTERPOLATED, 0.75),
            ObjectSlice(2, Origin.PROPAGATED, 0.5),
        ),
    )
    cleared = ObjectSlice(3, Origin.CLEARED)
    records = {record.label_id: record for record in find_objects(labels)}
    records[3] = replace(records[3], slices=slices.updated([cleared]))
    records[4], records[5] = (replace(records[n], parent_id=3) for n in (4, 5))
    written = annotations_of(labels, records.values(), ImageInfo((4, 6, 6)))
    read = {record.label_id: record for record in records_of(written, (4, 6, 6))}
    assert read[3].slices == slices  # no file has a slice that an object is not on
    assert [read[n].parent_id for n in (3, 4, 5)] == [0, 3, 3]
    assert read[4].slices is None
    alone = replace(written, objects=[part for part in written.objects if part.label_id != 3])
    assert [record.parent_id for record in records_of(alone, (4, 6, 6))] == [0, 0]


def test_parents_of_which_none_can_come_first_are_not_believed():
    parents = {1: 2, 2: 3, 3: 1, 4: 4, 5: 1, 6: 0, 7: 6, 8: 7, 9: 99}
    dot = np.ones((1, 1), bool)
    objects = [ExportObject(n, dot, 0, n, (0,), parent_id=p) for n, p in parents.items()]
    records = records_of(Annotations(ImageInfo((2, 2, 10)), objects), (2, 2, 10))
    assert {r.label_id: r.parent_id for r in records if r.parent_id} == {7: 6, 8: 7}


@pytest.mark.parametrize("origin", ["", "cleared", "elsewhere"])
def test_slices_of_unknown_origin_are_not_told_apart(origin):
    dot = np.ones((1, 1), bool)
    parts = [ExportObject(1, dot, 0, 0, (n,), origin=origin, confidence=2.0) for n in range(2)]
    (record,) = records_of(Annotations(ImageInfo((2, 2, 2)), parts), (2, 2, 2))
    assert record.slices is None
