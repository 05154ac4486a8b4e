import numpy as np
import pytest
import torch

from napari_sam.engine.spec import resized_size
from napari_sam.engine.upscaling import axis_filter
from napari_sam.model import MaskPrediction
from tests.model.test_goldens import two_steps

SIZES = [(1, 1), (1, 700), (700, 1), (5, 3), (64, 64), (303, 384), (1024, 1024), (1500, 2100)]


def prediction_of(logits, original_size):
    logits = np.asarray(logits, np.float32)
    return MaskPrediction(
        logits,
        np.zeros(len(logits), np.float32),
        original_size,
        resized_size(original_size, 1024),
        1024,
    )


def smooth_logits(seed, count=2):
    torch.manual_seed(seed)
    coarse = torch.randn(1, count, 12, 12)
    return torch.nn.functional.interpolate(coarse, (256, 256), mode="bicubic")[0].numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [0, 1])
def test_masks_are_the_published_ones(size, seed):
    prediction = prediction_of(smooth_logits(seed), size)
    masks = prediction.masks
    assert masks.shape == (2, *size)
    assert masks.dtype == bool
    assert (masks ^ two_steps(prediction)).sum() <= 2


@pytest.mark.parametrize("size", [(303, 384), (1500, 2100)])
def test_noise_is_upscaled_too(size):
    logits = np.random.default_rng(0).normal(size=(1, 256, 256))
    prediction = prediction_of(logits, size)
    # Most pixels of noise are near its zero crossings, where rounding decides.
    assert (prediction.masks ^ two_steps(prediction)).mean() <= 1e-5


@pytest.mark.parametrize("place", [(0, 0), (0, 255), (100, 77), (130, 255)])
@pytest.mark.parametrize("size", [(303, 384), (500, 500), (2000, 1500)])
def test_single_positive_logit(place, size):
    """At corners and edges the filters are cut off."""
    logits = np.full((1, 256, 256), -1e-3)
    logits[0][place] = 8
    prediction = prediction_of(logits, size)
    np.testing.assert_array_equal(prediction.masks, two_steps(prediction))


def test_everything_positive():
    prediction = prediction_of(np.ones((1, 256, 256)), (300, 200))
    assert prediction.masks.all()
    assert prediction.mask_crop(0).mask.shape == (300, 200)


@pytest.mark.parametrize("place", [None, (250, 250)])
def test_empty_masks(place):
    """Positive logits in the padding belong to no pixel."""
    logits = np.full((1, 256, 256), -1.0)
    if place:
        logits[0][place] = 8
    prediction = prediction_of(logits, (100, 400))
    crop = prediction.mask_crop(0)
    assert crop.mask.shape == (0, 0)
    assert crop.mask.dtype == bool
    assert (crop.top, crop.left) == (0, 0)
    assert not prediction.masks.any()


def test_computed_once_and_at_any_index():
    prediction = prediction_of(smooth_logits(2, 3), (90, 80))
    assert prediction.masks is prediction.masks
    assert prediction.mask_crop(1) is prediction.mask_crop(1)
    assert prediction.mask_crop(-1) is prediction.mask_crop(2)
    assert len(prediction) == 3
    with pytest.raises(IndexError):
        prediction.mask_crop(3)


def test_filters_are_averages():
    weights = axis_filter(256, 1024, 683, 1200).weights
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert (weights >= 0).all()
