"""Masks cut out of logits at levels: pure rules."""

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.session.decoding.cleaning import cleaned
from napari_sam.session.decoding.cut import Levels

LEVELS = np.linspace(-1, 1, 21)
CLICK = (30, 30)


def hill(centre, radius, steepness=1.0):
    y, x = np.ogrid[:64, :64]
    distance = np.hypot(y - centre[0], x - centre[1])
    return (steepness * (radius - distance)).astype(np.float32)


def masks(logits, clicks=(CLICK,), strength=0.0):
    levels = Levels.of(logits, clicks, strength)
    return [levels.at(level) > 0 for level in LEVELS]


@pytest.mark.parametrize("strength", [0, 0.5])
@pytest.mark.parametrize("steepness", [0.1, 8])
def test_every_level_is_larger_than_the_one_before(steepness, strength):
    areas = [
        np.count_nonzero(mask) for mask in masks(hill(CLICK, 12, steepness), strength=strength)
    ]
    assert all(np.diff(areas) > 0)
    middle = areas[len(areas) // 2]
    assert middle / 4.5 < areas[0] < middle / 3.5
    assert middle * 3 < areas[-1] < middle * 4.1


def test_level_zero_is_the_published_or_the_clean_mask():
    logits = hill(CLICK, 12) + np.random.default_rng(0).normal(0, 2, (64, 64)).astype(np.float32)
    for strength in (0, 0.5):
        levels = Levels.of(logits, [CLICK], strength)
        np.testing.assert_array_equal(levels.at(0), cleaned(logits, [CLICK], strength))


def test_a_mask_does_not_grow_into_the_background():
    logits = np.where(hill(CLICK, 12) > 0, 3.0, np.where(hill(CLICK, 14) > 0, -1.0, -3.0))
    *_, largest = masks(logits.astype(np.float32))
    np.testing.assert_array_equal(largest, hill(CLICK, 14) > 0)


def test_other_objects_do_not_appear():
    logits = np.maximum(hill(CLICK, 10), hill((10, 55), 8) - 9)  # all but an object at level 0
    far = hill((10, 55), 8) > 3
    assert not any((mask & far).any() for mask in masks(logits))


def test_clicks_stay_in_the_mask():
    clicks = [CLICK, (30, 36)]
    for mask in masks(hill(CLICK, 12), clicks):
        assert all(mask[cell] for cell in clicks)


def test_a_clean_mask_shrinks_to_no_maze():
    relief = np.random.default_rng(1).normal(0, 6, (64, 64))  # as on a coin
    logits = np.minimum(hill(CLICK, 16, 4), 8 + ndimage.gaussian_filter(relief, 1.2) * 3)
    logits = np.where(hill(CLICK, 16) > 2, np.maximum(logits, 0.5), logits).astype(np.float32)
    for mask in masks(logits, strength=0.5)[:10]:
        assert ndimage.label(mask)[1] == 1
        assert ndimage.label(~mask)[1] == 1
        border = np.count_nonzero(mask & ~ndimage.binary_erosion(mask))
        assert border < 1.3 * 2 * np.sqrt(np.pi * np.count_nonzero(mask))
    maze = masks(logits)[7]
    assert ndimage.label(~maze)[1] > 5


def test_a_click_at_the_border_does_not_hold_the_mask():
    smallest, *_ = masks(hill(CLICK, 12), [(30, 41)])
    assert np.count_nonzero(smallest) < np.count_nonzero(hill(CLICK, 12) > 0) / 3


def test_nothing_becomes_of_an_empty_mask():
    logits = -np.ones((64, 64), np.float32)
    assert not any(mask.any() for mask in masks(logits))
