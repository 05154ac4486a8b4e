"""Where a mask is cut because other objects keep their pixels, no scraps of it are left."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.engine.masks import MaskCrop
from napari_sam.session import ArrayLabels, ArrayPlane, ObjectRecord, Overlap
from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.labels import ArraySlice
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.planning import NewObject, Trimming, add_objects, plan_object
from napari_sam.session.objects.slice_planning import plan_on_plane
from napari_sam.session.objects.trimming import NOT_TRIMMED, Trim

CLEAN = Trim(0.5, clicks_xy=((2.0, 5.0),))
WITHOUT_CLICK = replace(CLEAN, clicks_xy=())


@pytest.fixture
def plane():
    """Return labels with an object right of column 6, which ends at row 9 and column 10."""
    array = np.zeros((20, 24), np.uint16)
    array[1:10, 7:11] = 1
    plane = ArrayPlane(array)
    plane.labels.registry.replace_all(list(find_objects(plane.labels)))
    return plane


@pytest.fixture
def mask():
    """Return a mask with 60 pixels left of that object, a fringe above it and two pixels beyond."""
    mask = np.zeros((20, 24), bool)
    mask[0:10, 1:7] = True
    mask[0, 1:11] = True
    mask[4:6, 7:12] = True
    return mask


def new_object(mask, trim, **options):
    return NewObject([MaskCrop(mask, 0, 0)], ObjectRecord(), trim=trim, **options)


def written(plane, new, overlap=Overlap.KEEP):
    edit = plan_object(plane, new, overlap).write()
    edit.apply_records()
    (record,) = [r for r in plane.labels.registry if r.label_id == edit.label_id]
    return plane.labels.array == edit.label_id, record


def test_the_rest_of_a_mask_has_no_fringe_and_no_loose_pixels(plane, mask):
    taken = plane.labels.array > 0
    pixels, record = written(plane, new_object(mask, CLEAN))
    expected = np.zeros_like(mask)
    expected[0:10, 1:7] = True
    np.testing.assert_array_equal(pixels, expected)
    # What the mask is beneath the other object stays known, but not what was left out.
    accepted = record.masks[0]
    np.testing.assert_array_equal(accepted.mask, expected | (mask & taken))


@pytest.mark.parametrize(
    ("body_top", "horn_stop", "is_kept"),
    [(0, 21, False), (10, 21, True), (0, 30, True)],
    ids=["a large object", "a small one", "a process of a large one"],
)
def test_how_wide_a_fringe_may_be_follows_the_size_of_the_object(body_top, horn_stop, is_kept):
    taken = np.zeros((34, 40), np.uint16)
    taken[16:34, 10:30] = 1
    body = np.zeros(taken.shape, bool)
    body[body_top:16, 8 : 14 if body_top else 26] = True
    mask = body.copy()
    mask[16:18, 8:14] = mask[16:horn_stop, 8:10] = True  # two pixels wide beside the other object
    crop = Trim(0.5).trimmed(MaskCrop(mask, 0, 0), ArrayPlane(taken), 2)
    expected = mask & (taken == 0) if is_kept else body
    np.testing.assert_array_equal(crop.mask & (taken == 0), expected)


def test_without_cleaning_or_a_cut_a_mask_stays_as_it_is(plane, mask):
    taken = plane.labels.array > 0
    pixels, _ = written(plane, new_object(mask, NOT_TRIMMED))
    np.testing.assert_array_equal(pixels, mask & ~taken)
    apart = np.zeros_like(mask)
    apart[12, 1:20] = apart[15:17, 2] = True
    pixels, _ = written(plane, new_object(apart, CLEAN))
    np.testing.assert_array_equal(pixels, apart)
    pixels, _ = written(plane, new_object(mask, CLEAN), Overlap.REPLACE)
    np.testing.assert_array_equal(pixels, mask)


def test_a_piece_without_a_click_is_kept_only_where_none_has_one(plane):
    mask = np.zeros((20, 24), bool)
    mask[2:8, 1:15] = True
    left, right = np.zeros_like(mask), np.zeros_like(mask)
    left[2:8, 1:7] = right[2:8, 11:15] = True
    for trim, expected in ((CLEAN, left), (WITHOUT_CLICK, left | right)):
        crop = trim.trimmed(MaskCrop(mask, 0, 0), plane, 2)
        np.testing.assert_array_equal(crop.mask & (plane.labels.array == 0), expected)
    on_the_other = replace(CLEAN, clicks_xy=((8.0, 5.0),))  # which the other object has
    crop = on_the_other.trimmed(MaskCrop(mask, 0, 0), plane, 2)
    np.testing.assert_array_equal(crop.mask & (plane.labels.array == 0), left | right)


def test_an_object_of_nothing_but_a_fringe_is_kept(plane):
    mask = np.zeros((20, 24), bool)
    mask[0:2, 7:11] = True
    pixels, _ = written(plane, new_object(mask, CLEAN))
    assert pixels.sum() == 4


def test_what_a_brush_painted_stays(plane, mask):
    _, record = written(plane, new_object(mask, CLEAN))
    painted = np.zeros_like(mask)
    painted[0, 7:11] = painted[5, 12] = True
    record = replace(record, brushed=BrushEdits((PackedMask((0, 0), painted),), ()))
    plane.labels.array[painted] = record.label_id
    new = replace(new_object(mask, CLEAN), record=record, replaced=record)
    pixels, _ = written(plane, new)
    assert pixels[painted].all()
    assert not pixels[4:6, 11].any()


def test_on_a_slice_of_a_stack_the_same_goes(mask):
    labels = ArrayLabels(np.zeros((3, 20, 24), np.uint16))
    labels.array[1, 1:10, 7:11] = 1
    labels.array[0, 0:10, 1:7] = 2
    labels.registry.replace_all(list(find_objects(labels)))
    record, shown = labels.registry.get(2), ArraySlice(labels, 1)
    crop = MaskCrop(mask, 0, 0)
    plan_on_plane(shown, record, crop, Overlap.KEEP, labels.registry, CLEAN).write()
    assert (labels.array[1] == 2).sum() == 60
    assert (labels.array[1, 0:10, 1:7] == 2).all()


def test_objects_that_are_added_together_are_trimmed_along_each_other(plane, mask):
    plane.labels.array[:] = 0
    plane.labels.registry.replace_all([])
    first = np.zeros_like(mask)
    first[1:10, 7:11] = True
    records = [ObjectRecord(masks=(PackedMask((0, 0), m),)) for m in (first, mask)]
    trims = {records[1].uid: CLEAN}
    trimming = Trimming(plane, trims)
    edit = add_objects(plane.labels, records, Overlap.KEEP, plane.labels.registry, trimming)
    edit.apply_records()
    assert (plane.labels.array == 1).sum() == first.sum()
    assert (plane.labels.array == 2).sum() == 60
