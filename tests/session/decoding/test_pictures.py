import numpy as np
import pytest

from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.pictures import candidate_pictures
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile
from napari_sam.session.prompts.prompts import Prompts

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
SIZE = (72, 104)


def discs(center_rc, radii_px, tile, low_res_side=64):
    """Candidates of concentric discs on a tile of a plane."""
    cell = tile.side / low_res_side
    rows, columns = (np.indices((low_res_side, low_res_side)) + 0.5) * cell - 0.5
    distance = np.hypot(rows + tile.top - center_rc[0], columns + tile.left - center_rc[1])
    logits = np.stack([radius - distance for radius in radii_px]).astype(np.float32)
    input_size = tuple(round(length / tile.side * 256) for length in tile.size)
    prediction = MaskPrediction(logits, np.full(len(radii_px), 0.9), tile.size, input_size, 256)
    masks = (Candidate(prediction, index, tile) for index in range(len(radii_px)))
    return Candidates(Prompts(), tile, tuple(masks))


@pytest.mark.parametrize("tile", [Tile(1, 0, 0, 300, 400), Tile(0, 100, 160, 128, 128)])
def test_each_mask_is_where_it_is_in_the_image(tile):
    center = (160, 230)
    image = np.zeros((300, 400), np.uint8)
    image[center[0] - 2 : center[0] + 3, center[1] - 2 : center[1] + 3] = 255
    candidates = discs(center, (12, 20, 40), tile)
    pictures = candidate_pictures(ImagePlane(image), candidates, COLORS, SIZE)
    assert [picture.shape for picture in pictures] == [(*SIZE, 3)] * 3
    assert pictures[0].dtype == np.uint8
    areas = []
    for picture, color in zip(pictures, COLORS, strict=True):
        channel = int(np.argmax(color))
        mask = picture[..., channel] > picture[..., (channel + 1) % 3]
        areas.append(mask.sum())
        middle = np.argwhere(mask).mean(axis=0)
        bright = np.argwhere(picture.min(axis=-1) > 100).mean(axis=0)
        np.testing.assert_allclose(middle, bright, atol=2)
    assert areas[0] < areas[1] < areas[2]


def test_masks_may_be_of_different_tiles():
    coarse, fine = Tile(1, 0, 0, 300, 400), Tile(0, 100, 160, 128, 128)
    of_each = [discs((160, 230), (20,), tile).masks[0] for tile in (coarse, fine)]
    candidates = Candidates(Prompts(), fine, tuple(of_each))
    image = np.full((300, 400), 90, np.uint8)
    first, second = candidate_pictures(ImagePlane(image), candidates, COLORS[:1] * 2, SIZE)
    masks = [picture[..., 0] > picture[..., 1] for picture in (first, second)]
    assert (masks[0] ^ masks[1]).sum() < 0.15 * masks[1].sum()


def test_a_flood_leaves_a_small_mask_large_enough_to_be_seen():
    tile = Tile(0, 0, 0, 512, 512)
    candidates = discs((400, 90), (8, 30, 500), tile, 128)
    small, _, flood = candidate_pictures(
        ImagePlane(np.full((512, 512), 100, np.uint8)), candidates, COLORS, SIZE
    )
    assert (small[..., 0] > small[..., 1]).sum() > 60
    assert (flood[..., 2] > flood[..., 1]).all()


@pytest.mark.parametrize("shape", [(5, 7), (3, 900), (900, 3), (1, 1)])
def test_any_shape_of_plane_will_do(shape):
    candidates = discs((shape[0] / 2, shape[1] / 2), (1, 2, 3), Tile(0, 0, 0, *shape))
    pictures = candidate_pictures(ImagePlane(np.ones(shape, np.uint8)), candidates, COLORS, SIZE)
    assert all(picture.shape == (*SIZE, 3) for picture in pictures)


def test_empty_masks_show_the_tile():
    tile = Tile(0, 0, 0, 40, 40)
    candidates = discs((20, 20), (-5, -5, -5), tile)
    image = np.full((40, 40), 200, np.uint8)
    for picture in candidate_pictures(ImagePlane(image), candidates, COLORS, SIZE):
        assert (picture[..., 0] == picture[..., 1]).all()
