"""The axes that TIFF files name, as they and other programs write them."""

import numpy as np
import pytest
import tifffile

from napari_sam.formats import FileError, ImageInfo
from napari_sam.formats.tiff_axes import calibrated, read_tiff_axes

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


def test_sizes_of_pixels_are_those_of_the_file_where_the_viewer_has_none(tmp_path):
    path, pixels = tmp_path / "vol.tif", PIXELS[:, 0]
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(path, pixels, imagej=True, metadata=metadata, resolution=(2, 2))
    image = calibrated(ImageInfo(pixels.shape), path)
    assert image.pixel_size == (2.0, 0.5, 0.5)
    assert image.units == ("micrometer",) * 3
    known = ImageInfo(pixels.shape, pixel_size=(3, 1, 1))
    assert calibrated(known, path) is known
    assert calibrated(image, tmp_path / "none.tif") is image
    tifffile.imwrite(path, pixels, metadata=None, photometric="minisblack")
    assert calibrated(ImageInfo(pixels.shape), path) == ImageInfo(pixels.shape)
    path.write_bytes(b"II*")
    assert calibrated(ImageInfo(pixels.shape), path) == ImageInfo(pixels.shape)
