"""Masks between two annotated slices."""

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.session.propagation.interpolation import Interpolation


def disc(row, column, radius, side=100):
    y, x = np.ogrid[:side, :side]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def painted(crop, side=100):
    mask = np.zeros((side, side), bool)
    height, width = crop.mask.shape
    mask[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
    return mask


def iou(mask, other):
    return np.count_nonzero(mask & other) / np.count_nonzero(mask | other)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_disc_that_moves_and_grows(share):
    first, last = (tight_crop(disc(*one)) for one in ((30, 30, 10), (60, 70, 20)))
    expected = disc(30 + 30 * share, 30 + 40 * share, 10 + 10 * share)
    assert iou(painted(Interpolation(first, last, (100, 100)).at(share)), expected) > 0.9


def test_the_ends_are_the_annotated_masks():
    first, last = tight_crop(disc(30, 30, 10)), tight_crop(disc(60, 70, 20) & ~disc(60, 70, 8))
    for share, crop in ((0, first), (1, last)):
        result = Interpolation(first, last, (100, 100)).at(share)
        assert (result.top, result.left) == (crop.top, crop.left)
        np.testing.assert_array_equal(result.mask, crop.mask)


def test_an_object_at_the_border_stays_in_the_plane():
    first, last = tight_crop(disc(2, 50, 12)), tight_crop(disc(0, 60, 12))
    crop = Interpolation(first, last, (100, 100)).at(0.5)
    assert crop.top == 0
    assert iou(painted(crop), disc(1, 55, 12)) > 0.85


@pytest.mark.parametrize("degrees", [20, 70])
def test_a_rod_turns_on_its_way(degrees):
    def rod(angle, column):
        y, x = np.mgrid[:100, :100]
        sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
        along, across = (
            (y - 50) * sine + (x - column) * cosine,
            (y - 50) * cosine - (x - column) * sine,
        )
        return np.hypot(along - along.clip(-25, 25), across) <= 6

    first, last = (tight_crop(rod(170 + turn, 50 + turn / 10)) for turn in (0, degrees))
    for share in 0.3, 0.5:
        expected = rod(170 + share * degrees, 50 + share * degrees / 10)
        assert iou(painted(Interpolation(first, last, (100, 100)).at(share)), expected) > 0.85
