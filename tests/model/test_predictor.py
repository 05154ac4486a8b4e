from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from napari_sam.model import Predictor, SamEmbedding
from napari_sam.model.runtime.devices import available_devices
from tests.model.conftest import sample_image

pytestmark = pytest.mark.slow

POINT = {"points_xy": [[104, 68]], "point_labels": [1]}
NAN, INF = float("nan"), float("inf")


class CancelledError(Exception):
    pass


def test_embedding(coins):
    assert isinstance(coins, SamEmbedding)
    assert coins.original_size == (303, 384)
    assert coins.input_size == (808, 1024)
    assert coins.image_embedding.shape == (256, 64, 64)
    assert coins.numpy().dtype == np.float32
    assert coins.nbytes == coins.numpy().nbytes
    with pytest.raises(FrozenInstanceError):
        coins.original_size = (1, 1)


def test_prediction(predictor, coins):
    prediction = predictor.decode(coins, **POINT)
    assert prediction.iou_predictions.shape == (3,)
    assert prediction.iou_predictions.dtype == np.float32
    assert prediction.low_res_logits.shape == (3, 256, 256)
    assert prediction.low_res_logits.dtype == np.float32
    assert prediction.masks.shape == (3, 303, 384)
    assert len(predictor.decode(coins, **POINT, multimask_output=False)) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3), (40, 1000), (2500, 1300)])
def test_any_image_size(tiny_model, size):
    predictor = Predictor(tiny_model, device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    embedding = predictor.encode(image)
    prediction = predictor.decode(embedding, [[0, 0]], [1])
    assert prediction.masks.shape == (3, *size)
    assert np.isfinite(prediction.low_res_logits).all()


def test_image_is_read_in_any_memory_order(predictor, coins):
    image = np.asfortranarray(sample_image("coins"))
    image.flags.writeable = False
    np.testing.assert_array_equal(predictor.encode(image).numpy(), coins.numpy())


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4), np.uint8), r"\(4, 4\).*\(H, W, 3\)"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "float32.*uint8"),
        (np.zeros((4, 4, 3), bool), "bool.*uint8"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros((4, 0, 3), np.uint8), r"\(4, 0, 3\)"),
        ([[1, 2, 3]], "list.*NumPy"),
        (None, "NoneType"),
    ],
)
def test_bad_images(predictor, image, words):
    with pytest.raises(ValueError, match=words):
        predictor.encode(image)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({}, "no prompt"),
        ({"points_xy": np.zeros((0, 2)), "point_labels": []}, "no prompt"),
        ({"points_xy": [[1, 2]]}, "together"),
        ({"point_labels": [1]}, "together"),
        ({"points_xy": [1, 2], "point_labels": [1]}, r"\(2,\).*\(N, 2\)"),
        ({"points_xy": [[1, 2, 3]], "point_labels": [1]}, r"\(1, 3\)"),
        ({"points_xy": [[[1, 2]]], "point_labels": [[1]]}, r"\(1, 1, 2\)"),
        ({"points_xy": [[1, 2]], "point_labels": [1, 0]}, r"\(2,\).*\(1, 2\)"),
        ({"points_xy": [[1, 2]], "point_labels": [2]}, "2.*foreground"),
        ({"points_xy": [[1, 2]], "point_labels": [0.5]}, "0.5.*foreground"),
        ({"points_xy": [[1, NAN]], "point_labels": [1]}, "points_xy.*NaN"),
        ({"points_xy": [[INF, 1]], "point_labels": [1]}, "points_xy.*infinity"),
        ({"points_xy": [["a", "b"]], "point_labels": [1]}, "points_xy is not an array"),
        ({"points_xy": [[1, 2], [3]], "point_labels": [1, 1]}, "points_xy is not an array"),
        ({"box_xyxy": [1, 2, 3]}, r"box_xyxy.*\(3,\)"),
        ({"box_xyxy": [[1, 2, 3, 4]]}, r"\(1, 4\)"),
        ({"box_xyxy": [1, 2, NAN, 4]}, "box_xyxy.*NaN"),
        ({"mask_input": np.zeros((255, 256))}, r"mask_input.*\(255, 256\)"),
        ({"mask_input": np.zeros((3, 256, 256))}, r"\(3, 256, 256\)"),
        ({"mask_input": np.full((256, 256), NAN)}, "mask_input.*NaN"),
    ],
)
def test_bad_prompts(predictor, coins, prompt, words):
    with pytest.raises(ValueError, match=words):
        predictor.decode(coins, **prompt)


def test_mask_input_with_and_without_leading_axis(predictor, coins):
    logits = predictor.decode(coins, **POINT).low_res_logits
    one = predictor.decode(coins, mask_input=logits[0])
    other = predictor.decode(coins, mask_input=logits[:1])
    np.testing.assert_array_equal(one.low_res_logits, other.low_res_logits)
    plain = predictor.decode(coins, **POINT)
    np.testing.assert_array_equal(plain.low_res_logits, logits)


def test_points_outside_and_empty_boxes(predictor, coins):
    for prompt in (
        {"points_xy": [[-50, 1e5]], "point_labels": [1]},
        {"box_xyxy": [100, 60, 100, 60]},
        {"box_xyxy": [-10, -10, 1000, 1000]},
    ):
        assert np.isfinite(predictor.decode(coins, **prompt).low_res_logits).all()


def test_box_from_any_corner(predictor, coins):
    expected = predictor.decode(coins, box_xyxy=[78, 40, 132, 95]).low_res_logits
    turned = predictor.decode(coins, box_xyxy=[132, 40, 78, 95]).low_res_logits
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize("stop_at", [1, 5])
def test_cancel(predictor, stop_at):
    calls = []

    def on_block(done, total):
        calls.append((done, total))
        if done == stop_at:
            raise CancelledError

    with pytest.raises(CancelledError):
        predictor.encode(sample_image("coins"), on_block)
    assert len(calls) == stop_at
    assert calls[-1][1] > stop_at


def test_encode_and_decode_at_the_same_time(predictor, coins, embedding_of):
    astronaut = embedding_of("astronaut")
    expected = predictor.decode(coins, **POINT).low_res_logits
    box = {"box_xyxy": [150, 10, 310, 200]}
    expected_box = predictor.decode(astronaut, **box).low_res_logits
    with ThreadPoolExecutor(3) as pool:
        encoded = pool.submit(predictor.encode, sample_image("astronaut"))
        points = [pool.submit(predictor.decode, coins, **POINT) for _ in range(8)]
        boxes = [pool.submit(predictor.decode, astronaut, **box) for _ in range(8)]
    for job, reference in [(j, expected) for j in points] + [(j, expected_box) for j in boxes]:
        np.testing.assert_allclose(job.result().low_res_logits, reference, rtol=0, atol=1e-4)
    np.testing.assert_allclose(encoded.result().numpy(), astronaut.numpy(), rtol=0, atol=1e-5)


def test_batch_is_one_prompt_after_another(predictor, coins):
    points = np.random.default_rng(0).uniform(0, 300, (11, 2, 2))
    labels = np.tile([[1, 0]], (11, 1))
    labels[3, 1] = -1
    boxes = np.random.default_rng(1).uniform(0, 300, (11, 4))
    for prompts in (
        {"points_xy": points, "point_labels": labels},
        {"boxes_xyxy": boxes},
        {"points_xy": points, "point_labels": labels, "boxes_xyxy": boxes},
    ):
        for multimask_output in (True, False):
            batch = predictor.decode_batch(coins, **prompts, multimask_output=multimask_output)
            assert len(batch) == 11
            for i in (0, 3, 10):
                one = {name.replace("boxes", "box"): value[i] for name, value in prompts.items()}
                alone = predictor.decode(coins, **one, multimask_output=multimask_output)
                np.testing.assert_allclose(
                    batch[i].low_res_logits, alone.low_res_logits, rtol=0, atol=2e-3
                )
                np.testing.assert_allclose(
                    batch[i].iou_predictions, alone.iou_predictions, rtol=0, atol=1e-4
                )


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({}, "no prompt"),
        ({"points_xy": np.zeros((2, 0, 2)), "point_labels": np.zeros((2, 0))}, "no prompt"),
        ({"points_xy": [[1, 2]], "point_labels": [1]}, r"\(1, 2\).*\(B, N, 2\)"),
        ({"boxes_xyxy": [1, 2, 3, 4]}, r"\(4,\).*\(B, 4\)"),
        (
            {"points_xy": [[[1, 2]]], "point_labels": [[1]], "boxes_xyxy": np.zeros((2, 4))},
            "1 point prompts and 2 boxes",
        ),
    ],
)
def test_bad_batches(predictor, coins, prompts, words):
    with pytest.raises(ValueError, match=words):
        predictor.decode_batch(coins, **prompts)


def test_empty_batch(predictor, coins):
    assert predictor.decode_batch(coins, boxes_xyxy=np.zeros((0, 4))) == []


def test_results_carry_no_gradients(coins):
    assert not coins.image_embedding.requires_grad


def test_bfloat16_agrees(sam, predictor, coins):
    low = Predictor(sam, device="cpu", precision="bfloat16")
    assert low.precision == "bfloat16"
    assert sam.mask_decoder.iou_token.weight.dtype == torch.float32, "the given model was changed"
    embedding = low.encode(sample_image("coins"))
    assert embedding.image_embedding.dtype == torch.bfloat16
    assert embedding.nbytes * 2 == coins.nbytes
    ious = []
    for prompt in (POINT, {"box_xyxy": [78, 40, 132, 95]}):
        masks, others = (
            low.decode(embedding, **prompt).masks,
            predictor.decode(coins, **prompt).masks,
        )
        ious += [(a & b).sum() / (a | b).sum() for a, b in zip(masks, others, strict=True)]
    assert np.median(ious) >= 0.985
    with pytest.raises(ValueError, match="encode the image again"):
        predictor.decode(embedding, **POINT)


def test_devices_and_precisions(sam):
    assert Predictor(sam).device == available_devices()[0]
    assert Predictor(sam, device="cpu").precision == "float32"
    with pytest.raises(ValueError, match="bfloat16"):
        Predictor(sam, precision="int8")
    with pytest.raises(ValueError, match="auto"):
        Predictor(sam, device="nonsense")


def test_predictors_of_one_device_share_the_weights(sam, predictor):
    assert predictor._model is sam


@pytest.fixture(scope="module")
def warm_predictor(sam):
    predictor = Predictor(sam, device="cpu")
    predictor.warm_up()
    return predictor


@pytest.mark.parametrize(
    "prompt",
    [
        {"points_xy": [[104, 68]], "point_labels": [1]},
        {"points_xy": [[104, 68], [60, 68], [50, 50]], "point_labels": [1, 0, 1]},
        {"box_xyxy": [78, 40, 132, 95]},
        {
            "points_xy": [[104, 68]],
            "point_labels": [1],
            "mask_input": np.linspace(-5, 5, 256 * 256, dtype=np.float32).reshape(256, 256),
        },
    ],
    ids=["point", "three points", "box", "point and mask"],
)
def test_a_warm_predictor_gives_the_same_masks_bit_by_bit(sam, warm_predictor, coins, prompt):
    (cold, alone), (warm, warm_alone) = (
        [predictor.decode(coins, **prompt, is_only=way) for way in (False, True)]
        for predictor in (Predictor(sam, device="cpu"), warm_predictor)
    )
    np.testing.assert_array_equal(warm.low_res_logits, cold.low_res_logits)
    np.testing.assert_array_equal(warm.iou_predictions, cold.iou_predictions)
    # Far from a box, of which the logits are in rows 27 to 63 and columns 52 to 88, none is made.
    largest, is_known = abs(cold.low_res_logits).max(), alone.low_res_logits != -10
    assert is_known[:, 9:81, 34:106].all()
    assert is_known.all() == ("box_xyxy" not in prompt)
    for single in (alone, warm_alone):  # the same but for rounding
        difference = abs(single.low_res_logits - cold.low_res_logits)[is_known].max()
        assert difference <= 1e-5 * largest
        np.testing.assert_allclose(single.iou_predictions, cold.iou_predictions, atol=1e-5)
