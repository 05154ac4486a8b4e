import numpy as np
import pytest
import yaml

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    classes_of,
    find_format,
    read_objects,
    read_yolo,
    read_yolo_classes,
    write_yolo,
    write_yolo_classes,
)
from tests.formats.cases import assert_same, random_objects

DOT = np.ones((1, 1), bool)


def test_masks_and_classes_come_back(tmp_path, annotations):
    write_yolo(tmp_path / "a.txt", annotations)
    write_yolo_classes(tmp_path / "data.yaml", annotations.classes)
    classes = read_yolo_classes(tmp_path / "data.yaml")
    read = read_yolo(tmp_path / "a.txt", annotations.image, classes)
    assert_same(read, annotations, details=False)
    assert [obj.class_name for obj in read.objects] == [
        obj.class_name for obj in annotations.objects
    ]


def test_large_images_come_back_too(tmp_path):
    image = ImageInfo((99_991, 100_003))
    objects = [
        ExportObject(at, obj.mask, obj.top + 99_900, obj.left + 99_900)
        for at, obj in enumerate(random_objects(20, (60, 70), seed=2), start=1)
    ]
    written = Annotations(image, objects)
    write_yolo(tmp_path / "a.txt", written)
    assert_same(read_yolo(tmp_path / "a.txt", image), written)


def test_lines_are_class_and_fractions(tmp_path):
    objects = [
        ExportObject(1, np.ones((2, 3), bool), 0, 1, (), "b"),
        ExportObject(2, DOT, 3, 3, (), "a"),
    ]
    annotations = Annotations(ImageInfo((4, 8)), objects, classes_of(["a", "b"]))
    write_yolo(tmp_path / "a.txt", annotations)
    assert (tmp_path / "a.txt").read_text() == (
        "1 0.125 0 0.5 0 0.5 0.5 0.125 0.5\n0 0.375 0.75 0.5 0.75 0.5 1 0.375 1\n"
    )


def test_one_slice_of_a_stack_is_written(tmp_path, stack):
    with pytest.raises(FileError, match=r"Annotations\.plane"):
        write_yolo(tmp_path / "a.txt", stack)
    plane = stack.plane(stack.objects[0].slice_index)
    write_yolo(tmp_path / "a.txt", plane)
    assert_same(read_yolo(tmp_path / "a.txt", plane.image), plane, details=False)


def test_all_objects_have_a_class_or_none(tmp_path):
    unclassified, classified = ExportObject(1, DOT, 0, 0), ExportObject(2, DOT, 1, 1, (), "a")
    with pytest.raises(FileError, match="have a class or none"):
        write_yolo(tmp_path / "a.txt", Annotations(ImageInfo((3, 3)), [unclassified, classified]))
    write_yolo(tmp_path / "a.txt", Annotations(ImageInfo((3, 3)), [unclassified]))
    assert (tmp_path / "a.txt").read_text().startswith("0 ")


@pytest.mark.parametrize(
    "line",
    ["0 0.1 0.2 0.3", "a 0 0 1 0 1 1", "-1 0 0 1 0 1 1", "0 0 nan 1 0 1 1", "0 10 10 40 10 40 40"],
)
def test_lines_that_are_no_objects_are_refused(tmp_path, line):
    (tmp_path / "a.txt").write_text(f"\n{line}\n")
    with pytest.raises(FileError, match="line 2: it"):
        read_yolo(tmp_path / "a.txt", ImageInfo((9, 9)), classes_of(["a"]))


def test_names_stay_text(tmp_path):
    names = [
        "no",
        "1",
        "細胞 𠮷",
        'a: "b" #c',
        "\\",
        "a\x7fb",
        "\ufeffa",
        "a\x80\x9f\ufffe\x00",
        "🦠",
    ]
    write_yolo_classes(tmp_path / "data.yaml", classes_of(names))
    content = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert content == {"names": dict(enumerate(names))}
    (tmp_path / "data.yaml").write_text("nc: 2\nnames: [cell, debris]\n")
    assert [entry.name for entry in read_yolo_classes(tmp_path / "data.yaml")] == ["cell", "debris"]


DATA_SET = """# of the clinic
path: /data  # where it is
nc: 1
train: images/train
names: [x]
val: images/val
"""


@pytest.mark.parametrize("names", ["names: [x]\n", "names:\n- x\n", "names:\n  0: x\n\n", ""])
def test_what_a_data_set_says_beside_its_classes_is_kept(tmp_path, names):
    path = tmp_path / "data.yaml"
    path.write_text(DATA_SET.replace("names: [x]\n", names))
    for classes in (["a", "b"], ["c"]):
        write_yolo_classes(path, classes_of(classes))
        assert path.read_text().startswith("# of the clinic\npath: /data  # where it is\ntrain: ")
        assert yaml.safe_load(path.read_text()) == {
            "path": "/data",
            "train": "images/train",
            "val": "images/val",
            "nc": len(classes),
            "names": dict(enumerate(classes)),
        }


@pytest.mark.parametrize("content", ["- a\n", "{train: a, names: [x]}\n", "names: [\n"])
def test_a_file_that_is_no_data_set_is_not_replaced(tmp_path, content):
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(FileError, match=r"another name .*data\.yaml"):
        write_yolo_classes(tmp_path / "data.yaml", classes_of(["a"]))
    assert (tmp_path / "data.yaml").read_text() == content


def test_slices_of_a_stack_have_the_classes_of_the_file_beside_them(tmp_path):
    image, classes = ImageInfo((2, 9, 9), "st.tif"), classes_of(["a", "b"])
    obj = ExportObject(1, DOT, 1, 1, (1,), "b")
    find_format("yolo").write(tmp_path / "st.txt", Annotations(image, [obj], classes))
    (read,) = read_objects(tmp_path / "st_z0001.txt", ImageInfo((9, 9))).objects
    assert read.class_name == "b"


def test_objects_without_a_class_do_not_get_one_of_an_earlier_file(tmp_path):
    image, path = ImageInfo((9, 9)), tmp_path / "a.txt"
    for class_name in ("b", None, "object"):
        obj = ExportObject(1, DOT, 1, 1, (), class_name)
        find_format("yolo").write(path, Annotations(image, [obj]))
        (read,) = read_objects(path, image).objects
        assert read.class_name == class_name


@pytest.mark.parametrize("content", ["", "nc: 2", "names: {1: a}", "names: ["])
def test_files_without_names_are_refused(tmp_path, content):
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(FileError, match=r"data\.yaml"):
        read_yolo_classes(tmp_path / "data.yaml")


def test_the_points_of_a_pose_are_no_corners(tmp_path):
    (tmp_path / "a.txt").write_text(
        "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 0\n"
        "0 0.5 0.5 0.5 0.5 0.1 0.1 1 0.9 0.9 0\n"  # occluded
        "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9 0.1 0.5\n"  # a polygon with as many numbers
    )
    pose, occluded, polygon = read_yolo(tmp_path / "a.txt", ImageInfo((4, 8))).objects
    for obj in (pose, occluded):
        assert (obj.left, obj.top, obj.area_px) == (2, 1, 8)
    assert polygon.area_px > 8
