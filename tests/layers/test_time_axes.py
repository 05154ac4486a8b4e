"""Which axes are time: as their names, their units or the file of the layer say."""

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import layer_source

from napari_sam.layers.time_axes import is_time

PIXELS = np.zeros((3, 2, 8, 9), np.uint8)


def opened(path):
    """Return a layer as napari's reader makes it."""
    with layer_source(path=str(path)):
        return Image(tifffile.imread(path))


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_film_from_a_file_is_known_by_the_axes_of_the_file(tmp_path, kind):
    path = tmp_path / "film.tif"
    for axes, pixels, times in (
        ("TYX", PIXELS[:, 0], [True, False, False]),
        ("ZYX", PIXELS[:, 0], [False, False, False]),
        ("TZYX", PIXELS, [True, False, False, False]),
        ("TCYX", PIXELS, [True, False, False, False]),
    ):
        tifffile.imwrite(path, pixels, metadata={"axes": axes}, **{kind: True})
        layer = opened(path)
        assert [is_time(layer, axis) for axis in range(layer.ndim)] == times
        path.unlink()  # it is read once
        assert is_time(layer, 0) is times[0]
    layer.data = PIXELS[0]  # no axis of this is in the file
    assert not is_time(layer, 0)


def test_names_and_units_say_more_than_a_file(tmp_path):
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, PIXELS[:, 0], metadata={"axes": "TYX"}, imagej=True)
    layer = opened(path)
    layer.axis_labels = ("z", "y", "x")
    assert not is_time(layer, 0)
    layer.units = ("s", "pixel", "pixel")
    assert is_time(layer, 0)
    assert is_time(Image(PIXELS[0], axis_labels=("Frame", "y", "x")), 0)
    path.write_bytes(b"II*\0")
    with layer_source(path=str(path)):
        assert not is_time(Image(PIXELS[:, 0]), 0)
