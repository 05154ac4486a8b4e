import json

import geojson
import numpy as np
import pytest
import shapely

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    ObjectClass,
    read_geojson,
    read_prompts,
    write_geojson,
)
from tests.formats.cases import assert_same

SQUARE = [[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]


def write(tmp_path, content):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def feature(geometry=None, **properties):
    geometry = geometry or {"type": "Polygon", "coordinates": [SQUARE]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_annotations_come_back(tmp_path, annotations):
    write_geojson(tmp_path / "a.geojson", annotations)
    read = read_geojson(tmp_path / "a.geojson")
    assert_same(read, annotations)
    assert read.image == annotations.image


def test_slices_come_back(tmp_path, stack):
    write_geojson(tmp_path / "a.geojson", stack)
    assert_same(read_geojson(tmp_path / "a.geojson"), stack)


def test_it_is_valid_and_holds_exactly_the_pixels(tmp_path, annotations):
    write_geojson(tmp_path / "a.geojson", annotations)
    content = geojson.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert content.is_valid
    rows, columns = np.mgrid[:17, :19] + 0.5
    for entry, obj in zip(content.features, annotations.objects, strict=True):
        assert entry.geometry.is_valid
        shape = shapely.geometry.shape(entry.geometry)
        assert shapely.is_valid_reason(shape) == "Valid Geometry"
        for part in getattr(shape, "geoms", [shape]):
            assert part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)
        expected = np.zeros((17, 19), bool)
        expected[obj.region] = obj.mask
        np.testing.assert_array_equal(shapely.contains_xy(shape, columns, rows), expected)


def test_qupath_finds_what_it_looks_for(tmp_path, stack):
    """The members that QuPath's type adapters read, of the types that they expect."""
    write_geojson(tmp_path / "a.geojson", stack, object_type="detection")
    content = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    for entry, obj in zip(content["features"], stack.objects, strict=True):
        t, z = obj.slice_index
        assert entry["geometry"]["plane"] == {"c": -1, "z": z, "t": t}
        properties = entry["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] == obj.class_name
        assert len(properties["classification"]["color"]) == 3
        numbers = {"label_id": obj.label_id, "parent_id": obj.parent_id or None}
        numbers |= {"confidence": obj.confidence}
        given = {key: number for key, number in numbers.items() if number is not None}
        assert properties["measurements"] == given


@pytest.mark.parametrize("classification", [" ", {"name": " "}, {"names": []}, {}, None])
def test_a_classification_without_a_name_is_no_class(tmp_path, classification):
    path = write(tmp_path, {"features": [feature(classification=classification)]})
    (read,) = read_geojson(path, ImageInfo((5, 6))).objects
    assert read.class_name is None


@pytest.mark.parametrize(
    ("classification", "expected"),
    [
        ({"name": "Tumor", "color": [200, 0, 10]}, ObjectClass.from_rgb("Tumor", (200, 0, 10))),
        (
            {"names": ["Cell", "CD8"], "color": [1, 2, 3]},
            ObjectClass.from_rgb("Cell: CD8", (1, 2, 3)),
        ),
        ({"name": "Tumor", "colorRGB": -3670006}, ObjectClass.from_rgb("Tumor", (200, 0, 10))),
    ],
)
def test_classes_of_qupath_are_read(tmp_path, classification, expected):
    path = write(tmp_path, {"features": [feature(classification=classification)]})
    read = read_geojson(path, ImageInfo((5, 6)))
    assert read.classes == (expected,)
    assert read.objects[0].class_name == expected.name


def test_files_of_others_are_read(tmp_path):
    holed = [SQUARE, [[1.6, 1.6], [2.4, 1.6], [2.4, 2.4]], [[2, 2], [3, 2], [3, 3], [2, 3]]]
    features = [
        feature({"type": "Polygon", "coordinates": holed}, classification="cell"),
        feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [[[4, 4], [9, 4], [9, 9]]]]}),
        feature(measurements=[{"name": "label_id", "value": 9.0}, {"name": "score", "value": 0.5}]),
        feature({"type": "Polygon", "coordinates": [[[8, 8], [9, 8], [9, 9]]]}),  # outside
        {**feature(), "properties": None},
    ]
    read = read_geojson(write(tmp_path, features), ImageInfo((5, 6)))
    areas = {obj.label_id: obj.area_px for obj in read.objects}
    assert areas == {9 + 1: 3, 9 + 2: 6, 9: 4, 9 + 5: 4}  # above the obj that is given
    assert read.objects[0].class_name == "cell"
    assert read.objects[2].score == 0.5
    alone = read_geojson(write(tmp_path, features[2]), ImageInfo((5, 6)))
    assert [obj.label_id for obj in alone.objects] == [9]


@pytest.mark.parametrize("plane", [{"c": -1, "z": 0, "t": 1}, {"t": 1}, None])
def test_planes_of_qupath_may_be_on_all_channels(tmp_path, plane):
    geometry = {"type": "Polygon", "coordinates": [SQUARE], "plane": plane}
    read = read_geojson(write(tmp_path, [feature(geometry)]), ImageInfo((2, 3, 1, 5, 6)))
    assert [obj.slice_index for obj in read.objects] == [(1 if plane else 0, 0, 0)]


def test_what_is_no_area_is_refused(tmp_path):
    image = ImageInfo((5, 6))
    line = feature({"type": "LineString", "coordinates": SQUARE})
    with pytest.raises(FileError, match="LineString"):
        read_geojson(write(tmp_path, {"features": [line]}), image)
    with pytest.raises(FileError, match="give the image"):
        read_geojson(write(tmp_path, {"features": [feature()]}))
    for content in ([1], {"features": [{}]}, 5, {"features": [feature({"type": "Polygon"})]}):
        with pytest.raises(FileError, match="is not GeoJSON"):
            read_geojson(write(tmp_path, content), image)


def test_planes_that_qupath_does_not_have_are_refused(tmp_path):
    image = ImageInfo((2, 3, 3), axes="QYX")
    obj = ExportObject(1, np.ones((1, 1), bool), 0, 0, (1,))
    with pytest.raises(FileError, match="Z, T and C"):
        write_geojson(tmp_path / "a.geojson", Annotations(image, [obj]))


def test_bare_geometries_are_objects(tmp_path):
    square = {"type": "Polygon", "coordinates": [SQUARE]}
    pieces = {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[4, 4], [5, 4], [5, 5]]]]}
    collection = {"type": "GeometryCollection", "geometries": [square, pieces]}
    for content, areas in ((square, [4]), (pieces, [5]), (collection, [4, 5]), ([square], [4])):
        objects = read_geojson(write(tmp_path, content), ImageInfo((5, 6))).objects
        assert [obj.area_px for obj in objects] == areas


@pytest.mark.parametrize("key", ["classification", "class_name", "class", "category", "label"])
def test_classes_of_others_have_several_keys(tmp_path, key):
    entry = {**feature(), "properties": {key: "tumor"}}
    (obj,) = read_geojson(write(tmp_path, {"features": [entry]}), ImageInfo((5, 6))).objects
    assert obj.class_name == "tumor"


@pytest.mark.parametrize(
    "content",
    [None, {}, {"features": None}, [{"data": {}, "annotations": []}], {"a": {"regions": []}}],
)
def test_another_layout_is_told_as_such(tmp_path, content):
    path = write(tmp_path, content)
    for read in (read_geojson, read_prompts):
        with pytest.raises(FileError, match="not GeoJSON, COCO or labelme; export it as one"):
            read(path, ImageInfo((5, 6)))


def test_a_color_may_be_written_with_fractions(tmp_path):
    entry = {
        **feature(),
        "properties": {"classification": {"name": "a", "color": [10.0, 2.0, 3.0]}},
    }
    (described,) = read_geojson(write(tmp_path, {"features": [entry]}), ImageInfo((5, 6))).classes
    assert described.color == "#0a0203"
