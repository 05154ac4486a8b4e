"""Prompts from the files of detectors, annotation tools and napari itself."""

import json

import numpy as np
import pytest
from napari.layers import Points, Shapes
from napari_builtins.io import napari_write_points as write_points
from napari_builtins.io import napari_write_shapes as write_shapes

from napari_sam.formats import FileError, ImageInfo, PromptKind, read_prompts
from napari_sam.formats.left_out import LeftOut

IMAGE = ImageInfo((303, 384), "coins")
STACK = ImageInfo((5, 303, 384), "stack")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [("x0,y0,x1,y1", ","), ("xmin;ymin;xmax;ymax", ";"), ("X1\tY1\tX2\tY2", "\t")],
)
def test_boxes_of_a_detector(tmp_path, header, delimiter):
    row = delimiter.join(["10", "20.5", "30", "40", "Zelle"])
    path = write(tmp_path / "boxes.csv", f"\ufeff{header}{delimiter}Class\n{row}\n\n")
    (prompt,) = read_prompts(path, IMAGE)
    assert prompt.kind is PromptKind.BOX
    assert prompt.vertices_xy == ((9.5, 20.0), (29.5, 39.5))  # from the corner of the first pixel
    assert prompt.class_name == "Zelle"
    assert prompt.slice_index == ()


def test_points(tmp_path):
    path = write(tmp_path / "points.csv", "id,x,y\n1,10,20\n2,30.5,40\n")
    first, second = read_prompts(path, IMAGE)
    assert (first.kind, first.vertices_xy, first.class_name) == (
        PromptKind.POINT,
        ((10, 20),),
        None,
    )
    assert second.vertices_xy == ((30.5, 40),)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'x,y,class\n1,2,"a\nb "\n'),
        (
            "a.geojson",
            '{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},'
            '"properties":{"class_name":"a\\nb "}}',
        ),
        (
            "a.json",
            '{"annotations":[{"bbox":[1,2,3,4],"category_id":1}],'
            '"categories":[{"id":1,"name":"a\\nb "}]}',
        ),
    ],
)
def test_classes_are_on_one_line(tmp_path, name, text):
    (prompt,) = read_prompts(write(tmp_path / name, text), IMAGE)
    assert prompt.class_name == "a b"


def test_what_napari_saves(tmp_path):
    points = Points([[2, 20, 10], [3, 40, 30]], features={"class": ["a", "b"]})
    saved = write_points(str(tmp_path / "points.csv"), *points.as_layer_data_tuple()[:2])
    first, second = read_prompts(saved, STACK)
    assert (first.vertices_xy, first.slice_index, first.class_name) == (((10, 20),), (2,), "a")
    assert (second.vertices_xy, second.slice_index, second.class_name) == (((30, 40),), (3,), "b")

    shapes = Shapes(ndim=2)
    shapes.add_rectangles([[1, 2], [1, 8], [5, 8], [5, 2]])
    shapes.add_rectangles([[3, 0], [6, 3], [3, 6], [0, 3]])
    shapes.add_ellipses([[1, 2], [1, 8], [5, 8], [5, 2]])
    shapes.add_polygons([[1, 2], [1, 8], [9, 9]])
    shapes.add_paths([[1, 2], [1, 8], [9, 9]])
    saved = write_shapes(str(tmp_path / "shapes.csv"), *shapes.as_layer_data_tuple()[:2])
    found = read_prompts(saved, IMAGE)
    assert [prompt.kind for prompt in found] == ["box", "polygon", "ellipse", "polygon", "line"]
    assert set(found[0].vertices_xy) == {(2, 1), (8, 1), (8, 5), (2, 5)}
    assert found[3].vertices_xy == ((2, 1), (8, 1), (9, 9))


def test_geojson_of_every_kind(tmp_path):
    def feature(kind, coordinates, **properties):
        geometry = {"type": kind, "coordinates": coordinates}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    upright = [[[1, 1], [5, 1], [5, 4], [1, 4], [1, 1]]]
    content = {
        "type": "FeatureCollection",
        "features": [
            feature("Point", [3, 4], classification={"name": "核"}),
            feature("MultiPoint", [[1, 1], [2, 2]]),
            feature("Polygon", upright, classification={"names": ["Tumor", "T"]}),
            feature("Polygon", [[[0, 0], [9, 0], [0, 9], [0, 0]]]),
            feature("LineString", [[0, 0], [9, 9]]),
        ],
    }
    content["features"][0]["geometry"]["plane"] = {"c": -1, "z": 3, "t": 0}
    path = write(tmp_path / "qupath.geojson", json.dumps(content))
    found = read_prompts(path, STACK)
    kinds = ["point", "point", "point", "box", "polygon", "line"]
    assert [prompt.kind for prompt in found] == kinds
    assert found[0].vertices_xy == ((2.5, 3.5),)
    assert (found[0].class_name, found[0].slice_index) == ("核", (3,))
    assert found[3].class_name == "Tumor: T"
    assert found[3].vertices_xy == ((0.5, 0.5), (4.5, 0.5), (4.5, 3.5), (0.5, 3.5))
    assert len(found[4].vertices_xy) == 3


def test_coco_boxes_of_the_image_that_is_meant(tmp_path):
    content = {
        "images": [
            {"id": 7, "file_name": "other.tif", "height": 303, "width": 384},
            {"id": 8, "file_name": "coins.tif", "height": 303, "width": 384},
        ],
        "categories": [{"id": 2, "name": "coin"}],
        "annotations": [
            {"image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5]},
            {"image_id": 8, "category_id": 2, "bbox": [10, 20, 30, 40]},
        ],
    }
    path = write(tmp_path / "coco.json", json.dumps(content))
    (prompt,) = read_prompts(path, IMAGE)
    assert prompt.vertices_xy == ((9.5, 19.5), (39.5, 59.5))
    assert (prompt.kind, prompt.class_name) == (PromptKind.BOX, "coin")
    with pytest.raises(FileError, match="several images; rename the image layer"):
        read_prompts(path, ImageInfo((303, 384), "third"))
    results = [{"image_id": 8, "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.7}]
    (bare,) = read_prompts(write(tmp_path / "results.json", json.dumps(results)), IMAGE)
    assert bare.vertices_xy == prompt.vertices_xy
    results.append({"image_id": 9, "category_id": 2, "bbox": [0, 0, 1, 1]})
    with pytest.raises(FileError, match="several images"):
        read_prompts(write(tmp_path / "more.json", json.dumps(results)), IMAGE)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b\n1,2\n", "No columns named"),
        ("a.csv", "x,y\n1,two\n", "line 2: .* not a number"),
        ("a.csv", "x,y\n1\n", "line 2: .* not a number"),
        ("a.csv", "axis-0,axis-1,axis-2\ninf,1,2\n", "line 2: .* not a number"),
        (
            "a.csv",
            "index,shape-type,vertex-index,axis-0,axis-1,axis-2\n0,line,0,inf,1,2\n",
            "cannot be read as prompts",
        ),
        (
            "a.csv",
            "index,shape-type,vertex-index,axis-0,axis-1\n0,blob,0,1,2\n",
            "cannot be read as prompts",
        ),
        ("a.json", "{", "not JSON"),
        ("a.json", "[]", None),
        ("a.json", '{"annotations": [{"bbox": [1, 2]}]}', "cannot be read as prompts"),
        ("a.geojson", '{"type": "Surface", "coordinates": []}', "Surface is not a prompt"),
        ("a.geojson", '{"features": [{"geometry": null}]}', "cannot be read as prompts"),
        ("a.tif", "", "ends in .csv"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(tmp_path, name, text, message):
    path = write(tmp_path / name, text)
    if message is None:
        assert read_prompts(path, IMAGE) == []
        return
    with pytest.raises(FileError, match=message):
        read_prompts(path, IMAGE)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("long.csv", f'x,y,class\n1,2,"{"a" * 200_000}"\n', "field larger"),
        ("deep.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_files_beyond_what_their_readers_take_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(FileError, match=message):
        read_prompts(tmp_path / name, ImageInfo((40, 50), "image"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        read_prompts(tmp_path / "none.csv", IMAGE)


def test_numbers_that_are_none_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", "x0,y0,x1,y1\nnan,1,2,3\n")
    with pytest.raises(FileError, match="not a number"):
        read_prompts(path, IMAGE)


def test_a_column_without_a_name_is_not_the_class(tmp_path):
    path = write(tmp_path / "a.csv", ",x,y\n0,1,2\n")
    (prompt,) = read_prompts(path, IMAGE)
    assert (prompt.vertices_xy, prompt.class_name) == (((1, 2),), None)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("x,y,width,height", "180,60,60,50"),
        ("id;X;Y;W;H", "1;180;60;60;50"),
        ("X,Y,BX,BY,Width,Height", "210,85,180,60,60,50"),
        ("left,top,right,bottom", "180,60,240,110"),
        ("cx,cy,w,h", "210,85,60,50"),
        ("label,bbox-0,bbox-1,bbox-2,bbox-3", "1,60,180,110,240"),
        ("x;y;width;height", "180,0;60,0;60,0;50,0"),
    ],
)
def test_boxes_by_their_size(tmp_path, header, row):
    (prompt,) = read_prompts(write(tmp_path / "a.csv", f"{header}\n{row}\n"), IMAGE)
    assert prompt.kind is PromptKind.BOX
    assert prompt.vertices_xy == ((179.5, 59.5), (239.5, 109.5))


def test_boxes_and_polygons_of_yolo(tmp_path):
    (tmp_path / "a.yaml").write_text("names: [coin, hole]")
    text = "1 0.5 0.5 0.25 0.5\n0 0 0 0.5 0 0 1\n0 0.5 0.5 0.25 0.5 0.93\n"
    box, polygon, predicted = read_prompts(write(tmp_path / "a.txt", text), ImageInfo((40, 80)))
    assert (box.kind, box.class_name, polygon.kind) == ("box", "hole", "polygon")
    assert box.vertices_xy == predicted.vertices_xy == ((29.5, 9.5), (49.5, 29.5))
    assert polygon.vertices_xy == ((-0.5, -0.5), (39.5, -0.5), (-0.5, 39.5))


def test_a_table_of_several_images_gives_the_boxes_of_this_one(tmp_path):
    rows = ["a\\other.png,640,480,x,1,1,2,2", "b\\coins.png,384,303,x,10,20,30,40"]
    path = tmp_path / "a.csv"
    write(path, "\n".join(["filename,width,height,class,xmin,ymin,xmax,ymax", *rows]))
    (prompt,) = read_prompts(path, IMAGE)
    assert prompt.vertices_xy == ((9.5, 19.5), (29.5, 39.5))
    with pytest.raises(FileError, match=r"No prompts for third; rename the layer"):
        read_prompts(path, ImageInfo((303, 384), "third"))


@pytest.mark.parametrize("layer", ["exp1.0_t2", "exp1.0_t2.tif", "img", "img.ome"])
def test_names_with_dots_are_found_in_a_table(tmp_path, layer):
    files = "exp1.0_t1.tif", "exp1.0_t2.tif", "img.ome.tif", "img2.ome.tif"
    rows = [f"{name},{number},0" for number, name in enumerate(files)]
    path = write(tmp_path / "a.csv", "\n".join(["filename,x,y", *rows]))
    (prompt,) = read_prompts(path, ImageInfo((303, 384), layer))
    assert prompt.vertices_xy == ((1 if layer.startswith("exp") else 2, 0),)


def test_pieces_of_one_object_are_one_prompt(tmp_path):
    pieces = [[[[x, 1], [x + 4, 1], [x + 4, 5], [x, 5], [x, 1]]] for x in (0, 2, 20)]
    content = {"type": "MultiPolygon", "coordinates": pieces}
    (prompt,) = read_prompts(write(tmp_path / "a.geojson", json.dumps(content)), IMAGE)
    assert prompt.kind is PromptKind.POLYGON
    xs, ys = zip(*prompt.vertices_xy, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (-0.5, 23.5, 0.5, 4.5)
    content["coordinates"] = pieces[:2]
    (prompt,) = read_prompts(write(tmp_path / "a.geojson", json.dumps(content)), IMAGE)
    assert prompt.kind is PromptKind.BOX
    assert {(-0.5, 0.5), (5.5, 4.5)} <= set(prompt.vertices_xy)


@pytest.mark.parametrize(
    ("text", "points_xy"),
    [
        (",x,y\n0,10,20\n1,30,40\n", [(10, 20), (30, 40)]),  # of pandas
        (" ,Area,Mean,X,Y\n1,9,7,10,20\n2,9,7,30,40\n", [(10, 20), (30, 40)]),  # of ImageJ
        ("sep=;\r\n\r\n# made by\r\nx;y\r\n1,5;2\r\n", [(1.5, 2)]),
        ("row,col\n20,10\n", [(10, 20)]),
        ("label,centroid-0,centroid-1\n7,20,10\n", [(10, 20)]),
    ],
)
def test_points_of_other_programs(tmp_path, text, points_xy):
    prompts = read_prompts(write(tmp_path / "a.csv", text), IMAGE)
    assert [prompt.vertices_xy for prompt in prompts] == [(point,) for point in points_xy]
    assert {prompt.class_name for prompt in prompts} == {None}


@pytest.mark.parametrize(
    ("header", "row", "axes", "slice_index"),
    [
        ("x,y,z", "1,2,3", "ZYX", (3,)),
        ("Frame,x,y", "3,1,2", "TYX", (3,)),
        ("x,y,Slice", "1,2,3", "TYX", (2,)),
        ("BX,BY,Width,Height,Ch,Slice,Frame", "1,2,3,4,1,1,9", "TYX", (8,)),
        ("BX,BY,Width,Height,Ch,Slice,Frame", "1,2,3,4,1,4,3", "TZYX", (2, 3)),
        ("z,t,x0,y0,x1,y1", "4,3,1,2,3,4", "TZYX", (3, 4)),
        ("z,x,y", "4,1,2", "TZYX", ()),
        ("z,x,y", "4,1,2", "YX", ()),
    ],
)
def test_columns_of_axes_are_the_slice(tmp_path, header, row, axes, slice_index):
    image = ImageInfo((9,) * (len(axes) - 2) + (40, 50), "stack", axes)
    (prompt,) = read_prompts(write(tmp_path / "a.csv", f"{header}\n{row}\n"), image)
    assert prompt.slice_index == slice_index


@pytest.mark.parametrize(("column", "number"), [("slice", 0), ("slice", 6), ("z", 5), ("z", -1)])
def test_a_prompt_for_a_slice_that_does_not_exist_is_left_out(tmp_path, column, number):
    path, left_out = write(tmp_path / "a.csv", f"x,y,{column}\n3,4,{number}\n5,6,2\n"), LeftOut()
    assert len(read_prompts(path, ImageInfo((5, 40, 50), "", "ZYX"), left_out=left_out)) == 1
    assert f"line 2: {number} in the column {column} is no slice of the image" in str(left_out)


def test_boxes_in_fractions_are_those_of_the_image(tmp_path):
    path = write(tmp_path / "a.csv", "XMin,XMax,YMin,YMax\n0.1,0.2,0.5,1\n0,1,0,1\n")
    part, whole = read_prompts(path, ImageInfo((40, 80)))
    assert part.vertices_xy == ((7.5, 19.5), (15.5, 39.5))
    assert whole.vertices_xy == ((-0.5, -0.5), (79.5, 39.5))


@pytest.mark.parametrize(
    "text",
    [
        "cx,cy,w,h\n0.0526,0.5,0.1053,0.2\n0.4,0.4,0.2,0.2\n",
        "x0,y0,x1,y1\n-0.00005,0.4,0.10525,0.6\n0.3,0.3,0.5,0.5\n",
        "x,y,width,height\n0,0.4,0.10525,0.6001\n0.3,0.3,0.2,0.2\n",
    ],
)
def test_fractions_that_were_rounded_are_fractions(tmp_path, text):
    first, second = read_prompts(write(tmp_path / "a.csv", text), ImageInfo((100, 200)))
    (x0, y0), (x1, _) = first.vertices_xy
    assert (x0, y0, x1) == (pytest.approx(-0.5, abs=0.02), 39.5, pytest.approx(20.55, abs=0.02))
    np.testing.assert_allclose(second.vertices_xy, ((59.5, 29.5), (99.5, 49.5)))


def test_column_names_in_a_comment_before_numbers_are_the_header(tmp_path):
    np.savetxt(tmp_path / "a.csv", [(1, 2), (3, 4)], delimiter=",", header="x,y")
    prompts = read_prompts(tmp_path / "a.csv", IMAGE)
    assert [prompt.vertices_xy for prompt in prompts] == [((1, 2),), ((3, 4),)]
    write(tmp_path / "a.csv", "# positions\nx,y\n1,2\n")
    assert len(read_prompts(tmp_path / "a.csv", IMAGE)) == 1


@pytest.mark.parametrize("character", ["\u2028", "\x0b", "\x1c", "\x85"])
def test_only_line_feeds_end_a_line_of_a_table(tmp_path, character):
    path, left_out = tmp_path / "a.csv", LeftOut()
    path.write_text(f"x,y,class\n1,2,a{character}b\n3,4,c\n", encoding="utf-8")
    first, second = read_prompts(path, IMAGE, left_out=left_out)
    assert "b" in first.class_name
    assert second.class_name == "c"
    assert not left_out


def test_a_table_without_a_header_is_refused(tmp_path):
    with pytest.raises(FileError, match="No columns named"):
        read_prompts(write(tmp_path / "a.csv", "10,10,40,40\n"), IMAGE)


@pytest.mark.parametrize(
    "content",
    [
        {"images": [{"id": 1, "height": 480, "width": 640}], "annotations": []},
        {"shapes": [], "imagePath": "a.png", "imageHeight": 480, "imageWidth": 640},
        {"image": {"height": 480, "width": 640}, "annotations": [{"bbox": [1, 2, 3, 4]}]},
    ],
)
def test_prompts_for_an_image_of_another_size_are_refused(tmp_path, content):
    with pytest.raises(
        FileError, match=r"belongs to an image of shape \(480, 640\), not \(303, 384\)"
    ):
        read_prompts(write(tmp_path / "a.json", json.dumps(content)), IMAGE)
