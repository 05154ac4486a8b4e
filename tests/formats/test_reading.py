"""Which format a JSON file has, wherever its keys stand."""

import json

import numpy as np
import pytest

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    json_reader,
    read_choices,
    read_objects,
    write_coco,
    write_geojson,
)

IMAGE = ImageInfo((9, 9), "a")
SQUARE = [[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]
FAR = "x" * 2**17  # so that what stands behind it is at neither end


def feature(**properties):
    geometry = {"type": "Polygon", "coordinates": [SQUARE]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def coco(**members):
    return {
        "images": [{"id": 1, "height": 9, "width": 9, "file_name": "a", "license": FAR}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}
        ],
        "licenses": [FAR],
        "categories": [{"id": 1, "name": "cell"}],
        **members,
    }


def write(tmp_path, content, *, mark=""):
    path = tmp_path / "a.json"
    path.write_text(mark + json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_coco_is_known_by_keys_that_are_far_from_both_ends(tmp_path, mark):
    path = write(tmp_path, coco(), mark=mark)
    (obj,) = read_objects(path, IMAGE).objects
    assert (obj.class_name, obj.area_px) == ("cell", 4)
    ((opened,),) = [obj.objects for obj in json_reader(path)()]
    assert opened.area_px == 4


def test_many_slices_of_ours_are_known_as_coco(tmp_path):
    image = ImageInfo((400, 9, 9), "stack.tif")
    dots = [ExportObject(at + 1, np.ones((1, 1), bool), 4, 4, (at,)) for at in range(400)]
    write_coco(tmp_path / "a.json", Annotations(image, dots))
    assert len(read_objects(tmp_path / "a.json", image).objects) == 400


def several(*names, size=9):
    """Return COCO with images of one size, of which each has a square of another width."""
    images = [
        {"id": n, "height": size, "width": size, "file_name": name}
        for n, name in enumerate(names, start=1)
    ]
    squares = [[[1, 1, 1 + n, 1, 1 + n, 2, 1, 2]] for n in range(1, len(names) + 1)]
    annotations = [
        {"image_id": n, "category_id": 1, "segmentation": square}
        for n, square in enumerate(squares, start=1)
    ]
    return coco(images=images, annotations=annotations)


@pytest.mark.parametrize(
    ("image", "names", "width"),
    [("b", (), 2), ("labels", ("b",), 2), ("image", ("/data/x/c.png", "image"), 3)],
)
def test_one_of_several_images_of_a_size_is_found_by_its_names(tmp_path, image, names, width):
    path = write(tmp_path, several("x/a_png.rf.5c1.jpg", "x/b.png", "x/c_png.rf.5c2.jpg"))
    (obj,) = read_objects(path, ImageInfo((9, 9), image), names).objects
    assert obj.mask.shape == (1, width)


def test_images_that_names_do_not_tell_apart_are_offered(tmp_path):
    path = write(tmp_path, several("train/a.png", "val/a.png", "val/b.png"))
    with pytest.raises(FileError, match=r"give the name of one \(train/a.png, val/a.png\)"):
        read_objects(path, IMAGE)
    assert [name for name, _ in read_choices(path, IMAGE)] == ["train/a.png", "val/a.png"]
    names = ["train/a.png", "val/a.png", "val/b.png"]
    assert [name for name, _ in read_choices(path, ImageInfo((9, 9), "c"))] == names


def test_the_objects_of_an_image_of_another_name_do_not_come_for_those_of_another_size(tmp_path):
    content = several("a.png", "b.png")
    content["images"][0] |= {"height": 20, "width": 20}
    with pytest.raises(FileError, match=r"shape \(20, 20\), not \(9, 9\)"):
        read_objects(write(tmp_path, content), IMAGE)
    (obj,) = read_objects(write(tmp_path, content), ImageInfo((9, 9), "c")).objects
    assert obj.mask.shape == (1, 2)


@pytest.mark.parametrize(
    ("axes", "shape", "in_file", "shape_in_file", "slice_in_file", "expected"),
    [
        ("TCZYX", (2, 3, 4, 9, 9), "TZCYX", (2, 4, 3, 9, 9), (1, 3, 2), (1, 2, 3)),
        ("ZTYX", (3, 2, 9, 9), "TZYX", (2, 3, 9, 9), (1, 2), (2, 1)),
        ("ZYX", (3, 9, 9), "TCZYX", (1, 1, 3, 9, 9), (0, 0, 2), (2,)),
        ("TZYX", (3, 1, 9, 9), "ZYX", (3, 9, 9), (2,), (2, 0)),
        ("YX", (9, 9), "ZYX", (1, 9, 9), (0,), ()),
    ],
)
def test_axes_of_a_file_come_in_the_order_of_the_image(
    tmp_path, axes, shape, in_file, shape_in_file, slice_in_file, expected
):
    dot = ExportObject(1, np.ones((1, 1), bool), 4, 4, slice_in_file)
    info = ImageInfo(shape_in_file, "a", in_file)
    write_geojson(tmp_path / "a.json", Annotations(info, [dot]))
    (obj,) = read_objects(tmp_path / "a.json", ImageInfo(shape, "a", axes)).objects
    assert obj.slice_index == expected
    assert obj.top == 4


@pytest.mark.parametrize("image", [{"id": 4}, {"path": "x.svs"}])
def test_an_image_that_does_not_say_its_size_is_not_asked_for_it(tmp_path, image):
    members = {"type": "FeatureCollection", "features": [feature(image=image)], "shape": 1}
    for content in (members, {**members, "image": image}):
        path = write(tmp_path, content)
        assert len(read_objects(path, IMAGE).objects) == 1
        assert json_reader(path) is None


def test_geojson_of_ours_is_known_also_if_its_image_stands_last(tmp_path):
    dot = ExportObject(1, np.ones((1, 1), bool), 4, 4)
    write_geojson(tmp_path / "a.json", Annotations(IMAGE, [dot]))
    content = json.loads((tmp_path / "a.json").read_text())
    content["features"][0]["properties"]["name"] = FAR
    content["image"] = content.pop("image")
    path = write(tmp_path, content)
    ((opened,),) = [obj.objects for obj in json_reader(path)()]
    assert opened.top == 4


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path):
    path, nested = tmp_path / "a.geojson", "[" * 100_000 + "]" * 100_000
    path.write_text(
        '{"type":"FeatureCollection","image":{"shape":[9,9]},"features":' + nested + "}"
    )
    for read in (lambda: read_objects(path, IMAGE), json_reader(path)):
        with pytest.raises(FileError, match=r"nested too deeply: a\.geojson"):
            read()


@pytest.mark.parametrize("text", ["", "[]", '{"images": 3, "annotations": 4}', "no json"])
def test_files_of_others_are_not_read(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert json_reader(tmp_path / "a.json") is None


def test_a_file_about_an_image_whose_sides_are_swapped_tells_of_turned_photographs(tmp_path):
    write_coco(tmp_path / "a.json", Annotations(ImageInfo((4, 9)), ()))
    with pytest.raises(
        FileError, match=r"\(4, 9\), not \(9, 4\); if other programs show the photograph .*EXIF"
    ):
        read_objects(tmp_path / "a.json", ImageInfo((9, 4)))
