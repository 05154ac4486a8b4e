"""Masks of SAM, of its data set and of detectors."""

import json

import numpy as np
import pytest

from napari_sam.formats import ImageInfo, json_reader, read_objects, read_prompts

IMAGE = ImageInfo((24, 32), "scene")
RUNS = {"size": [24, 32], "counts": [25, 4, 20, 4, 715]}
ROWS = np.zeros((24, 32), int)
ROWS[1:5, 1:3] = 1
MASK = {"segmentation": RUNS, "predicted_iou": 0.9, "bbox": [1, 1, 2, 4]}
OF_SAM = {"image": {"file_name": "a.jpg", "height": 24, "width": 32}, "annotations": [MASK]}


@pytest.mark.parametrize(
    ("content", "score"),
    [
        (OF_SAM, 0.9),
        ([OF_SAM], 0.9),
        ([{**OF_SAM, "annotations": [{**MASK, "segmentation": ROWS.tolist()}]}], 0.9),
        ([{"image_id": 4, "category_id": 2, "segmentation": RUNS, "score": 0.7}], 0.7),
        ([{"segmentation": RUNS, "score": 0.7}, None], 0.7),
        ({"annotations": [{"segmentation": RUNS, "score": 0.7}]}, 0.7),
        ({"images": [], "annotations": [{"image_id": 1, "segmentation": RUNS}]}, None),
        ({"images": [{"id": 1}], "annotations": [{"image_id": 1, "segmentation": RUNS}]}, None),
    ],
)
def test_masks_and_their_boxes_are_read(tmp_path, content, score):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    for objects in (read_objects(path, IMAGE).objects, json_reader(path)()[0].objects):
        (obj,) = objects
        assert (obj.top, obj.left, obj.mask.shape, obj.score) == (1, 1, (4, 2), score)
    (prompt,) = read_prompts(path, IMAGE)
    assert prompt.vertices_xy == ((0.5, 0.5), (2.5, 4.5))


@pytest.mark.parametrize("bbox", [[1, 1, 2, 4], None])
def test_boxes_of_a_detector_are_prompts_and_features_with_a_box_stay_features(tmp_path, bbox):
    path = tmp_path / "a.json"
    square = {"type": "Polygon", "coordinates": [[[1, 1], [3, 1], [3, 5], [1, 5]]]}
    for content in (
        [{"bbox": [1, 1, 2, 4], "score": 0.5}],
        [{"type": "Feature", "bbox": bbox, "geometry": square}],
    ):
        path.write_text(json.dumps(content))
        (prompt,) = read_prompts(path, IMAGE)
        assert prompt.kind == "box"
    assert len(read_objects(path, IMAGE).objects) == 1
