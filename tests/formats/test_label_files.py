import itertools
import os
import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.formats import (
    FORMATS,
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    label_images,
    labels_from_objects,
    read_label_npy,
    read_label_png,
    read_label_tiff,
    read_npz,
    read_objects,
    write_imagej_tiff,
    write_label_npy,
    write_label_png,
    write_npz,
    write_ome_tiff,
)
from tests.formats.cases import NAMES, assert_same


def labels_of(shape, largest):
    labels = np.random.default_rng(0).integers(0, largest, shape, np.int64)
    labels.flat[0] = largest
    return labels


CALIBRATED = {
    "YX": {"pixel_size": (0.5, 0.25), "units": ("micrometer",) * 2},
    "ZYX": {"pixel_size": (2, 0.5, 0.25), "units": ("nanometer",) * 3},
    "TYX": {"pixel_size": (30, 1, 1), "units": ("second", "pixel", "pixel")},
    "TZYX": {"pixel_size": (30, 2, 0.5, 0.5), "units": ("second",) + ("millimeter",) * 3},
}
SHAPES = {"YX": (6, 7), "ZYX": (3, 6, 7), "TYX": (1, 6, 7), "TZYX": (2, 1, 6, 7)}


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("write", [write_imagej_tiff, write_ome_tiff])
def test_tiff_comes_back_with_its_calibration(tmp_path, write, axes):
    labels = labels_of(SHAPES[axes], 300)
    image = ImageInfo(labels.shape, NAMES[0], axes, **CALIBRATED[axes])
    write(tmp_path / "細胞.tif", labels, image)
    read, info = read_label_tiff(tmp_path / "細胞.tif")
    np.testing.assert_array_equal(read, labels)
    assert read.dtype == np.uint16
    assert (info.axes, info.units) == (image.axes, image.units)
    np.testing.assert_allclose(info.pixel_size, image.pixel_size)
    assert info.name == (NAMES[0] if write is write_ome_tiff else "細胞.tif")


@pytest.mark.parametrize(("largest", "dtype"), [(255, "uint8"), (65_535, "uint16")])
def test_imagej_tiff_is_read_by_tifffile(tmp_path, largest, dtype):
    labels = labels_of((2, 3, 6, 7), largest)
    image = ImageInfo(labels.shape, **CALIBRATED["TZYX"])
    write_imagej_tiff(tmp_path / "a.tif", labels, image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_imagej
        assert tiff.series[0].axes == "TZYX"
        assert tiff.series[0].dtype == dtype
        metadata = tiff.imagej_metadata
        np.testing.assert_array_equal(tiff.asarray(), labels)
        assert tiff.pages[0].tags["XResolution"].value == (2, 1)
    assert (metadata["slices"], metadata["frames"]) == (3, 2)
    assert (metadata["unit"], metadata["spacing"], metadata["finterval"]) == ("mm", 2, 30)


@pytest.mark.parametrize("axes", ["TCZYX", "CTZYX", "ZTCYX"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 6, 7), (2, 1, 4, 6, 7), (1, 3, 1, 6, 7)])
def test_imagej_tiff_has_imagejs_order_of_axes_and_comes_back_in_ours(tmp_path, axes, shape):
    labels = labels_of(shape, 300)
    write_imagej_tiff(tmp_path / "a.tif", labels, ImageInfo(shape, axes=axes))
    lengths = dict(zip(axes, shape, strict=True))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        metadata = tiff.imagej_metadata
    keys = {"frames": "T", "slices": "Z", "channels": "C"}
    assert {key: metadata.get(key, 1) for key in keys} == {key: lengths[keys[key]] for key in keys}
    read, info = read_label_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, labels)
    assert info.axes == axes


@pytest.mark.parametrize(
    ("units", "in_file", "expected"),
    [
        (("um", "nm", "um"), {"unit": "um"}, ((2, 0.5e-3, 0.25), ("micrometer",) * 3)),
        (("mm", "um", "um"), {"unit": "um"}, ((2000, 0.5, 0.25), ("micrometer",) * 3)),
        (
            ("px", "um", "um"),
            {"unit": "um", "zunit": "pixel"},
            ((2, 0.5, 0.25), ("pixel", "micrometer", "micrometer")),
        ),
        (
            ("um", "sec", "um"),
            {"unit": "um", "yunit": "sec"},
            ((2, 0.5, 0.25), ("micrometer", "second", "micrometer")),
        ),
    ],
)
def test_imagej_tiff_has_one_unit_where_units_can_be_converted(tmp_path, units, in_file, expected):
    labels = labels_of((3, 6, 7), 9)
    image = ImageInfo(labels.shape, axes="ZYX", pixel_size=(2, 0.5, 0.25), units=units)
    write_imagej_tiff(tmp_path / "a.tif", labels, image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        metadata = tiff.imagej_metadata
    assert {key: metadata[key] for key in metadata if key.endswith("unit")} == in_file
    _, info = read_label_tiff(tmp_path / "a.tif")
    np.testing.assert_allclose(info.pixel_size, expected[0], rtol=1e-6)
    assert info.units == expected[1]


@pytest.mark.parametrize(
    ("axes", "units", "attributes"),
    [
        ("", ("s", "um", "um"), {"PhysicalSizeX", "PhysicalSizeY", "TimeIncrement"}),
        ("ZYX", ("s", "um", "um"), {"PhysicalSizeX", "PhysicalSizeY"}),
        ("TYX", ("um", "um", "um"), {"PhysicalSizeX", "PhysicalSizeY"}),
        ("CYX", ("nm", "um", "um"), {"PhysicalSizeX", "PhysicalSizeY"}),
        ("ZYX", ("um", "s", "um"), {"PhysicalSizeX", "PhysicalSizeZ"}),
    ],
)
def test_ome_has_only_units_that_its_schema_allows(tmp_path, axes, units, attributes):
    labels = labels_of((3, 6, 7), 9)
    write_ome_tiff(tmp_path / "a.tif", labels, ImageInfo(labels.shape, axes=axes, units=units))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    with_units = {key.removesuffix("Unit") for key in pixels if key.endswith("Unit")}
    assert with_units == attributes
    assert pixels.get("TimeIncrementUnit", "s") == "s"
    read, _ = read_label_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("largest", [1, 65_535, 65_536, 2**32 - 1])
def test_ome_tiff_is_valid_and_read_by_tifffile(tmp_path, largest):
    labels = labels_of((3, 6, 7), largest)
    image = ImageInfo(labels.shape, NAMES[4], **CALIBRATED["ZYX"])
    write_ome_tiff(tmp_path / "a.ome.tif", labels, image)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert tiff.is_ome
        np.testing.assert_array_equal(tiff.asarray(), labels)
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.25, "nm")
    assert pixels["PhysicalSizeZ"] == 2
    read, info = read_label_tiff(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(read, labels)
    assert info.name == NAMES[4]


@pytest.mark.parametrize("write", [write_imagej_tiff, write_ome_tiff])
@pytest.mark.parametrize("size", list(itertools.product((1, 3, 5), repeat=2)))
def test_sizes_that_look_like_colors_or_like_nothing_come_back(tmp_path, write, size):
    for stack_shape in ((), (1,), (3,), (4,), (1, 3), (3, 1)):
        labels = labels_of((*stack_shape, *size), 300)
        write(tmp_path / "a.tif", labels, ImageInfo(labels.shape))
        read, info = read_label_tiff(tmp_path / "a.tif")
        np.testing.assert_array_equal(read, labels)
        assert info.axes == ImageInfo(labels.shape).axes


def test_a_plain_tiff_is_read_too(tmp_path):
    labels = labels_of((6, 7), 9).astype(np.int32)
    tifffile.imwrite(tmp_path / "plain.tif", labels)
    read, info = read_label_tiff(tmp_path / "plain.tif")
    np.testing.assert_array_equal(read, labels)
    assert info == ImageInfo((6, 7), "plain.tif")


def test_tiff_says_what_it_cannot_hold(tmp_path):
    image = ImageInfo((6, 7))
    with pytest.raises(FileError, match="OME-TIFF"):
        write_imagej_tiff(tmp_path / "a.tif", labels_of((6, 7), 65_536), image)
    with pytest.raises(FileError, match="but the image has"):
        write_ome_tiff(tmp_path / "a.tif", labels_of((7, 6), 9), image)
    with pytest.raises(FileError, match="32 bits"):
        write_ome_tiff(tmp_path / "a.tif", labels_of((6, 7), 2**32), image)
    with pytest.raises(FileError, match="not QYX; rename"):
        write_imagej_tiff(
            tmp_path / "a.tif", labels_of((3, 6, 7), 9), ImageInfo((3, 6, 7), axes="QYX")
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a\x07b\x00c\ufffe", "a\ud83d", "é 核 <&>\"'/\\ 🦠"])
def test_ome_tiff_is_read_whatever_its_name(tmp_path, name):
    write_ome_tiff(tmp_path / "a.ome.tif", np.eye(5, dtype=np.uint8), ImageInfo((5, 5), name))
    labels, info = read_label_tiff(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(labels, np.eye(5))
    assert info.name == name.translate(dict.fromkeys((0, 7, 65534, 55357), "?"))


def test_frames_without_a_time_stay_without(tmp_path):
    labels = labels_of((3, 6, 7), 9)
    image = ImageInfo(labels.shape, "a.tif", "TYX")
    for write in (write_imagej_tiff, write_ome_tiff):
        write(tmp_path / "a.tif", labels, image)
        assert read_label_tiff(tmp_path / "a.tif")[1] == image


def test_what_is_no_label_image_is_refused(tmp_path):
    for value, name in ((0.5, "half"), (np.nan, "nan"), (2.0**25, "large")):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((4, 5), value, np.float32))
    tifffile.imwrite(tmp_path / "color.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    (tmp_path / "text.tif").write_text("no image")
    tifffile.imwrite(
        tmp_path / "ome.tif", np.zeros((4, 5), np.uint8), description="<OME><Image></OME>"
    )
    photograph = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(photograph).save(tmp_path / "color.png")
    (tmp_path / "text.png").write_text("no image")
    np.save(tmp_path / "float.npy", np.full((4, 5), 0.5))
    np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
    for name in (
        "half.tif",
        "nan.tif",
        "large.tif",
        "color.tif",
        "text.tif",
        "ome.tif",
        "missing.tif",
    ):
        with pytest.raises(FileError):
            read_label_tiff(tmp_path / f"{name}.tif")
    for name in ("color.png", "text.png", "missing.png"):
        with pytest.raises(FileError):
            read_label_png(tmp_path / name)
    for name in ("float.npy", "pickle.npy", "missing.npy"):
        with pytest.raises(FileError):
            read_label_npy(tmp_path / name)
    for name in ("float.npy", "text.png", "missing.npz"):
        with pytest.raises(FileError, match="an NPZ file of objects"):
            read_npz(tmp_path / name)


@pytest.mark.parametrize(("largest", "mode"), [(255, "L"), (65_535, "I;16")])
def test_png_holds_the_numbers(tmp_path, largest, mode):
    labels = labels_of((6, 7), largest)
    write_label_png(tmp_path / "a.png", labels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
    np.testing.assert_array_equal(read_label_png(tmp_path / "a.png"), labels)


@pytest.mark.slow
def test_a_png_may_be_larger_than_pillow_opens_unasked(tmp_path):
    labels = np.zeros((13_500, 13_500), np.uint8)
    labels[5:9, 5:9] = 3
    write_label_png(tmp_path / "a.png", labels)
    (obj,) = read_objects(tmp_path / "a.png", ImageInfo(labels.shape)).objects
    assert (obj.label_id, obj.area_px) == (3, 16)


def test_png_says_what_it_cannot_hold(tmp_path):
    with pytest.raises(FileError, match="65535"):
        write_label_png(tmp_path / "a.png", labels_of((6, 7), 65_536))
    with pytest.raises(FileError, match="one PNG per slice"):
        write_label_png(tmp_path / "a.png", labels_of((2, 6, 7), 9))


@pytest.mark.parametrize("largest", [255, 65_535, 2**32 - 1])
def test_npy_comes_back(tmp_path, largest):
    labels = labels_of((2, 3, 4, 5), largest)
    write_label_npy(tmp_path / "a.npy", labels)
    read = read_label_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(read, labels)
    assert np.iinfo(read.dtype).max == largest


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy"])
def test_one_slice_is_in_memory_while_a_stack_is_written(tmp_path, name):
    square = np.ones((40, 50), bool)
    objects = [ExportObject(n + 1, square, n, 2 * n, (n % 3, n)) for n in range(20)]
    annotations = Annotations(ImageInfo((3, 40, 200, 300), axes="ZTYX"), objects)
    suffix = name.removeprefix("a")
    (file_format,) = (f for f in FORMATS if suffix in f.suffixes and not f.is_semantic)
    tracemalloc.start()
    file_format.write(tmp_path / name, annotations)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = labels_from_objects(annotations)
    assert peak_bytes < expected.nbytes / 2
    read = read_label_npy if suffix == ".npy" else lambda path: read_label_tiff(path)[0]
    np.testing.assert_array_equal(read(tmp_path / name), expected)


def test_npz_loses_nothing(tmp_path, annotations, stack):
    nothing = Annotations(ImageInfo((4, 5)), ())
    for written in (annotations, stack, nothing):
        write_npz(tmp_path / "a.npz", written)
        read = read_npz(tmp_path / "a.npz")
        assert_same(read, written)
        assert read.image == written.image
        assert read.classes == written.classes


def ome_naming(part):
    """Return OME metadata by which the second plane lies in another file."""
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0"><UUID FileName="{name}">{z}</UUID></TiffData>'
        for z, name in enumerate(("a.ome.tif", part))
    )
    return (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="0"><Image ID="I">'
        '<Pixels ID="P" DimensionOrder="XYCZT" Type="uint8" SizeX="5" SizeY="4" SizeZ="2" '
        f'SizeC="1" SizeT="1"><Channel ID="C" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )


def test_pixels_come_from_no_other_folder_and_no_pipe(tmp_path):
    path = tmp_path / "deep" / "a.ome.tif"
    path.parent.mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path.with_name("pipe.tif"))
    path.with_name("script.py").touch()
    other = np.full((4, 5), 7, np.uint8)
    for name in (path.with_name("b.ome.tif"), tmp_path / "b.ome.tif"):
        tifffile.imwrite(name, other)
    for part in ("b.ome.tif", "../b.ome.tif", str(tmp_path / "b.ome.tif"), "pipe.tif", "script.py"):
        description = ome_naming(part)
        tifffile.imwrite(path, other // 7, description=description, metadata=None)
        if part == "b.ome.tif":
            assert np.unique(read_label_tiff(path)[0]).tolist() == [1, 7]
        elif (path.parent / part).exists():
            with pytest.raises(FileError, match="not an image beside"):
                read_label_tiff(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_whole_numbers_of_programs_without_integers_are_labels(tmp_path, dtype, name):
    labels = np.array([[0, 1, 1], [0, 70_000, 2]], dtype)
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, labels, imagej=dtype is np.float32)
    else:
        np.save(tmp_path / name, labels)
    objects = read_objects(tmp_path / name, ImageInfo((2, 3))).objects
    assert [(obj.label_id, obj.area_px) for obj in objects] == [(1, 2), (2, 1), (70_000, 1)]


def test_files_of_cellpose_are_refused_in_words(tmp_path):
    np.save(tmp_path / "a_seg.npy", {"masks": np.ones((2, 3), np.uint16)}, allow_pickle=True)
    with pytest.raises(FileError, match=r"run code; in Cellpose, .*PNG or TIFF.*a_seg\.npy"):
        read_objects(tmp_path / "a_seg.npy", ImageInfo((2, 3)))


RED, BLUE, CLEAR = (255, 0, 0, 255), (0, 0, 200, 255), (9, 9, 9, 0)


@pytest.mark.parametrize(
    ("mode", "pixels"),
    [
        ("RGB", [[(0, 0, 0), RED[:3], BLUE[:3]]]),
        ("RGBA", [[CLEAR, RED, BLUE]]),
        ("RGB", [[(0, 0, 0), (2, 2, 2), (1, 1, 1)]]),
        ("RGBA", [[(2, 2, 2, 0), (2, 2, 2, 255), (1, 1, 1, 255)]]),
        ("LA", [[(2, 0), (2, 255), (1, 255)]]),
    ],
)
def test_each_color_of_a_mask_of_classes_is_an_object(tmp_path, mode, pixels):
    Image.fromarray(np.array(pixels, np.uint8)).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_png(tmp_path / "a.png"), [[0, 2, 1]])


def test_colors_of_a_tiff_are_labels_too(tmp_path):
    pixels = np.array([[(0, 0, 0), RED[:3], BLUE[:3]]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    labels, image = read_label_tiff(tmp_path / "a.tif", (1, 3))
    np.testing.assert_array_equal(labels, [[0, 2, 1]])
    assert image.axes == "YX"


def test_colors_take_little_more_memory_than_is_checked(tmp_path, monkeypatch):
    pixels = np.zeros((2000, 1000, 3), np.uint8)
    pixels[5:9, 5:9] = RED[:3]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression="zlib")
    checked = []
    monkeypatch.setattr(label_images, "require_memory", lambda n_bytes, _: checked.append(n_bytes))
    tracemalloc.start()
    try:
        labels, _ = read_label_tiff(tmp_path / "a.tif")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert labels[5:9, 5:9].all()
    assert peak_bytes < 1.5 * checked[0]


def test_samples_that_are_no_colors_are_refused(tmp_path):
    samples = np.ones((50, 60, 5), np.uint8)
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", samples, **options)
    with pytest.raises(FileError, match=r"an image of shape \(50, 60, 5\)"):
        read_label_tiff(tmp_path / "a.tif", (50, 60))
    with pytest.raises(FileError, match="axes that end in YX, not YXS"):
        read_label_tiff(tmp_path / "a.tif")


def test_a_mask_of_two_values_is_one_object(tmp_path):
    Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_png(tmp_path / "a.png"), [[0, 1, 1]])
