"""Masks of slices become objects: by overlap, over gaps, where they split, and only if deep."""

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.session.linking.link import link
from napari_sam.session.linking.settings import LinkSettings, Splits
from napari_sam.session.objects.slices import Origin

SHAPE = (80, 100)


def disc(row, column, radius):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return tight_crop((y - row) ** 2 + (x - column) ** 2 <= radius**2)


def half(row, column, radius, side):
    """Return the left (-1) or right (1) half of a disc, a little apart from the other."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    inside = (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return tight_crop(inside & ((x - column) * side > 1))


def linked(slices, first=0, **settings):
    return link(slices, LinkSettings(**settings), SHAPE, first)


def members(objects):
    return [obj.members for obj in objects]


def test_objects_are_followed_through_any_order_of_masks():
    slices = [[disc(30, 30 + 2 * k, 12), disc(50, 70, 10)][:: 1 if k % 2 else -1] for k in range(4)]
    objects = linked(slices, first=5)
    assert members(objects) == [
        ((5, 0), (6, 1), (7, 0), (8, 1)),
        ((5, 1), (6, 0), (7, 1), (8, 0)),
    ]
    still, moving = objects
    assert [mask.slice_index for mask in moving.masks] == [5, 6, 7, 8]
    assert {mask.origin for mask in moving.masks} == {Origin.AUTOMATIC}
    assert {mask.confidence for mask in still.masks} == {1.0}
    assert all(0.7 < mask.confidence < 1 for mask in moving.masks)


def test_all_overlaps_together_are_largest():
    # The second mask overlaps both of the next slice, the first one only that which it likes more.
    slices = [[disc(40, 30, 12), disc(40, 42, 12)], [disc(40, 37, 12), disc(40, 49, 12)]]
    assert members(linked(slices, least_iou=0.2)) == [((0, 0), (1, 0)), ((0, 1), (1, 1))]


def test_too_little_overlap_is_another_object():
    slices = [[disc(40, 30, 12)], [disc(40, 42, 12)]]
    assert len(linked(slices, least_iou=0.2, min_slices=1)) == 1
    assert len(linked(slices, least_iou=0.6, min_slices=1)) == 2


@pytest.mark.parametrize(("max_gap", "depths"), [(0, [2, 1]), (1, [2, 1]), (2, [5]), (4, [5])])
def test_gaps_are_closed_up_to_a_number_of_slices(max_gap, depths):
    slices = [[disc(40, 30, 12)], [disc(40, 30, 12)], [], [], [disc(40, 36, 12)]]
    objects = linked(slices, max_gap=max_gap, min_slices=1)
    assert [obj.n_slices for obj in objects] == depths
    if len(objects) == 1:
        origins = [mask.origin for mask in objects[0].masks]
        assert origins == [Origin.AUTOMATIC] * 2 + [Origin.INTERPOLATED] * 2 + [Origin.AUTOMATIC]
        between = objects[0].masks[3].crop
        assert between.left + between.mask.shape[1] / 2 == pytest.approx(34.5, abs=1)
        assert objects[0].masks[3].confidence == objects[0].masks[4].confidence < 0.8


def test_shallow_objects_are_left_out():
    slices = [[disc(40, 30, 12)], [disc(40, 30, 12), disc(40, 70, 8)], [disc(40, 30, 12)]]
    assert [obj.n_slices for obj in linked(slices, min_slices=3)] == [3]
    assert [obj.n_slices for obj in linked(slices, min_slices=1)] == [3, 1]
    assert linked(slices, min_slices=4) == []


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("shift", [0, 4])
def test_an_object_that_splits_or_two_that_meet(is_reversed, shift):
    whole = [disc(40, 50, 16)]
    parts = [half(40, 50 + shift, 16, -1), half(40, 50 + shift, 16, 1)]
    slices = [whole, whole, parts, parts]
    slices = slices[::-1] if is_reversed else slices
    (one,) = linked(slices, splits=Splits.ONE, least_iou=0.45)
    assert len(one.members) == 6
    assert [mask.slice_index for mask in one.masks] == [0, 1, 2, 3]
    in_parts = one.masks[0 if is_reversed else 3].crop
    assert np.count_nonzero(in_parts.mask) == sum(np.count_nonzero(part.mask) for part in parts)
    two = linked(slices, splits=Splits.TWO, least_iou=0.45)
    assert sorted(obj.n_slices for obj in two) == [2, 4]


def test_a_mask_inside_another_is_no_part_of_it():
    cell, nucleus = disc(40, 50, 20), disc(40, 52, 6)
    slices = [[cell], [cell, nucleus], [nucleus, cell], [cell]]
    objects = linked(slices, splits=Splits.ONE)
    assert members(objects) == [((0, 0), (1, 0), (2, 1), (3, 0)), ((1, 1), (2, 0))]


def test_many_masks_are_linked_without_comparing_all_with_all():
    centers = [(row, column) for row in range(8, 992, 16) for column in range(8, 992, 16)]
    mask = disc(40, 50, 6).mask
    slices = [
        [tight_crop(mask, row + shift, column) for row, column in centers] for shift in (0, 2)
    ]
    objects = link(slices, LinkSettings(), (1000, 1000))
    assert len(objects) == len(centers) == 3844
    assert all(one[1] == other[1] for obj in objects for one, other in [obj.members])


@pytest.mark.parametrize(
    "wrong", [{"least_iou": 0}, {"max_gap": -1}, {"min_slices": 0}, {"max_gap": 1.5}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LinkSettings(**wrong)
