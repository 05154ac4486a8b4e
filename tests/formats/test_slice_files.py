"""Stacks in formats that hold one slice in a file: written, and read from any of the files."""

import json
from dataclasses import replace

import numpy as np
import pytest
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
    read_choices,
    read_objects,
    write_geojson,
)
from tests.formats.cases import RING, assert_same

CLASSES = (ObjectClass("cell", "#102030"), ObjectClass("細胞", "#d55e00"))
PIECES = np.pad(np.ones((2, 2), bool), 2)
PIECES[0, 0] = True


@pytest.fixture(params=["ZYX", "TZYX"])
def written(request):
    """Objects on slices in a row, with a gap, in two parts, with a hole; two that touch."""
    image = ImageInfo((2, 4, 20, 30)[-len(request.param) :], "a.tif", request.param)
    before = (1,) * (len(image.shape) - 3)
    spans = {300: (0, 1, 2), 4: (0, 3), 7: (1,), 9: (1, 2), 10: (1, 2)}
    masks = {300: RING, 4: RING, 7: PIECES, 9: np.ones((4, 3), bool), 10: np.ones((4, 3), bool)}
    corners = {300: (0, 0), 4: (0, 8), 7: (8, 0), 9: (12, 10), 10: (12, 13)}
    objects = [
        ExportObject(
            label_id,
            masks[label_id],
            *corners[label_id],
            (*before, z),
            CLASSES[label_id % 2].name,
            parent_id=4 if label_id == 9 else 0,
            origin="propagated",
            confidence=0.5 + z / 8,
        )
        for label_id, span in spans.items()
        for z in span
    ]
    objects.sort(key=lambda obj: (obj.slice_index, obj.label_id))
    return Annotations(image, objects, CLASSES)


@pytest.mark.parametrize("nth", [0, -1])
def test_png_files_of_slices_are_one_stack(tmp_path, written, nth):
    files = find_format("png").write(tmp_path / "a.b.png", written)
    bits = {file.read_bytes()[24] for file in files}
    assert bits == {16}  # for 300, which few slices have
    read = read_objects(files[nth], written.image)
    assert_same(read, written)
    assert read.n_files == len(files) == np.prod(written.image.stack_shape)


def test_no_slice_is_written_where_objects_of_another_one_overlap(tmp_path, written):
    last = written.objects[-1]
    overlapping = replace(written, objects=[*written.objects, replace(last, label_id=11)])
    with pytest.raises(FileError, match="overlap"):
        find_format("png").write(tmp_path / "a.png", overlapping)
    assert not list(tmp_path.iterdir())


def test_png_files_without_details_are_one_stack(tmp_path, written):
    image = written.image
    bare = Annotations(image, objects_from_labels(labels_from_objects(written)))
    files = find_format("png").write(tmp_path / "a.png", bare)
    assert_same(read_objects(files[1], image), bare)
    files[0].unlink()
    missing = read_objects(files[1], image)
    assert missing.n_files == len(files) - 1


def test_semantic_files_of_slices_are_one_stack(tmp_path, written):
    files = find_format("semantic-png").write(tmp_path / "a.png", written)
    whole = find_format("semantic-ome-tiff").write(tmp_path / "b.ome.tif", written)
    read, expected = (read_objects(file, written.image) for file in (files[1], whole[0]))
    assert_same(read, expected)
    # A region that goes on in the next slice is one object there.
    assert len({obj.label_id for obj in read.objects}) < len(read.objects)


def test_yolo_files_of_slices_have_an_object_for_each_line(tmp_path, written):
    files = find_format("yolo").write(tmp_path / "a.txt", written)
    read = read_objects(files[0], written.image)
    assert [obj.label_id for obj in read.objects] == list(range(1, len(written.objects) + 1))
    assert [obj.class_name for obj in read.objects] == [obj.class_name for obj in written.objects]
    labels, truth = (labels_from_objects(content) for content in (read, written))
    np.testing.assert_array_equal(labels > 0, truth > 0)


def test_yolo_without_a_class_for_all_leaves_no_file(tmp_path, written):
    last = replace(written.objects[-1], class_name=None)
    partly = replace(written, objects=(*written.objects[:-1], last))
    with pytest.raises(FileError, match="either all objects have a class or none"):
        find_format("yolo").write(tmp_path / "a.txt", partly)
    assert not list(tmp_path.iterdir())


def test_a_damaged_slice_does_not_keep_the_others_from_being_read(tmp_path, written):
    files = find_format("png").write(tmp_path / "a.png", written)
    files[-1].write_bytes(files[-1].read_bytes()[:40])
    Image.new("L", (5, 5)).save(files[-2])
    read = read_objects(files[0], written.image)
    assert "2 entries left out" in str(read.left_out)
    kept = [obj for obj in written.objects if obj.slice_index[-1] < 2]
    assert_same(read, replace(written, objects=kept))


def test_only_files_of_the_same_stack_are_read(tmp_path, written):
    image = written.image
    files = find_format("png").write(tmp_path / "a.png", written)
    other = Annotations(image, [replace(written.objects[0], label_id=99)])
    find_format("png").write(tmp_path / "b.png", other)
    beyond = files[0].name.replace("z0000", "z0009")
    (tmp_path / beyond).write_bytes(files[0].read_bytes())
    assert 99 not in {obj.label_id for obj in read_objects(files[0], image).objects}
    for name in (beyond, "a.png", "a_c0000.png" if len(image.shape) > 3 else "a_z1.png"):
        (tmp_path / name).write_bytes(files[0].read_bytes())
        with pytest.raises(FileError, match="belongs to an image of shape"):
            read_objects(tmp_path / name, image)


def test_a_single_slice_belongs_to_the_one_that_is_shown(tmp_path, written):
    image = written.image
    shown = (1, 2)[-len(image.stack_shape) :]
    plane = Annotations(ImageInfo(image.plane_shape), [ExportObject(5, RING, 3, 4)])
    write_geojson(tmp_path / "one.json", plane)
    ((_, read),) = read_choices(tmp_path / "one.json", image, (), shown)
    assert_same(read, Annotations(image, [replace(plane.objects[0], slice_index=shown)]))
    assert read.at_slice == shown
    first = "one_z0000.json" if len(shown) == 1 else "one_t0000_z0000.json"
    with pytest.raises(FileError, match=f"name it like {first}, so that it tells its slice"):
        read_objects(tmp_path / "one.json", image)


def test_labelme_files_of_slices_are_one_stack(tmp_path):
    image = ImageInfo((3, 20, 30), "a.tif")
    for z in range(2):
        square = [[2, 2], [8, 2], [8, 6], [2, 6]]
        content = {
            "shapes": [{"label": "cell", "points": square, "shape_type": "polygon"}],
            "imageHeight": 20,
            "imageWidth": 30,
        }
        (tmp_path / f"a_z000{z}.json").write_text(json.dumps(content))
    read = read_objects(tmp_path / "a_z0001.json", image)
    assert [(obj.label_id, obj.slice_index, obj.area_px) for obj in read.objects] == [
        (1, (0,), 24),
        (2, (1,), 24),
    ]
