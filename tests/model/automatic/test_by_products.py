from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.draw import disk, polygon, rectangle
from skimage.segmentation import find_boundaries

from napari_sam.engine.automatic_presets import EDGE_SETTINGS, PROPOSAL_SETTINGS
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.model import Predictor
from napari_sam.model.automatic.by_products import detect_edges, object_proposals
from napari_sam.model.automatic.generate import generate_masks
from napari_sam.model.automatic.mask_set import MaskSet

FEWER_POINTS = replace(EDGE_SETTINGS, points_per_side=10)
SIZE = (300, 400)
SHAPES = [
    rectangle((30, 30), (110, 140), shape=SIZE),
    disk((80, 300), 50, shape=SIZE),
    polygon([170, 270, 270], [100, 40, 170], shape=SIZE),
    rectangle((180, 230), (260, 280), shape=SIZE),
    disk((220, 345), 28, shape=SIZE),
]
COLOURS = [(220, 60, 50), (60, 180, 75), (70, 90, 220), (240, 220, 60), (230, 130, 220)]


@pytest.fixture(scope="module")
def image():
    """Shapes of one color each on gray, a little noisy as images are."""
    image = np.full((*SIZE, 3), 128.0)
    for shape, color in zip(SHAPES, COLOURS, strict=True):
        image[shape] = color
    image += np.random.default_rng(0).normal(0, 4, image.shape)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def truth():
    labels = np.zeros(SIZE, int)
    for number, shape in enumerate(SHAPES, 1):
        labels[shape] = number
    return labels


@pytest.fixture(scope="module")
def embedding(predictor, image):
    return predictor.encode(image)


@pytest.fixture(scope="module")
def masks(predictor, image, embedding):
    """All masks of the settings for edges, good or not."""
    return generate_masks(predictor, image, FEWER_POINTS, embedding=embedding, keep_logits=True)


@pytest.fixture(scope="module")
def edges(masks):
    return detect_edges(masks)


def box_iou(one, two):
    common = np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None).prod()
    areas = (one[2:] - one[:2]).prod() + (two[2:] - two[:2]).prod()
    return common / (areas - common)


def test_every_shape_is_proposed(masks):
    fewer_points = replace(PROPOSAL_SETTINGS, points_per_side=FEWER_POINTS.points_per_side)
    proposals = object_proposals(masks.select(fewer_points), limit=2 * len(SHAPES))
    assert len(proposals.boxes_xyxy) <= 2 * len(SHAPES)
    for rows, columns in SHAPES:
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
        assert max(box_iou(box, other) for other in proposals.boxes_xyxy) >= 0.8


def test_proposals_are_ranked(masks):
    published = AutomaticSettings(points_per_side=FEWER_POINTS.points_per_side)
    records = masks.select(published)
    boxes, scores = object_proposals(reversed(records))
    assert boxes.shape == (len(records), 4)
    assert (np.diff(scores) <= 0).all()
    expected = {
        record.box_xyxy: (record.predicted_iou + record.stability_score) / 2 for record in records
    }
    for box, score in zip(boxes.tolist(), scores, strict=True):
        assert expected[tuple(box)] == pytest.approx(score)
    np.testing.assert_array_equal(object_proposals(records, limit=2).scores, scores[:2])


def test_no_proposals():
    boxes, scores = object_proposals([])
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def f_measure(drawn, true, tolerance_px):
    """Measure how well lines agree, as benchmarks of edges do: a line may lie a little aside."""
    if not drawn.any():
        return 0.0
    precision = (distance_transform_edt(~true)[drawn] <= tolerance_px).mean()
    recall = (distance_transform_edt(~drawn)[true] <= tolerance_px).mean()
    return 2 * precision * recall / max(precision + recall, 1e-9)


def test_edges_are_those_of_the_shapes(edges, truth):
    true = find_boundaries(truth, mode="outer")
    tolerance_px = 0.0075 * np.hypot(*SIZE)  # as in the BSDS benchmark
    assert max(f_measure(edges > t, true, tolerance_px) for t in np.linspace(0.05, 0.95, 19)) >= 0.8


def test_edges_are_thin_and_normalized(edges):
    assert edges.shape == SIZE
    assert edges.dtype == np.float32
    assert edges.min() == 0
    assert 0.5 < edges.max() <= 1
    drawn = edges > 0.3
    inside = distance_transform_edt(drawn)
    assert drawn.sum() > 500
    assert inside.max() <= 2
    assert (inside[drawn] <= 1).mean() > 0.95


def test_edges_need_logits(predictor, image, embedding):
    few = replace(FEWER_POINTS, points_per_side=2)
    found = generate_masks(predictor, image, few, embedding=embedding)
    with pytest.raises(ValueError, match="keep_logits=True"):
        detect_edges(found)


def test_edges_of_nothing():
    assert not detect_edges(MaskSet(FEWER_POINTS, 0, (20, 30))).any()


@pytest.fixture(scope="module")
def tiny_predictor(tiny_model):
    return Predictor(tiny_model, device="cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_edges_of_very_small_images(tiny_predictor, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    few = replace(FEWER_POINTS, points_per_side=2)
    found = generate_masks(tiny_predictor, image, few, keep_logits=True)
    assert found.masks
    edges = detect_edges(found)
    assert edges.shape == size
    assert np.isfinite(edges).all()


def test_edges_of_crops_lie_where_they_belong(predictor, image, embedding, truth):
    settings = replace(FEWER_POINTS, points_per_side=4, crop_n_layers=1)
    found = generate_masks(predictor, image, settings, embedding=embedding, keep_logits=True)
    true = find_boundaries(truth, mode="outer")
    in_crops = replace(
        found, masks=tuple(mask for mask in found.masks if mask.crop_box_xyxy != (0, 0, 400, 300))
    )
    edges = detect_edges(in_crops)
    assert max(f_measure(edges > t, true, 4) for t in np.linspace(0.05, 0.95, 19)) >= 0.6
