"""The geometry of the tile pyramid."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.tile_choice import initial_tile, refined_tile
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.prompts.prompts import Prompts

SHAPES = [(4096, 4096), (3000, 2600), (40_001, 39_999), (300, 20_000), (1500, 1100), (1300, 1)]


def corners(tile):
    return tile.top, tile.left, tile.top + tile.height, tile.left + tile.width


def levels(pyramid):
    return range(pyramid.whole.level + 1)


@pytest.mark.parametrize("shape", [(300, 256), (1, 1), (7, 306)])
def test_a_small_image_is_one_tile(shape):
    pyramid = TilePyramid(shape, SAM_SPEC)
    assert pyramid.whole == Tile(0, 0, 0, *shape)
    assert pyramid.at(0, 3, 3) == pyramid.whole


@pytest.mark.parametrize("shape", SHAPES)
def test_every_place_lies_in_the_middle_of_a_tile_of_every_level(shape):
    pyramid = TilePyramid(shape, SAM_SPEC)
    rng = np.random.default_rng(0)
    for level in levels(pyramid):
        for y, x in rng.uniform(-0.5, np.array(shape) - 0.5, (200, 2)):
            tile = pyramid.at(level, x, y)
            top, left, bottom, right = corners(tile)
            assert tile.level == level
            assert 0 <= top < bottom <= shape[0]
            assert 0 <= left < right <= shape[1]
            for place, first, end, length in (
                (y, top, bottom, shape[0]),
                (x, left, right, shape[1]),
            ):
                room = (min(tile.side, length) - 1) / 4 - 1
                assert first == 0 or place - first >= room
                assert end == length or end - place >= room


@pytest.mark.parametrize("shape", SHAPES)
def test_levels_double_up_to_the_whole_plane(shape):
    pyramid = TilePyramid(shape, SAM_SPEC)
    sides = [pyramid.at(level, 0, 0).side for level in levels(pyramid)]
    assert sides[0] == min(256, max(shape))
    assert sides[-1] == max(shape)
    assert all(1.2 <= later / earlier <= 2.4 for earlier, later in pairwise(sides))


def test_tiles_of_a_level_are_few_enough_to_be_found_again():
    pyramid = TilePyramid((4096, 4096), SAM_SPEC)
    tiles = {pyramid.at(2, x, 700) for x in range(4096)}
    assert len(tiles) == 7
    assert all(tile.left % 512 == 0 for tile in tiles)


def test_a_box_that_fits_no_tile_of_its_level_has_one_further_up():
    pyramid = TilePyramid((4096, 4096), SAM_SPEC)
    assert pyramid.around((100, 100, 120, 120), 0).level == 0
    assert pyramid.around((100, 100, 1400, 120), 0).level == 3
    assert pyramid.around((0, 0, 4095, 10), 0) == pyramid.whole
    tile = pyramid.around((500, 500, 700, 700), 0)
    assert pyramid.holds(tile, (500, 500, 700, 700))


@pytest.mark.parametrize(
    ("view", "side"),
    [
        ((0, 0, 4096, 4096), 4096),
        ((-9000, -9000, 9000, 9000), 4096),
        ((1000, 1000, 1800, 1700), 1024),
        ((1000, 1000, 1200, 1200), 256),
        ((1000, 1000, 1400, 1400), 512),
        ((1000, 1000, 1010, 1010), 256),
        ((5000, 5000, 6000, 6000), 4096),
        ((float("nan"), 0, 9, 9), 4096),
    ],
)
def test_the_tile_in_sight_is_about_as_large_as_the_view(view, side):
    assert TilePyramid((4096, 4096), SAM_SPEC).in_sight(view).side == side


@pytest.mark.parametrize(
    ("view", "tile"),
    [
        ((1000, 1200, 1499, 1399), Tile(0, 1020, 970, 561, 561)),  # as long as the longer side
        ((300, 300, 320, 310), Tile(0, 178, 182, 256, 256)),  # never smaller than the smallest
        ((-400, -100, 199, 499), Tile(0, 0, 0, 562, 562)),  # what is in sight of the plane
        ((3900, 3900, 5000, 5000), Tile(0, 3840, 3840, 256, 256)),
        ((200, 200, 3900, 3900), TilePyramid((4096, 4096), SAM_SPEC).whole),
        ((5000, 0, 6000, 900), None),
    ],
)
def test_a_fitted_tile_is_hardly_larger_than_the_view(view, tile):
    assert TilePyramid((4096, 4096), SAM_SPEC).fitted(view) == tile


# What an object is decoded on ------------------------------------------------------------------

PYRAMID = TilePyramid((4096, 4096), SAM_SPEC)
CLICK = Prompts(((2000, 2000),), (1,))


class FakePrediction:
    """A mask of a given extent, in the pixels of its tile."""

    iou_predictions = (1.0,)

    def __init__(self, tile, box):
        self.original_size = tile.height, tile.width
        self._tile, self._box = tile, box

    def mask_crop(self, _):
        x0, y0, x1, y1 = self._box
        mask = np.ones((y1 - y0, x1 - x0), bool)
        return mask, y0 - self._tile.top, x0 - self._tile.left


def better(tile, box, is_raised=False, in_sight=None):
    state = ObjectState(CLICK, tile=tile, is_raised=is_raised)
    return refined_tile(
        PYRAMID,
        state,
        Candidates(CLICK, tile, (Candidate(FakePrediction(tile, box), 0, tile),)),
        0,
        in_sight or tile,
    )


def test_a_click_is_decoded_on_what_the_user_sees():
    tile = PYRAMID.in_sight((1500, 1500, 2500, 2500))
    assert initial_tile(PYRAMID, CLICK, tile, None) == tile


def test_a_click_near_the_edge_of_the_view_has_a_tile_of_its_own():
    tile = PYRAMID.in_sight((1500, 1500, 2500, 2500))
    other = initial_tile(PYRAMID, Prompts(((tile.left + 5, 2000),), (1,)), tile, None)
    assert other != tile
    assert other.level == tile.level


def test_a_tiny_box_goes_to_a_finer_tile():
    box = Prompts(box_xyxy=(2000, 2000, 2030, 2020))
    assert initial_tile(PYRAMID, box, PYRAMID.whole, None).side == 256


def test_later_clicks_stay_on_the_tile_until_it_cannot_hold_them():
    tile = PYRAMID.at(2, 2000, 2000)
    near = Prompts(((2000, 2000), (2100, 2100)), (1, 0))
    far = Prompts(((2000, 2000), (3500, 2100)), (1, 1))
    assert initial_tile(PYRAMID, near, PYRAMID.whole, tile) == tile
    tile = initial_tile(PYRAMID, far, PYRAMID.at(0, 2000, 2000), tile)
    assert PYRAMID.holds(tile, far.bounds_xyxy)


def test_a_mask_that_ends_at_a_border_goes_up_and_one_inside_stays():
    tile = PYRAMID.at(2, 2000, 2000)
    top, left, _, right = corners(tile)
    assert better(tile, (left, top + 300, left + 600, top + 600)).level == 3
    assert better(tile, (left + 500, top + 300, right, top + 600)).level >= 3
    assert better(tile, (left + 100, top + 300, left + 600, top + 600)) is None


def test_what_is_cut_off_on_a_finer_tile_goes_to_the_one_in_sight_at_once():
    tile = PYRAMID.at(0, 2000, 2000)
    assert better(tile, (tile.left, 1990, 2010, 2010), in_sight=PYRAMID.whole) == PYRAMID.whole


def test_an_object_begins_where_the_last_one_was_found_well():
    last = PYRAMID.at(0, 1000, 1000)
    tile = initial_tile(PYRAMID, CLICK, PYRAMID.whole, None, last)
    assert tile.level == 0
    assert PYRAMID.holds(tile, CLICK.bounds_xyxy)
    small_view = PYRAMID.at(1, 2000, 2000)
    assert initial_tile(PYRAMID, CLICK, small_view, None, PYRAMID.whole) == small_view


def test_at_the_borders_of_the_image_a_mask_may_end():
    tile = PYRAMID.at(2, 0, 0)
    assert better(tile, (0, 0, 600, 600)) is None


def test_a_few_cells_go_down_unless_it_came_from_there():
    tile = PYRAMID.at(3, 2000, 2000)
    box = (2000, 2000, 2060, 2060)
    assert better(tile, box).level == 1
    assert better(tile, box, is_raised=True) is None
    assert better(PYRAMID.at(0, 2000, 2000), (2000, 2000, 2005, 2005)) is None


def test_no_mask_no_better_tile():
    tile = PYRAMID.at(2, 2000, 2000)
    assert better(tile, (2000, 2000, 2000, 2000)) is None


@pytest.mark.parametrize("shape", [(300, 400), (2300, 5000)])
def test_a_pyramid_has_its_own_tiles_alone(shape):
    pyramid = TilePyramid(shape, SAM_SPEC)
    small = TilePyramid(shape, replace(SAM_SPEC, input_side=128))
    middle = shape[1] / 2, shape[0] / 2
    for level in range(pyramid.whole.level + 1):
        for place in (middle, (0, 0), shape[::-1]):
            tile = pyramid.at(level, *place)
            assert pyramid.has(tile)
            assert not small.has(tile)
    assert not pyramid.has(small.whole)
