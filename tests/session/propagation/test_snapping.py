"""Borders of masks that are moved to where gray values change."""

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ImagePlane
from napari_sam.session.propagation.borders import Border
from napari_sam.session.propagation.evidence import Evidence
from napari_sam.session.propagation.meeting import interpolated_between, overlap
from napari_sam.session.propagation.projection import Projection, _Known
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.session.propagation.snapping import is_at_borders, snapped

SHAPE = (96, 128)


def disc(column, radius):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - 48) ** 2 + (x - column) ** 2 <= radius**2


def plane_of(*discs, seed=0):
    """Return a noisy image in which each disc has its own gray."""
    image = np.full(SHAPE, 60.0)
    for gray, mask in discs:
        image[mask] = gray
    noise = np.random.default_rng(seed).normal(0, 8, SHAPE)
    return ImagePlane((image + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("radius", [18, 22])
def test_a_border_moves_to_the_edges_beside_it(radius):
    """The object is darker than the neighbor that it touches, and brighter than what is around."""
    plane = plane_of((220, disc(88, 24)), (140, disc(50, 20)))
    assert overlap(snapped(tight_crop(disc(50, radius)), plane), tight_crop(disc(50, 20))) > 0.95


def test_a_border_without_edges_stays():
    crop = tight_crop(disc(50, 20))
    assert overlap(snapped(crop, plane_of()), crop) > 0.99
    alike = plane_of((140, disc(50, 20)), (140, disc(80, 24)))
    assert overlap(snapped(crop, alike), crop) > 0.95


def test_the_known_mask_tells_whether_others_end_at_edges():
    plane = plane_of((140, disc(50, 20)))
    radii = {
        radius: is_at_borders(tight_crop(disc(50, radius)), plane) for radius in (16, 18, 20, 22)
    }
    assert radii == {16: False, 18: False, 20: True, 22: False}
    assert not is_at_borders(tight_crop(disc(50, 20)), plane_of())  # nothing is there


def test_between_annotated_slices_borders_are_those_of_the_image():
    planes = [plane_of((140, disc(50, radius)), seed=radius) for radius in (20, 22, 20)]
    ends = [SliceMask(index, tight_crop(disc(50, 20))) for index in (0, 2)]
    (between,) = interpolated_between(planes, *ends, [1])
    assert overlap(between.crop, tight_crop(disc(50, 22))) > 0.97
    ends = [SliceMask(index, tight_crop(disc(50, 17))) for index in (0, 2)]  # well inside
    (between,) = interpolated_between(planes, *ends, [1])
    assert overlap(between.crop, tight_crop(disc(50, 17))) > 0.97


class Answered(Projection):
    """Takes what a model would give as known."""

    def __init__(self, *answers):
        super().__init__(embedder=None)
        self._answers = answers

    def _decoded(self, expected, embedded, cut):
        return iter((tight_crop(mask), 0.8) for mask in self._answers)


def test_a_mask_does_not_spread_to_a_neighbor_unless_the_image_is_more_like_it():
    start, grown = disc(50, 16), disc(52, 20)
    plane = plane_of((140, start))
    known = _Known(Evidence.of(tight_crop(start), plane), 0, Border(is_at_edges=True, walls=None))

    def carried(image, answer):
        before = tight_crop(start)
        return Answered(answer)._surest(1, before, before, None, image, known).crop

    beside = plane_of((140, start), (120, disc(86, 20)))
    assert overlap(carried(beside, start | disc(86, 20)), tight_crop(start)) > 0.9
    assert overlap(carried(plane_of((140, grown)), grown), tight_crop(grown)) > 0.9
