"""Masks of slices as objects of a stack with several axes."""

import numpy as np
import pytest

from napari_sam.batch.linking import linked_annotations
from napari_sam.batch.outputs import PlaneMasks
from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.files import FileError
from napari_sam.formats.image import ImageInfo
from napari_sam.model.automatic.mask_set import MaskRecord
from napari_sam.session.linking.settings import LinkSettings

STACK = ImageInfo((2, 3, 20, 30), "stack.tif", "", (30, 2, 0.5, 0.5), ("second", "um", "um", "um"))


def record(top, score=0.75):
    crop = MaskCrop(np.ones((5, 6), bool), top, 4)
    return MaskRecord(crop, (4, top, 9, top + 4), 30, score, 0.9, (6.0, top), (0, 0, 30, 20))


def linked(through, records=lambda t, z: [record(3 + z)], **settings):
    planes = [PlaneMasks(index, records(*index)) for index in np.ndindex(STACK.stack_shape)]
    return linked_annotations(STACK, planes, through, LinkSettings(**settings))


@pytest.mark.parametrize("through", ["z", "Z", "1"])
def test_each_time_has_objects_of_its_own(through):
    annotations, objects = linked(through)
    slices = {
        label_id: [part.slice_index for part in annotations.objects if part.label_id == label_id]
        for label_id in (1, 2)
    }
    assert slices == {n: [(n - 1, 0), (n - 1, 1), (n - 1, 2)] for n in (1, 2)}
    assert [obj["position"] for obj in objects] == [[0, None], [1, None]]
    assert [(obj["first_slice"], obj["last_slice"]) for obj in objects] == [(0, 2)] * 2
    assert [obj["volume_px"] for obj in objects] == [90, 90]
    assert [(obj["volume"], obj["volume_unit"]) for obj in objects] == [(45, "um^3")] * 2
    assert {(part.origin, part.confidence is None) for part in annotations.objects} == {
        ("automatic", False)
    }


def test_gaps_are_told_and_the_score_is_the_mean():
    annotations, (first, _) = linked("z", lambda _, z: [] if z == 1 else [record(3, 0.5 + z / 4)])
    assert first["origins"] == [["automatic", 0, 0], ["interpolated", 1, 1], ["automatic", 2, 2]]
    assert {part.score for part in annotations.objects} == {0.75}


def test_through_time_at_each_depth():
    _, objects = linked("t")
    assert {obj["volume"] for obj in objects} == {None}
    assert [obj["position"] for obj in objects] == [[None, 0], [None, 1], [None, 2]]


@pytest.mark.parametrize("through", ["c", "2", "-1", ""])
def test_axes_without_slices(through):
    with pytest.raises(FileError, match="choose t or z"):
        linked(through)
