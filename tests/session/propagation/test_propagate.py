"""Which slices are interpolated, carried on and left out; then real weights on a moving disc."""

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop, tight_crop
from napari_sam.session import ImagePlane, ModelChoice, Origin
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.propagation.projection import Projection
from napari_sam.session.propagation.propagate import depth_limit, propagate, propagated
from napari_sam.session.propagation.slice_mask import SliceMask

SHAPE, EMPTY = (120, 160), MaskCrop(np.zeros((0, 0), bool), 0, 0)
PLANES = [ImagePlane(np.zeros(SHAPE, np.uint8))] * 12


def disc(row, column, radius):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


DISC = tight_crop(disc(60, 80, 20))


class Stored:
    """Pixels that are slow to read."""

    def __init__(self, pixels):
        self.pixels, self.n_reads = pixels, 0
        self.shape, self.dtype = pixels.shape, pixels.dtype

    def __getitem__(self, region):
        self.n_reads += 1
        return self.pixels[region]


class Copies:
    """Carries the same mask on for some slices, and notes what it was asked."""

    def __init__(self, count=100):
        self.count, self.asked = count, []

    def outward(self, planes, start, slices, *, is_forced=False):
        self.asked.append((start.slice_index, list(slices)))
        for index in slices[: self.count]:
            yield SliceMask(index, start.crop, Origin.PROPAGATED, 0.8)


def origins(annotated, propagator, **choices):
    results = propagate(PLANES, annotated, propagator, **choices)
    return {index: result.origin for index, result in results.items()}


def test_one_annotated_slice_is_carried_on_to_both_sides():
    copies = Copies(count=2)
    found = origins({5: DISC}, copies)
    assert copies.asked == [(5, [6, 7, 8, 9, 10, 11]), (5, [4, 3, 2, 1, 0])]
    assert found == dict.fromkeys((6, 7, 4, 3), Origin.PROPAGATED)


def test_between_annotated_slices_it_is_interpolated():
    copies = Copies()
    found = origins({3: DISC, 6: DISC}, copies, first=2, last=8)
    assert copies.asked == [(3, [2]), (6, [7, 8])]
    assert {index for index, origin in found.items() if origin is Origin.INTERPOLATED} == {4, 5}


def test_interpolated_slices_are_as_sure_as_the_image_has_their_borders():
    rng = np.random.default_rng(0)
    true = np.array([disc(60, 80, 20 - index) for index in range(8)])
    stack = np.where(true, 150, 60)
    stack[2] = 60  # the object is not there
    stack[3] = np.where(disc(60, 95, 17), 150, 60)  # and there it lies elsewhere
    stack = np.clip(stack + rng.normal(0, 8, stack.shape), 0, 255).astype(np.uint8)
    annotated = {index: tight_crop(true[index]) for index in (0, 7)}
    planes = [ImagePlane(pixels) for pixels in stack]
    results = propagated(planes, annotated, Copies())
    weak = [mask.slice_index for mask in results if mask.confidence < 0.65]
    assert weak == [2, 3]


def test_it_goes_no_deeper_than_it_may():
    copies = Copies()
    found = origins({3: EMPTY, 5: DISC, 7: DISC}, copies, max_depth=3, last=9)
    assert copies.asked == [(5, [4]), (7, [8, 9])]
    assert sorted(found) == [4, 6, 8, 9]


def test_it_ends_before_a_slice_on_which_it_is_not():
    copies = Copies()
    found = origins({2: EMPTY, 5: DISC, 9: EMPTY}, copies)
    assert copies.asked == [(5, [6, 7, 8]), (5, [4, 3])]
    assert sorted(found) == [3, 4, 6, 7, 8]


def test_what_is_called_for_each_slice_may_end_the_run():
    def stop(mask):
        raise InterruptedError(mask.slice_index)

    with pytest.raises(InterruptedError, match="6"):
        propagate(PLANES, {5: DISC}, Copies(), on_slice=stop)


def test_an_object_may_be_away_for_some_slices():
    copies = Copies()
    origins({2: DISC, 5: EMPTY, 8: DISC}, copies)
    assert copies.asked == [(2, [3, 4]), (2, [1, 0]), (8, [9, 10, 11]), (8, [7, 6])]


@pytest.mark.parametrize(
    ("annotated", "words"),
    [({}, "at least one slice"), ({3: EMPTY}, "at least one slice"), ({12: DISC}, "0 to 11")],
)
def test_what_cannot_be_propagated_is_refused(annotated, words):
    with pytest.raises(ValueError, match=words):
        propagate(PLANES, annotated, Copies())


def test_the_limit_in_depth_counts_in_units():
    assert depth_limit(DISC, 1, 1) == pytest.approx(80, abs=2)
    assert depth_limit(DISC, 0.5, 2) == pytest.approx(20, abs=1)


@pytest.mark.slow
def test_a_disc_is_followed_until_it_ends(remembering_predictor):
    rng = np.random.default_rng(0)
    true = np.zeros((6, *SHAPE), bool)
    for index in range(1, 5):
        true[index] = disc(50 + 3 * index, 70 + 4 * index, 22)
    stack = np.where(true, 170, 60) + rng.normal(0, 6, true.shape)
    stored = [Stored(pixels) for pixels in np.clip(stack, 0, 255).astype(np.uint8)]
    planes = [ImagePlane(pixels) for pixels in stored]
    embedder = Embedder(ModelChoice(), lambda *_: remembering_predictor)
    projection = Projection(embedder)
    shown = []
    annotated = {2: tight_crop(true[2])}
    found = propagate(planes, annotated, projection, on_slice=shown.append)
    assert [result.slice_index for result in shown] == list(found) == [3, 4, 1]
    assert all(result.confidence >= 0.5 for result in shown)
    # Once for its embedding, and once for all that is measured.
    assert [pixels.n_reads for pixels in stored] == [2] * 6
    for index, result in found.items():
        mask, crop = np.zeros(SHAPE, bool), result.crop
        height, width = crop.mask.shape
        mask[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
        assert (mask & true[index]).sum() / (mask | true[index]).sum() > 0.9
    (forced,) = propagated(planes, {4: found[4].crop}, projection, first=5, is_forced=True)
    assert forced.slice_index == 5
    assert 0 < forced.confidence < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("radius", [19, 25])
def test_masks_are_cut_as_on_the_annotated_slice(remembering_predictor, radius):
    """The user wants the disc with a rim, or without one."""
    rng = np.random.default_rng(0)
    pixels = np.where(disc(60, 80, 22), 170.0, 60.0)
    pixels = ndimage.gaussian_filter(pixels, 2) + rng.normal(0, 6, (2, *SHAPE))
    planes = [ImagePlane(plane) for plane in pixels.clip(0, 255).astype(np.uint8)]
    projection = Projection(Embedder(ModelChoice(), lambda *_: remembering_predictor))
    (result,) = propagated(planes, {0: tight_crop(disc(60, 80, radius))}, projection)
    carried = np.sqrt(np.count_nonzero(result.crop.mask) / np.pi)
    assert carried == pytest.approx(radius, abs=1.5)
