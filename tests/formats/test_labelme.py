import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from napari_sam.formats import ImageInfo, LeftOut, json_reader, read_objects, read_prompts

IMAGE = ImageInfo((24, 32), "scene")


def png_of(mask):
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


SHAPES = [
    {"label": "crack", "points": [[1, 1], [5, 1], [5, 5], [1, 5]], "shape_type": "polygon"},
    {"label": "pore", "points": [[16, 12], [20, 12]], "shape_type": "circle"},
    {"label": "box", "points": [[30, 20], [25, 15]], "shape_type": "rectangle"},
    {"label": "box", "points": [[1, 1], [9, 9]], "shape_type": "line"},
    {"label": "dot", "points": [[1, 1]], "shape_type": "point"},
    {
        "label": "mask",
        "points": [[3, 8], [5, 9]],
        "shape_type": "mask",
        "mask": png_of(np.array([[1, 1, 1], [1, 0, 1]])),
        "description": "look again",
    },
    {"label": "blob", "points": [[1, 1]], "shape_type": "blob"},
    {"label": "torn", "points": [[1, 1], [5, 1], None]},
]


@pytest.fixture
def path(tmp_path):
    content = {"shapes": SHAPES, "imagePath": "..\\raw\\scene.png", "imageData": None}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**content, "imageHeight": 24, "imageWidth": 32}))
    return path


def test_shapes_are_objects_and_what_is_no_area_is_left_out(path):
    annotations = read_objects(path, IMAGE)
    crack, pore, box, mask = annotations.objects
    assert [obj.class_name for obj in annotations.objects] == ["crack", "pore", "box", "mask"]
    assert [obj.area_px for obj in (crack, box, mask)] == [16, 25, 5]
    assert (mask.top, mask.left, mask.note) == (8, 3, "look again")
    assert (pore.top, pore.left, pore.mask.shape) == (8, 12, (8, 8))
    assert str(annotations.left_out) == (
        "2 entries, 1 line, 1 point left out (feature 7: a blob cannot be read)"
    )


def test_shapes_are_prompts(path):
    prompts = read_prompts(path, IMAGE)
    kinds = ["polygon", "polygon", "box", "line", "point", "polygon"]
    assert [prompt.kind for prompt in prompts] == ["box", *kinds[1:]]
    assert prompts[3].class_name == "box"


def test_the_file_opens_without_its_image(path):
    (annotations,) = json_reader(path)()
    assert annotations.image == ImageInfo((24, 32), "scene.png")
    assert len(annotations.objects) == 4


def test_shapes_of_one_group_and_label_are_one_object(tmp_path):
    pieces = [
        {"label": label, "group_id": 1, "points": [[x, 1], [x + 4, 1], [x + 4, 5], [x, 5]]}
        for label, x in (("a", 0), ("a", 2), ("b", 20))
    ]
    (tmp_path / "a.json").write_text(json.dumps({"shapes": pieces}))
    assert json_reader(tmp_path / "a.json") is None  # nothing says how large its image is
    objects = read_objects(tmp_path / "a.json", IMAGE).objects
    assert [(obj.class_name, obj.area_px) for obj in objects] == [("a", 24), ("b", 16)]


def test_shapes_of_one_group_and_label_are_one_prompt(tmp_path):
    def shape(label, group, x, **kind):
        points = [[x, 1], [x + 4, 1], [x + 4, 5], [x, 5]]
        return {"label": label, "group_id": group, "points": points, **kind}

    shapes = [
        *(shape("a", 1, 0), shape("a", 1, 12), shape("a", 1, 0, shape_type="line")),
        *(shape("b", 1, 20), shape("a", None, 24)),
        *(shape("c", 2, 0, shape_type="points"), shape("c", 2, 6, shape_type="line")),
        *(shape("d", 3, 90), shape("d", 3, 100)),
    ]
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes}))
    left_out = LeftOut()
    prompts = read_prompts(tmp_path / "a.json", IMAGE, left_out=left_out)
    assert [(prompt.kind, prompt.class_name) for prompt in prompts] == [
        ("polygon", "a"),
        ("box", "b"),
        ("box", "a"),
        ("point", "c"),
    ]
    xs = [x for x, _ in prompts[0].vertices_xy]
    assert (min(xs), max(xs)) == (-0.5, 15.5)
    assert len(prompts[3].vertices_xy) == 8
    assert str(left_out) == "1 entry left out (feature 5: it has no pixel in the image)"
