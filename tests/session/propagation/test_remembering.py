"""Objects through a stack with SAM 2.1's memory; its weights are random, the rest is real."""

import numpy as np
import pytest
import torch

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.engine.sequences import memory_of
from napari_sam.model import Predictor
from napari_sam.session import Embedder, stack_planes
from napari_sam.session.objects.slices import Origin
from napari_sam.session.propagation.propagate import propagated
from napari_sam.session.propagation.remembering import Remembering
from napari_sam.session.propagation.slice_mask import SliceMask
from tests.model.sam2_models import tiny_sam2  # noqa: F401 - a fixture

COUNT, SIDE = 5, 240
CROP = MaskCrop(np.ones((70, 60), bool), 80, 90)


@pytest.fixture(scope="module")
def predictor(tiny_sam2):  # noqa: F811
    return Predictor(tiny_sam2, device="cpu")


@pytest.fixture(scope="module")
def remembering(predictor):
    return Remembering(Embedder(load_predictor=lambda *_: predictor))


def stack(side):
    volume = np.random.default_rng(2).integers(0, 90, (COUNT, side, side), np.uint8)
    volume[:, 80:150, 90:150] += 120
    return volume


@pytest.fixture(scope="module")
def planes():
    return stack_planes(stack(SIDE))


def test_masks_are_those_of_the_model(predictor, remembering, planes):
    found = list(propagated(planes, {2: CROP}, remembering, is_forced=True))
    assert [mask.slice_index for mask in found] == [3, 4, 1, 0]
    assert all(mask.origin is Origin.PROPAGATED for mask in found)
    embeddings = [predictor.encode(np.repeat(plane[..., None], 3, 2)) for plane in stack(SIDE)]
    memory = memory_of(predictor)
    for step, indices in ((1, (3, 4)), (-1, (1, 0))):
        state = memory.start(embeddings[2])
        mask = CROP.within(0, 0, (SIDE, SIDE))
        memory.add_prompt(state, 2, 1, embeddings[2], mask=mask)
        slices = [(index, embeddings[index]) for index in indices]
        for index, masks in memory.propagate(state, slices, step):
            result = next(result for result in found if result.slice_index == index)
            expected = tight_crop(masks[1].prediction.masks[0])
            assert (result.crop.top, result.crop.left) == (expected.top, expected.left)
            np.testing.assert_array_equal(result.crop.mask, expected.mask)
            assert result.confidence == masks[1].object_score


def test_it_ends_where_the_object_is_not(tiny_sam2, remembering, planes):  # noqa: F811
    bias = tiny_sam2.sam_mask_decoder.pred_obj_score_head.layers[-1].bias
    with torch.no_grad():
        bias -= 50
        try:
            assert list(remembering.outward(planes, SliceMask(0, CROP), [1, 2])) == []
        finally:
            bias += 50


def test_a_small_object_is_seen_in_a_tile(remembering):
    planes = stack_planes(stack(700))
    start = SliceMask(1, MaskCrop(np.ones((8, 8), bool), 100, 110))
    found = list(remembering.outward(planes, start, [2, 3], is_forced=True))
    assert [mask.slice_index for mask in found] == [2, 3]


def test_a_model_without_memory_is_refused(remembering_predictor, planes):
    remembering = Remembering(Embedder(load_predictor=lambda *_: remembering_predictor))
    with pytest.raises(ValueError, match=r"choose one of SAM 2\.1"):
        list(remembering.outward(planes, SliceMask(0, CROP), [1]))
