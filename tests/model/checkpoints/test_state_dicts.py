import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam.model import VARIANTS, CheckpointError, load_model
from tests.model.conftest import Hostile

BUNDLED = VARIANTS["vit_t"].bundled_checkpoint


@pytest.fixture(scope="module")
def state_dict():
    return load_file(BUNDLED)


@pytest.fixture
def save(tmp_path):
    def save(content, name="model.pt"):
        path = tmp_path / name
        torch.save(content, path)
        return path

    return save


def assert_refused(path, *words):
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint=path)
    for word in words:
        assert word in str(caught.value)


def same(model, other):
    pairs = zip(model.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_published_file_with_classification_head(sam, state_dict, save):
    head = {
        "image_encoder.norm_head.weight": torch.zeros(320),
        "image_encoder.norm_head.bias": torch.zeros(320),
        "image_encoder.head.weight": torch.zeros(1000, 320),
        "image_encoder.head.bias": torch.zeros(1000),
    }
    assert same(load_model(checkpoint=save(state_dict | head)), sam)


def test_path_may_be_a_string(sam):
    assert same(load_model("vit_t", str(BUNDLED)), sam)


def test_model_is_ready_for_inference(sam):
    assert not sam.training
    assert not any(parameter.requires_grad for parameter in sam.parameters())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in sam.modules())


def test_unknown_variant():
    with pytest.raises(ValueError, match="vit_t, vit_b, vit_l, vit_h"):
        load_model("vit_x")
    with pytest.raises(ValueError, match="pass the path of its file"):
        load_model("mobile_sam")


def test_missing_file(tmp_path):
    assert_refused(tmp_path / "none.pt", "There is no checkpoint file", "Check the path")
    assert_refused(tmp_path, "There is no checkpoint file", "model.safetensors")


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", bytes(range(256)) * 40])
def test_garbage(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(path, str(path))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_truncated(tmp_path, state_dict, save, share):
    small = {key: state_dict[key] for key in list(state_dict)[:20]}
    torch_file = save(small)
    safetensors_file = tmp_path / "model.safetensors"
    save_file(small, safetensors_file)
    for path in (torch_file, safetensors_file):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        assert_refused(path, "Download the checkpoint again")


def test_hostile_pickle_does_not_run(tmp_path, save):
    trace = tmp_path / "trace"
    assert_refused(save(Hostile(trace)), "refused", "run code (", "napari-sam convert")
    assert_refused(save({"model_state": {"weight": Hostile(trace)}}), "refused")
    assert_refused(save(Hostile(trace), "pytorch_model.bin").parent, "refused")
    assert_refused(save({"image_encoder.weight": Hostile(trace)}), "refused")
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Hostile(trace)))
    assert_refused(bare)
    assert not trace.exists()
    pickle.loads(bare.read_bytes())
    assert trace.exists(), "the pickle was harmless, so nothing was tested"


def test_no_state_dict(save):
    assert_refused(save([1, 2]), "list")
    assert_refused(save({}), "empty")
    assert_refused(
        save({"network": {"weight": torch.zeros(1)}}), "'network'", "only the model's state dict"
    )
    assert_refused(save({1: torch.zeros(1)}), "not a state dict")


def test_missing_unexpected_and_misshapen_keys_are_all_named(state_dict, save):
    wrong = dict(state_dict)
    del wrong["mask_decoder.iou_token.weight"]
    wrong["mask_decoder.extra"] = torch.zeros(1)
    wrong["image_encoder.neck.1.bias"] = torch.zeros(255)
    assert_refused(
        save(wrong),
        "1 missing keys: mask_decoder.iou_token.weight",
        "1 unexpected keys: mask_decoder.extra",
        "image_encoder.neck.1.bias (255,) instead of (256,)",
        "variant",
    )


DIGITS = f"mask_decoder.iou_prediction_head.layers.{'9' * 5000}.weight"
TOKEN = "mask_decoder.iou_token.weight"
PATCHES = {"image_encoder.patch_embed.proj.weight": torch.zeros(768, 3, 16, 16)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda token: token.to_sparse(), "is sparse"),
        (lambda token: torch.quantize_per_tensor(token, 0.1, 0, torch.quint8), "of quint8"),
        (lambda token: token.to("meta"), "no values"),
        (lambda token: torch.zeros(1).expand(token.shape), "but fewer values"),
        (lambda token: token.to(torch.complex64), "of complex64"),
        (lambda token: token > 0, f"another type: {TOKEN} bool"),
        (lambda token: token.to(torch.int8), f"another type: {TOKEN} int8"),
        (lambda token: token.index_fill(1, torch.tensor(3), torch.nan), "NaN or infinite"),
        (lambda token: token.index_fill(1, torch.tensor(3), torch.inf), "NaN or infinite"),
        (lambda token: token.double() + 1e300, "NaN or infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:torch.quantize")
def test_weights_that_are_no_numbers_are_refused(tiny, save, change, words):
    path = save(tiny | {TOKEN: change(tiny[TOKEN])})
    assert_refused(path, str(path), words, TOKEN)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested")
def test_nested_weights_are_refused(tiny, save):
    path = save(tiny | {TOKEN: torch.nested.nested_tensor([tiny[TOKEN][0]])})
    assert_refused(path, str(path))  # from torch 2.15 on by torch.load, without the name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_is_taken(tiny, save, dtype):
    path = save({name: tensor.to(dtype) for name, tensor in tiny.items()})
    loaded = load_model(checkpoint=path).state_dict()
    assert all(torch.equal(loaded[name], tiny[name].to(dtype).float()) for name in tiny)


@pytest.mark.parametrize(
    "state",
    [
        dict.fromkeys(("vision_encoder.x", DIGITS), torch.zeros(1)),
        {**PATCHES, "image_encoder.pos_embed": torch.zeros(1).expand(1, 10**5, 10**5, 768)},
        {**PATCHES, "image_encoder.pos_embed": torch.zeros(1, 10**6, 1, 1)},
        {**PATCHES, "image_encoder.pos_embed": torch.zeros(1, 0, 0, 768)},
        {"model_state": PATCHES, "decoder_state": torch.zeros(3)},
        {"\ud800\n" + "x" * 10_000: torch.zeros(1)},
    ],
)
def test_sizes_and_names_without_sense_are_refused(save, state):
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint=save(state))
    assert len(str(caught.value).encode()) < 1500


def test_long_lists_of_keys_are_cut(save):
    lonely = {"image_encoder.layers.0.weight": torch.zeros(1)}
    assert_refused(save(lonely), "435 missing keys", ", ...")


def test_other_models_are_refused(save):
    assert_refused(save({"weight": torch.zeros(1)}), "not a Segment Anything model", "weight")
    patches = {"image_encoder.patch_embed.proj.weight": torch.zeros(40, 3, 16, 16)}
    assert_refused(save(patches), "40 channels", "vit_t, vit_b, vit_l, vit_h")


def test_variant_may_be_stated_but_not_wrongly():
    with pytest.raises(CheckpointError, match="is a vit_t, not a vit_b"):
        load_model("vit_b", BUNDLED)
    with pytest.raises(CheckpointError, match="no weights for the variant 'vit_b'"):
        load_model("vit_b")
