import numpy as np
import pytest

from napari_sam.session import ArrayPlane, TargetError
from napari_sam.session.objects.edits import Overlap
from napari_sam.session.objects.planning import NewObject, plan_object
from napari_sam.session.objects.records import ObjectRecord

MASK = np.array([[True, False, True], [True, True, False]])


@pytest.fixture
def array():
    """Return labels with one object, 4, under a corner of the mask at (2, 1)."""
    array = np.zeros((5, 6), np.uint8)
    array[2:4, :2] = 4
    return array


def plan(array, overwrite=False, mask=MASK, parts=None):
    """Plan to write a mask, or one in parts, into labels of which nothing else is known."""
    new = NewObject(parts or [(mask, 2, 1)], ObjectRecord(0, (), (), 0))
    return plan_object(ArrayPlane(array), new, Overlap.REPLACE if overwrite else Overlap.KEEP)


def test_planning_writes_nothing(array):
    before = array.copy()
    plan(array)
    np.testing.assert_array_equal(array, before)


def test_an_object_takes_only_background(array):
    edit = plan(array)
    edit.write()
    expected = np.zeros((5, 6), np.uint8)
    expected[2:4, :2] = 4
    expected[2, 3] = expected[3, 2] = 5
    np.testing.assert_array_equal(array, expected)
    assert edit.label_id == 5
    assert edit.area_px == 2


def test_an_object_takes_other_objects_pixels_if_allowed(array):
    edit = plan(array, overwrite=True)
    edit.write()
    expected = np.zeros((5, 6), np.uint8)
    expected[2:4, 0] = 4
    expected[2:4, 1:4][MASK] = 5
    np.testing.assert_array_equal(array, expected)
    assert edit.area_px == 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_object_in_parts_is_one_object(array, overwrite):
    whole, parts = array.copy(), array.copy()
    plan(whole, overwrite).write()
    halves = [(MASK[:1], 2, 1), (MASK[1:], 3, 1)]
    edit = plan(parts, overwrite, parts=halves)
    edit.write()
    np.testing.assert_array_equal(parts, whole)
    edit.write(is_undone=True)
    np.testing.assert_array_equal(parts, array)


@pytest.mark.parametrize("overwrite", [False, True])
def test_revert_and_apply_are_exact(array, overwrite):
    before = array.copy()
    edit = plan(array, overwrite)
    edit.write()
    after = array.copy()
    edit.write(is_undone=True)
    np.testing.assert_array_equal(array, before)
    edit.write()
    np.testing.assert_array_equal(array, after)


def test_pixels_painted_after_the_object_survive_its_undo(array):
    edit = plan(array)
    edit.write()
    array[2, 3] = 9
    edit.write(is_undone=True)
    assert array[2, 3] == 9
    assert array[3, 2] == 0


def test_pixels_erased_after_the_object_are_not_given_back(array):
    edit = plan(array, overwrite=True)
    edit.write()
    array[2, 1] = 0
    edit.write(is_undone=True)
    assert array[2, 1] == 0
    assert array[3, 1] == 4


def test_pixels_painted_after_the_undo_survive_the_redo(array):
    edit = plan(array)
    edit.write()
    edit.write(is_undone=True)
    array[2, 3] = 9
    edit.write()
    assert array[2, 3] == 9
    assert array[3, 2] == 5


def test_the_label_id_is_one_more_than_the_largest(array):
    array[0, 0] = 200
    assert plan(array).label_id == 201


def test_negative_labels_are_objects_too():
    array = np.full((5, 6), -1, np.int32)
    array[2, 1] = 0
    edit = plan(array)
    assert edit.label_id == 1
    assert edit.area_px == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_the_last_number_of_the_dtype_is_used_and_then_refused(dtype):
    array = np.zeros((5, 6), dtype)
    array[0, 0] = np.iinfo(dtype).max - 1
    plan(array).write()
    assert array.max() == np.iinfo(dtype).max
    with pytest.raises(TargetError, match="run out of label values"):
        plan(array, overwrite=True)


def test_a_mask_on_other_objects_is_refused(array):
    array[:] = 7
    with pytest.raises(TargetError, match="replace the others"):
        plan(array)


@pytest.mark.parametrize("mask", [np.zeros((0, 0), bool), np.zeros((2, 2), bool)])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_empty_mask_is_refused(array, mask, overwrite):
    with pytest.raises(TargetError, match="This mask is empty"):
        plan(array, overwrite, mask)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2)), np.zeros((2, 2), bool), np.zeros((2, 2, 2), int)]
)
def test_an_array_plane_is_of_integers_and_two_dimensional(array):
    with pytest.raises(TargetError, match="2-D integer"):
        ArrayPlane(array)


def test_an_array_plane_reads_copies():
    array = np.zeros((2, 2), int)
    ArrayPlane(array).read(slice(0, 1), slice(0, 1))[:] = 1
    assert not array.any()
