"""Where an object lies on the next slice."""

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ImagePlane
from napari_sam.session.propagation.shifting import shifted

SHAPE = (160, 200)


def disc(row, column, radius, shape=SHAPE):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def plane(*discs, shape=SHAPE, noise=8):
    pixels = np.full(shape, 60.0)
    for one in discs:
        pixels[disc(*one, shape)] = 160
    pixels += np.random.default_rng(len(discs)).normal(0, noise, shape)
    return ImagePlane(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("shift", [(0, 0), (7, -5), (-10, 10)])
def test_it_follows_the_object(shift):
    before, after = (80, 100, 20), (80 + shift[0], 100 + shift[1], 20)
    crop = tight_crop(disc(*before))
    moved = shifted(crop, plane(before), plane(after))
    assert (moved.top - crop.top, moved.left - crop.left) == pytest.approx(shift, abs=1)


def test_it_stays_where_nothing_tells():
    crop = tight_crop(disc(80, 100, 20))
    flat = ImagePlane(np.full(SHAPE, 60, np.uint8))
    assert shifted(crop, plane((80, 100, 20)), flat)[1:] == crop[1:]
    assert shifted(crop, flat, flat)[1:] == crop[1:]


def test_what_leaves_the_plane_is_cut_off():
    before, after = (80, 22, 20), (80, 12, 20)
    moved = shifted(tight_crop(disc(*before)), plane(before), plane(after))
    assert moved.left == 0
    assert moved.mask.shape[1] == pytest.approx(33, abs=1)


def test_a_large_object_is_compared_on_a_coarser_grid():
    shape = (1800, 1800)
    before, after = (900, 850, 500), (900, 874, 500)
    crop = tight_crop(disc(*before, shape))
    moved = shifted(crop, plane(before, shape=shape), plane(after, shape=shape))
    assert moved.left - crop.left == pytest.approx(24, abs=6)
    assert moved.top - crop.top == pytest.approx(0, abs=6)
