"""What a single background click on an object means."""

import numpy as np
import pytest

from napari_sam.engine.masks import MaskCrop
from napari_sam.session import Prompts
from napari_sam.session.propagation.corrections import _is_in_middle

TOP, LEFT = 40, 100


def disc(shape, center, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2


def is_in_middle(mask, row, column):
    click = Prompts(((LEFT + column, TOP + row),), (0,))
    return _is_in_middle(MaskCrop(mask, TOP, LEFT), click)


def test_the_middle_of_a_round_object_takes_it_off_and_its_rim_does_not():
    mask = disc((41, 41), (20, 20), 20)
    assert is_in_middle(mask, 20, 20)
    assert is_in_middle(mask, 24, 17)
    assert not is_in_middle(mask, 20, 37)
    assert not is_in_middle(mask, 90, 20)


@pytest.mark.parametrize("column", [20, 68])
def test_the_middle_of_one_of_two_things_in_a_mask_does_not_take_off_both(column):
    mask = disc((45, 90), (22, 24), 20) | disc((45, 90), (22, 64), 20)
    mask[12:33, 24:64] = True
    taken_off = [is_in_middle(mask, 22, near) for near in (column, 88 - column)]
    assert sum(taken_off) <= 1  # the other one can be excluded


def test_whatever_is_clicked_an_empty_mask_is_taken_off():
    assert is_in_middle(np.zeros((0, 0), np.bool_), 3, 3)
