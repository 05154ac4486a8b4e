"""Simulated prompts, losses and steps, with a tiny model."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_sam.engine.training_settings import TrainingSettings
from napari_sam.model import VARIANTS, Predictor, load_model
from napari_sam.model.checkpoints.files import CheckpointError
from napari_sam.model.checkpoints.state_dicts import read_checkpoint
from napari_sam.model.conversion import convert
from napari_sam.model.training.files import read_state, write_state, write_trained
from napari_sam.model.training.losses import losses
from napari_sam.model.training.simulated import CELL_PX, corrected, first_prompt
from napari_sam.model.training.tiles import TrainingTile, visits_of
from napari_sam.model.training.trainer import Trainer
from tests.model.conftest import TINY_CONFIG
from tests.model.sam2_models import TINY_2, random_model

SETTINGS = TrainingSettings(epochs=2, objects_per_epoch=3, learning_rate=1e-3)


@pytest.fixture(autouse=True)
def one_thread():
    """Take one thread: several would wait for each other in steps as short as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def square(side, first=10, last=20):
    mask = np.zeros((side, side), bool)
    mask[first:last, first:last] = True
    return mask


def tile_of(model):
    """A tile with two objects and padding below."""
    predictor = Predictor(model, "cpu")
    side = predictor.spec.low_res_side
    labels = np.zeros((side, side), np.int16)
    labels[5:15, 8:20], labels[22:30, 30:38] = 1, 2
    labels[40:] = -1
    image = np.random.default_rng(0).integers(0, 255, (40, side, 3), np.uint8)
    arrays = predictor.encode(image).to_arrays()
    return TrainingTile(labels, (1, 2), lambda: image, lambda: arrays)


def test_first_prompts_are_on_the_object():
    rng, mask = np.random.default_rng(0), square(56)
    prompts = [first_prompt(mask, rng) for _ in range(60)]
    kinds = {(p.points_xy is not None, p.boxes_xyxy is not None) for p in prompts}
    assert kinds == {(True, False), (False, True), (True, True)}
    for prompt in prompts:
        if prompt.points_xy is not None:
            column, row = ((prompt.points_xy[0, 0] + 0.5) / CELL_PX).astype(int)
            assert mask[row, column]
        else:
            np.testing.assert_allclose(prompt.boxes_xyxy[0], [39.5, 39.5, 79.5, 79.5], atol=16)


def test_corrections_are_where_the_largest_error_is():
    rng, mask = np.random.default_rng(0), square(56)
    prompt = first_prompt(mask, rng)
    predicted = mask.copy()
    predicted[10:12, 10:12] = False  # 4 missing
    predicted[30:36, 40:46] = True  # 36 too many
    more = corrected(prompt, mask, predicted, rng)
    assert more.point_labels[0, -1] == 0
    x, y = more.points_xy[0, -1] / CELL_PX
    assert 40 <= x < 46
    assert 30 <= y < 36
    last = corrected(more, mask, predicted & mask, rng)
    assert last.point_labels[0, -1] == 1
    assert last.points_xy.shape[1] == more.points_xy.shape[1] + 1
    assert corrected(last, mask, mask, rng) is None


def test_the_best_of_several_masks_counts_and_all_scores():
    target = torch.from_numpy(square(32)).float()
    valid = torch.ones(32, 32)
    logits = torch.stack([20 * (2 * target - 1), torch.full((32, 32), 20.0)])
    right = losses(logits, torch.tensor([1.0, 100 / 1024]), target, valid)
    assert right.mask < 1e-3
    assert right.score < 1e-9
    assert losses(logits[1:], torch.tensor([0.5]), target, valid).mask > 1
    valid[:20] = 0  # nothing of the object is in the image, so nothing was found
    assert losses(logits[1:], torch.tensor([0.5]), target * 0, valid).score == 0.25


def test_every_object_is_visited_before_any_is_again():
    tile = TrainingTile(np.zeros((2, 2), np.int16), (1, 2, 3, 4, 5), None, None)
    visits = [*visits_of([tile], 7, 2, np.random.default_rng(0))]
    ids = [label_id for visit in visits for label_id in visit.label_ids]
    assert sorted(ids[:5]) == [1, 2, 3, 4, 5]
    assert len(ids) == 7
    assert max(len(visit.label_ids) for visit in visits) == 2


@pytest.mark.parametrize("config", [TINY_CONFIG, TINY_2])
def test_only_the_decoder_learns_and_a_resumed_training_is_the_same(config):
    base = random_model(config)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    tiles = [tile_of(base)]
    trainers = [Trainer(copy.deepcopy(base), SETTINGS, "cpu") for _ in range(2)]
    first = trainers[0].train(tiles, 0)
    assert np.isfinite(first).all()
    trainers[1].resume(trainers[0].state())
    assert trainers[0].train(tiles, 1) == trainers[1].train(tiles, 1)
    after = [trainer.model.state_dict() for trainer in trainers]
    assert all(torch.equal(after[0][name], after[1][name]) for name in before)
    changed = {name for name in before if not torch.equal(before[name], after[0][name])}
    assert changed == {*trainers[0].weights()} & changed
    assert any(name.endswith("mask_tokens.weight") for name in changed)
    encoding = trainers[0].predictor().fingerprint
    assert encoding == Predictor(base, "cpu").fingerprint  # what is embedded stays of use


@pytest.mark.parametrize("config", [TINY_CONFIG, TINY_2])
def test_adapters_become_part_of_the_encoder(config):
    base = random_model(config)
    tile = tile_of(base)
    settings = replace(SETTINGS, adapters=2, learning_rate=1e-2)
    trainer = Trainer(copy.deepcopy(base), settings, "cpu")
    embedded = Predictor(base, "cpu").encode(tile.read()).numpy()
    np.testing.assert_array_equal(trainer.predictor().encode(tile.read()).numpy(), embedded)
    trainer.train([tile], 0)
    published = trainer.published()
    of_encoder = [name for name in published if name.startswith("image_encoder.")]
    assert of_encoder
    assert all(name.endswith(".qkv.weight") for name in of_encoder)
    base.load_state_dict(published, strict=False)
    adapted = trainer.predictor().encode(tile.read()).numpy()
    assert not np.allclose(adapted, embedded, atol=1e-3)
    np.testing.assert_allclose(
        Predictor(base, "cpu").encode(tile.read()).numpy(), adapted, atol=1e-4
    )


def test_a_trained_model_gives_the_same_masks_in_transformers(tmp_path, tiny, tiny_hugging_face):
    torch.save(tiny, tmp_path / "base.pt")
    trainer = Trainer(load_model(checkpoint=tmp_path / "base.pt"), SETTINGS, "cpu")
    weights = {name: value * 1.1 for name, value in trainer.weights().items()}
    trainer.use(weights)
    assert write_trained(tmp_path / "new.pt", tmp_path / "base.pt", weights) == "vit_tiny"
    convert(tmp_path / "new.pt", tmp_path / "hf.safetensors", for_hugging_face=True)
    theirs = copy.deepcopy(tiny_hugging_face)
    theirs.load_state_dict(load_file(tmp_path / "hf.safetensors"), strict=True)
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    point = torch.tensor([[[60.0, 80.0]]])
    with torch.no_grad():
        expected = theirs(image, input_points=point[None], input_labels=torch.ones(1, 1, 1))
        ours = load_model(checkpoint=tmp_path / "new.pt")
        factored = ours.factored(ours.prompts.image_pe())
        tokens = ours.prepare(ours.encode(image), factored)
        sparse = ours.prompts.sparse(point, torch.ones(1, 1), None)
        logits, scores = ours.decoder(factored, tokens, sparse, True)
    error = torch.linalg.norm(logits - expected.pred_masks[0, 0])
    assert error <= 1e-4 * torch.linalg.norm(logits)
    torch.testing.assert_close(scores[0], expected.iou_scores[0, 0], rtol=1e-3, atol=1e-3)


def test_mobile_sams_own_code_finds_its_classifier(tmp_path):
    assert write_trained(tmp_path / "new.safetensors", None, {}) == "vit_t"
    state = read_checkpoint(tmp_path / "new.safetensors").state_dict
    base = read_checkpoint(VARIANTS["vit_t"].bundled_checkpoint).state_dict
    added = {name: tuple(state[name].shape) for name in state if name not in base}
    assert added == {
        "image_encoder.norm_head.weight": (320,),
        "image_encoder.norm_head.bias": (320,),
        "image_encoder.head.weight": (1000, 320),
        "image_encoder.head.bias": (1000,),
    }
    load_model(checkpoint=tmp_path / "new.safetensors")


def test_an_instance_decoder_is_kept_while_its_encoder_is_the_same(tmp_path, tiny):
    torch.save(
        {"model_state": tiny, "decoder_state": {"out.weight": torch.ones(2)}}, tmp_path / "a"
    )
    name = next(name for name in tiny if name.startswith("image_encoder."))
    write_trained(tmp_path / "kept.pt", tmp_path / "a", {})
    write_trained(tmp_path / "not.pt", tmp_path / "a", {name: tiny[name] + 1})
    assert read_checkpoint(tmp_path / "kept.pt").decoder_state
    assert not read_checkpoint(tmp_path / "not.pt").decoder_state


def test_damaged_states_and_unwritable_files_are_told(tmp_path):
    write_state(tmp_path / "state.pt", {"epochs": [[0, float("nan")]]})
    assert read_state(tmp_path / "state.pt")["epochs"][0][0] == 0
    (tmp_path / "state.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="--overwrite"):
        read_state(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="free some space"):
        write_state(tmp_path / "none" / "state.pt", {})
