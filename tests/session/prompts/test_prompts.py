import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import Prompts, Scribble
from napari_sam.session.prompts.prompts import MAX_POINTS

A, B = (10.0, 20.0), (30.0, 40.0)
SHAPE = (50, 60)
WHOLE_IMAGE = (-0.5, -0.5, 59.5, 49.5)


def test_lists_and_arrays_make_the_same_prompts_as_tuples():
    plain = Prompts((A, B), (1, 0), (1, 2, 3, 4))
    assert Prompts([list(A), list(B)], [1, 0], [1, 2, 3, 4]) == plain
    from_arrays = Prompts(np.array([A, B]), np.array([1, 0]), np.array([1, 2, 3, 4]))
    assert from_arrays == plain
    assert hash(from_arrays) == hash(plain)


def test_box_corners_are_sorted():
    assert Prompts(box_xyxy=(9, 8, 1, 2)).box_xyxy == (1, 2, 9, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((A, B), (1,)), "2 points but 1 point labels"),
        (((A,), (2,)), "must be 1 .* or 0"),
        (((A,), (-1,)), "must be 1 .* or 0"),
        ((((np.nan, 1),), (1,)), "finite"),
        ((((np.inf, 1),), (1,)), "finite"),
        (((), (), (0, 0, np.nan, 1)), "finite"),
    ],
)
def test_wrong_prompts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Prompts(*arguments)


def test_prompts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Prompts().point_labels = (1,)


def test_emptiness_and_foreground():
    assert Prompts().is_empty
    assert not Prompts((A,), (0,)).is_empty
    assert not Prompts((A,), (0,)).has_foreground
    assert Prompts((A,), (1,)).has_foreground
    assert Prompts(box_xyxy=(0, 0, 5, 5)).has_foreground


def test_arrays_have_the_dtypes_of_the_model():
    prompts = Prompts((A, B), (1, 0), (1, 2, 3, 4))
    np.testing.assert_array_equal(prompts.points_array(), np.array([A, B], np.float32), strict=True)
    np.testing.assert_array_equal(prompts.labels_array(), np.array([1, 0]), strict=True)
    box = np.array([1, 2, 3, 4], np.float32)
    np.testing.assert_array_equal(prompts.box_array(), box, strict=True)


def test_arrays_of_nothing_are_none():
    prompts = Prompts()
    assert prompts.points_array() is prompts.labels_array() is prompts.box_array() is None


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (Prompts((A, B), (1, 0)), Prompts((A,), (1,))),
        (Prompts((B, A), (0, 1)), Prompts((A,), (1,))),
        (Prompts((A, A), (1, 1)), Prompts((A,), (1,))),
        (Prompts((A,), (1,), (0, 0, 5, 5)), Prompts((A,), (1,))),
        (Prompts((A,), (1,), (0, 0, 5, 5)), Prompts(box_xyxy=(0, 0, 5, 5))),
    ],
)
def test_additions_extend(later, earlier):
    assert later.extends(earlier)
    assert not earlier.extends(later)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (Prompts((A,), (1,)), Prompts((A,), (1,))),
        (Prompts((B, A), (0, 1)), Prompts((A, B), (1, 0))),  # only in another order
        (Prompts((A, B), (0, 0)), Prompts((A,), (1,))),  # the polarity was flipped
        (Prompts(((11, 20), B), (1, 0)), Prompts((A,), (1,))),  # the point was moved
        (Prompts((A, B), (1, 1)), Prompts((A, A), (1, 1))),
        (Prompts((A,), (1,), (0, 0, 5, 5)), Prompts(box_xyxy=(0, 0, 5, 6))),
        (Prompts((A, B), (1, 1)), Prompts((A,), (1,), (0, 0, 5, 5))),  # the box was taken away
        (Prompts((A, B), (1, 1), slice_index=1), Prompts((A,), (1,))),  # on another slice
    ],
)
def test_changes_do_not_extend(later, earlier):
    assert not later.extends(earlier)


def test_prompts_know_their_slice_unless_there_are_none():
    prompts = Prompts((A,), (1,), scribbles=(Scribble((A, B)),)).on_slice(3)
    assert prompts.slice_index == prompts.as_points.slice_index == 3
    assert prompts != prompts.on_slice(2)
    assert prompts.within((100, 100))[0].slice_index == 3
    assert prompts.extends(Prompts())
    assert Prompts(slice_index=3) == Prompts()
    assert Prompts().on_slice(3) == Prompts()


def test_within_keeps_points_up_to_the_edge_of_the_outer_pixels():
    prompts = Prompts(((-0.5, -0.5), (59.5, 49.5)), (1, 0))
    assert prompts.within(SHAPE) == (prompts, ())


@pytest.mark.parametrize("outside", [(-0.6, 20), (10, -0.6), (59.6, 20), (10, 49.6), (1e300, 0)])
def test_within_leaves_out_points_outside_with_their_labels(outside):
    usable, remarks = Prompts((outside, B), (1, 0)).within(SHAPE)
    assert usable == Prompts((B,), (0,))
    assert len(remarks) == 1
    assert remarks[0].startswith("Ignored 1 point outside")


def test_within_counts_the_points_left_out():
    _, remarks = Prompts(((-9, 0), (0, -9)), (1, 1)).within(SHAPE)
    assert remarks[0].startswith("Ignored 2 points outside")


def test_within_clips_a_box_partly_outside_without_a_remark():
    usable, remarks = Prompts(box_xyxy=(-1e300, -7, 20, 1000)).within(SHAPE)
    assert usable.box_xyxy == (-0.5, -0.5, 20, 49.5)
    assert remarks == ()


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 5), (5, 5, 30, 5), (5, 5, 5, 30), (60, 0, 80, 40), (-9, -9, -1, -1)]
)
def test_within_leaves_out_a_box_without_area_in_the_image(box):
    usable, remarks = Prompts((A,), (1,), box).within(SHAPE)
    assert usable == Prompts((A,), (1,))
    assert len(remarks) == 1
    assert remarks[0].startswith("The shape has no area")


def test_within_keeps_a_box_of_any_area():
    box = (5, 5, 5.5, 5.1)
    assert Prompts(box_xyxy=box).within(SHAPE) == (Prompts(box_xyxy=box), ())


def test_within_keeps_a_box_around_the_whole_image_and_around_its_only_pixel():
    assert Prompts(box_xyxy=(-99, -99, 99, 99)).within(SHAPE)[0].box_xyxy == WHOLE_IMAGE
    assert Prompts(box_xyxy=(-9, -9, 9, 9)).within((1, 1))[0].box_xyxy == (-0.5, -0.5, 0.5, 0.5)


def test_an_object_has_no_more_points_than_a_model_can_take():
    outside = ((-9.0, 0.0),)
    points = tuple((float(n % 60), float(n // 60)) for n in range(MAX_POINTS))
    most = Prompts((*points, *outside), (1,) * (MAX_POINTS + 1), (0, 0, 9, 9))
    assert len(most.within(SHAPE)[0].points_xy) == MAX_POINTS
    more = replace(most, points_xy=(*points, B))
    usable, (remark,) = more.within(SHAPE)
    assert usable.is_empty
    assert remark.startswith(f"{MAX_POINTS + 1} points are too many for one object")
    lines = Prompts(scribbles=(Scribble(((0, 0), (9, 9))),) * (MAX_POINTS // 5 + 1))
    assert lines.within(SHAPE)[0].is_empty
