import zipfile

import numpy as np
import pytest
import tifffile
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi, roiread, roiwrite

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    read_imagej_rois,
    read_objects,
    write_imagej_rois,
)
from tests.formats.cases import NAMES, RING, assert_same

DOT = np.ones((1, 1), bool)


def test_annotations_come_back(tmp_path, annotations, stack):
    for written in (annotations, stack):
        write_imagej_rois(tmp_path / "a.zip", written)
        assert_same(read_imagej_rois(tmp_path / "a.zip", written.image), written)


def test_roifile_reads_outlines_names_and_colors(tmp_path, annotations):
    write_imagej_rois(tmp_path / "a.zip", annotations)
    rois = roiread(tmp_path / "a.zip")
    ring, rectangle = rois[0], rois[5]
    assert ring.name == f"0001-{NAMES[0]}"
    assert ring.composite
    assert [len(path) for path in ring.coordinates(multi=True)] == [5, 5, 5]
    assert rectangle.roitype == ROI_TYPE.TRACED
    assert rectangle.coordinates().tolist() == [[14, 15], [17, 15], [17, 17], [14, 17]]
    assert (rectangle.left, rectangle.top) == (14, 15)
    assert rectangle.stroke_color == bytes([255, *annotations.classes[0].color_rgb])


def test_names_in_the_zip_are_file_names_and_differ(tmp_path):
    twice = [ExportObject(1, DOT, at, at, (), NAMES[4]) for at in range(2)]
    write_imagej_rois(tmp_path / "a.zip", Annotations(ImageInfo((3, 3)), twice))
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        names = file.namelist()
    assert len(set(names)) == 2
    assert not any(character in name for name in names for character in '/\\:"')


def test_properties_are_escaped_as_java_reads_them(tmp_path):
    obj = ExportObject(3, DOT, 0, 0, (), "𠮷\\é", 0.5)
    write_imagej_rois(tmp_path / "a.zip", Annotations(ImageInfo((3, 3)), [obj]))
    (roi,) = roiread(tmp_path / "a.zip")
    assert roi.props == "label_id: 3\nscore: 0.5\nclass: \\ud842\\udfb7\\\\\\u00e9\n"


@pytest.mark.parametrize(
    ("shape", "axes", "slice_index", "expected"),
    [
        ((4, 3, 3), "ZYX", (2,), (3, 0, 0, 0)),
        ((4, 3, 3), "TYX", (0,), (1, 0, 0, 0)),
        ((2, 4, 3, 3), "TZYX", (1, 2), (0, 0, 3, 2)),
        ((2, 5, 4, 3, 3), "TCZYX", (1, 4, 2), (0, 5, 3, 2)),
    ],
)
def test_positions_count_from_one(tmp_path, shape, axes, slice_index, expected):
    image = ImageInfo(shape, axes=axes)
    written = Annotations(image, [ExportObject(1, RING[:3, :3], 0, 0, slice_index)])
    write_imagej_rois(tmp_path / "a.zip", written)
    (roi,) = roiread(tmp_path / "a.zip")
    assert (roi.position, roi.c_position, roi.z_position, roi.t_position) == expected
    assert_same(read_imagej_rois(tmp_path / "a.zip", image), written)


@pytest.mark.parametrize(
    ("axes", "shape", "position", "slice_index"),
    [
        ("TZYX", (2, 3, 9, 9), 5, (1, 1)),
        ("TZYX", (2, 3, 9, 9), 1, (0, 0)),
        ("ZTYX", (3, 2, 9, 9), 5, (1, 1)),
        ("CZYX", (2, 3, 9, 9), 4, (1, 1)),
        ("TCZYX", (2, 4, 3, 9, 9), 12 + 4 + 3 + 1, (1, 3, 1)),
        ("TCZYX", (1, 1, 3, 9, 9), 2, (0, 0, 1)),
        ("YX", (9, 9), 7, ()),
    ],
)
def test_a_position_alone_counts_channels_first_then_slices_then_frames(
    tmp_path, axes, shape, position, slice_index
):
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, top=1, left=2, bottom=3, right=6, position=position)
    roi.tofile(tmp_path / "a.roi")
    (obj,) = read_imagej_rois(tmp_path / "a.roi", ImageInfo(shape, axes=axes)).objects
    assert obj.slice_index == slice_index


def test_rois_of_others_are_read(tmp_path):
    rectangle = ImagejRoi(roitype=ROI_TYPE.RECT, top=1, left=2, bottom=3, right=6)
    oval = ImagejRoi(roitype=ROI_TYPE.OVAL, top=0, left=0, bottom=20, right=10)
    triangle = ImagejRoi.frompoints([[0.0, 0.0], [4.5, 0.0], [0.0, 4.5]])
    outside = ImagejRoi(roitype=ROI_TYPE.RECT, top=50, left=2, bottom=53, right=6)
    assert triangle.options & ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    roiwrite(tmp_path / "a.zip", [rectangle, outside, oval, triangle], name=["1", "2", "3", "4"])
    read = read_imagej_rois(tmp_path / "a.zip", ImageInfo((30, 30)))
    assert [obj.label_id for obj in read.objects] == [1, 3, 4]
    square, ellipse, three = read.objects
    assert (square.top, square.left, square.mask.shape, square.area_px) == (1, 2, (2, 4), 8)
    rows, columns = np.mgrid[:20, :10]
    inside = ((columns - 4.5) / 5) ** 2 + ((rows - 9.5) / 10) ** 2 < 1
    np.testing.assert_array_equal(ellipse.mask, inside)
    assert three.area_px == 10
    triangle.tofile(tmp_path / "a.roi")
    assert len(read_imagej_rois(tmp_path / "a.roi", ImageInfo((30, 30))).objects) == 1


def test_what_is_no_area_is_refused(tmp_path):
    line = ImagejRoi(roitype=ROI_TYPE.POLYLINE, name="axon")
    line.integer_coordinates = np.zeros((2, 2), np.int32)
    line.n_coordinates = 2
    roiwrite(tmp_path / "line.zip", [line])
    (tmp_path / "text.zip").write_text("no zip")
    whole = ImagejRoi.frompoints([[0, 0], [4, 0], [0, 4]], name="whole").tobytes()
    (tmp_path / "half.roi").write_bytes(whole[:70])
    image = ImageInfo((5, 5))
    with pytest.raises(FileError, match="axon is a polyline and encloses no area"):
        read_imagej_rois(tmp_path / "line.zip", image)
    for name in ("text.zip", "half.roi", "missing.zip"):
        with pytest.raises(FileError, match="cannot be read"):
            read_imagej_rois(tmp_path / name, image)


def test_images_that_rois_cannot_describe_are_refused(tmp_path):
    with pytest.raises(FileError, match="60535"):
        write_imagej_rois(tmp_path / "a.zip", Annotations(ImageInfo((60_536, 3)), ()))
    with pytest.raises(FileError, match="Z, T and C"):
        write_imagej_rois(tmp_path / "a.zip", Annotations(ImageInfo((2, 3, 3), axes="QYX"), ()))
    far = Annotations(ImageInfo((60_535, 60_535)), [ExportObject(1, DOT, 60_534, 60_534)])
    write_imagej_rois(tmp_path / "a.zip", far)
    assert_same(read_imagej_rois(tmp_path / "a.zip", far.image), far)


def test_the_overlay_of_an_image_is_read_instead_of_its_gray_values(tmp_path):
    rectangle = ImagejRoi(roitype=ROI_TYPE.RECT, top=1, left=2, bottom=3, right=6).tobytes()
    line = ImagejRoi(roitype=ROI_TYPE.LINE).tobytes()
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) // 32
    outside = ImagejRoi(roitype=ROI_TYPE.RECT, top=20, left=2, bottom=23, right=6).tobytes()
    for overlay, areas in (([rectangle, line], [8]), ([line], [32]), ([outside], [32])):
        metadata = {"Overlays": overlay, "ROI": overlay[0]}
        tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata=metadata)
        read = read_objects(tmp_path / "a.tif", ImageInfo((8, 8)))
        assert [obj.area_px for obj in read.objects] == areas
        assert str(read.left_out) == ("1 line left out" if areas == [8] else "")
    with pytest.raises(FileError, match="shape"):
        read_objects(tmp_path / "a.tif", ImageInfo((9, 9)))
