"""Arrays as stacks: along any axis, in colors, and read one slice at a time."""

import doctest
from importlib import import_module

import dask.array
import numpy as np
import pytest
import zarr

from napari_sam.session import ImageError, stack_planes

FILM = np.arange(4 * 3 * 5 * 6, dtype=np.uint8).reshape(4, 3, 5, 6)


def as_zarr(array):
    stored = zarr.create_array({}, shape=array.shape, chunks=(1, 1, 5, 4), dtype=array.dtype)
    stored[:] = array
    return stored


@pytest.mark.parametrize("convert", [np.asarray, as_zarr, dask.array.from_array])
def test_the_planes_of_any_array_along_an_axis(convert):
    film = convert(FILM)
    through_time, through_depth = stack_planes(film, position=(2,)), stack_planes(film, 1, (3,))
    assert (len(through_time), len(through_depth)) == (4, 3)
    for planes, slices in ((through_time, FILM[:, 2]), (through_depth, FILM[3])):
        for plane, pixels in zip(planes, slices, strict=True):
            np.testing.assert_array_equal(plane.read(1024)[..., 0], pixels)


def test_a_slice_is_read_when_its_pixels_are():
    read = []

    def block(block_info):
        read.append(block_info[None]["chunk-location"][0])
        return np.full((1, 8, 9, 3), 7, np.uint8)

    frames = dask.array.map_blocks(block, chunks=((1,) * 2000, 8, 9, 3), dtype=np.uint8)
    planes = stack_planes(frames, is_rgb=True)
    assert (len(planes), planes[1234].shape) == (2000, (8, 9))
    read.clear()
    assert (planes[1234].read(1024) == 7).all()
    assert set(read) == {1234}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"axis": 2}, "has no axis 2"),
        ({"axis": 1, "is_rgb": True}, "has no axis 1"),
        ({"position": (3,)}, "is no position"),
        ({"position": (0, 0)}, "is no position"),
    ],
)
def test_what_an_array_does_not_have_is_refused(options, words):
    with pytest.raises(ImageError, match=words):
        stack_planes(FILM, **options)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["stack", "propagation.propagate"])
def test_the_examples_run(module):
    results = doctest.testmod(import_module(f"napari_sam.session.{module}"))
    assert results.attempted >= 3
    assert results.failed == 0
