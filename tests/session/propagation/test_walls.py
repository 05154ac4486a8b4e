"""Borders of masks that are moved to the walls between objects that are alike."""

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.engine.masks import tight_crop
from napari_sam.session import ImagePlane
from napari_sam.session.propagation.borders import Border
from napari_sam.session.propagation.evidence import Evidence
from napari_sam.session.propagation.meeting import interpolated_between, overlap
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.session.propagation.walls import Walls

SHAPE = (96, 128)


def cell(left, right, top=20, bottom=70):
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def tissue(*cells, wall=60, seed=0):
    """Return an image of cells as gray as their surroundings, with walls around them."""
    image = np.full(SHAPE, 150.0)
    for mask in cells:
        image[ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask)] = wall
    image = ndimage.gaussian_filter(image, 1)
    noise = np.random.default_rng(seed).normal(0, 10, SHAPE)
    return ImagePlane((image + noise).clip(0, 255).astype(np.uint8))


def followed(walls, mask, plane):
    return walls.followed(tight_crop(mask), plane)


@pytest.mark.parametrize("wall", [60, 240])
def test_a_border_moves_to_the_walls_beside_it(wall):
    plane, true = tissue(cell(40, 80), wall=wall), tight_crop(cell(40, 80))
    walls = Walls.of(true, plane)
    for margin in (-4, 4):
        moved = cell(40 - margin, 80 + margin, 20 - margin, 70 + margin)
        assert overlap(tight_crop(moved), true) < 0.75
        assert overlap(followed(walls, moved, plane), true) > 0.94


def test_a_mask_stays_as_far_inside_the_walls_as_the_known_one():
    plane, inside = tissue(cell(40, 80)), tight_crop(cell(42, 78, 22, 68))
    walls = Walls.of(inside, plane)
    assert walls.inside_px == pytest.approx(2, abs=0.5)
    assert overlap(followed(walls, cell(45, 75, 25, 65), plane), inside) > 0.94


def test_there_are_no_walls_where_nothing_or_an_edge_is():
    image = np.where(cell(40, 80), 150, 60)
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    edges = ImagePlane((image + noise).clip(0, 255).astype(np.uint8))
    crop = tight_crop(cell(40, 80))
    assert Walls.of(crop, edges) is None
    assert Walls.of(crop, tissue()) is None
    assert Border.of(crop, edges).is_at_edges
    assert Border.of(crop, tissue(cell(40, 80))).walls is not None
    away = tight_crop(cell(50, 70, 30, 60))  # not drawn along the walls
    assert Walls.of(away, tissue(cell(40, 80))) is None


def test_a_wall_within_a_mask_divides_it():
    """A neighbor has grown into the object, by more than a border may move."""
    before, plane = cell(40, 90), tissue(cell(40, 70), cell(70, 90))
    walls = Walls.of(tight_crop(before), tissue(before))
    assert overlap(followed(walls, before, plane), tight_crop(cell(40, 70))) > 0.93


def test_an_object_between_walls_ends_where_it_would_jump_or_has_no_walls():
    true, plane = cell(40, 80), tissue(cell(40, 80))
    start = Evidence.of(tight_crop(true), plane)
    assert start.confidence_at_walls(start, 0.9) > 0.6
    assert start.confidence_at_walls(start, 0.45) < 0.5
    gone = Evidence.of(tight_crop(true), tissue())
    assert gone.confidence_at_walls(start, 0.9) < 0.5


def test_between_annotated_slices_borders_are_on_the_walls():
    planes = [tissue(cell(40, 80 + grown), seed=grown) for grown in (0, 4, 0)]
    ends = [SliceMask(index, tight_crop(cell(40, 80))) for index in (0, 2)]
    (between,) = interpolated_between(planes, *ends, [1])
    assert overlap(between.crop, tight_crop(cell(40, 84))) > 0.94
