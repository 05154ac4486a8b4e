"""Sequences: everything against transformers' Sam2VideoModel with the same random weights."""

import weakref

import numpy as np
import pytest
import torch

from napari_sam.engine.sequences import memory_of
from napari_sam.engine.spec import Capability
from napari_sam.model import Predictor

pytestmark = pytest.mark.slow

COUNT, SIDE = 10, 256
POINTS, LABELS = [[120, 90], [40, 200]], [1, 0]
CLICK = [[130, 140]]


@pytest.fixture(scope="module")
def predictor(tiny_sam2):
    return Predictor(tiny_sam2, device="cpu")


@pytest.fixture(scope="module")
def memory(predictor):
    return memory_of(predictor)


def film():
    """A bright disc that wanders over a pattern."""
    y, x = np.mgrid[:SIDE, :SIDE]
    pattern = np.random.default_rng(1).integers(0, 80, (SIDE, SIDE, 3))
    for number in range(COUNT):
        disc = (y - 100 - 4 * number) ** 2 + (x - 110 - 5 * number) ** 2 < 40**2
        yield (pattern + 120 * disc[..., None]).astype(np.uint8)


@pytest.fixture(scope="module")
def frames():
    return list(film())


@pytest.fixture(scope="module")
def embeddings(predictor, frames):
    return [predictor.encode(frame) for frame in frames]


class ExactTorch:
    """torch, in which memories are not rounded: a number in ten thousand is rounded differently."""

    bfloat16 = torch.float32

    def __getattr__(self, name):
        return getattr(torch, name)


@pytest.fixture
def exact(monkeypatch):
    """Keep memories in float32, here and in transformers."""
    pytest.importorskip("transformers")
    module = "transformers.models.sam2_video.modeling_sam2_video"
    monkeypatch.setattr(f"{module}.torch", ExactTorch())
    monkeypatch.setattr("napari_sam.model.sam2.tracking.KEPT", torch.float32)


class Theirs:
    """A session of transformers."""

    def __init__(self, model, sam, frames):
        transformers = pytest.importorskip("transformers")
        pixels = [sam.preprocess(torch.from_numpy(frame).permute(2, 0, 1))[0] for frame in frames]
        kind = transformers.models.sam2_video.modeling_sam2_video.Sam2VideoInferenceSession
        self.session = kind(torch.stack(pixels), SIDE, SIDE, dtype=torch.float32)
        self.model = model

    def prompt(self, object_id, index, points=None, labels=None, mask=None):
        number = self.session.obj_id_to_idx(object_id)
        if mask is None:
            inputs = {
                "point_coords": torch.tensor([[points]]).float(),
                "point_labels": torch.tensor([[labels]], dtype=torch.int32),
            }
            self.session.add_point_inputs(number, index, inputs)
        else:
            self.session.add_mask_inputs(number, index, torch.from_numpy(mask).float()[None, None])
        self.session.obj_with_new_inputs.append(object_id)

    def run(self, index, reverse=False):
        return self.model(self.session, frame_idx=index, reverse=reverse)

    def make_conditioning(self, object_id, index):
        """Do by hand what transformers leaves out: a correction is to condition other slices."""
        outputs = self.session.output_dict_per_obj[self.session.obj_id_to_idx(object_id)]
        others = outputs["non_cond_frame_outputs"]
        outputs["cond_frame_outputs"][index] = others.pop(index)
        for other in [key for key in others if abs(key - index) <= 7]:
            del others[other]


@pytest.fixture
def theirs(hugging_face_video, tiny_sam2, frames):
    return Theirs(hugging_face_video, tiny_sam2, frames)


def assert_same(masks, expected, share=1e-5):
    """Compare all objects in a slice."""
    assert list(masks) == expected.object_ids
    for number, (prediction, score) in enumerate(masks.values()):
        logits = expected.pred_masks[number, 0].numpy()
        scale = max(1, abs(logits).max())
        np.testing.assert_allclose(prediction.low_res_logits[0], logits, atol=share * scale)
        there = torch.sigmoid(expected.object_score_logits[number]).item()
        assert score == pytest.approx(there, abs=share)


def both_ways(memory, state, embeddings, theirs, middle):
    for step, stop in ((1, COUNT), (-1, -1)):
        indices = range(middle, stop, step)
        slices = ((index, embeddings[index]) for index in indices)
        for index, masks in memory.propagate(state, slices, step):
            assert_same(masks, theirs.run(index, reverse=step < 0))
        assert index == indices[-1]


def test_objects_from_clicks_and_masks(memory, embeddings, theirs, exact):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[60:150, 80:170] = True
    state = memory.start(embeddings[4], COUNT)
    memory.add_prompt(state, 4, 1, embeddings[4], POINTS, LABELS)
    memory.add_prompt(state, 4, 7, embeddings[4], mask=mask)
    theirs.prompt(1, 4, POINTS, LABELS)
    theirs.prompt(7, 4, mask=mask)
    assert state.object_ids == (1, 7)
    both_ways(memory, state, embeddings, theirs, 4)


def test_a_correction_in_the_middle(memory, embeddings, theirs, exact):
    state = memory.start(embeddings[0], COUNT)
    memory.add_prompt(state, 1, 1, embeddings[1], CLICK, [1])
    theirs.prompt(1, 1, CLICK, [1])
    both_ways(memory, state, embeddings, theirs, 1)
    tracked = memory.add_prompt(state, 6, 1, embeddings[6], POINTS, LABELS)
    theirs.prompt(1, 6, POINTS, LABELS)
    assert_same({1: tracked}, theirs.run(6))
    theirs.make_conditioning(1, 6)
    both_ways(memory, state, embeddings, theirs, 6)


def test_a_box_with_memories_as_published(memory, embeddings, theirs):
    state = memory.start(embeddings[0], COUNT)
    tracked = memory.add_prompt(state, 0, 1, embeddings[0], box_xyxy=[60, 50, 170, 160])
    theirs.prompt(1, 0, [[60, 50], [170, 160]], [2, 3])
    assert_same({1: tracked}, theirs.run(0))
    ((_, masks),) = memory.propagate(state, [(1, embeddings[1])], 1)
    assert_same(masks, theirs.run(1), share=1e-3)


@pytest.fixture
def nothing_is_found(tiny_sam2, hugging_face_video):
    """Make both models believe, for the time of a test, that no object is in any slice."""
    ours = tiny_sam2.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    biases = ours, hugging_face_video.mask_decoder.pred_obj_score_head.proj_out.bias
    for bias in biases:
        bias -= 50
    yield
    for bias in biases:
        bias += 50


def test_an_object_that_is_nowhere_else(memory, embeddings, theirs, exact, nothing_is_found):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[60:150, 80:170] = True
    state = memory.start(embeddings[4], COUNT)
    memory.add_prompt(state, 4, 1, embeddings[4], mask=mask)
    theirs.prompt(1, 4, mask=mask)
    both_ways(memory, state, embeddings, theirs, 4)
    ((_, masks),) = memory.propagate(state, [(3, embeddings[3])], -1)
    assert masks[1].object_score < 1e-6
    assert not masks[1].prediction.masks.any()


def test_memory_has_a_bound(memory, embeddings):
    state = memory.start(embeddings[0])
    memory.add_prompt(state, 0, 1, embeddings[0], CLICK, [1])
    sizes = []
    for index, _ in memory.propagate(state, ((n, embeddings[n % COUNT]) for n in range(36)), 1):
        sizes.append(state.nbytes)
        assert index == len(sizes) - 1
    assert max(sizes) <= 1.1 * sizes[20]
    assert sizes[-1] == sizes[-2]


def test_objects_begin_on_different_slices(memory, embeddings):
    def carried(*objects):
        state = memory.start(embeddings[0])
        for object_id, index in objects:
            memory.add_prompt(state, index, object_id, embeddings[index], CLICK, [1])
        slices = [(index, embeddings[index]) for index in (2, 3)]
        return [masks for _, masks in memory.propagate(state, slices, 1)]

    for together, alone in zip(carried((1, 0), (2, 2)), carried((2, 2)), strict=True):
        expected = alone[2].prediction.low_res_logits
        np.testing.assert_array_equal(together[2].prediction.low_res_logits, expected)


def test_prompts_are_replaced_and_taken_back(memory, embeddings):
    state = memory.start(embeddings[0])
    memory.add_prompt(state, 3, 1, embeddings[3], POINTS, LABELS)
    list(memory.propagate(state, [(4, embeddings[4])], 1))
    second = memory.add_prompt(state, 3, 1, embeddings[3], CLICK, [1])
    again = memory.start(embeddings[0])
    expected = memory.add_prompt(again, 3, 1, embeddings[3], CLICK, [1])
    assert (second.prediction.masks == expected.prediction.masks).all()
    assert state.nbytes == again.nbytes
    memory.remove_prompt(state, 5, 1)
    assert state.object_ids == (1,)
    memory.remove_prompt(state, 3, 1)
    assert state.object_ids == ()
    with pytest.raises(ValueError, match="add a prompt first"):
        list(memory.propagate(state, [(4, embeddings[4])], 1))


def test_masks_of_images_that_are_not_square(predictor, memory, frames):
    embedding = predictor.encode(frames[0][:120])
    mask = np.zeros((120, SIDE), bool)
    mask[30:100, 60:200] = True
    state = memory.start(embedding)
    prediction, score = memory.add_prompt(state, 0, 1, embedding, mask=mask)
    assert prediction.masks.shape == (1, 120, SIDE)
    assert (prediction.masks[0] != mask).mean() < 0.02
    assert score > 0.99
    assert not memory.add_prompt(state, 1, 2, embedding, mask=0 * mask).prediction.masks.any()


@pytest.mark.parametrize(
    ("prompt", "match"),
    [
        ({}, "Pass either"),
        ({"mask": np.ones((SIDE, SIDE)), "box_xyxy": [0, 0, 9, 9]}, "Pass either"),
        ({"mask": np.ones((3, 3))}, "pass a mask of its size"),
    ],
)
def test_refused_prompts(memory, embeddings, prompt, match):
    state = memory.start(embeddings[0])
    with pytest.raises(ValueError, match=match):
        memory.add_prompt(state, 0, 1, embeddings[0], **prompt)
    assert state.object_ids == ()


def test_refused_slices(predictor, memory, embeddings, frames):
    state = memory.start(embeddings[0])
    memory.add_prompt(state, 0, 1, embeddings[0], CLICK, [1])
    other = predictor.encode(frames[0][:99])
    with pytest.raises(ValueError, match="slices of one size"):
        list(memory.propagate(state, [(1, other)], 1))
    with pytest.raises(ValueError, match="pass 1 or -1"):
        list(memory.propagate(state, [], 2))


def test_a_predictor_that_remembers_is_freed(tiny_sam2):
    predictor = Predictor(tiny_sam2, device="cpu")
    assert memory_of(predictor) is predictor.memory
    reference = weakref.ref(predictor)
    del predictor
    assert reference() is None


def test_sam_remembers_nothing(tiny_model):
    predictor = Predictor(tiny_model, device="cpu")
    assert Capability.MEMORY not in predictor.spec.capabilities
    assert memory_of(predictor) is None
    with pytest.raises(ValueError, match="choose one of SAM 2"):
        predictor.memory.start(None)
