import numpy as np
import pytest

from napari_sam.engine.spec import resized_size
from napari_sam.model.transforms import resize_image, scale_boxes, scale_points


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ((1024, 1024), (1024, 1024)),
        ((303, 384), (808, 1024)),
        ((1200, 1800), (683, 1024)),
        ((1, 1), (1024, 1024)),
        ((1, 5000), (1, 1024)),
        ((5000, 1), (1024, 1)),
    ],
)
def test_longest_side_fits(original, expected):
    assert resized_size(original, 1024) == expected


def test_resize_is_antialiased_and_rounds():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 1::2] = 255
    small = resize_image(image, (2, 2))
    assert small.dtype == np.uint8
    assert small.shape == (2, 2, 3)
    assert ((small > 60) & (small < 195)).all()


def test_resize_takes_views():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    expected = resize_image(image[::-1, ::-1].copy(), (8, 10))
    np.testing.assert_array_equal(resize_image(image[::-1, ::-1], (8, 10)), expected)


def test_points_are_scaled_per_axis():
    scaled = scale_points(np.array([[10.0, 20.0], [-1.0, 100.0]]), (100, 200), (512, 1000))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[50, 102.4], [-5, 512]], rtol=1e-6)


def test_boxes_are_turned_round():
    boxes = np.array([[10.0, 20.0, 30.0, 40.0], [30.0, 20.0, 10.0, 40.0]])
    np.testing.assert_array_equal(
        scale_boxes(boxes, (10, 10), (20, 20)), [[20, 40, 60, 80], [20, 40, 60, 80]]
    )
