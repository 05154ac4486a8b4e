"""The axes that TIFF files name, as they and other programs write them."""

import numpy as np
import pytest
import tifffile

from napari_sam.formats import FileError
from napari_sam.formats.tiff_axes import read_tiff_axes

PIXELS = np.zeros((3, 2, 8, 9), np.uint8)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_axes_are_named_by_the_metadata(tmp_path, kind):
    path = tmp_path / "film.tif"
    for axes, pixels in (("TCYX", PIXELS), ("TYX", PIXELS[:, 0]), ("ZYX", PIXELS[:, 0])):
        tifffile.imwrite(path, pixels, metadata={"axes": axes}, **{kind: True})
        lengths = {axis: n for axis, n in read_tiff_axes(path).items() if n > 1}
        assert list(lengths.items()) == list(zip(axes[:-2], pixels.shape, strict=False))


def test_files_without_metadata_name_none_and_others_are_refused(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, PIXELS, metadata=None)
    assert read_tiff_axes(path) == {}
    path.write_bytes(path.read_bytes()[:6])
    with pytest.raises(FileError):
        read_tiff_axes(path)
