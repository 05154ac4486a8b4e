"""The prompt encoder against keras-hub's, on PyTorch and with the same weights."""

import warnings
from itertools import product

import pytest
import torch

POINTS = torch.tensor(
    [
        [[30.0, 40.0], [200.0, 10.0], [0.0, 0.0], [223.0, 112.5]],
        [[7.25, 0.5], [100.0, 149.0], [-0.5, 223.5], [64.0, 64.0]],
    ]
)
LABELS = torch.tensor([[1, 0, 1, 0], [0, 0, 1, -1]])
BOXES = torch.tensor([[10.0, 20.0, 130.0, 140.0], [0.0, 0.0, 223.0, 100.5]])
PROMPTS = {
    " and ".join(
        name for name, there in zip(("points", "boxes", "mask"), which, strict=True) if there
    ): which
    for which in product((True, False), repeat=3)
    if any(which)
}


@pytest.fixture(scope="module")
def keras_hub(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Both are read once, by the first import; it also writes a file of settings.
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        module = pytest.importorskip(
            "keras_hub", reason="keras-hub is not installed: `pip install .[keras]`"
        )
        import keras

        assert keras.config.backend() == "torch"
        return module


@pytest.fixture(scope="module", params=["tiny_model", "sam"])
def ours(request):
    """Random weights, and those that ship."""
    return request.getfixturevalue(request.param).prompt_encoder


@pytest.fixture(scope="module")
def theirs(ours, keras_hub):
    cells = ours.embedding_size
    layer = keras_hub.layers.SAMPromptEncoder(
        hidden_size=ours.no_mask_embed.embedding_dim,
        image_embedding_size=(cells, cells),
        input_image_size=(ours.image_size, ours.image_size),
        mask_in_channels=ours.mask_downscaling[3].out_channels,
    )
    layer.build()
    background, foreground, top_left, bottom_right = ours.point_embeddings
    positions = ours.pe_layer.positional_encoding_gaussian_matrix
    layer.positional_embedding_layer.set_weights([positions.numpy()])
    for embedding, source in (
        (layer.background_point_embed, background),
        (layer.foreground_point_embed, foreground),
        (layer.top_left_corner_embed, top_left),
        (layer.bottom_right_corner_embed, bottom_right),
        (layer.not_a_point_embed, ours.not_a_point_embed),
        (layer.no_mask_embed, ours.no_mask_embed),
    ):
        embedding.set_weights([source.weight.numpy()])
    for target, source in zip(layer.mask_downscaler.layers, ours.mask_downscaling, strict=True):
        target.set_weights([_channels_last(weight).numpy() for weight in source.parameters()])
    return layer


def _channels_last(weight):
    return weight.permute(2, 3, 1, 0) if weight.ndim == 4 else weight


def _prompts(ours, points, boxes, mask):
    torch.manual_seed(6)
    side = ours.mask_input_size
    return (
        POINTS if points else None,
        LABELS if points else None,
        BOXES if boxes else None,
        5 * torch.randn(1, 1, side, side) if mask else None,
    )


def _call(theirs, points, labels, boxes, mask):
    if points is not None and boxes is None:
        # Meta's encoder puts a padding point where there is no box; theirs leaves it to the caller.
        points = torch.nn.functional.pad(points, (0, 0, 0, 1))
        labels = torch.nn.functional.pad(labels, (0, 1), value=-1)
    batch = 1 if points is None and boxes is None else len(POINTS)
    result = theirs(
        points=points,
        labels=labels,
        boxes=None if boxes is None else boxes.view(-1, 1, 2, 2),
        masks=None if mask is None else mask[..., None].expand(batch, -1, -1, -1, -1),
    )
    return tuple(result[f"prompt_{name}_embeddings"] for name in ("sparse", "dense"))


def assert_close(result, expected, relative=1e-5):
    assert result.shape == expected.shape
    assert torch.linalg.norm(result - expected) <= relative * torch.linalg.norm(expected)


@pytest.mark.parametrize("which", PROMPTS.values(), ids=PROMPTS)
def test_embeddings(ours, theirs, which):
    points, labels, boxes, mask = _prompts(ours, *which)
    sparse, dense = _call(theirs, points, labels, boxes, mask)
    assert_close(ours.sparse(points, labels, boxes), sparse)
    for image in dense:
        cells = image.flatten(0, 1)
        assert_close(ours.dense(mask).expand(len(cells), -1), cells)


@pytest.mark.parametrize("which", [(True, False), (False, True), (True, True)])
def test_embeddings_without_a_branch(ours, theirs, which):
    points, labels, boxes, _ = _prompts(ours, *which, False)
    sparse, _ = _call(theirs, points, labels, boxes, None)
    positions, kinds = [], []
    if points is not None:
        positions.append(points)
        kinds.append(labels)
    if boxes is not None:
        positions.append(boxes.view(-1, 2, 2))
        kinds.append(torch.tensor([[2, 3]]).expand(len(boxes), -1))
    else:
        positions.append(torch.zeros(len(points), 1, 2))
        kinds.append(torch.full((len(points), 1), -1))
    assert_close(ours.sparse_uniform(torch.cat(positions, 1), torch.cat(kinds, 1)), sparse)


def test_positions_of_the_image(ours, theirs):
    encoded = theirs.positional_embedding_layer.encode_image((ours.embedding_size,) * 2)
    assert_close(ours.image_pe(), encoded.flatten(0, 1))
