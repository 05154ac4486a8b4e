"""Which mask wins where masks overlap."""

import numpy as np
import pytest

from napari_sam.batch.job import OVERLAPS
from napari_sam.batch.outputs import without_overlaps
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.label_images import labels_from_objects


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
    assert {obj.label_id: obj.score for obj in flat.objects}[1] == 0.5
