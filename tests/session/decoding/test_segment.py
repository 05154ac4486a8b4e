"""One object from its prompts without a session."""

import numpy as np
import pytest

from napari_sam.session.decoding.segment import segment, whole_crop
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.prompts.prompts import Prompts


@pytest.fixture
def embedder(remembering_predictor):
    return Embedder(ModelChoice(), lambda *_: remembering_predictor)


def candidates_of(embedder, plane, prompts, **options):
    pyramid = plane.pyramid(embedder.spec)
    return segment(lambda tile: embedder.embed(plane, tile), pyramid, prompts, **options)


def test_a_very_large_mask_is_put_together_from_its_blocks(embedder):
    image = np.full((2600, 3000), 20, np.uint8)
    image[100:2500, 200:2900] = 210
    plane = ImagePlane(image)
    candidates = candidates_of(embedder, plane, Prompts(((1500, 1300),), (1,)))
    index = candidates.best
    expected = np.zeros(plane.shape, bool)
    blocks = list(candidates.blocks(index))
    for mask, top, left in blocks:
        expected[top : top + mask.shape[0], left : left + mask.shape[1]] |= mask
    assert len(blocks) > 1
    crop = whole_crop(candidates, index)
    painted = np.zeros(plane.shape, bool)
    height, width = crop.mask.shape
    painted[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
    np.testing.assert_array_equal(painted, expected)
    assert crop.mask[0].any()
    assert crop.mask[-1].any()


def test_a_tiny_object_is_decoded_on_a_smaller_tile_unless_it_may_not_move(embedder):
    image = np.full((2000, 2000), 20, np.uint8)
    image[1000:1030, 700:735] = 230
    plane, click = ImagePlane(image), Prompts(((717, 1015),), (1,))
    whole = plane.pyramid(embedder.spec).whole
    assert candidates_of(embedder, plane, click).tile.side < whole.side
    assert candidates_of(embedder, plane, click, may_move=False).tile == whole
    assert len(candidates_of(embedder, plane, click, multimask=False)) == 1


def test_prompts_outside_the_plane_are_refused(embedder):
    plane = ImagePlane(np.zeros((30, 40), np.uint8))
    with pytest.raises(ValueError, match="outside the image"):
        candidates_of(embedder, plane, Prompts(((90, 3),), (1,)))
