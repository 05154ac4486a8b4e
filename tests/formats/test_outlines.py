import numpy as np
import pytest
import shapely

from napari_sam.formats.files import FileError
from napari_sam.formats.outlines import clipped_polygon, fill_rings, joined_ring, trace_outlines

SHAPE = (14, 15)


def random_masks():
    rng = np.random.default_rng(7)
    for _ in range(400):
        mask = rng.random(rng.integers(1, 11, 2)) < rng.random()
        if mask.any():
            yield mask


def all_rings(mask):
    pieces = trace_outlines(mask, top=3, left=2)
    return [ring for piece in pieces for ring in (piece.shell_xy, *piece.holes_xy)]


def filled(rings):
    image = np.zeros(SHAPE, bool)
    found = fill_rings(rings, SHAPE)
    if found is not None:
        mask, top, left = found
        image[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return image


def placed(mask):
    image = np.zeros(SHAPE, bool)
    image[3 : 3 + mask.shape[0], 2 : 2 + mask.shape[1]] = mask
    return image


def test_a_rectangle_has_four_corners_and_a_positive_area():
    (piece,) = trace_outlines(np.ones((2, 3), bool), top=10, left=20)
    assert piece.shell_xy.tolist() == [[20, 10], [23, 10], [23, 12], [20, 12]]
    assert piece.holes_xy == ()
    assert shapely.LinearRing(piece.shell_xy).is_ccw


def test_pixels_that_touch_at_a_corner_are_two_pieces():
    assert len(trace_outlines(np.eye(2, dtype=bool))) == 2


def test_a_hole_that_touches_the_outline_is_a_ring_of_its_own():
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    (piece,) = trace_outlines(mask)
    assert len(piece.shell_xy) == 6
    assert len(piece.holes_xy) == 1
    assert not shapely.LinearRing(piece.holes_xy[0]).is_ccw


def test_polygons_are_valid_and_have_the_masks_area():
    for mask in random_masks():
        pieces = trace_outlines(mask)
        polygons = shapely.MultiPolygon(
            [(piece.shell_xy, list(piece.holes_xy)) for piece in pieces]
        )
        assert shapely.is_valid_reason(polygons) == "Valid Geometry"
        assert polygons.area == mask.sum()


def test_filling_gives_the_mask_back():
    for mask in random_masks():
        np.testing.assert_array_equal(filled(all_rings(mask)), placed(mask))


def test_one_joined_ring_holds_the_same_pixels():
    for mask in random_masks():
        np.testing.assert_array_equal(filled([joined_ring(all_rings(mask))]), placed(mask))


def test_what_lies_outside_the_image_is_cut_off():
    square = np.array([[-5, -5], [5, -5], [5, 5], [-5, 5]])
    expected = np.zeros(SHAPE, bool)
    expected[:5, :5] = True
    np.testing.assert_array_equal(filled([square]), expected)
    np.testing.assert_array_equal(filled([square * 100]), np.ones(SHAPE, bool))
    assert fill_rings([square - 20], SHAPE) is None
    assert fill_rings([square + 20], SHAPE) is None


def test_a_sliver_between_pixel_centers_holds_no_pixel():
    assert fill_rings([np.array([[1.6, 1.6], [2.4, 1.6], [2.4, 2.4]])], SHAPE) is None
    assert fill_rings([], SHAPE) is None


def test_polygons_that_share_an_edge_share_no_pixel():
    cut = [[0, 0], [14, 14]]
    upper, lower = filled([np.array([*cut, [14, 0]])]), filled([np.array([*cut, [0, 14]])])
    assert not (upper & lower).any()
    assert (upper | lower)[:14, :14].all()


def test_coordinates_must_be_finite():
    with pytest.raises(FileError, match="finite"):
        fill_rings([np.array([[0, 0], [np.nan, 1], [1, 1]])], SHAPE)


def test_a_clipped_polygon_holds_the_same_pixels_of_the_rectangle():
    rng = np.random.default_rng(4)
    for _ in range(100):
        corners = rng.random((6, 2)) * 200 - 80
        clipped = clipped_polygon(corners, (-10, -20), (50, 40))
        assert (clipped >= (-10, -20)).all()
        assert (clipped <= (50, 40)).all()
        expected, found = fill_rings([corners], (40, 50)), fill_rings([clipped], (40, 50))
        assert (expected is None) == (found is None)
        if expected is not None:
            np.testing.assert_array_equal(found[0], expected[0])
            assert found[1:] == expected[1:]
