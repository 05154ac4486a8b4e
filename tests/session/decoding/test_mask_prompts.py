import numpy as np
import pytest

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.image.tiles import Tile

DISC = np.hypot(*np.mgrid[-20:21, -30:31]) <= 19
TILE = Tile(0, 100, 200, 300, 250)


@pytest.mark.parametrize(
    ("top", "left"),
    [(180, 260), (90, 190), (385, 420), (10, 10)],
    ids=["inside", "at a corner", "at the far corner", "beside the tile"],
)
def test_a_region_is_as_sure_as_the_share_of_a_cell_in_it(top, left):
    side, samples = 64, 4 * 64
    step = TILE.side / samples
    plane = MaskCrop(DISC, top, left).within(0, 0, (1000, 1000))
    places = np.rint((np.arange(samples) + 0.5) * step - 0.5).astype(int)
    sampled = plane[np.ix_(places + TILE.top, places + TILE.left)]
    shares = sampled.reshape(side, 4, side, 4).mean(axis=(1, 3))
    logits = logits_of_region(MaskCrop(DISC, top, left), TILE, side)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, (2 * shares - 1) * 10)
    assert (logits > 0).any() == (top > 10)
