"""Which mask wins where masks overlap, and what files of the published form hold."""

import numpy as np
import pytest

from napari_sam.batch.job import OVERLAPS
from napari_sam.batch.outputs import PlaneMasks, _published, without_overlaps
from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import write_json
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.label_images import labels_from_objects
from napari_sam.formats.reading import read_objects
from napari_sam.model.automatic.mask_set import MaskRecord


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("smaller", [[1, 1, 2, 1]]),
        ("larger", [[1, 1, 1, 1]]),
        ("better", [[1, 1, 2, 3]]),
        ("first", [[1, 1, 1, 1]]),
    ],
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
    assert {obj.label_id: obj.score for obj in flat.objects}[1] == 0.5


def test_an_object_of_several_slices_wins_or_loses_on_all_of_them():
    widths = {1: (2, 4, 4), 2: (3, 3, 3)}  # the first is smaller on the first slice only
    objects = [
        ExportObject(number, np.ones((1, width), bool), 0, 0, (index,))
        for number, of_object in widths.items()
        for index, width in enumerate(of_object)
    ]
    flat = without_overlaps(Annotations(ImageInfo((3, 1, 4)), objects), "smaller")
    expected = [[[2, 2, 2, 0]], [[2, 2, 2, 1]], [[2, 2, 2, 1]]]
    np.testing.assert_array_equal(labels_from_objects(flat), expected)


def test_the_published_form_of_a_stack_is_read_back(tmp_path):
    record = MaskRecord(
        MaskCrop(np.ones((2, 3), bool), 1, 2), (2, 1, 4, 2), 6, 0.75, 0.9, (3.0, 1.0), (0, 0, 8, 6)
    )
    for shape in ((6, 8), (3, 6, 8)):
        image = ImageInfo(shape, "a.tif")
        planes = [PlaneMasks(index, [record]) for index in np.ndindex(image.stack_shape)]
        write_json(tmp_path / "a_sam.json", _published(image, planes, "uncompressed_rle"))
        objects = read_objects(tmp_path / "a_sam.json", image).objects
        assert [obj.slice_index for obj in objects] == [plane.slice_index for plane in planes]
        assert {(obj.area_px, obj.top, obj.left, obj.score) for obj in objects} == {(6, 1, 2, 0.75)}
