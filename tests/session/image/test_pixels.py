import numpy as np
import pytest

from napari_sam.session.image.pixels import colors_to_uint8, has_few_levels, means, scaled


def test_leftover_pixels_join_the_last_squares():
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    expected = [
        [pixels[:2, :2].mean(), pixels[:2, 2:4].mean(), pixels[:2, 4:].mean()],
        [pixels[2:, :2].mean(), pixels[2:, 2:4].mean(), pixels[2:, 4:].mean()],
    ]
    np.testing.assert_allclose(means(pixels, 2), expected, atol=0.5)
    assert means(pixels, 1) is pixels


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_values_are_scaled_between_the_limits(dtype):
    values = np.array([0, 100, 200, 300], dtype)
    np.testing.assert_array_equal(scaled(values, (100, 300)), [0, 0, 128, 255])


def test_what_is_no_number_and_limits_without_a_span_become_black():
    np.testing.assert_array_equal(scaled(np.array([np.nan, np.inf]), (0, 1)), [0, 255])
    assert not scaled(np.array([1.0, 2.0]), (2, 2)).any()
    huge = np.finfo(np.float64).max
    np.testing.assert_array_equal(scaled(np.array([-huge, huge]), (-huge, huge)), [0, 255])


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        (np.array([0, 65_535], np.uint16), [0, 255]),
        (np.array([0.0, 0.5, 1.0]), [0, 128, 255]),
        (np.array([False, True]), [0, 255]),
    ],
)
def test_colors_of_any_type(colors, expected):
    np.testing.assert_array_equal(colors_to_uint8(colors), expected)


def test_few_levels_of_a_part_count_only_beside_extreme_values():
    dull = np.full((100, 100), 3, np.uint8)
    assert has_few_levels(dull, is_whole=True)
    assert not has_few_levels(dull, is_whole=False)
    dull[0, 0] = 255
    assert has_few_levels(dull, is_whole=False)
    assert not has_few_levels(np.arange(256, dtype=np.uint8), is_whole=True)
