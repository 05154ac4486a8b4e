"""Borders of masks are moved to where those of other objects are: made discs, no model."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.engine.masks import tight_crop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session.decoding.border import N_WEIGHTS, fitted, moved, samples_of
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.image.picture import TilePicture
from napari_sam.session.image.tiles import Tile

SIDE = 64
TILE = Tile(0, 0, 0, SIDE, SIDE)


def away_from(center):
    y, x = np.ogrid[:SIDE, :SIDE]
    return np.hypot(y - center[0], x - center[1])


def made(center, radius, light=(60, 140), excess=1.4, seed=0):
    """Return the mask of a disc that is too large, and the disc."""
    true = away_from(center) < radius
    noise = np.random.default_rng(seed).normal(0, 4, (SIDE, SIDE))
    gray = (np.where(true, light[1], light[0]) + noise).clip(0, 255).astype(np.uint8)
    logits = (3 * (excess * radius - away_from(center))).astype(np.float32)
    size = SIDE, SIDE
    prediction = MaskPrediction(logits[None], np.array([0.9], np.float32), size, size, SIDE)
    picture = TilePicture(np.repeat(gray[..., None], 3, axis=2))
    return Candidate(prediction, 0, TILE, picture=picture), true


@pytest.fixture(scope="module")
def border():
    places = [((20 + 3 * n, 40 - 2 * n), 6 + n, n) for n in range(6)]
    lessons = []
    for center, radius, seed in places:
        mask, true = made(center, radius, seed=seed)
        lessons.append(samples_of(mask, center, tight_crop(true, 0, 0), 160))
    assert fitted(lessons) == fitted(lessons)
    return fitted(lessons)


def iou(mask, true):
    shown = mask.logits > 0
    return np.count_nonzero(shown & true) / np.count_nonzero(shown | true)


# Darker objects, and other light, too: no color of its own counts.
@pytest.mark.parametrize("light", [(60, 140), (180, 90)])
@pytest.mark.parametrize("excess", [1.4, 1.2])
def test_the_border_goes_where_others_end(border, light, excess):
    assert len(border) == N_WEIGHTS
    center = 33, 29
    mask, true = made(center, 9, light, excess, seed=11)
    better = moved(mask, [(center, 1)], border)
    assert iou(mask, true) < 0.72
    assert iou(better, true) > 0.9
    assert better.iou_prediction == pytest.approx(iou(better, true), abs=0.1)
    assert (better.tile, better.index, len(better.published)) == (TILE, 0, 1)


def test_padding_is_not_of_the_image(border):
    mask, _ = made((33, 29), 9)
    low = Tile(0, 0, 0, SIDE // 2, SIDE)
    pixels = mask.picture.pixels[: SIDE // 2]
    assert moved(replace(mask, tile=low, picture=TilePicture(pixels)), [((33, 29), 1)], border)
    logits = np.full((1, SIDE, SIDE), -5, np.float32)
    logits[0, SIDE // 2 + 4 :] = 5
    published = replace(mask.published, low_res_logits=logits)
    padded = replace(mask, published=published, tile=low, picture=TilePicture(pixels))
    assert moved(padded, [((10, 29), 1)], border) is None


def test_it_keeps_to_all_clicks(border):
    center, excluded = (33, 29), (33, 34)
    mask, _ = made(center, 9)
    better = moved(mask, [(center, 1), (excluded, 0)], border)
    assert better.logits[center] > 0
    assert better.logits[excluded] < 0


def test_nothing_is_known_of_masks_without_a_border_and_of_an_imported_embedding(border):
    mask, true = made((33, 29), 9)
    empty, _ = made((33, 29), 0, excess=0)
    full, _ = made((33, 29), 60)
    unseen = Candidate(mask.published, 0, TILE)
    for other in (empty, full, unseen):
        assert moved(other, [((33, 29), 1)], border) is None
        assert samples_of(other, (33, 29), tight_crop(true, 0, 0), 10) is None
