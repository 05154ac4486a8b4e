import numpy as np
import pytest
from skimage.measure import label

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.model.automatic.mask_ops import (
    RunLengths,
    box_areas,
    box_of,
    near_crop_edge,
    non_maximum_suppression,
    remove_small_regions,
    run_lengths,
    stable_mask,
)
from tests.model.test_goldens import two_steps
from tests.model.test_prediction import prediction_of, smooth_logits


def paste(crop, size):
    mask = np.zeros(size, bool)
    height, width = crop.mask.shape
    mask[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
    return mask


def blobs(seed, size=(23, 31), share=0.5):
    return np.random.default_rng(seed).random(size) < share


def column(mask):
    return [int(pixel) for pixel in mask.T.ravel()]


MASKS = {
    "noise": blobs(0),
    "sparse": blobs(1, share=0.02),
    "one pixel": np.eye(1, 20 * 9, 77, dtype=bool).reshape(20, 9),
    "first pixel": np.eye(1, 20, 0, dtype=bool).reshape(4, 5),
    "last pixel": np.eye(1, 20, 19, dtype=bool).reshape(4, 5),
    "all": np.ones((7, 5), bool),
    "a column": np.arange(12).reshape(1, 12).repeat(5, 0) == 3,
    "two columns": np.arange(12).reshape(1, 12).repeat(5, 0) // 2 == 1,
    "bottom to top": np.array([[0, 1, 1], [0, 0, 0], [1, 1, 0]], bool),
}


@pytest.mark.parametrize("name", MASKS)
def test_run_lengths(name):
    mask = MASKS[name]
    encoded = run_lengths(tight_crop(mask), mask.shape)
    kinds = np.arange(len(encoded.counts)) % 2
    assert np.repeat(kinds, encoded.counts).tolist() == column(mask)
    assert (encoded.counts[1:] > 0).all()
    assert encoded.area == mask.sum()
    np.testing.assert_array_equal(encoded.mask(), mask)


@pytest.mark.parametrize("name", MASKS)
def test_part_of_run_lengths(name):
    mask = MASKS[name]
    encoded = run_lengths(tight_crop(mask), mask.shape)
    height, width = mask.shape
    for box in (box_of(tight_crop(mask)), (1, 2, 2, 2), (width - 1, 0, width - 1, height - 1)):
        x0, y0, x1, y1 = box
        np.testing.assert_array_equal(encoded.mask(box), mask[y0 : y1 + 1, x0 : x1 + 1])


def test_empty_run_lengths():
    encoded = run_lengths(tight_crop(np.zeros((3, 4), bool)), (3, 4))
    assert encoded.counts.tolist() == [12]
    assert encoded.area == 0
    assert not encoded.mask().any()


def read_text(text):
    """Read COCO's text, from the description of its format."""
    counts, value, shift = [], 0, 0
    for character in text:
        group = ord(character) - 48
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return counts


@pytest.mark.parametrize(
    "counts",
    [[0], [12], [0, 12], [5, 31, 32, 15, 16, 1, 0x7FFFFF, 1, 3, 90000], [1] * 9, [90, 7, 3, 2, 99]],
)
def test_compressed_counts(counts):
    encoded = RunLengths(np.array(counts, np.uint32), (1, sum(counts)))
    assert encoded.as_dict() == {"size": [1, sum(counts)], "counts": counts}
    text = encoded.as_dict(compressed=True)["counts"]
    assert read_text(text) == counts
    assert text.isascii()
    assert text.isprintable()


def test_compressed_counts_known():
    """A filled 3 x 3 square at (1, 1) of 5 x 5 pixels, worked out by hand."""
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    encoded = run_lengths(tight_crop(mask), mask.shape)
    assert encoded.counts.tolist() == [6, 3, 2, 3, 2, 3, 6]
    assert encoded.as_dict(compressed=True)["counts"] == "6320004"


def iou(one, two):
    common = np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None).prod()
    areas = box_areas(np.array([one, two]))
    return common / (areas.sum() - common)


def random_boxes(count, seed=0):
    random = np.random.default_rng(seed)
    corners = random.integers(0, 60, (count, 2))
    return np.concatenate([corners, corners + random.integers(1, 60, (count, 2))], axis=1)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_non_maximum_suppression(threshold):
    boxes, scores = random_boxes(200), np.random.default_rng(1).random(200)
    expected = []
    for index in sorted(range(200), key=lambda index: -scores[index]):
        if all(iou(boxes[index], boxes[other]) <= threshold for other in expected):
            expected.append(index)
    assert non_maximum_suppression(boxes, scores, threshold).tolist() == expected
    assert 1 < len(expected) <= 200


def test_non_maximum_suppression_of_equals():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [20, 0, 29, 9], [5, 5, 5, 5], [5, 5, 5, 5]])
    kept = non_maximum_suppression(boxes, np.ones(5), 0.7)
    # The first of equals stays; boxes without area overlap nothing.
    assert kept.tolist() == [0, 2, 3, 4]
    assert non_maximum_suppression(boxes[:0], np.ones(0), 0.7).tolist() == []


def test_box_areas():
    assert box_areas(np.array([[1, 2, 5, 4], [3, 3, 3, 3]])).tolist() == [8, 0]


@pytest.mark.parametrize(
    ("box", "near"),
    [
        ((200, 200, 260, 280), False),
        ((121, 200, 260, 280), False),
        ((120, 200, 260, 280), True),
        ((80, 200, 260, 280), True),
        ((200, 5, 260, 280), False),  # the crop's upper edge is the image's
        ((200, 200, 481, 280), True),
        ((200, 200, 260, 400), False),  # so is its lower edge
    ],
)
def test_near_crop_edge(box, near):
    assert near_crop_edge(box, (100, 0, 500, 400), (400, 900)) is near


def test_an_edge_near_that_of_the_image_counts_as_the_image_s():
    assert not near_crop_edge((5, 50, 60, 60), (10, 0, 200, 200), (200, 400))


@pytest.mark.parametrize("size", [(1, 700), (64, 64), (303, 384), (900, 1400)])
@pytest.mark.parametrize("offset", [0.0, 0.3, 1.0])
def test_stability_as_published(size, offset):
    """Published are the areas above both thresholds, of logits as large as the image."""
    for seed in range(3):
        prediction = prediction_of(smooth_logits(seed), size)
        for k in range(2):
            shifted = {
                threshold: two_steps(prediction_of(prediction.low_res_logits - threshold, size))[k]
                for threshold in (-offset, 0, offset)
            }
            found = stable_mask(prediction.scaled_logits(k, size), offset)
            assert (paste(found.crop, size) ^ shifted[0]).sum() <= 2
            union = shifted[-offset].sum()
            expected = shifted[offset].sum() / union if union else 0
            assert found.stability_score == pytest.approx(expected, abs=3 / max(union, 1))


def test_stability_of_nothing():
    prediction = prediction_of(np.full((2, 256, 256), [[[-5]], [[-0.5]]]), (30, 40))
    for k in range(2):
        crop, score = stable_mask(prediction.scaled_logits(k, (30, 40)), 1)
        assert crop.mask.shape == (0, 0)
        assert score == 0


def plain_removal(mask, min_area):
    """Do the same to a whole mask, region by region."""
    changed = False
    regions = label(~mask, connectivity=2)
    for number in range(1, regions.max() + 1):
        if (regions == number).sum() < min_area:
            mask, changed = mask | (regions == number), True
    regions = label(mask, connectivity=2)
    areas = [(regions == number).sum() for number in range(1, regions.max() + 1)]
    small = [number for number, area in enumerate(areas, 1) if area < min_area]
    if len(small) == len(areas):
        return regions == 1 + np.argmax(areas), True
    for number in small:
        mask, changed = mask & (regions != number), True
    return mask, changed


@pytest.mark.parametrize("min_area", [1, 2, 5, 40, 700, 10_000])
@pytest.mark.parametrize("share", [0.05, 0.35, 0.7, 0.95])
def test_small_regions(share, min_area):
    for seed in range(6):
        mask = np.zeros((30, 40), bool)
        mask[seed : 25 + seed, : 34 + seed] = blobs(seed, (25, 34 + seed), share)
        crop = tight_crop(mask)
        expected, expected_change = plain_removal(mask, min_area)
        result, changed = remove_small_regions(crop, mask.shape, min_area)
        assert changed == expected_change
        np.testing.assert_array_equal(paste(result, mask.shape), expected)
        assert result.mask[[0, -1]].any(axis=1).all(), "not tight"
        assert result.mask[:, [0, -1]].any(axis=0).all(), "not tight"


def test_a_strip_beside_the_mask_is_a_hole():
    """Filled up, the mask grows beyond its bounding box."""
    crop = MaskCrop(np.ones((8, 10), bool), 2, 0)
    result, changed = remove_small_regions(crop, (10, 10), min_area=21)
    assert changed
    assert result.mask.shape == (10, 10)
    assert (result.top, result.left) == (0, 0)
    result, changed = remove_small_regions(crop, (10, 10), min_area=20)
    assert not changed
    assert result is crop


def test_nothing_small_changes_nothing():
    crop = tight_crop(np.pad(np.ones((20, 20), bool), 10))
    result, changed = remove_small_regions(crop, (40, 40), min_area=100)
    assert not changed
    assert result is crop
