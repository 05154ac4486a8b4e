import copy
import json
from dataclasses import asdict, fields, replace
from functools import cache

import numpy as np
import pytest
import torch

from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.model import Predictor
from napari_sam.model.automatic.generate import generate_masks, generate_published
from napari_sam.model.automatic.mask_ops import RunLengths, box_areas, box_of, remove_small_regions
from napari_sam.model.automatic.mask_set import MaskSet, published_form
from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.layouts import to_hugging_face
from tests.model.conftest import GOLDENS, TINY_CONFIG, sample_image
from tests.remembering import RememberingPredictor

pytestmark = pytest.mark.slow

COINS = sample_image("coins")
GOLDEN_FILE = GOLDENS / "automatic_masks.json"
GOLDEN_CASES = (
    "coins_grid32",
    "astronaut_grid16",
    "coins_grid16_crops1",
    "cell_grid16_minarea",
)
FAST = AutomaticSettings(points_per_side=8, points_per_batch=20)


class CancelledError(Exception):
    pass


@pytest.fixture(scope="module")
def predictor(sam):
    """Return the predictor, which encodes the image and each of its crops once."""
    return RememberingPredictor(sam, device="cpu")


@pytest.fixture(scope="module")
def coins(predictor):
    return predictor.encode(COINS)


@pytest.fixture(scope="module")
def everything(predictor, coins):
    """All masks of some points on the coins, good or not."""
    return generate_masks(predictor, COINS, FAST, embedding=coins, lowest_pred_iou=0)


@cache
def goldens():
    return json.loads(GOLDEN_FILE.read_text())


def decoded(rle):
    return RunLengths(np.array(rle["counts"], np.uint32), tuple(rle["size"])).mask()


def share_matched(records, expected, score_tolerance=0.01):
    """Return the share of expected masks that a record of about the same scores matches."""
    areas = np.array([record["area"] for record in records])
    matched = 0
    for other in expected:
        mask = other["segmentation"]
        common = [np.count_nonzero(mask & record["segmentation"]) for record in records]
        ious = np.array(common) / (areas + np.count_nonzero(mask) - common)
        matched += any(
            ious[index] >= 0.95
            and all(
                abs(records[index][name] - other[name]) <= score_tolerance
                for name in ("predicted_iou", "stability_score")
                if name in other
            )
            for index in range(len(records))
        )
    return matched / len(expected)


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_goldens(predictor, name):
    golden = goldens()[name]
    assert set(goldens()) == set(GOLDEN_CASES)
    image = sample_image(golden["image"].removeprefix("skimage.data."))
    settings = AutomaticSettings(**golden["settings"])
    result = generate_published(predictor, image, settings)
    expected = [{**mask, "segmentation": decoded(mask["segmentation"])} for mask in golden["masks"]]
    assert abs(len(result) - len(expected)) <= 1
    assert share_matched(result, expected) >= 0.97
    for mask in expected:
        nearest = max(
            result, key=lambda one: np.count_nonzero(one["segmentation"] & mask["segmentation"])
        )
        assert nearest.keys() == mask.keys()
    best, expected_best = (
        max(masks, key=lambda mask: mask["predicted_iou"]) for masks in (result, expected)
    )
    assert best["point_coords"] == expected_best["point_coords"]
    assert best["crop_box"] == expected_best["crop_box"]
    np.testing.assert_allclose(best["bbox"], expected_best["bbox"], atol=1)


@pytest.fixture(scope="module")
def varied_model():
    """A random ViT whose masks are not all alike."""
    torch.manual_seed(7)
    model = build_model(TINY_CONFIG)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "mask_decoder" in name and parameter.ndim > 1:
                parameter.mul_(3)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def varied_predictor(varied_model):
    """Return its predictor, which is traced once and encodes an image once."""
    return RememberingPredictor(varied_model, device="cpu")


def plain_suppression(boxes, scores, threshold):
    """Stand in for torchvision's, which transformers asks for and we do without."""
    kept = []
    for index in sorted(range(len(boxes)), key=lambda index: -float(scores[index])):
        for other in kept:
            low = torch.maximum(boxes[index, :2], boxes[other, :2])
            high = torch.minimum(boxes[index, 2:], boxes[other, 2:])
            common = (high - low).clamp(min=0).prod()
            areas = [(box[2:] - box[:2]).prod() for box in (boxes[index], boxes[other])]
            if common / (sum(areas) - common) > threshold:
                break
        else:
            kept.append(index)
    return kept


@pytest.fixture(scope="module")
def hugging_face_pipeline(varied_model, tiny_hugging_face):
    """Return transformers' pipeline for the same model."""
    from transformers import MaskGenerationPipeline
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    class ImageProcessor(SamImageProcessorPil):
        def post_process_for_mask_generation(self, masks, scores, boxes, threshold):
            kept = plain_suppression(boxes.float(), scores, threshold)
            decoded = [np.asarray(read_run_lengths(masks[index])) for index in kept]
            return decoded, scores[kept], [masks[index] for index in kept], boxes[kept]

    model = copy.deepcopy(tiny_hugging_face)
    weights = to_hugging_face(varied_model.state_dict())
    positions = weights["shared_image_embedding.positional_embedding"]
    weights["prompt_encoder.shared_embedding.positional_embedding"] = positions
    model.load_state_dict(weights, strict=True)
    side = TINY_CONFIG.image_size
    processor = ImageProcessor(
        size={"longest_edge": side}, pad_size={"height": side, "width": side}
    )
    return MaskGenerationPipeline(model=model, image_processor=processor, device="cpu")


def read_run_lengths(encoded):
    counts = encoded["counts"]
    pixels = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return pixels.reshape(encoded["size"][::-1]).T


@pytest.mark.parametrize(
    ("pred_iou_thresh", "stability_thresh", "nms_thresh", "at_least"),
    [(0.2, 0.9, 1.0, 40), (0.2, 0, 1.0, 90), (0, 0.3, 0.97, 5), (0, 0, 0.9, 4)],
)
def test_against_transformers(
    varied_predictor, hugging_face_pipeline, pred_iou_thresh, stability_thresh, nms_thresh, at_least
):
    from PIL import Image

    image = np.ascontiguousarray(sample_image("astronaut")[:150, :200])
    settings = AutomaticSettings(
        points_per_side=8,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_thresh,
        stability_score_offset=0.05,
        box_nms_thresh=nms_thresh,
    )
    result = generate_published(varied_predictor, image, settings)
    expected = hugging_face_pipeline(
        Image.fromarray(image),
        points_per_crop=settings.points_per_side,
        points_per_batch=settings.points_per_batch,
        pred_iou_thresh=settings.pred_iou_thresh,
        stability_score_thresh=settings.stability_score_thresh,
        stability_score_offset=settings.stability_score_offset,
        crops_nms_thresh=nms_thresh,
    )
    masks = [
        {"segmentation": mask, "predicted_iou": float(score)}
        for mask, score in zip(expected["masks"], expected["scores"], strict=True)
    ]
    assert len(result) == len(masks)
    assert len(masks) >= at_least
    assert share_matched(result, masks) >= 0.97


def same(one, two):
    return [asdict_of(mask) for mask in one] == [asdict_of(mask) for mask in two]


def asdict_of(mask):
    """Return a GeneratedMask in a form that compares."""
    values = {field.name: getattr(mask, field.name) for field in fields(mask)}
    return {**values, "run_lengths": mask.run_lengths.counts.tolist()}


def test_masks_come_batch_by_batch(predictor, coins, everything):
    calls = []
    found = generate_masks(
        predictor,
        COINS,
        FAST,
        embedding=coins,
        lowest_pred_iou=0,
        on_batch=lambda *c: calls.append(c),
    )
    assert [(done, total) for done, total, _ in calls] == [(20, 64), (40, 64), (60, 64), (64, 64)]
    together = MaskSet(FAST, 0, found.original_size)
    for _, _, new in calls:
        assert len(new.masks) > 0
        together += new
    assert same(together.masks, found.masks)
    assert same(found.masks, everything.masks)
    # What is chosen of the first batches can be shown while the next are decoded.
    assert 0 < len(calls[0][2].select()) <= len(calls[0][2].masks)


def test_points_can_be_spread_from_the_first_batch_on(predictor, coins, everything):
    batches = []
    result = generate_masks(
        predictor,
        COINS,
        FAST,
        embedding=coins,
        lowest_pred_iou=0,
        is_spread=True,
        on_batch=lambda _, __, new: batches.append({mask.point_xy for mask in new.masks}),
    )
    height, width = COINS.shape[:2]
    quarters = {(x < width / 2, y < height / 2) for x, y in batches[0]}
    assert len(quarters) == 4
    expected = {(mask.point_xy, mask.candidate): mask for mask in everything.masks}
    assert len(result.masks) == len(expected)
    for mask in result.masks:
        same = expected[mask.point_xy, mask.candidate]
        assert mask.predicted_iou == pytest.approx(same.predicted_iou, abs=1e-4)


@pytest.mark.parametrize("stop_at", [1, 3])
def test_cancel_between_batches(predictor, coins, stop_at):
    calls = []

    def on_batch(done, total, found):
        calls.append(done)
        if len(calls) == stop_at:
            raise CancelledError

    with pytest.raises(CancelledError):
        generate_masks(predictor, COINS, FAST, embedding=coins, on_batch=on_batch)
    assert len(calls) == stop_at


def test_cancel_while_encoding(predictor):
    def on_block(done, total):
        raise CancelledError

    with pytest.raises(CancelledError):
        generate_masks(predictor, COINS[:, ::-1], FAST, on_block=on_block)


def test_other_thresholds_need_no_decoding(predictor, coins, everything, monkeypatch):
    strict = replace(FAST, pred_iou_thresh=0.95, stability_score_thresh=0.97, box_nms_thresh=0.5)
    found = generate_masks(predictor, COINS, strict, embedding=coins)
    assert 0 < len(found.masks) < len(everything.masks)
    assert all(mask.predicted_iou > 0.95 for mask in found.masks)
    monkeypatch.setattr(Predictor, "decode_batch", None)
    again = everything.survivors(strict)
    assert same(again, found.survivors())
    assert 0 < len(again) < len(everything.survivors()) < len(everything.masks)
    lax = replace(FAST, pred_iou_thresh=0.5, stability_score_thresh=0, box_nms_thresh=1)
    assert len(everything.survivors(lax)) > len(everything.survivors())


def test_all_may_pass(everything):
    all_pass = replace(FAST, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1)
    assert len(everything.survivors(all_pass)) == len(everything.masks)
    assert min(mask.stability_score for mask in everything.masks) < 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pred_iou_thresh": 0.8}, r"0\.88.*0\.8;.*again"),
        ({"pred_iou_thresh": 0}, "were dropped"),
        ({"points_per_side": 9}, "points_per_side"),
        ({"stability_score_offset": 2}, "stability_score_offset"),
        ({"crop_n_layers": 1}, "crop_n_layers"),
    ],
)
def test_what_needs_decoding(change, words):
    found = MaskSet(FAST, FAST.pred_iou_thresh, (30, 40))
    with pytest.raises(ValueError, match=words):
        found.select(replace(FAST, **change))


def test_what_the_settings_ask_for_is_always_kept(predictor, coins):
    few = replace(FAST, points_per_side=2, pred_iou_thresh=0.5)
    found = generate_masks(predictor, COINS, few, embedding=coins, lowest_pred_iou=0.9)
    assert found.lowest_pred_iou == 0.5
    assert same(found.masks, generate_masks(predictor, COINS, few, embedding=coins).masks)


def test_nothing_found(predictor, coins):
    impossible = replace(FAST, points_per_side=2, pred_iou_thresh=5.0, crop_n_layers=0)
    found = generate_masks(predictor, COINS, impossible, embedding=coins)
    assert found.masks == ()
    assert found.select() == []
    assert published_form([], (303, 384)) == []


def test_records(everything):
    records = everything.select()
    assert len(records) > 5
    scores = [record.predicted_iou for record in records]
    assert scores == sorted(scores, reverse=True)
    for record in records:
        mask, (x0, y0, x1, y1) = record.crop.mask, record.box_xyxy
        assert (record.crop.left, record.crop.top) == (x0, y0)
        assert mask.shape == (y1 - y0 + 1, x1 - x0 + 1)
        for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
            assert edge.any()
        assert record.area == mask.sum()
        assert 0.95 <= record.stability_score <= 1
        assert record.crop_box_xyxy == (0, 0, 384, 303)
        with pytest.raises(AttributeError):
            record.area = 3


def test_masks_wait_in_little_memory(everything):
    held = sum(mask.run_lengths.counts.nbytes for mask in everything.masks)
    assert held / len(everything.masks) < 10_000
    assert all(mask.logits is None for mask in everything.masks)


def test_published_forms(everything):
    records, size = everything.select(), everything.original_size
    plain, listed, text = (
        published_form(records, size, mode)
        for mode in ("binary_mask", "uncompressed_rle", "coco_rle")
    )
    for record, one, other, third in zip(records, plain, listed, text, strict=True):
        assert one["segmentation"].shape == size
        assert one["segmentation"].dtype == bool
        assert one["segmentation"].sum() == one["area"] == record.area
        np.testing.assert_array_equal(decoded(other["segmentation"]), one["segmentation"])
        assert third["segmentation"]["size"] == [303, 384]
        assert isinstance(third["segmentation"]["counts"], str)
        x0, y0, x1, y1 = record.box_xyxy
        assert one["bbox"] == [x0, y0, x1 - x0, y1 - y0]
        assert one["point_coords"] == [list(record.point_xy)]
        assert one["crop_box"] == [0, 0, 384, 303]
        assert (one["predicted_iou"], one["stability_score"]) == (
            record.predicted_iou,
            record.stability_score,
        )
    json.dumps(listed), json.dumps(text)
    with pytest.raises(ValueError, match=r"'png'.*binary_mask"):
        published_form(records, size, "png")


def test_small_regions_are_removed(everything):
    settings = replace(FAST, stability_score_thresh=0.5)
    plain = everything.select(settings)
    clean = everything.select(replace(settings, min_mask_region_area=2000))
    changes = {
        record.predicted_iou: remove_small_regions(record.crop, (303, 384), 2000)
        for record in plain
    }
    assert 0 < len(clean) <= len(plain)
    for record in clean:
        np.testing.assert_array_equal(record.crop.mask, changes[record.predicted_iou][0].mask)
        assert record.area == record.crop.mask.sum()
        assert record.box_xyxy == box_of(record.crop)
    # Those that were left alone come first.
    changed = [changes[record.predicted_iou][1] for record in clean]
    assert 0 < sum(changed) < len(changed)
    assert changed == sorted(changed)


def test_smaller_crops_win(predictor):
    settings = replace(FAST, points_per_side=6, crop_n_layers=1, crop_n_points_downscale_factor=2)
    found = generate_masks(predictor, COINS, settings)
    crops = {mask.crop_box_xyxy for mask in found.masks}
    assert crops == {crop.box_xyxy for crop in settings.crops((303, 384))}
    survivors = found.survivors()
    areas = box_areas(np.array([mask.crop_box_xyxy for mask in survivors]))
    assert (np.diff(areas) >= 0).all()
    assert len(set(areas)) > 1
    assert all(
        0 <= point < side
        for mask in found.masks
        for point, side in zip(mask.point_xy, (384, 303), strict=True)
    )
    without = found.survivors(replace(settings, crop_nms_thresh=1.0))
    assert len(without) > len(survivors)
    # Cut off by the edge of a crop, inside the image, is nothing of its own.
    for mask in found.masks:
        x0, _, x1, _ = mask.crop_box_xyxy
        assert x0 == 0 or mask.box_xyxy[0] > x0 + 20 or mask.box_xyxy[0] <= 20
        assert x1 == 384 or mask.box_xyxy[2] < x1 - 20 or mask.box_xyxy[2] >= 384 - 20


def test_own_points(predictor, coins):
    few = replace(FAST, points_per_side=3, pred_iou_thresh=0.5)
    grid = few.point_grid(0)
    own = replace(few, points_per_side=None, point_grids=[grid.tolist()])
    expected = generate_masks(predictor, COINS, few, embedding=coins)
    assert expected.masks
    assert same(generate_masks(predictor, COINS, own, embedding=coins).masks, expected.masks)
    assert own == replace(own, point_grids=[grid])


def test_the_image_is_encoded_if_it_is_not_yet(predictor, coins, everything):
    few = replace(FAST, points_per_side=2)
    expected = generate_masks(predictor, COINS, few, embedding=coins)
    assert same(generate_masks(predictor, COINS, few).masks, expected.masks)


def test_bad_images(predictor, coins):
    with pytest.raises(ValueError, match=r"\(303, 384\).*\(50, 60\)"):
        generate_masks(predictor, COINS[:50, :60], FAST, embedding=coins)
    with pytest.raises(ValueError, match="uint8"):
        generate_masks(predictor, COINS / 255, FAST)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (2, 2)])
def test_very_small_images(varied_predictor, size):
    settings = AutomaticSettings(points_per_side=2, crop_n_layers=2, pred_iou_thresh=0)
    found = generate_masks(varied_predictor, np.zeros((*size, 3), np.uint8), settings)
    found.select(replace(settings, stability_score_thresh=0))


def test_defaults_are_the_published_ones():
    assert asdict(AutomaticSettings()) == {
        "points_per_side": 32,
        "points_per_batch": 64,
        "pred_iou_thresh": 0.88,
        "stability_score_thresh": 0.95,
        "stability_score_offset": 1.0,
        "box_nms_thresh": 0.7,
        "crop_n_layers": 0,
        "crop_nms_thresh": 0.7,
        "crop_overlap_ratio": 512 / 1500,
        "crop_n_points_downscale_factor": 1,
        "point_grids": None,
        "min_mask_region_area": 0,
        "output_mode": "binary_mask",
    }


def test_point_grids():
    settings = AutomaticSettings(
        points_per_side=8, crop_n_layers=2, crop_n_points_downscale_factor=2
    )
    assert [len(settings.point_grid(layer)) for layer in range(3)] == [64, 16, 4]
    assert settings.point_grid(2).tolist() == [
        [0.25, 0.25],
        [0.75, 0.25],
        [0.25, 0.75],
        [0.75, 0.75],
    ]


def test_crops():
    """Worked out by hand for an image of 100 x 200 pixels."""
    settings = AutomaticSettings(crop_n_layers=2, crop_overlap_ratio=0.2)
    crops = settings.crops((100, 200))
    assert [crop.layer for crop in crops] == [0] + [1] * 4 + [2] * 16
    assert [crop.box_xyxy for crop in crops[:5]] == [
        (0, 0, 200, 100),
        (0, 0, 110, 60),
        (0, 40, 110, 100),
        (90, 0, 200, 60),
        (90, 40, 200, 100),
    ]
    assert crops[5].box_xyxy == (0, 0, 58, 33)  # 10 pixels of overlap: ceil(230 / 4), ceil(130 / 4)
    assert crops[-1].box_xyxy == (144, 69, 200, 100)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points_per_side": 0}, "points_per_side is 0.*whole number of at least 1"),
        ({"points_per_side": 2.5}, "2.5.*whole"),
        ({"points_per_side": None}, "either"),
        ({"point_grids": [[[0.5, 0.5]]]}, "either"),
        ({"points_per_batch": 0}, "points_per_batch"),
        ({"pred_iou_thresh": float("nan")}, "pred_iou_thresh"),
        ({"stability_score_thresh": "high"}, "'high'"),
        ({"stability_score_offset": -1}, "stability_score_offset.*at least 0"),
        ({"box_nms_thresh": -0.1}, "box_nms_thresh"),
        ({"crop_n_layers": -1}, "crop_n_layers"),
        ({"crop_overlap_ratio": 1}, "crop_overlap_ratio.*less than 1"),
        ({"crop_n_points_downscale_factor": 0}, "downscale"),
        ({"min_mask_region_area": -5}, "min_mask_region_area"),
        ({"output_mode": "rle"}, "'rle'.*coco_rle"),
        (
            {"points_per_side": 3, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
            "leave none for layer 2",
        ),
        ({"points_per_side": None, "point_grids": [[0.5, 0.5]]}, r"\(2,\).*\(N, 2\)"),
        ({"points_per_side": None, "point_grids": [[[0.5, 1.5]]]}, "0 to 1"),
        ({"points_per_side": None, "point_grids": [[["a", "b"]]]}, "numbers"),
        ({"points_per_side": None, "point_grids": [np.zeros((0, 2))]}, r"\(0, 2\)"),
        (
            {"points_per_side": None, "point_grids": [[[0.5, 0.5]]], "crop_n_layers": 1},
            "1 point_grids for 2 layers",
        ),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        AutomaticSettings(**settings)


def test_only_wanted_points_are_decoded_and_crops_without_any_are_not_encoded(predictor, coins):
    def is_left(points_xy):
        asked.append(points_xy)
        return points_xy[:, 0] < 100

    asked, batches = [], []
    settings = replace(FAST, points_per_side=4, crop_n_layers=1)
    found = generate_masks(
        predictor,
        COINS,
        settings,
        embedding=coins,
        lowest_pred_iou=0,
        is_wanted=is_left,
        on_batch=lambda done, total, _: batches.append((done, total)),
    )
    assert [len(points) for points in asked] == [16] * 5  # the image and four crops
    count = sum(int((points[:, 0] < 100).sum()) for points in asked)
    assert batches[-1] == (count, count)
    points_xy = np.array([mask.point_xy for mask in found.masks])
    assert len(points_xy)
    assert (points_xy[:, 0] < 100).all()
    assert {mask.candidate for mask in found.masks} == {0, 1, 2}
    nothing = generate_masks(predictor, COINS, settings, is_wanted=lambda xy: xy[:, 0] < 0)
    assert nothing.masks == ()
