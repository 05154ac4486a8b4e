"""Other software does the same work as the model of this package."""

import pytest
import torch

from napari_sam.bench.options import BenchError
from napari_sam.bench.peers import OnnxEncoder, OnnxRuntime, Transformers
from napari_sam.bench.workloads import POINT_XY, Workload, example_image
from napari_sam.model import Predictor, load_model
from napari_sam.model.transforms import resize_image
from tests.model.sam2_models import tiny_2, tiny_sam2  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sam():
    return load_model()


def test_onnxruntime_does_the_same_work(sam, remembering_predictor):
    pytest.importorskip("onnxruntime")
    peer = OnnxRuntime(sam)
    assert peer.subjects().keys() == set(Workload) - {Workload.UPSCALE}
    embedding = remembering_predictor.encode(example_image())
    expected = remembering_predictor.decode(embedding, [POINT_XY], [1])
    masks, scores = peer.decode(POINT_XY, "masks")
    torch.testing.assert_close(
        torch.from_numpy(scores[0, 1:]), torch.from_numpy(expected.iou_predictions)
    )
    assert ((masks[0, 1:] > 0) != expected.masks).mean() < 1e-5


def test_an_encoder_of_others_gets_the_image(tiny_sam2, tmp_path):  # noqa: F811
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, path = onnx.helper, tmp_path / "other.onnx"

    def write(side):
        image, out = (
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 3, side, side])
            for name in ("image", "out")
        )
        node = helper.make_node("Identity", ["image"], ["out"])
        graph = helper.make_graph([node], "other", [image], [out])
        versions = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 8}
        onnx.save_model(helper.make_model(graph, **versions), path)

    write(256)
    peer = OnnxEncoder(tiny_sam2, path)
    assert list(peer.subjects()) == [Workload.ENCODE]
    resized = torch.from_numpy(resize_image(example_image(), (171, 256))).permute(2, 0, 1)
    assert torch.from_numpy(peer.encode()).equal(tiny_sam2.preprocess(resized))
    write(64)
    with pytest.raises(BenchError, match=r"other.onnx takes .* 64.* that takes \(1, 3, 256, 256\)"):
        OnnxEncoder(tiny_sam2, path)


def test_transformers_does_the_same_work(sam, remembering_predictor):
    pytest.importorskip("transformers")
    peer = Transformers(sam, "cpu", "float32")
    assert peer.subjects().keys() == set(Workload) - {Workload.ENCODE}
    assert "no vit_t encoder" in peer.note
    embedding = remembering_predictor.encode(example_image())
    peer._embedding = torch.from_numpy(embedding.numpy())[None]
    expected = remembering_predictor.decode(embedding, [POINT_XY], [1])
    (masks,) = peer.upscale(peer.decode([[POINT_XY]]))
    assert masks.shape == (1, 3, 1200, 1800)
    # Not closer: its normalizations add a smaller number to the variance than the published ones.
    assert (masks[0].numpy() != expected.masks).mean() < 1e-3


def test_transformers_does_the_same_work_with_sam2(tiny_sam2, tiny_2):  # noqa: F811
    pytest.importorskip("transformers")
    predictor = Predictor(tiny_sam2, device="cpu")
    peer = Transformers(tiny_sam2, "cpu", "float32")
    assert peer.subjects().keys() == set(Workload)
    expected = predictor.decode(predictor.encode(example_image()), [POINT_XY], [1])
    (masks,) = peer.upscale(peer.decode([[POINT_XY]]))
    # Not closer: at so small an input, 170.67 rows of the image are rounded to 171.
    assert (masks[0].numpy() != expected.masks).mean() < 1e-2
