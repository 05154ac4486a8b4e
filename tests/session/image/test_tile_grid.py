"""Tiles that somebody else has laid out."""

from itertools import product

import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.image.tile_grid import TileGrid
from napari_sam.session.image.tiles import Tile

GRID = TileGrid((70, 100), (40, 40), (8, 16), SAM_SPEC)


def test_tiles_reach_into_their_surroundings_as_far_as_the_plane_goes():
    assert GRID.tiles == (
        Tile(0, 0, 0, 48, 56),
        Tile(0, 0, 24, 48, 72),
        Tile(0, 0, 64, 48, 36),
        Tile(0, 32, 0, 38, 56),
        Tile(0, 32, 24, 38, 72),
        Tile(0, 32, 64, 38, 36),
    )
    assert Tile(1, 0, 0, 70, 100) == GRID.whole


def test_a_place_lies_in_the_inner_part_of_its_tile():
    places = product((-3, 0, 39.4, 39.6, 69, 90), (0, 40, 99.5))
    assert [GRID.number_at(x, y) for y, x in places] == [0, 1, 2] * 3 + [3, 4, 5] * 3
    assert GRID.at(0, 50, 50) == GRID.tiles[4]
    assert GRID.at(1, 50, 50) == GRID.whole


@pytest.mark.parametrize("halo", [(0, 0), (3, 1), (30, 30)])
def test_every_place_is_held_by_its_tile(halo):
    grid = TileGrid((70, 100), (40, 40), halo, SAM_SPEC)
    for y, x in product(range(70), range(100)):
        assert grid.around((x, y, x, y), 0) == grid.at(0, x, y)


def test_what_is_too_large_for_a_tile_is_on_the_whole_plane():
    assert GRID.around((10, 10, 90, 60), 0) == GRID.whole
    assert GRID.cuts(GRID.tiles[1], (30, 10, 95.4, 20))
    assert not GRID.cuts(GRID.tiles[1], (30, -0.5, 90, 20))


def test_neighbors():
    assert GRID.neighbors(GRID.tiles[1]) == [GRID.tiles[n] for n in (2, 4, 0)]
    assert GRID.neighbors(GRID.whole) == []


@pytest.mark.parametrize("view", [None, (-20, -20, 120, 90), (45, 30, 60, 45)])
def test_what_is_in_sight_is_a_tile(view):
    assert GRID.in_sight(view) == GRID.tiles[1]


def test_a_plane_smaller_than_a_tile_is_one_tile():
    grid = TileGrid((30, 20), (40, 40), (8, 8), SAM_SPEC)
    assert grid.tiles == (grid.whole,)
    assert grid.around((1, 1, 19, 29), 0) == grid.whole
