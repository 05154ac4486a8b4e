"""Exported graphs of SAM 2.1, run by ONNX Runtime, against the predictor; weights are random."""

import copy

import numpy as np
import pytest

from napari_sam.model import Predictor
from napari_sam.model.onnx import export as onnx_export
from napari_sam.model.transforms import resize_image, scale_points

pytestmark = pytest.mark.slow

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

MAPS = {
    "image_embeddings": "image_embedding",
    "high_res_feats_0": "high_res_0",
    "high_res_feats_1": "high_res_1",
}
POINTS, LABELS, BOX = [[120, 80], [30, 180]], [1, 0], [20, 30, 180, 170]
SHARE = 1e-5  # of the largest value


@pytest.fixture(scope="module")
def model(tiny_sam2):
    """The model as it is loaded."""
    model = copy.deepcopy(tiny_sam2)
    model.fold()
    return model


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, device="cpu")


@pytest.fixture(scope="module")
def sessions(model, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "detect_variant", lambda *_: ("hiera_test", None))
        files = onnx_export.export_onnx(model, tmp_path_factory.mktemp("onnx"))
    providers = ["CPUExecutionProvider"]
    return [
        onnxruntime.InferenceSession(path, providers=providers) for path in vars(files).values()
    ]


@pytest.fixture(scope="module")
def encoded(predictor, sessions):
    """An image that is wider than high, as the predictor and the graph encode it."""
    image = np.random.default_rng(0).integers(0, 255, (200, 320, 3), np.uint8)
    embedding = predictor.encode(image)
    resized = resize_image(image, embedding.input_size).astype(np.float32)
    maps = sessions[0].run(None, {"input_image": resized})
    names = [output.name for output in sessions[0].get_outputs()]
    return embedding, dict(zip(names, maps, strict=True))


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=SHARE * max(1, abs(expected).max()))


def run(encoded, decoder, points_xy, kinds, size, mask=None):
    """Run the decoder on positions in the pixels of the image."""
    embedding, maps = encoded
    points = scale_points(
        np.array([*points_xy, (0, 0)], float), embedding.original_size, embedding.input_size
    )
    names = [output.name for output in decoder.get_outputs()]
    feed = maps | {
        "point_coords": points[None],
        "point_labels": np.array([[*kinds, -1]], np.float32),
        "mask_input": np.full((1, 1, 64, 64), np.nan if mask is None else mask, np.float32),
        "has_mask_input": np.array([mask is not None], np.float32),
        "orig_im_size": np.array(size, np.float32),
    }
    return dict(zip(names, decoder.run(None, feed), strict=True))


def test_encoder(model, encoded):
    embedding, maps = encoded
    expected = embedding.to_arrays()
    assert maps.keys() == MAPS.keys()
    for name, own_name in MAPS.items():
        # Of an image on its own: that nothing is remembered is in the graph's embedding.
        added = model.no_mem_embed[0, 0, :, None, None].numpy() if name == "image_embeddings" else 0
        assert_close(maps[name][0], expected[own_name] + added)


def test_decoder(predictor, encoded, sessions):
    embedding, _ = encoded
    corners = np.reshape(BOX, (2, 2)).tolist()
    mask = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    points = {"points_xy": POINTS, "point_labels": LABELS}
    cases = [
        (POINTS, LABELS, points, None),
        (corners, [2, 3], {"box_xyxy": BOX}, None),
        (POINTS + corners, [*LABELS, 2, 3], points | {"box_xyxy": BOX, "mask_input": mask}, mask),
    ]
    for positions, kinds, prompt, given in cases:
        results = run(encoded, sessions[1], positions, kinds, (200, 320), given)
        for multimask, kept in ((False, slice(0, 1)), (True, slice(1, 4))):
            expected = predictor.decode(embedding, **prompt, multimask_output=multimask)
            assert_close(results["low_res_masks"][0, kept], expected.low_res_logits)
            assert_close(results["iou_predictions"][0, kept], expected.iou_predictions)
            masks = results["masks"][0, kept]
            assert masks.shape == expected.masks.shape
            differs = (masks > 0) != expected.masks
            assert abs(masks[differs]).max(initial=0) < SHARE * abs(masks).max()


def test_whether_there_is_an_object(predictor, encoded, sessions):
    embedding, _ = encoded
    results = run(encoded, sessions[1], POINTS, LABELS, (50, 80))
    state = predictor.memory.start(embedding)
    tracked = predictor.memory.add_prompt(state, 0, 1, embedding, POINTS, LABELS)
    assert_close(
        1 / (1 + np.exp(-results["object_score_logits"])), np.array([[tracked.object_score]])
    )
    assert results["masks"].shape == (1, 4, 50, 80)
