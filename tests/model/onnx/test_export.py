"""Exported graphs, run by ONNX Runtime, against the predictor; and every way to fail."""

import sys
import threading
import warnings

import numpy as np
import pytest
import torch

from napari_sam.engine.spec import resized_size
from napari_sam.model.onnx import export as onnx_export
from napari_sam.model.onnx.export import OnnxExportError, export_onnx
from napari_sam.model.sam.common import EXPORTING
from napari_sam.model.transforms import resize_image, scale_points
from tests.model.conftest import sample_image
from tests.model.plain_reference import PlainEncoder

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

# Of logits between -40 and 40, scores up to 1, embeddings up to 1.
LOGITS_TOLERANCE, SCORE_TOLERANCE, EMBEDDING_TOLERANCE = 2e-3, 1e-5, 1e-5


def _session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def files(sam, tmp_path_factory):
    return export_onnx(sam, tmp_path_factory.mktemp("onnx"), metadata={"source": "a test"})


@pytest.fixture(scope="module")
def encoder(files):
    return _session(files.encoder)


@pytest.fixture(scope="module")
def decoder(files):
    return _session(files.decoder)


def _feed(embedding, positions_xy, kinds, mask_input=None, hidden_mask=0.0):
    """Return the decoder's inputs for positions in the pixels of the image."""
    has_mask = mask_input is not None
    mask = mask_input if has_mask else np.full((256, 256), hidden_mask)
    points = scale_points(np.array(positions_xy), embedding.original_size, embedding.input_size)
    return {
        "image_embeddings": embedding.numpy()[None],
        "point_coords": points[None],
        "point_labels": np.array([kinds], np.float32),
        "mask_input": mask.astype(np.float32).reshape(1, 1, 256, 256),
        "has_mask_input": np.array([has_mask], np.float32),
        "orig_im_size": np.array(embedding.original_size, np.float32),
    }


def _assert_same(predictor, coins, decoder, feed, prompt):
    masks, scores, low_res = decoder.run(None, feed)
    for multimask, kept in ((False, slice(0, 1)), (True, slice(1, 4))):
        expected = predictor.decode(coins, **prompt, multimask_output=multimask)
        np.testing.assert_allclose(
            low_res[0, kept], expected.low_res_logits, rtol=0, atol=LOGITS_TOLERANCE
        )
        np.testing.assert_allclose(
            scores[0, kept], expected.iou_predictions, rtol=0, atol=SCORE_TOLERANCE
        )
        assert masks[0, kept].shape == expected.masks.shape
        differs = (masks[0, kept] > 0) != expected.masks
        assert np.abs(masks[0, kept][differs]).max(initial=0) < LOGITS_TOLERANCE


@pytest.mark.parametrize("name", ["coins", "astronaut"])  # wider than high, square
def test_encoder(predictor, embedding_of, encoder, name):
    image = sample_image(name)
    size = resized_size(image.shape[:2], 1024)
    resized = resize_image(image, size).astype(np.float32)
    (embedding,) = encoder.run(None, {"input_image": resized})
    expected = embedding_of(name).numpy()
    np.testing.assert_allclose(embedding[0], expected, rtol=0, atol=EMBEDDING_TOLERANCE)


def test_mean_color_is_padding(encoder, embedding_of):
    resized = resize_image(sample_image("coins"), resized_size((303, 384), 1024))
    square = np.broadcast_to(np.float32([123.675, 116.28, 103.53]), (1024, 1024, 3)).copy()
    square[: resized.shape[0], : resized.shape[1]] = resized
    (embedding,) = encoder.run(None, {"input_image": square})
    np.testing.assert_allclose(
        embedding[0], embedding_of("coins").numpy(), rtol=0, atol=EMBEDDING_TOLERANCE
    )


POINT = ([[104, 68]], [1])
BOX = ([[78, 40], [132, 95]], [2, 3])


def test_one_point(predictor, coins, decoder):
    prompt = {"points_xy": POINT[0], "point_labels": POINT[1]}
    feed = _feed(coins, [*POINT[0], [0, 0]], [1, -1])
    _assert_same(predictor, coins, decoder, feed, prompt)


def test_box(predictor, coins, decoder):
    _assert_same(predictor, coins, decoder, _feed(coins, *BOX), {"box_xyxy": [78, 40, 132, 95]})


def test_points_and_box(predictor, coins, decoder):
    points, labels = [[104, 68], [60, 68], [-9, 500], [120, 80]], [1, 0, -1, 1]
    prompt = {"points_xy": points, "point_labels": labels, "box_xyxy": [78, 40, 132, 95]}
    feed = _feed(coins, points + BOX[0], labels + BOX[1])
    _assert_same(predictor, coins, decoder, feed, prompt)


def test_many_points(predictor, coins, decoder):
    points = np.random.default_rng(0).uniform(0, 300, (40, 2))
    labels = np.resize([1, 0, 1], 40)
    prompt = {"points_xy": points, "point_labels": labels}
    feed = _feed(coins, [*points, [0, 0]], [*labels, -1])
    _assert_same(predictor, coins, decoder, feed, prompt)


def test_mask_input(predictor, coins, decoder):
    logits = predictor.decode(coins, *POINT).low_res_logits[1]
    prompt = {"points_xy": POINT[0], "point_labels": POINT[1], "mask_input": logits}
    feed = _feed(coins, [*POINT[0], [0, 0]], [1, -1], logits)
    _assert_same(predictor, coins, decoder, feed, prompt)


def test_a_mask_that_does_not_count(decoder, coins):
    first, second = (
        decoder.run(None, _feed(coins, *BOX, hidden_mask=hidden)) for hidden in (0, np.nan)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 3), (1200, 1800), (333, 517), (64, 64)])
def test_masks_have_the_size_of_any_image(decoder, coins, size):
    feed = _feed(coins, *BOX) | {"orig_im_size": np.array(size, np.float32)}
    masks, _, low_res = decoder.run(None, feed)
    square = torch.nn.functional.interpolate(
        torch.from_numpy(low_res), (1024, 1024), mode="bilinear", align_corners=False
    )
    height, width = resized_size(size, 1024)
    expected = torch.nn.functional.interpolate(
        square[..., :height, :width], size, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(masks, expected, rtol=0, atol=LOGITS_TOLERANCE)


def test_files_say_where_they_are_from(files):
    for path in (files.encoder, files.decoder):
        model = onnx.load(path)
        onnx.checker.check_model(model)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        assert entries["source"] == "a test"
        assert entries["variant"] == "vit_t"
        assert entries["image_size"] == "1024"
        assert entries["pixel_mean"] == "123.675, 116.28, 103.53"
        assert entries["license"]
    assert sorted(path.name for path in files.encoder.parent.iterdir()) == [
        "decoder.onnx",
        "encoder.onnx",
    ]


@pytest.fixture(scope="module")
def known_tiny(tiny_model):
    """Take the tiny model for a ViT-B, which its width says it is not."""
    patch = pytest.MonkeyPatch()
    patch.setattr(onnx_export, "detect_variant", lambda *_: ("vit_b", None))
    yield tiny_model
    patch.undo()


@pytest.mark.parametrize("limit", [2**31, 1000], ids=["one file", "weights beside"])
def test_plain_vit_and_files_of_any_size(known_tiny, tmp_path, monkeypatch, limit):
    (tmp_path / "encoder.onnx.data").write_bytes(b"of another model")
    monkeypatch.setattr(onnx_export, "MAX_FILE_BYTES", limit)
    files = export_onnx(known_tiny, tmp_path, overwrite=True)
    assert (tmp_path / "encoder.onnx.data").exists() == (limit == 1000)
    image = np.random.default_rng(0).uniform(0, 255, (224, 150, 3)).astype(np.float32)
    (embedding,) = _session(files.encoder).run(None, {"input_image": image})
    with torch.inference_mode():
        square = known_tiny.preprocess(torch.from_numpy(image).permute(2, 0, 1))
        expected = known_tiny.image_encoder(square).numpy()
    np.testing.assert_allclose(embedding, expected, rtol=0, atol=1e-4)
    outputs = _session(files.decoder).run(
        None,
        {
            "image_embeddings": embedding,
            "point_coords": np.zeros((1, 1, 2), np.float32),
            "point_labels": np.ones((1, 1), np.float32),
            "mask_input": np.zeros((1, 1, 56, 56), np.float32),
            "has_mask_input": np.ones(1, np.float32),
            "orig_im_size": np.float32([30, 20]),
        },
    )
    assert [output.shape for output in outputs] == [(1, 4, 30, 20), (1, 4), (1, 4, 56, 56)]


def test_the_model_stays_as_it_is_and_nothing_is_said(known_tiny, tmp_path, capfd):
    before = {name: tensor.clone() for name, tensor in known_tiny.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(known_tiny, tmp_path / "a")
    assert tuple(capfd.readouterr()) == ("", "")
    after = known_tiny.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not known_tiny.training
    assert not EXPORTING.get()


def test_other_threads_go_on_as_ever():
    token = EXPORTING.set(True)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(EXPORTING.get()))
    thread.start()
    thread.join()
    EXPORTING.reset(token)
    assert seen == [False]


def test_networks_compute_the_same_while_exporting(sam):
    torch.manual_seed(0)
    image = torch.randn(1, 3, 1024, 1024)
    token = EXPORTING.set(True)
    with torch.inference_mode():
        exported = sam.image_encoder(image)
        EXPORTING.reset(token)
        expected = PlainEncoder(sam)(image)
    torch.testing.assert_close(exported, expected, rtol=0, atol=EMBEDDING_TOLERANCE)


def test_nothing_is_replaced_unasked(known_tiny, tmp_path):
    for name in ("encoder.onnx.data", "decoder.onnx"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(OnnxExportError, match=f"{name} already exists; choose another folder"):
            export_onnx(known_tiny, tmp_path)
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
        (tmp_path / name).rename(tmp_path / "decoder.onnx")
    export_onnx(known_tiny, tmp_path, overwrite=True)
    onnx.checker.check_model(onnx.load(tmp_path / "decoder.onnx"))


def test_a_file_in_place_of_the_folder(known_tiny, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OnnxExportError, match="out is a file; choose a folder"):
        export_onnx(known_tiny, tmp_path / "out")
    with pytest.raises(OnnxExportError, match="cannot be written to"):
        export_onnx(known_tiny, tmp_path / "out" / "inner")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("existed", [True, False])
def test_a_full_disk_leaves_nothing_behind(known_tiny, tmp_path, monkeypatch, existed):
    def save_a_part(model, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "save_model", save_a_part)
    folder = tmp_path / "out"
    if existed:
        folder.mkdir()
        (folder / "encoder.onnx").write_text("mine")
    with pytest.raises(OnnxExportError, match="No space left"):
        export_onnx(known_tiny, folder, overwrite=True)
    assert folder.exists() == existed
    if existed:
        assert [path.name for path in folder.iterdir()] == ["encoder.onnx"]
        assert (folder / "encoder.onnx").read_text() == "mine"


def test_without_onnx(known_tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxExportError, match=r"pip install onnx"):
        export_onnx(known_tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()
