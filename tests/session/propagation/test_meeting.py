"""What a corrected slice changes of those beside it; a few discs instead of a model."""

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ImagePlane, Origin
from napari_sam.session.propagation.meeting import overlap
from napari_sam.session.propagation.propagate import propagated
from napari_sam.session.propagation.slice_mask import SliceMask

SHAPE, N_SLICES = (80, 160), 12
PLANES = [ImagePlane(np.zeros(SHAPE, np.uint8))] * N_SLICES


def disc(column, radius=15):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return tight_crop((y - 40) ** 2 + (x - column) ** 2 <= radius**2)


class Carried:
    """Carries discs on, at known columns, as far as it knows one."""

    def __init__(self, columns):
        self.columns, self.reached = columns, []

    def outward(self, planes, start, slices, *, is_forced=False):
        for index in slices:
            if index not in self.columns:
                return
            self.reached.append(index)
            yield SliceMask(index, disc(self.columns[index]), Origin.PROPAGATED, 0.8)


def redone(carried, former_columns, annotated=0, corrected=9, planes=PLANES):
    """Return columns and origins of what is between two slices, one of them corrected."""
    former = {
        index: SliceMask(index, disc(column), Origin.PROPAGATED, 0.7)
        for index, column in former_columns.items()
    }
    ends = sorted((annotated, corrected))
    masks = propagated(
        planes,
        {annotated: disc(30), corrected: disc(100)},
        carried,
        first=ends[0] + 1,
        last=ends[1] - 1,
        former=former,
        corrected=[corrected],
    )
    last = {mask.slice_index: mask for mask in masks}
    assert sorted(last) == list(range(ends[0] + 1, ends[1]))
    return {n: (mask.crop.left + 15, mask.origin, mask.confidence) for n, mask in last.items()}


@pytest.mark.parametrize("is_first", [True, False])
def test_what_fits_the_correction_stays(is_first):
    """The object stayed at one place until it was lost, and is carried back until it is there."""
    annotated, corrected = (9, 0) if is_first else (0, 9)
    order = range(1, 9) if is_first else range(8, 0, -1)
    back = dict(zip(order, (90, 70, 50, 30, 30, 30, 30, 30), strict=True))
    carried = Carried(back)
    former = dict(zip(order, (140, 130, 60, 30, 30, 30, 30, 30), strict=True))
    result = redone(carried, former, annotated, corrected)
    assert {n: column for n, (column, *_) in result.items()} == back
    assert carried.reached == list(order)[:4]  # no farther than to where they meet
    kept = list(order)[3:]
    assert [result[n][2] for n in kept] == [0.7] * 5


def planes_with(*columns_of_slices):
    """Return planes with a disc at each column."""
    planes = []
    for columns in columns_of_slices:
        image = np.zeros(SHAPE, np.uint8)
        for column in columns:
            image[disc(column).within(0, 0, SHAPE)] = 200
        planes.append(ImagePlane(image))
    return planes


def test_without_a_meeting_each_mask_counts_near_where_it_comes_from():
    """There are two objects, and the same one was not meant on all slices."""
    carried, former = (dict.fromkeys(range(1, 9), column) for column in (100, 30))
    result = redone(Carried(carried), former, planes=planes_with(*[(30, 100)] * N_SLICES))
    columns = [result[n][0] for n in range(1, 9)]
    assert columns == sorted(columns)
    assert set(columns[:2]) == {30}  # the others are surer
    assert set(columns[5:]) == {100}


def test_what_went_astray_is_left_where_it_did():
    """However well the masks beyond agree with each other."""
    true = 30, 30, 30, 30, 38, 52, 68, 84, 96, 100
    carried = dict(zip(range(8, 0, -1), (*true[8:4:-1], 140, 140, 140, 140), strict=True))
    former = dict(zip(range(1, 9), (*true[1:5], 10, 10, 10, 10), strict=True))
    result = redone(Carried(carried), former, planes=planes_with(*[(n,) for n in true]))
    assert [result[n][0] for n in range(1, 9)] == pytest.approx(true[1:9], abs=5)


def test_where_the_others_agree_they_are_taken():
    """Carried back, the object jumps to another one; it was right where it is interpolated."""
    columns = {index: round(30 + 70 * index / 9) for index in range(1, 9)}
    result = redone(Carried({}), {3: columns[3], 6: 150, 7: 150, 8: 150})
    assert {n: column for n, (column, *_) in result.items()} == pytest.approx(columns, abs=1)
    assert result[8][1] is Origin.INTERPOLATED


def test_what_surely_led_up_to_the_correction_stays():
    """The object divides in the corrected slice: what it is there cannot be carried back."""
    former = {
        n: SliceMask(n, disc(30), Origin.PROPAGATED, 0.5 if n == 6 else 0.9) for n in range(1, 9)
    }

    def kept(corrected):
        annotated = {0: disc(30), 9: corrected}
        span = {"first": 1, "last": 8, "former": former, "corrected": [9]}
        masks = propagated(PLANES, annotated, Carried({}), **span)
        return {mask.slice_index for mask in masks if mask is former[mask.slice_index]}

    assert kept(disc(40, 10)) >= {1, 2, 3, 4, 5}
    former[6] = SliceMask(6, disc(30), Origin.PROPAGATED, 0.9)
    assert kept(disc(40, 10)) == set(range(1, 9))
    assert not kept(disc(100)) >= {7, 8}  # it was astray there


def test_other_slices_are_interpolated():
    former = {4: SliceMask(4, disc(10), Origin.PROPAGATED)}
    masks = propagated(
        PLANES, {3: disc(30), 5: disc(50)}, Carried({}), first=4, last=4, former=former
    )
    assert [(mask.crop.left + 15, mask.origin) for mask in masks] == [(40, Origin.INTERPOLATED)]


def test_the_overlap_of_crops_is_that_of_their_masks():
    assert overlap(disc(50), disc(50)) == 1
    assert overlap(disc(50), disc(90)) == 0
    first, second = disc(50), disc(60)
    planes = [crop.within(0, 0, SHAPE) for crop in (first, second)]
    expected = np.count_nonzero(planes[0] & planes[1]) / np.count_nonzero(planes[0] | planes[1])
    assert overlap(first, second) == pytest.approx(expected)
