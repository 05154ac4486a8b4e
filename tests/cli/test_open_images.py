"""Files as the command line opens them: what was asked for, whatever napari takes it for."""

import os
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from napari_sam.batch.open_images import OpenError
from napari_sam.cli.open_images import NapariOpener, _reason, check_exists
from napari_sam.session.image.intensity import Intensities
from tests.systems import needs_pipes

DICOM_FOLDER = Path(__file__).parents[1] / "data" / "dicom"


def squares():
    image = np.full((40, 60), 20, np.uint8)
    image[10:30, 20:50] = 200
    return image


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_integers_are_an_image_though_napari_takes_them_for_labels(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "counts.tif", squares().astype(dtype) * 7)
    (image,) = NapariOpener()(str(tmp_path / "counts.tif"))
    assert image.name == "counts"
    assert image.shape == (40, 60)
    seen = image.planes[0].plane.read_whole()[..., 0]
    np.testing.assert_array_equal(np.unique(seen), [0, 255])


def test_the_alpha_of_a_gray_png_is_dropped(tmp_path):
    pixels = np.dstack([squares(), np.full((40, 60), 90, np.uint8)])
    imageio.imwrite(tmp_path / "gray.png", pixels)
    (image,) = NapariOpener()(str(tmp_path / "gray.png"))
    assert image.shape == (40, 60)
    np.testing.assert_array_equal(image.planes[0].plane.read_whole()[..., 0], squares())


@pytest.mark.parametrize(("name", "shape"), [("part_1", (120, 160)), ("part_2", (60, 80))])
def test_a_dicom_file_is_not_another_one_of_its_folder(name, shape):
    file = str(DICOM_FOLDER / f"{name}.dcm")
    (image,) = NapariOpener()(file)
    assert (image.name, image.shape, image.scale) == (name, shape, (0.5, 0.5))
    with pytest.raises(OpenError, match="may read another DICOM file"):
        NapariOpener("napari")(file)


def test_values_are_mapped_as_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    pixels = squares() + rng.random((40, 60), np.float32)
    pixels[3, 3] = 1e30
    tifffile.imwrite(tmp_path / "hot.tif", pixels)
    (plain,), (robust,) = (
        NapariOpener(intensities=intensities)(str(tmp_path / "hot.tif"))
        for intensities in (Intensities.AS_SHOWN, Intensities.PERCENTILES)
    )
    assert np.median(plain.planes[0].plane.read_whole()[10:30, 20:50]) == 0
    assert np.median(robust.planes[0].plane.read_whole()[10:30, 20:50]) > 250


@needs_pipes
def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        for open_image in (check_exists, NapariOpener()):
            with pytest.raises(OpenError, match="a pipe or a device, not a file"):
                open_image(str(path))


def test_folders_and_addresses_are_left_to_the_readers(tmp_path):
    check_exists(str(tmp_path))
    check_exists("https://example.org/image.png")


@pytest.mark.parametrize(
    ("shape_first", "is_planar", "channels"),
    [((), False, -1), ((), True, 0), ((4,), True, 1), ((4,), True, -3)],
)
def test_channels_are_the_colors_of_an_image(tmp_path, shape_first, is_planar, channels):
    pixels = np.stack([squares(), 255 - squares()], axis=0 if is_planar else -1)
    tifffile.imwrite(tmp_path / "two.tif", np.broadcast_to(pixels, shape_first + pixels.shape))
    (image,) = NapariOpener(channels=channels)(str(tmp_path / "two.tif"))
    assert image.shape == (*shape_first, 40, 60)
    seen = image.planes[-1].plane.read_whole()
    np.testing.assert_array_equal(seen[..., 0], squares())
    np.testing.assert_array_equal(seen[..., 1], 255 - squares())


def test_an_axis_without_channels_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((2, 40, 60), np.uint8))
    imageio.imwrite(tmp_path / "gray.png", squares())
    for channels in (1, 3, -4):
        with pytest.raises(OpenError, match="choose another axis with --channels"):
            NapariOpener(channels=channels)(str(tmp_path / "stack.tif"))
    with pytest.raises(OpenError, match="omit --channels"):
        NapariOpener(channels=0)(str(tmp_path / "gray.png"))


@pytest.mark.usefixtures("reader_leaves_file_open")
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.nii", b"xx", "no reader is installed for .nii; install a napari plugin"),
        ("a.czi", b"ZISRAWFILE", "no reader is installed for .czi"),
        ("a.png", b"<!DOCTYPE html>", "damaged or not an image"),
        ("a.csv", b"x,y\n1,1\n", "contains no image"),
        ("a.json", b"{}", "contains no image"),
    ],
)
def test_a_file_that_no_reader_opens_is_told_in_our_words(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OpenError, match=reason) as refusal:
        NapariOpener()(str(tmp_path / name))
    assert "pip install" not in str(refusal.value)


def test_what_a_reader_plugin_is_missing_is_told():
    advice = "aicspylibczi is required to read this file: pip install aicspylibczi"
    assert _reason(ImportError(advice), ".czi") == advice
    assert "files without a suffix" in _reason(ValueError("No plugin found capable of x"), "")
