"""Notes, reviews and classes in label images, and labels that say which class a pixel has."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    ObjectClass,
    find_format,
    labels_from_objects,
    objects_from_labels,
    read_label_tiff,
    read_objects,
    semantic_labels,
)
from napari_sam.formats.details import annotations_with_details
from tests.formats.cases import NAMES, assert_same

SQUARE = np.ones((2, 2), bool)
CLASSES = (ObjectClass.from_rgb(NAMES[0], (1, 2, 3)), ObjectClass.from_rgb(NAMES[4], (250, 0, 7)))


@pytest.fixture
def annotated():
    """A stack of two slices: two classes, and one object without any."""
    objects = [
        ExportObject(1, SQUARE, 0, 0, (0,), NAMES[0], 0.5, True, f"{NAMES[1]}\n= 3"),
        ExportObject(2, SQUARE, 2, 2, (1,), NAMES[4], None, False, ""),
        ExportObject(9, SQUARE, 4, 4, (1,), score=0.0),
    ]
    return Annotations(ImageInfo((2, 6, 7), "a.tif"), objects, CLASSES)


@pytest.mark.parametrize("key", ["tiff", "ome-tiff"])
def test_label_images_keep_what_is_known_of_objects(tmp_path, annotated, key):
    path = tmp_path / "a.ome.tif"
    find_format(key).write(path, annotated)
    read = read_objects(path, annotated.image)
    assert_same(read, annotated)
    assert read.classes == CLASSES
    bare = replace(annotated, objects=[ExportObject(3, SQUARE, 0, 0, (0,))], classes=())
    find_format(key).write(path, bare)
    assert_same(read_objects(path, annotated.image), bare)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[" * 10**5, '{"label_details": 1}'),
        *(
            json.dumps({"label_details": {"classes": [], "objects": {"1": details}}})
            for details in ({"score": 10**400}, {"score": "x"}, {"class": []}, {"class": 5}, 3)
        ),
    ],
)
def test_details_of_another_form_are_not_read(text):
    image, objects = ImageInfo((6, 7)), (ExportObject(1, SQUARE, 0, 0),)
    assert_same(annotations_with_details(image, objects, text), Annotations(image, objects))


def test_an_entry_of_another_form_leaves_the_details_of_the_others(tmp_path):
    entries = {"1": {"score": "x", "class": "a", "note": 5}, "2": 3, "x": {}, "3": {"score": 0.5}}
    text = json.dumps({"label_details": {"classes": [None, {"name": "a"}], "objects": entries}})
    objects = [ExportObject(at, SQUARE, 0, 0) for at in (1, 2, 3)]
    read = annotations_with_details(ImageInfo((6, 7)), objects, text)
    details = [(obj.class_name, obj.score, obj.note) for obj in read.objects]
    assert details == [("a", None, ""), (None, None, ""), (None, 0.5, "")]


def test_png_keeps_it_for_each_slice(tmp_path, annotated):
    files = find_format("png").write(tmp_path / "a.png", annotated)
    for number, file in enumerate(files):
        plane = annotated.plane((number,))
        assert_same(read_objects(file, plane.image), plane)


def test_many_details_do_not_keep_a_png_from_being_opened(tmp_path):
    labels = np.arange(1, 150 * 150 + 1).reshape(150, 150)
    objects = [
        ExportObject(int(n), np.ones((1, 1), bool), row, column, note=f"{n} " + "x" * 60)
        for (row, column), n in np.ndenumerate(labels)
    ]
    annotated = Annotations(ImageInfo(labels.shape), objects)
    find_format("png").write(tmp_path / "a.png", annotated)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), labels)
    assert read_objects(tmp_path / "a.png", annotated.image).objects[-1].note.startswith("22500 ")


def test_semantic_labels_number_the_classes_in_their_order(tmp_path, annotated):
    labels, legend = semantic_labels(annotated)
    assert labels[0, 0, 0] == 1
    assert (labels[1, 2, 2], labels[1, 4, 4], labels[1, 0, 0]) == (2, 3, 0)
    assert [entry.name for entry in legend] == [NAMES[0], NAMES[4], "without class"]

    tiff, named = find_format("semantic-ome-tiff").write(tmp_path / "a.ome.tif", annotated)
    np.testing.assert_array_equal(read_label_tiff(tiff)[0], labels)
    assert named == tmp_path / "a_classes.csv"
    with named.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"value": "1", "class": NAMES[0], "color": "#010203"}

    *pngs, _ = find_format("semantic-png").write(tmp_path / "b.png", annotated)
    for number, file in enumerate(pngs):
        with Image.open(file) as image:
            np.testing.assert_array_equal(np.asarray(image), labels[number])
            assert image.convert("RGB").getpixel((0, 0)) == (
                (1, 2, 3) if number == 0 else (0, 0, 0)
            )


def test_the_later_of_two_overlapping_classes_has_the_pixels(annotated):
    above = ExportObject(3, SQUARE, 1, 1, (0,), NAMES[4])
    both = replace(annotated, objects=[*annotated.objects, above])
    assert semantic_labels(both)[0][0, 1, 1] == 2


@pytest.mark.parametrize("name", ["a.png", "a.ome.tif"])
def test_pieces_of_a_semantic_image_become_objects_with_the_classes_of_its_legend(tmp_path, name):
    image = ImageInfo((6, 9))
    classes = [ObjectClass.from_rgb("cell", (1, 2, 3)), ObjectClass.from_rgb("unused", (4, 5, 6))]
    objects = [
        ExportObject(1, SQUARE, 0, 0, (), "cell"),
        ExportObject(2, SQUARE, 0, 5, (), "cell"),
        ExportObject(3, SQUARE, 3, 2),
    ]
    key = "semantic-png" if name == "a.png" else "semantic-ome-tiff"
    find_format(key).write(tmp_path / name, Annotations(image, objects, classes))
    read = read_objects(tmp_path / name, image)
    assert [obj.class_name for obj in read.objects] == ["cell", "cell", None]
    assert [(obj.top, obj.left) for obj in read.objects] == [(0, 0), (0, 5), (3, 2)]
    assert list(read.classes) == classes
    legend = tmp_path / "a_classes.csv"
    legend.write_text("value,class,color\n0,background,#000000\n1,cell,blue\n2\n3,\n")
    read = read_objects(tmp_path / name, image)
    assert [obj.class_name for obj in read.objects] == ["cell", "cell", None]
    assert "2 entries left out (line 4 of a_classes.csv" in str(read.left_out)
    legend.write_text("another,table\n")
    assert [obj.label_id for obj in read_objects(tmp_path / name, image).objects] == [1, 3]


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 2, 3)])
def test_semantic_labels_of_any_number_of_axes_are_read(tmp_path, leading):
    labels = np.zeros((*leading, 6, 9), np.uint8)
    labels[..., :2, :2], labels[..., :2, 2:4], labels[..., 4:, 5:] = 1, 2, 1
    objects = objects_from_labels(labels, {1: "a", 2: "b"})
    image, path = ImageInfo(labels.shape), tmp_path / "a.ome.tif"
    find_format("semantic-ome-tiff").write(path, Annotations(image, objects))
    read = read_objects(path, image)
    assert {obj.label_id for obj in read.objects} == {1, 2, 3}  # each goes on along all axes
    assert [obj.class_name for obj in read.objects[:3]] == ["a", "a", "b"]
    again = labels_from_objects(read)
    np.testing.assert_array_equal(np.isin(again, (1, 2)), labels == 1)
    np.testing.assert_array_equal(again == 3, labels == 2)


@pytest.mark.parametrize("key", ["npy", "tiff", "ome-tiff", "png"])
@pytest.mark.parametrize("beside", ["semantic-png", "semantic-ome-tiff"])
def test_labels_beside_a_semantic_image_have_nothing_of_its_legend(tmp_path, key, beside):
    image = ImageInfo((6, 9))
    two_pieces = np.pad(SQUARE, ((0, 0), (0, 4))) | np.pad(SQUARE, ((0, 0), (4, 0)))
    classes = [ObjectClass.from_rgb(name, (1, 2, 3)) for name in ("mitosis", "dead")]
    objects = [
        ExportObject(1, two_pieces, 0, 0, (), "dead"),
        ExportObject(2, SQUARE, 3, 2, (), "dead"),
    ]
    find_format(beside).write(
        tmp_path / f"a{find_format(beside).suffixes[0]}", Annotations(image, objects, classes)
    )
    path = tmp_path / f"a{find_format(key).suffixes[0]}"
    plain = Annotations(image, [replace(obj, class_name=None) for obj in objects])
    find_format(key).write(path, plain)
    assert_same(read_objects(path, image), plain)


def test_a_semantic_png_without_a_mark_is_known_by_the_colors_of_its_legend(tmp_path):
    image = ImageInfo((6, 9))
    objects = [ExportObject(at, SQUARE, 0, 5 * at - 5, (), "cell") for at in (1, 2)]
    written = Annotations(image, objects, [ObjectClass.from_rgb("cell", (1, 2, 3))])
    find_format("semantic-png").write(tmp_path / "a.png", written)
    with Image.open(tmp_path / "a.png") as with_mark:
        pixels, palette = np.asarray(with_mark), with_mark.getpalette()
    for colors, expected in ((palette, ["cell", "cell"]), ([0, 0, 0, 9, 9, 9], [None])):
        without_mark = Image.fromarray(pixels)
        without_mark.putpalette(colors)
        without_mark.save(tmp_path / "a.png")
        read = read_objects(tmp_path / "a.png", image)
        assert [obj.class_name for obj in read.objects] == expected


def test_a_damaged_file_is_told_as_such(tmp_path):
    image = ImageInfo((6, 9))
    path = tmp_path / "a.ome.tif"
    obj = ExportObject(1, SQUARE, 0, 0)
    find_format("ome-tiff").write(path, Annotations(image, [obj]))
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        (offset,), (count,) = tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts
    path.write_bytes(content[:offset] + b"\xff" * count + content[offset + count :])
    with pytest.raises(FileError, match=r"cannot be read .*: a\.ome\.tif"):
        read_objects(path, image)
