"""What is black and white, of the whole image; and channels as colors."""

import re
import threading

import numpy as np
import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import ImageError, ImagePlane
from napari_sam.session.embedding.embeddings import thumbnail
from napari_sam.session.image.intensity import ImageRange, Intensities
from napari_sam.session.image.tiles import TilePyramid

NAN, INF = np.nan, np.inf
PERCENTILES, FULL = Intensities.PERCENTILES, Intensities.FULL_RANGE


class Counting:
    """An array that notes which parts of it are read."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.read = []

    def __getitem__(self, region):
        values = self._array[region]
        self.read.append((region, values.size))
        return values


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([3, 9], np.uint8, (0, 255)),
        ([3, 9], np.uint16, (0, 65535)),
        ([3, 9], np.int16, (-32768, 32767)),
        ([True, True], bool, (0, 1)),
        ([3, 9.5], np.float32, (3, 9.5)),
        ([NAN, -INF, 2, 5, INF], np.float16, (2, 5)),
        ([NAN, INF], np.float64, (0, 1)),
    ],
)
def test_full_range_is_that_of_the_type_or_of_the_finite_values(values, dtype, expected):
    assert ImageRange(FULL, np.array([values], dtype)).limits() == expected


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int64])
def test_robust_percentiles_pass_over_a_thousandth_at_both_ends(dtype):
    values = np.arange(100_001).astype(dtype) % 60_001
    values[:50] = np.iinfo(np.uint16).max  # hot pixels
    low, high = ImageRange(PERCENTILES, values[np.newaxis]).limits()
    ordered = np.sort(values.astype(float))
    assert low == pytest.approx(ordered[100], abs=1)
    assert high == pytest.approx(ordered[-101], abs=1)
    assert high < 60_001


def test_percentiles_pass_over_what_is_not_finite():
    values = np.append(np.arange(5001.0), [NAN] * 5000 + [INF] * 5000)
    assert ImageRange(PERCENTILES, values[np.newaxis]).limits() == pytest.approx((5, 4995))


def test_where_nearly_all_is_the_same_the_rest_still_shows():
    values = np.zeros((100, 100), np.uint16)
    values[3, 3] = 40
    assert ImageRange(PERCENTILES, values).limits() == (0, 40)


def test_the_whole_image_counts_whichever_slice_asks():
    stack = np.zeros((5, 20, 20), np.float32)
    stack[4] = 1000
    shared = ImageRange(FULL, stack)
    dark, bright = (ImagePlane(stack[n], image_range=shared).read(1024) for n in (0, 4))
    assert (dark == 0).all()
    assert (bright == 255).all()


def test_it_is_found_once_for_all_tiles_slices_and_threads():
    data = Counting(np.random.default_rng(0).normal(size=(3, 40, 50)))
    shared = ImageRange(PERCENTILES, data)
    assert data.read == []
    shared.limits()
    assert len(data.read) == 3
    threads = [threading.Thread(target=shared.limits) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(data.read) == 3


def test_who_is_made_to_wait_keeps_nobody_else_waiting():
    shared = ImageRange(PERCENTILES, np.random.default_rng(0).normal(size=(3, 40, 50)))
    may_go_on, is_waiting, found = threading.Event(), threading.Event(), []

    def yield_to_foreground():
        is_waiting.set()
        assert may_go_on.wait(60)

    ahead = threading.Thread(target=lambda: found.append(shared.limits(0, yield_to_foreground)))
    ahead.start()
    assert is_waiting.wait(60)
    found.append(shared.limits())
    may_go_on.set()
    ahead.join()
    assert found[0] == found[1]


def test_however_large_the_image_little_of_it_is_read():
    # A view of one number: it takes no memory.
    huge = Counting(np.broadcast_to(np.float32(7), (400, 30_000, 40_000)))
    assert ImageRange(PERCENTILES, huge).limits() == (7, 7)
    assert sum(size for _, size in huge.read) < 2**23
    slices = {region[0] for region, _ in huge.read}
    assert len(slices) > 10
    assert max(slices) - min(slices) > 300
    assert len({str(region[1:]) for region, _ in huge.read}) > 10


def test_who_does_not_want_it_any_more_stops_and_the_next_one_finds_it():
    class StoppedError(Exception):
        pass

    def stop():
        raise StoppedError

    shared = ImageRange(FULL, np.array([[1.0, 2.0]]))
    with pytest.raises(StoppedError):
        shared.limits(0, stop)
    assert shared.limits() == (1, 2)


def test_each_channel_has_a_range_of_its_own():
    data = np.zeros((2, 3, 8, 9), np.float32)
    data[:, 0, 0, 0], data[:, 1, 0, 0], data[1, 2, 0, 0] = 1, 10, -5
    shared = ImageRange(FULL, data, channel_axis=1)
    assert [shared.limits(n) for n in range(3)] == [(0, 1), (0, 10), (-5, 0)]


def test_colors_of_one_image_share_a_range_without_alpha():
    data = np.zeros((4, 5, 4), np.float32)
    data[0, 0] = 1, 2, 4, 99
    shared = ImageRange(FULL, data, is_rgb=True)
    assert shared.limits() == (0, 4)
    image = ImagePlane(data, is_rgb=True, image_range=shared).read(1024)
    assert image[0, 0].tolist() == [64, 128, 255]


# Channels -----------------------------------------------------------------------------------

CHANNELS = np.array([[[0, 10, 40], [20, 30, 60]]], np.uint16)


@pytest.mark.parametrize(
    ("channels", "colors", "expected"),
    [
        ((0, 1, 2), (0, 1, 2), [[0, 64, 255], [128, 191, 255]]),
        ((0, 1, 2), (2, 0, 1), [[255, 0, 64], [255, 128, 191]]),
        ((0, 1), (None, 0, 1), [[0, 0, 64], [0, 128, 191]]),
        ((0, 1), (1, 1, 0), [[64, 64, 0], [191, 191, 128]]),
        ((1,), (None, 1, None), [[64, 64, 64], [191, 191, 191]]),  # one alone is gray
    ],
)
def test_channels_become_colors(channels, colors, expected):
    plane = ImagePlane(
        CHANNELS[..., list(channels)],
        contrast_limits=(0, 40),
        channels=channels,
        colors=colors,
    )
    assert plane.read(1024).tolist() == [expected]
    assert plane.shape == (1, 2)


def test_each_channel_is_stretched_on_its_own_over_the_full_range():
    data = np.moveaxis(CHANNELS.astype(float), -1, 0)
    shared = ImageRange(FULL, data, channel_axis=0)
    plane = ImagePlane(
        CHANNELS.astype(float)[..., 1:], image_range=shared, channels=(1, 2), colors=(1, None, 2)
    )
    assert plane.read(1024).tolist() == [[[0, 0, 0], [255, 0, 255]]]


def test_channels_of_a_large_plane_are_averaged():
    data = np.zeros((2048, 2050, 2), np.uint8)
    data[::2, :, 0] = 200
    plane = ImagePlane(data, contrast_limits=(0, 255), channels=(0, 1), colors=(None, 0, 1))
    image = plane.read(1024)
    assert image.shape == (1024, 1025, 3)
    assert (image == [0, 100, 0]).all()


def test_channels_must_be_as_many_as_the_data_has():
    with pytest.raises(ImageError, match=r"'image' has shape \(1, 2, 3\)"):
        ImagePlane(CHANNELS, channels=(0, 1))


def test_gamma_brightens_or_darkens_what_lies_between_the_limits():
    values = np.array([[0, 64, 255]], np.uint8)
    assert ImagePlane(values, gamma=0.5).read(1024)[0, :, 0].tolist() == [0, 128, 255]
    assert ImagePlane(values, gamma=2).read(1024)[0, :, 0].tolist() == [0, 16, 255]


# What looks the same -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kwargs", "words"),
    [
        (np.full((4, 5), NAN), {}, "all pixels of 'image' are NaN or infinite"),
        (np.array([[NAN, INF], [-INF, NAN]]), {}, "all pixels of 'image' are NaN or infinite"),
        (np.full((4, 5), 7, np.uint16), {}, r"have the same value \(7\)"),
        (np.array([[2.5, NAN]]), {}, r"have the same value \(2\.5\)"),
        (np.full((4, 5, 3), 9, np.uint8), {"is_rgb": True}, r"have the same value \(9, 9, 9\)"),
        (np.array([[1, 2]]), {"contrast_limits": (5, 9)}, "though their values differ"),
        (
            np.stack([np.full((4, 5), 1.5), np.full((4, 5), NAN)], axis=-1),
            {"channels": (0, 3), "colors": (0, 3, None)},
            r"have the same value \(1\.5\)",
        ),
    ],
)
def test_it_is_said_why_all_pixels_look_the_same(data, kwargs, words):
    plane = ImagePlane(data, **kwargs)
    assert re.search(words, plane.uniform_reason(1024, TilePyramid(plane.shape, SAM_SPEC).whole))


# The thumbnail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 1), (1, 1)),
        ((96, 288), (96, 288)),
        ((303, 384), (101, 128)),
        ((1024, 1024), (102, 102)),
        ((1024, 30), (102, 3)),
        ((10, 2000), (1, 333)),
    ],
)
def test_a_thumbnail_is_small_and_keeps_the_proportions(shape, expected):
    image = np.full((*shape, 3), (10, 20, 30), np.uint8)
    small = thumbnail(image)
    assert small.shape == (*expected, 3)
    assert (small == (10, 20, 30)).all()
    assert not np.shares_memory(small, image)
