import numpy as np

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.embedding.pooling import mean_under
from napari_sam.session.image.tiles import Tile


def test_the_mean_is_that_of_the_cells_that_the_pixels_of_a_mask_lie_in():
    grid = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)  # cells of 10 x 10 pixels
    tile = Tile(0, 100, 200, 30, 40)
    mask = np.zeros((2, 12), bool)
    mask[0, :9] = mask[1, 9:] = True  # from column 5: five and four pixels, and three below
    inside = mean_under(MaskCrop(mask, 109, 205), grid, tile)
    expected = (5 * grid[:, 0, 0] + 4 * grid[:, 0, 1] + 3 * grid[:, 1, 1]) / 12
    np.testing.assert_allclose(inside, expected, rtol=1e-6)
