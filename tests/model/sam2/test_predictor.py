"""Images of any size through the engine's contract, with random weights."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from napari_sam.engine.protocols import Engine
from napari_sam.engine.spec import SAM2_SPEC, Capability
from napari_sam.model import Predictor
from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.variants import VARIANTS
from napari_sam.model.embedding import embedding_spec
from napari_sam.model.sam.common import EXPORTING
from napari_sam.model.sam2.mask_decoder import rows_of_image

CLICKS = {"points_xy": [[120, 80], [30, 200]], "point_labels": [1, 0]}
BOX = {"box_xyxy": [20, 30, 180, 170]}
SMALL_BOX = {"box_xyxy": [150, 80, 210, 150]}


@pytest.fixture(scope="module")
def predictor(tiny_sam2):
    return Predictor(tiny_sam2, device="cpu")


@pytest.fixture(scope="module")
def square():
    return np.random.default_rng(0).integers(0, 255, (320, 320, 3), np.uint8)


@pytest.fixture(scope="module")
def embedding(predictor, square):
    return predictor.encode(square)


def test_sizes_are_those_of_the_published_models():
    with torch.device("meta"):
        model = build_model(VARIANTS["hiera_large"])
    assert embedding_spec(model, torch.float32) == SAM2_SPEC.arrays
    assert SAM2_SPEC.embedding_nbytes == 2**24


@pytest.mark.parametrize("halvings", [1, 2])
def test_rows_and_pixels(halvings):
    image = torch.arange(3 * 16 * 16).view(3, 16, 16)
    rows = rows_of_image(image, halvings)
    part = 2**halvings
    tokens = image.unfold(1, part, part).unfold(2, part, part).flatten(3).flatten(1, 2)
    assert rows.T.view(3, -1, part**2).sort(-1)[0].equal(tokens)
    assert rows[:4].T.equal(image[:, :2, :2].flatten(1))
    assert rows[4:8].T.equal(image[:, :2, 2:4].flatten(1))


def test_masks_are_those_of_transformers(predictor, hugging_face_image, square, embedding):
    prediction = predictor.decode(embedding, **CLICKS, **BOX)
    side = predictor.spec.input_side
    resized = np.array(Image.fromarray(square).resize((side, side), Image.Resampling.BILINEAR))
    pixels = (torch.from_numpy(resized) / 255 - torch.tensor([0.485, 0.456, 0.406])) / (
        torch.tensor([0.229, 0.224, 0.225])
    )
    scale = side / 320
    expected = hugging_face_image(
        pixel_values=pixels.permute(2, 0, 1)[None],
        input_points=torch.tensor([[CLICKS["points_xy"]]]) * scale,
        input_labels=torch.tensor([[CLICKS["point_labels"]]]),
        input_boxes=torch.tensor([[BOX["box_xyxy"]]]) * scale,
    )
    logits = expected.pred_masks[0]
    largest = logits.abs().max().item()
    np.testing.assert_allclose(
        prediction.low_res_logits, logits[0].numpy(), atol=1e-5 * max(1, largest)
    )
    np.testing.assert_allclose(prediction.iou_predictions, expected.iou_scores[0, 0], atol=1e-5)
    enlarged = F.interpolate(logits, (320, 320), mode="bilinear")[0] > 0
    assert (prediction.masks != enlarged.numpy()).mean() < 1e-5


def test_embeddings_come_back_from_arrays(predictor, embedding):
    arrays = embedding.to_arrays()
    assert [(name, array.shape) for name, array in arrays.items()] == [
        ("image_embedding", (128, 16, 16)),
        ("high_res_1", (32, 32, 32)),
        ("high_res_0", (16, 64, 64)),
    ]
    assert sum(array.nbytes for array in arrays.values()) == predictor.spec.embedding_nbytes
    again = predictor.from_arrays(arrays, embedding.original_size)
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    expected = predictor.decode(embedding, **CLICKS)
    assert (predictor.decode(again, **CLICKS).low_res_logits == expected.low_res_logits).all()
    with pytest.raises(ValueError, match="Encode the image again"):
        predictor.from_arrays({"image_embedding": arrays["image_embedding"]}, (9, 9))


def test_traced_batched_and_plain_prompts_agree(tiny_sam2, square):
    predictor = Predictor(tiny_sam2, device="cpu")
    embedding = predictor.encode(square[:200])
    start = predictor.decode(embedding, **BOX).low_res_logits[1]
    prompts = (CLICKS, BOX, CLICKS | SMALL_BOX, SMALL_BOX | {"mask_input": start})
    plain = [predictor.decode(embedding, **prompt) for prompt in prompts]
    alone = [predictor.decode(embedding, **prompt, is_only=True) for prompt in prompts]
    one = predictor.decode(embedding, **CLICKS, multimask_output=False)
    assert one.low_res_logits.shape == (1, 64, 64)
    predictor.warm_up()
    traced = [predictor.decode(embedding, **prompt) for prompt in prompts]
    traced_alone = [predictor.decode(embedding, **prompt, is_only=True) for prompt in prompts]
    for way in (alone, traced, traced_alone):
        for prediction, expected in zip(way, plain, strict=True):
            is_known = prediction.low_res_logits != -10  # far from a box, they are left out
            logits = np.where(is_known, expected.low_res_logits, -10)
            np.testing.assert_allclose(prediction.low_res_logits, logits, atol=1e-4)
            np.testing.assert_allclose(
                prediction.iou_predictions, expected.iou_predictions, atol=1e-5
            )
    points, labels = CLICKS["points_xy"], CLICKS["point_labels"]
    for prediction in predictor.decode_batch(embedding, [points] * 3, [labels] * 3):
        np.testing.assert_allclose(prediction.low_res_logits, plain[0].low_res_logits, atol=1e-4)
        assert prediction.masks.shape == (3, 200, 320)


def test_half_precision(tiny_sam2, square, predictor, embedding):
    half = Predictor(tiny_sam2, device="cpu", precision="bfloat16")
    arrays = half.encode(square).to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype("uint16")}
    again = half.from_arrays(arrays, (320, 320))
    masks = half.decode(again, **CLICKS).masks
    assert (masks != predictor.decode(embedding, **CLICKS).masks).mean() < 0.05
    assert tiny_sam2.sam_mask_decoder.iou_token.weight.dtype == torch.float32
    assert half._model.memory_attention.cosines.equal(tiny_sam2.memory_attention.cosines)
    masks = []
    for one, image in ((half, again), (predictor, embedding)):
        state = one.memory.start(image)
        one.memory.add_prompt(state, 0, 1, image, **CLICKS)
        ((_, tracked),) = one.memory.propagate(state, [(1, image)], 1)
        masks.append(tracked[1].prediction.masks)
    assert (masks[0] != masks[1]).mean() < 0.05


def test_accelerators_compute_the_same_in_another_way(tiny_sam2):
    torch.manual_seed(0)
    image, tokens = torch.randn(1, 3, 256, 256), torch.randn(256, 128)
    memories = torch.randn(2, 2 * 256 + 4, 64)
    results = []
    for is_one_piece in (False, True):
        before = EXPORTING.set(is_one_piece)
        attention = tiny_sam2.memory_attention
        conditioned = attention(attention.prepare(tokens), *memories, 4)
        results.append((*tiny_sam2.encode(image), conditioned))
        EXPORTING.reset(before)
    for in_pieces, in_one in zip(*results, strict=True):
        torch.testing.assert_close(in_pieces, in_one, atol=1e-4, rtol=1e-4)


def test_fingerprints_tell_weights_apart(tiny_sam2, predictor):
    other = build_model(tiny_sam2.config)
    other.load_state_dict(tiny_sam2.state_dict())
    assert Predictor(other, device="cpu").fingerprint == predictor.fingerprint
    with torch.no_grad():
        other.sam_mask_decoder.conv_s0.bias += 1
    assert Predictor(other, device="cpu").fingerprint != predictor.fingerprint


def test_capabilities(predictor):
    assert Capability.MASK_PROMPT in predictor.spec.capabilities
    assert Engine.of(predictor).encoder is predictor


def test_progress_and_canceling(predictor, square):
    reports = []
    predictor.encode(square, lambda done, total: reports.append((done, total)))
    assert [done for done, _ in reports] == list(range(1, reports[-1][1] + 1))

    def cancel(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        predictor.encode(square, cancel)
