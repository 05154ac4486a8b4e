"""An outline on another slice, around an object whose shape is known."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure

from napari_sam.engine.masks import tight_crop
from napari_sam.session.decoding.candidates import decode
from napari_sam.session.decoding.outlined_shape import outlined_shape
from napari_sam.session.decoding.segment import whole_crop
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.prompts.shapes import Outline

SHAPE = (256, 256)


def rod(row, column, degrees, length=22, width=7):
    rows, columns = np.indices(SHAPE)
    angle = np.deg2rad(degrees)
    along = (rows - row) * np.sin(angle) + (columns - column) * np.cos(angle)
    across = (rows - row) * np.cos(angle) - (columns - column) * np.sin(angle)
    return np.hypot(along - along.clip(-length, length), across) <= width


def overlap(candidates, true):
    mask = whole_crop(candidates, candidates.best).within(0, 0, SHAPE)
    return np.count_nonzero(mask & true) / np.count_nonzero(mask | true)


@pytest.fixture(scope="module")
def embedded(remembering_predictor):
    """Three rods of one brightness, the second of which touches both others."""
    image = np.full(SHAPE, 50.0)
    for row, column, degrees in (100, 110, 45), (120, 122, 45), (150, 142, 100):
        image[rod(row, column, degrees)] = 150
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    plane = ImagePlane((image + noise).clip(0, 255).astype(np.uint8))
    embedder = Embedder(ModelChoice(), lambda *_: remembering_predictor)
    return embedder.embed(plane, plane.pyramid(embedder.spec).whole)


def drawn_around(mask, margin_px):
    """Draw around a mask, not quite evenly."""
    outside = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
    line = max(measure.find_contours(outside, margin_px), key=len)[::6]
    line = line + np.random.default_rng(0).normal(0, 1, line.shape)
    return Prompts(outline=Outline(tuple((x, y) for y, x in line)))


@pytest.mark.parametrize("margin_px", [1, 3])
@pytest.mark.parametrize(("row", "column"), [(100, 110), (120, 122)])
def test_an_object_is_outlined_among_others_that_touch_it(embedded, row, column, margin_px):
    true = rod(row, column, 45)
    line = drawn_around(true, margin_px)
    assert outlined_shape(embedded, line, line, []) is None
    alone = overlap(decode(embedded, line, line), true)
    shape = tight_crop(rod(60, 60, 80))  # as it lay on another slice
    found = outlined_shape(embedded, line, line, [shape])
    is_touched = (row, column) == (120, 122)
    assert overlap(found, true) > (max(0.8, alone) if is_touched else 0.85)
    assert found.ranking.reason == "most like the object on other slices"


def test_a_shape_that_does_not_fit_is_not_expected(embedded):
    rows, columns = np.indices(SHAPE)
    crescent = (np.hypot(rows - 60, columns - 60) < 30) & (np.hypot(rows - 60, columns - 75) > 25)
    true = rod(150, 142, 100)
    line = drawn_around(true, 2)
    found = outlined_shape(embedded, line, line, [tight_crop(crescent)])
    assert overlap(found, true) > max(0.8, overlap(decode(embedded, line, line), true) - 0.02)


def test_a_box_needs_no_shape(embedded):
    box = Prompts(box_xyxy=(90.0, 80.0, 130.0, 120.0))
    assert outlined_shape(embedded, box, box, [tight_crop(rod(60, 60, 80))]) is None
