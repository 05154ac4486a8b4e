"""The colors of automatic masks while others arrive; no model is needed."""

from dataclasses import replace

import numpy as np

from napari_sam.session.automatic.label_ids import LabelIds
from napari_sam.session.image.tiles import Tile
from tests.session.automatic.reviewed import square

FIRST, SECOND, THIRD = square(2, 2, 10), square(20, 20, 10), square(40, 40, 10)
BETTER = square(21, 20, 10, 0.97)
"""Of the object of `SECOND`."""


def test_a_better_mask_has_the_color_of_the_one_that_it_displaces():
    label_ids = LabelIds(1000)
    assert label_ids.of([FIRST, SECOND]) == [1, 2]
    assert label_ids.of([THIRD, BETTER, FIRST]) == [3, 2, 1]
    assert label_ids.of([SECOND, FIRST]) == [2, 1]  # as after a change of the filters


def test_a_mask_of_a_finer_tile_has_the_color_of_the_coarse_one():
    label_ids = LabelIds(1000)
    fine = square(10, 20, 20, tile=Tile(0, 15, 10, 30, 40))  # twice as fine
    assert fine.iou(SECOND) == 1.0
    assert label_ids.of([FIRST, SECOND]) == [1, 2]
    assert label_ids.of([fine, FIRST]) == [2, 1]


def test_two_masks_shown_together_never_share_a_color():
    label_ids = LabelIds(1000)
    assert label_ids.of([SECOND]) == [1]
    assert label_ids.of([BETTER]) == [1]
    assert label_ids.of([SECOND, BETTER]) == [2, 1]
    assert label_ids.of([SECOND, BETTER]) == [2, 1]


def test_a_neighbor_or_a_part_gets_a_color_of_its_own():
    label_ids = LabelIds(1000)
    assert label_ids.of([SECOND]) == [1]
    assert label_ids.of([square(20, 31, 10), square(22, 22, 4)]) == [2, 3]


def test_numbers_begin_again_when_they_run_out():
    label_ids = LabelIds(4)
    assert label_ids.of([FIRST, SECOND]) == [1, 2]
    others = [square(2, 50, 5), square(50, 2, 5), THIRD]
    assert label_ids.of(others) == [1, 2, 3]


def test_an_object_keeps_its_color_through_a_long_run():
    rng = np.random.default_rng(0)
    label_ids, colors = LabelIds(1000), {}
    for step in range(30):
        masks = [
            square(4 + 12 * place + shift, 30 + place, 10, 0.8 + 0.005 * step)
            for place in range(min(1 + step // 3, 4))
            for shift in [int(rng.integers(0, 2))]
        ]
        masks = [
            replace(mask, record=replace(mask.record, candidate=int(rng.integers(0, 3))))
            for mask in masks
        ]
        rng.shuffle(masks)
        for mask, label_id in zip(masks, label_ids.of(masks), strict=True):
            place = round(mask.span[1].start - 30)
            assert colors.setdefault(place, label_id) == label_id
