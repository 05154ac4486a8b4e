import numpy as np
import pytest
from skimage import data

from napari_sam.session import ImageError, ImagePlane
from napari_sam.session.image.intensity import ImageRange, Intensities
from napari_sam.session.image.tiles import Tile

INF, NAN = np.inf, np.nan


def read_gray(values, dtype, contrast_limits=None):
    """Read a plane of one row; returns the gray values, having seen that all colors agree."""
    plane = ImagePlane(np.array([values], dtype), contrast_limits=contrast_limits)
    image = plane.read(1024)
    assert image.shape == (1, len(values), 3)
    assert image.dtype == np.uint8
    assert (image == image[..., :1]).all()
    return image[0, :, 0].tolist()


def read_colors(pixel, dtype):
    image = ImagePlane(np.array([[pixel]], dtype), is_rgb=True).read(1024)
    assert image.shape == (1, 1, 3)
    assert image.dtype == np.uint8
    return image[0, 0].tolist()


def test_uint8_is_itself_by_default_and_under_the_full_limits():
    every = list(range(256))
    assert read_gray(every, np.uint8) == every
    assert read_gray(every, np.uint8, (0, 255)) == every


def test_uint8_is_not_stretched_by_default():
    assert read_gray([10, 20], np.uint8) == [10, 20]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([False, True], bool, [0, 255]),
        ([0, 257, 65535], np.uint16, [0, 1, 255]),
        ([-(2**31), 0, 2**31 - 1], np.int32, [0, 128, 255]),
        ([0, 2**64 - 1], np.uint64, [0, 255]),
        ([-128, 127], np.int8, [0, 255]),
        ([0.25, 0.5, 0.75], np.float16, [0, 128, 255]),
        ([NAN, -INF, INF, 1, 3, 2], np.float32, [0, 0, 255, 0, 255, 128]),
        ([-1.7e308, 0, 1.7e308], np.float64, [0, 128, 255]),
        ([0, 5e-324], np.float64, [0, 0]),
        ([1, 1 + 2**-52], np.float64, [0, 255]),
        ([0, 1e-310], np.float64, [0, 255]),
    ],
)
def test_gray_is_stretched_over_its_finite_values(values, dtype, expected):
    assert read_gray(values, dtype) == expected


def test_every_uint16_value_is_rounded_to_the_nearest():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(every / 257).astype(int)
    image = ImagePlane(every, contrast_limits=(0, 65535)).read(1024)
    np.testing.assert_array_equal(image[..., 0], expected)


@pytest.mark.parametrize(
    ("dtype", "limits", "expected"),
    [
        (np.uint8, (50, 100), [0, 0, 128, 255, 255]),
        (np.float32, (50, 100), [0, 0, 128, 255, 255]),
        (np.uint16, (0, 1e300), [0, 0, 0, 0, 0]),
        (np.uint8, (-1e300, 1e300), [128] * 5),
        (np.float64, (75, 75 + 1e-12), [0, 0, 0, 255, 255]),
        (np.uint16, (100, 50), [0] * 5),  # reversed: nothing can be seen
        (np.uint16, (100, 100), [0] * 5),
        (np.uint8, (NAN, 100), [0, 50, 75, 100, 200]),  # as without limits
        (np.uint16, (0, INF), [0, 64, 96, 128, 255]),
    ],
)
def test_contrast_limits_say_what_is_black_and_white(dtype, limits, expected):
    assert read_gray([0, 50, 75, 100, 200], dtype, limits) == expected


def test_huge_values_beyond_narrow_limits_are_black_and_white():
    assert read_gray([-1e308, 1e308, INF, NAN], np.float64, (0, 1e-300)) == [0, 255, 255, 0]


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_plane_without_a_finite_value_can_be_read(value):
    assert read_gray([value, value], np.float32) == ([0, 0] if np.isnan(value) else [255, 255])


def test_a_constant_plane_is_black():
    assert read_gray([7, 7], np.uint16) == [0, 0]


@pytest.mark.parametrize(
    ("pixel", "dtype", "expected"),
    [
        ((1, 2, 3), np.uint8, [1, 2, 3]),
        ((1, 2, 3, 0), np.uint8, [1, 2, 3]),
        ((0, 257, 65535), np.uint16, [0, 1, 255]),
        ((0, 0.5, 1, 0.1), np.float32, [0, 128, 255]),
        ((-1, NAN, INF), np.float64, [0, 0, 255]),
        ((False, True, False), bool, [0, 255, 0]),
        ((-5, 0, 32767), np.int16, [0, 0, 255]),
    ],
)
def test_colors_keep_their_own_range(pixel, dtype, expected):
    assert read_colors(pixel, dtype) == expected


def test_colors_are_not_stretched_by_contrast_limits():
    colors = np.array([[[10, 20, 30]]], np.uint8)
    image = ImagePlane(colors, is_rgb=True, contrast_limits=(0, 40)).read(1024)
    np.testing.assert_array_equal(image, colors)


def test_reading_leaves_the_data_alone():
    data = np.array([[NAN, INF, 1, 2]], np.float64)
    before = data.copy()
    ImagePlane(data).read(1024)
    np.testing.assert_array_equal(data, before)


def test_shape_is_height_and_width():
    assert ImagePlane(np.zeros((4, 5, 3)), is_rgb=True).shape == (4, 5)
    assert ImagePlane(np.zeros((1, 1))).shape == (1, 1)


def test_building_reads_no_pixels():
    class Lazy:
        shape, dtype = (4, 5), np.dtype(np.uint8)
        reads = 0

        def __getitem__(self, region):
            self.reads += 1
            return np.full(self.shape, 9, self.dtype)[region]

    data = Lazy()
    plane = ImagePlane(data)
    assert data.reads == 0
    assert plane.read(1024).tolist() == np.full((4, 5, 3), 9).tolist()


@pytest.mark.parametrize(
    ("data", "is_rgb", "message"),
    [
        (np.zeros((4, 4), complex), False, r"numpy\.abs"),
        (np.zeros((4, 4), object), False, "object"),
        (np.zeros((4, 4), "datetime64[s]"), False, "datetime64"),
        (np.zeros(4), False, r"\(4,\).*choose one slice"),
        (np.zeros((4, 4, 4)), False, r"\(4, 4, 4\).*is_rgb=True"),
        (np.zeros((4, 4, 10)), True, r"\(4, 4, 10\)"),
        (np.zeros((4, 4)), True, r"\(4, 4\).*color plane"),
        (np.zeros((0, 4)), False, "empty"),
        (np.zeros((4, 0, 3)), True, "empty"),
    ],
)
def test_what_cannot_be_segmented_is_refused_by_name(data, is_rgb, message):
    with pytest.raises(ImageError, match=message) as refusal:
        ImagePlane(data, is_rgb=is_rgb, name="my image")
    assert "'my image'" in str(refusal.value)


@pytest.mark.parametrize("shape", [(60, 80), (2500, 1800)])
def test_a_few_extreme_values_that_hide_all_others_are_told(shape):
    pixels = np.random.default_rng(1).normal(100, 20, shape).astype(np.float32)
    pixels[5, 7] = 1e30
    plane = ImagePlane(pixels, name="radiograph")
    warning = plane.contrast_warning(plane.read(1024))
    assert warning.startswith("Nearly all pixels of 'radiograph' look the same to SAM")
    assert "--values robust" in warning
    range_of_most = ImageRange(Intensities.PERCENTILES, pixels)
    robust = ImagePlane(pixels, image_range=range_of_most)
    assert robust.contrast_warning(robust.read(1024)) == ""


def test_one_hot_pixel_that_leaves_ten_gray_levels_is_told():
    pixels = data.coins().astype(np.uint16) * 10
    pixels[5, 7] = 65535
    plane = ImagePlane(pixels, name="detector")
    assert "'robust percentiles'" in plane.contrast_warning(plane.read(1024))
    without = Tile(2, 100, 100, 128, 128)
    assert plane.contrast_warning(plane.read(1024, without), without) == ""
    corner = Tile(2, 0, 0, 128, 128)
    assert plane.contrast_warning(plane.read(1024, corner), corner) != ""


def test_few_bright_pixels_on_an_empty_ground_are_no_fault():
    pixels = np.zeros((200, 300), np.uint16)
    pixels[50:54, 60:64] = 900
    plane = ImagePlane(pixels)
    assert plane.contrast_warning(plane.read(1024)) == ""
    colors = ImagePlane(np.zeros((20, 30, 3), np.uint8), is_rgb=True)
    assert colors.contrast_warning(colors.read(1024)) == ""
