"""One bad entry never refuses a file: the others are read, and it is counted and named."""

import json
import zipfile

import numpy as np
import pytest
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    LeftOut,
    read_coco,
    read_objects,
    read_prompts,
    write_npz,
)

IMAGE = ImageInfo((24, 32), "scene")
SQUARE = [[1, 1], [5, 1], [5, 5], [1, 5], [1, 1]]
FLAT = [1, 1, 5, 1, 5, 5, 1, 5]


def write(folder, content, name="a.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path, image=IMAGE):
    """Return how many objects were read, and what was left out."""
    annotations = read_objects(path, image)
    return len(annotations.objects), str(annotations.left_out)


def coco(*entries, **members):
    return {
        "images": [{"id": 1, "file_name": "scene.png", "height": 24, "width": 32}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"image_id": 1, "category_id": 1, **entry} for entry in entries],
        **members,
    }


def geojson(*geometries):
    square = {"type": "Polygon", "coordinates": [SQUARE]}
    features = [{"type": "Feature", "geometry": entry} for entry in (square, *geometries)]
    return {"type": "FeatureCollection", "features": features}


def roi(kind, subtype=ROI_SUBTYPE.UNDEFINED, **members):
    return ImagejRoi(roitype=kind, subtype=subtype, top=1, left=1, bottom=5, right=5, **members)


@pytest.mark.parametrize(
    ("geometries", "left_out"),
    [
        (
            [{"type": "MultiPoint", "coordinates": [[5, 5]]}]
            + [{"type": kind, "coordinates": [[0, 0], [5, 5]]} for kind in ["LineString"] * 2],
            "2 lines, 1 point left out",
        ),
        ([None], "1 feature without a geometry left out"),
        (
            [{"type": "GeometryCollection", "geometries": []}],
            "1 feature without a geometry left out",
        ),
        (
            [{"type": "Polygon", "coordinates": [[[99, 99], [120, 99], [99, 120]]]}],
            "1 object without a pixel in the image left out",
        ),
        (
            ["x", {"type": "Polygon"}, {"type": "Curve", "coordinates": []}],
            "3 entries left out (feature 2 contains a value of an unexpected type or form)",
        ),
        (
            [{"type": "Polygon", "coordinates": [[[0, 0], [9, float("nan")], [9, 9]]]}],
            "1 entry left out (feature 2: A polygon has coordinates that are not finite; remove "
            "it)",
        ),
    ],
)
def test_geojson(tmp_path, geometries, left_out):
    assert read(write(tmp_path, geojson(*geometries))) == (1, left_out)


@pytest.mark.parametrize(
    ("entry", "left_out"),
    [
        ({"bbox": [1, 1, 4, 4]}, "1 annotation without a mask left out"),
        ({"segmentation": [FLAT], "image_id": 9}, "1 entry left out (annotation 2: there is no"),
        (
            {"segmentation": {"size": [32, 24], "counts": [768]}},
            "1 entry left out (annotation 2: a run-length encoding belongs to an image of [32, 24]",
        ),
        (
            {"segmentation": {"size": [24, 32], "counts": [5, 2]}},
            "1 entry left out (annotation 2: A run-length encoding has 7 pixels",
        ),
        ({"segmentation": [["a", "b"] * 4]}, "1 entry left out (annotation 2 contains a value"),
        ({"segmentation": {"size": [24, 32], "counts": [768]}}, "1 object without a pixel"),
    ],
)
def test_coco(tmp_path, entry, left_out):
    count, text = read(write(tmp_path, coco({"segmentation": [FLAT]}, entry)))
    assert count == 1
    assert text.startswith(left_out)


@pytest.mark.parametrize("score", ["0.93", 0.93])
@pytest.mark.parametrize("color", ["#FF0000", "#ff0000cc", [255, 0, 0], [255.0, 0.0, 0.0, 255]])
def test_values_that_are_written_otherwise_are_understood(tmp_path, score, color):
    entry = {"segmentation": FLAT, "score": score, "image_id": "1", "category_id": "1"}
    categories = [{"id": 1, "name": "cell", "color": color}]
    (annotations,) = read_coco(write(tmp_path, coco(entry, categories=categories)))
    (obj,) = annotations.objects
    assert (obj.area_px, obj.score, obj.class_name) == (16, 0.93, "cell")
    assert annotations.classes[0].color_rgb == (255, 0, 0)
    assert not annotations.left_out


def test_an_object_is_read_without_the_details_that_make_no_sense(tmp_path):
    strange = {"score": float("nan"), "label_id": "x", "reviewed": "no", "note": None}
    entry = {"segmentation": [FLAT], "category_id": 17, **strange}
    categories = [{"id": 1, "name": "cell", "color": "reddish"}, {"id": 2}, None]
    annotations = read_objects(write(tmp_path, coco(entry, categories=categories)), IMAGE)
    (obj,) = annotations.objects
    assert (obj.class_name, obj.score, obj.reviewed, obj.note) == (None, None, False, "")
    assert [entry.name for entry in annotations.classes] == ["cell"]
    assert str(annotations.left_out).startswith("1 entry left out (category 3 contains")


@pytest.mark.parametrize("members", [{}, {"height": None, "width": "x"}, {"height": 24}])
def test_an_image_without_a_size_is_the_one_that_is_given(tmp_path, members):
    images = [{"id": 1, "file_name": "scene.png", **members}]
    path = write(tmp_path, coco({"segmentation": [FLAT]}, images=images))
    assert read(path) == (1, "")
    with pytest.raises(FileError, match=r"image 1: its height and width .*: a\.json"):
        read_coco(path)
    runs = {"size": [24, 32], "counts": [0, 5, 763]}
    path = write(tmp_path, coco({"segmentation": runs}, images=images))
    assert [entry.image.shape for entry in read_coco(path)] == [(24, 32)]


def test_each_image_tells_what_was_left_out_of_it(tmp_path):
    images = [{"id": at, "file_name": f"{at}.png", "height": 24, "width": 32} for at in (1, 2)]
    images.append({"id": 3})
    entries = [{"segmentation": [FLAT], "image_id": at} for at in (1, 2)]
    boxes = [{"bbox": [1, 1, 2, 2], "image_id": 2}]
    first, second = read_coco(write(tmp_path, coco(*entries, *boxes, images=images)))
    assert first.left_out.counts == {"entry": 1}
    assert second.left_out.counts == {"entry": 1, "annotation without a mask": 1}


def test_imagej_rois(tmp_path):
    broken = roi(ROI_TYPE.RECT).tobytes()
    points = ImagejRoi.frompoints([[1, 1], [4, 4]])
    points.roitype = ROI_TYPE.POINT
    line = roi(ROI_TYPE.LINE, name="axon")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good.roi", roi(ROI_TYPE.RECT).tobytes())
        archive.writestr("good.roi.txt", "no ROI")
        archive.writestr("line.roi", line.tobytes())
        archive.writestr("point.roi", points.tobytes())
        archive.writestr("text.roi", broken[:48] + b"\0\1" + broken[50:])
        archive.writestr("far.roi", roi(ROI_TYPE.OVAL, position=9).tobytes())
        archive.writestr("__MACOSX/._good.roi", b"\0\5\x16\7")
    stack = ImageInfo((3, 24, 32), "scene")
    assert read(tmp_path / "a.zip", stack) == (
        1,
        "1 entry, 1 line, 1 object without a pixel in the image, 1 point, 1 text left out "
        "(the ROI good.roi.txt: cannot be read (ImageJ ROI data too short: 6 < 64 bytes))",
    )


def test_properties_of_rois_that_make_no_sense_are_ignored(tmp_path):
    (tmp_path / "a.roi").write_bytes(
        roi(ROI_TYPE.RECT, props="label_id: x\nscore: high\nclass: cell\n").tobytes()
    )
    (obj,) = read_objects(tmp_path / "a.roi", IMAGE).objects
    assert (obj.class_name, obj.score, obj.label_id) == ("cell", None, 1)


def test_yolo(tmp_path):
    lines = ["0 0.1 0.1 0.9 0.1 0.5 0.9", "cell 0 0 1 0 1 1", "0 0.5", "7 0.5 0.5 0.2 0.2 0.9"]
    text = "\n".join([*lines, "0 9 9 30 9 9 20", ""])
    (tmp_path / "a.yaml").write_text("names: [cell]")
    assert read(write(tmp_path, text, "a.txt")) == (
        2,
        "3 entries left out (line 2: it begins with 'cell' instead of the number of a class)",
    )
    (tmp_path / "a.yaml").write_text("names: 3")
    annotations = read_objects(tmp_path / "a.txt", IMAGE)
    assert [obj.class_name for obj in annotations.objects] == [None, None]
    assert annotations.left_out.counts == {"entry": 4}


def test_npz(tmp_path):
    objects = [ExportObject(at, np.ones((2, 2), bool), at, at, (), "cell") for at in (1, 2)]
    write_npz(tmp_path / "a.npz", Annotations(IMAGE, objects))
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "a.npz", **{**arrays, "label_ids": [1, -2], "scores": [np.inf, 0.5]})
    count, text = read(tmp_path / "a.npz")
    assert (count, text) == (1, "1 entry left out (object 2: A label_id must be 1 or more, not -2)")


@pytest.mark.parametrize(
    ("name", "content", "left_out"),
    [
        ("a.csv", "x,y\n1,2\n1,two\n3\n", "2 entries left out (line 3: 'two' in the column y is"),
        ("a.csv", "x0,y0,x1,y1\n1,2,3,4\n1,2,1,4\n", "1 entry left out (line 3: the box has no"),
        (
            "a.csv",
            "index,shape-type,vertex-index,axis-0,axis-1\n"
            "0,blob,0,1,2\n1,path,0,1,2\n1,path,1,5,2\n",
            "1 entry left out (shape 0 has no 'blob')",
        ),
        ("a.json", coco({"bbox": [1, 2, 3, 4]}, {"bbox": [1, 2]}), "1 entry left out (annotation"),
        (
            "a.geojson",
            geojson({"type": "Polygon", "coordinates": [[[1, 1], [2, 2]]]}),
            "1 entry left out (feature 2",
        ),
        ("a.geojson", geojson(None), "1 feature without a geometry left out"),
        ("a.geojson", geojson({"type": "Curve", "coordinates": []}), "1 entry left out (feature 2"),
        ("a.txt", "0 0.5 0.5 0.2 0.2\n0 0.5\n", "1 entry left out (line 2: it has 1"),
        (
            "a.txt",
            "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0 0.2\n",
            "1 entry left out (line 2: the box has no",
        ),
        ("a.csv", "x,y,axis-foo\n1,2,3\n1,two,3\n", "1 entry left out (line 3: 'two'"),
    ],
)
def test_prompts(tmp_path, name, content, left_out):
    collected = LeftOut()
    prompts = read_prompts(write(tmp_path, content, name), IMAGE, left_out=collected)
    assert len(prompts) == 1
    assert str(collected).startswith(left_out)


def test_a_file_of_which_nothing_can_be_read_is_refused_with_the_first_reason(tmp_path):
    line = {"type": "LineString", "coordinates": [[0, 0], [5, 5]]}
    content = {"type": "FeatureCollection", "features": [{"geometry": line}] * 3}
    with pytest.raises(FileError, match=r"feature 1 is a LineString.*: a\.json"):
        read(write(tmp_path, content))
    with pytest.raises(FileError, match=r"annotation 1 has no mask; use Batch prompts"):
        read(write(tmp_path, coco({"bbox": [1, 1, 4, 4]})))
