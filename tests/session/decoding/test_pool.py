"""Which masks of a click are shown: pure rules, then clicks on nuclei with real weights."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from napari_sam.engine.prediction import MaskPrediction
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts
from napari_sam.session.decoding.candidate import Candidate
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.features import measure_features
from napari_sam.session.decoding.pool import (
    continued,
    found_again,
    is_ambiguous,
    is_settled,
    widened,
)
from napari_sam.session.decoding.probing import piece_at
from napari_sam.session.decoding.ranking import DecodeContext, Example, rank
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.embedding.embeddings import EmbeddedTile, TileContent
from napari_sam.session.image.tiles import Tile

TIMEOUT_S = 120
TRUTH = Path(__file__).parents[2] / "data" / "nuclei_truth.npz"
WHOLE, FINE = Tile(1, 0, 0, 512, 512), Tile(0, 128, 128, 256, 256)
CLICK = Prompts(((256, 256),), (1,))
VIEW = DecodeContext(view=(150, 150, 350, 350))


def square(tile, side_px):
    """Return the logits of a square around the click."""
    center = (np.arange(64) + 0.5) * tile.side / 64
    inside_y, inside_x = (
        abs(center + start - 256) < side_px / 2 for start in (tile.top, tile.left)
    )
    return np.where(inside_y[:, None] & inside_x, 8, -8).astype(np.float32)


def candidates(tile, sides_px, scores, context=VIEW):
    logits = np.stack([square(tile, side_px) for side_px in sides_px])
    prediction = MaskPrediction(logits, np.array(scores, np.float32), tile.size, (256, 256), 256)
    features = measure_features(prediction, None, tile.height * tile.width)
    masks = tuple(Candidate(prediction, index, tile) for index in range(len(sides_px)))
    sides = context.sides_beyond_view([mask.rough_bounds_xyxy for mask in masks])
    return Candidates(CLICK, tile, masks, rank(features, context.examples, sides))


def areas_of(shown):
    return [np.count_nonzero(shown.crop(index).mask) for index in range(len(shown))]


def test_a_mask_that_leaves_the_view_on_all_sides_is_not_preselected_beside_a_smaller_one():
    shown = candidates(WHOLE, (40, 240, 300), (0.3, 0.9, 1.0))
    assert shown.best == 0
    assert shown.ranking.reason == "preferred to mask 3, which leaves the view"
    assert candidates(WHOLE, (240, 280, 300), (0.3, 0.9, 1.0)).best == 2
    everything_in_sight = candidates(WHOLE, (40, 240, 300), (0.3, 0.9, 1.0), DecodeContext())
    assert everything_in_sight.best == 2


def test_a_clear_mask_that_the_view_cuts_on_one_side_is_preselected():
    at_the_left = DecodeContext(view=(100, 100, 290, 400))
    assert candidates(WHOLE, (8, 40, 80), (0.7, 0.88, 1.0), at_the_left).best == 2


def test_the_end_of_the_plane_is_a_side_only_for_what_leaves_all_others():
    corner = DecodeContext(view=(-0.5, -0.5, 200, 200))
    boxes = [(-0.5, -0.5, 300, 300), (-0.5, -0.5, 300, 100), (20, 20, 300, 300), None]
    assert corner.sides_beyond_view(boxes).tolist() == [4, 1, 2, 0]


def test_a_good_mask_in_sight_settles_what_is_meant():
    assert is_settled(candidates(WHOLE, (40, 60, 300), (0.95, 0.5, 0.99)), VIEW)
    assert not is_settled(candidates(WHOLE, (40, 60, 300), (0.7, 0.5, 0.99)), VIEW)


def test_a_mask_much_larger_than_accepted_ones_settles_nothing():
    shown = candidates(WHOLE, (100, 240, 300), (0.95, 0.9, 0.9))
    small = Example(candidates(WHOLE, (16, 240, 300), (0.9, 0.9, 0.9)).ranking.features, 0)
    assert is_settled(shown, VIEW)
    assert not is_settled(shown, DecodeContext((small,), VIEW.view))
    alike = Example(shown.ranking.features, 0)
    assert is_settled(shown, DecodeContext((alike,), VIEW.view))


def test_probes_that_find_nothing_add_nothing():
    def decode_batch(embedding, points_xy, point_labels, boxes_xyxy):
        nothing = np.full((3, 64, 64), -8, np.float32), np.zeros(3, np.float32)
        return [MaskPrediction(*nothing, WHOLE.size, (256, 256), 256)] * len(boxes_xyxy)

    decoder = SimpleNamespace(decode_batch=decode_batch)
    embedding = SimpleNamespace(original_size=WHOLE.size)
    embedded = EmbeddedTile(decoder, embedding, WHOLE, TileContent("key"))
    shown = candidates(WHOLE, (40, 60, 300), (0.7, 0.5, 0.8))
    assert areas_of(widened(shown, embedded, CLICK.points_xy[0], VIEW)) == areas_of(shown)


def test_on_a_coarser_tile_the_small_masks_of_the_finer_one_stay():
    fine = candidates(FINE, (20, 256, 256), (0.7, 0.8, 0.9))
    coarse = candidates(WHOLE, (240, 300, 420), (0.9, 0.8, 0.9))
    shown = continued(fine, coarse, None, VIEW)
    assert [mask.tile for mask in shown.masks] == [FINE, WHOLE, WHOLE]
    assert shown.tile == WHOLE
    assert shown.best == 0
    assert areas_of(shown) == sorted(areas_of(shown))


def test_of_an_object_on_two_tiles_the_finer_mask_is_shown():
    coarse = candidates(WHOLE, (64, 240, 300), (0.8, 0.8, 0.9))
    fine = candidates(FINE, (60, 256, 256), (0.7, 0.8, 0.9))
    shown = continued(coarse, fine, None, VIEW)
    assert [mask.tile for mask in shown.masks] == [FINE, WHOLE, WHOLE]


def test_other_masks_stay_where_they_are_once_the_user_chose_one():
    fine = candidates(FINE, (20, 60, 256), (0.7, 0.8, 0.9))
    coarse = candidates(WHOLE, (30, 280, 420), (0.9, 0.8, 0.9))
    shown = continued(fine, coarse, 2, VIEW)
    assert shown.masks[:2] == fine.masks[:2]
    assert shown.masks[2] is coarse.masks[1]
    assert continued(replace(fine, learnt=0), coarse, 2, VIEW).learnt == 0
    assert continued(replace(fine, learnt=2), coarse, 2, VIEW).learnt is None
    # A learned mask is continued by the learned one, and no other mask is.
    starred = replace(coarse, learnt=0)
    shown = continued(replace(fine, learnt=2), starred, 2, VIEW)
    assert (shown.learnt, shown.masks[2]) == (2, coarse.masks[0])
    assert continued(fine, replace(coarse, learnt=1), 2, VIEW).masks[2] is coarse.masks[2]
    # What is preselected, and why, stays as it was.
    grown = replace(fine, ranking=replace(fine.ranking, order=(1, 0, 2), reason="grew too much"))
    shown = continued(grown, coarse, 2, VIEW)
    assert (shown.best, shown.ranking.reason) == (1, "grew too much")


def test_the_chosen_mask_is_found_again_by_its_box():
    shown = candidates(WHOLE, (20, 60, 256), (0.7, 0.8, 0.9))
    again = found_again(shown, 2, shown.masks[1].rough_bounds_xyxy, VIEW)
    assert again.masks == (shown.masks[0], shown.masks[2], shown.masks[1])
    assert found_again(shown, 1, shown.masks[1].rough_bounds_xyxy, VIEW) is shown


def test_only_a_single_click_is_ambiguous():
    assert is_ambiguous(CLICK)
    assert not is_ambiguous(Prompts(((256, 256), (200, 200)), (1, 0)))
    assert not is_ambiguous(Prompts(box_xyxy=(0, 0, 5, 5)))


def test_a_piece_is_what_is_connected_to_a_cell():
    logits = np.full((8, 8), -1, np.float32)
    logits[1:3, 1:3] = logits[5:7, 5:7] = 3
    piece = piece_at(logits, (1, 2))
    assert np.argwhere(piece > 0).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert (piece[5:7, 5:7] == -3).all()
    assert (piece_at(logits, (4, 4)) <= 0).all()


# With a session ------------------------------------------------------------------------------


@pytest.fixture
def nuclei(real_predictor):
    labels = np.load(TRUTH)["labels"]
    session = AnnotationSession(lambda *_: real_predictor)
    session.set_image(ImagePlane(data.immunohistochemistry(), is_rgb=True))
    session.set_target(ArrayPlane(np.zeros(labels.shape, np.uint16)))
    yield session, labels
    session.close()


def click(session, true):
    depth = ndimage.distance_transform_edt(true)
    y, x = np.unravel_index(depth.argmax(), true.shape)
    session.look_at((x - 112, y - 112, x + 112, y + 112))
    session.set_prompts(Prompts(((x, y),), (1,)))
    session.wait_until_idle(TIMEOUT_S)


def overlap(session, true):
    """Return the intersection over union of the shown mask and a nucleus."""
    mask = np.zeros(true.shape, bool)
    for part, top, left in session.state.candidates.blocks(session.state.chosen):
        mask[top : top + part.shape[0], left : left + part.shape[1]] |= part
    return np.count_nonzero(mask & true) / np.count_nonzero(mask | true)


def test_one_click_is_enough_for_a_nucleus_in_tissue(nuclei):
    session, labels = nuclei
    click(session, labels == 3)
    assert len(session.state.candidates) == 3
    assert overlap(session, labels == 3) > 0.5


def test_while_better_masks_are_decoded_that_is_said_and_what_is_accepted_waits(
    nuclei, monkeypatch
):
    session, labels = nuclei
    gate, completed, accepted = threading.Event(), DecodeRequest.completed, []
    session.accepted.connect(accepted.append)
    row, column = np.argwhere(labels == 3).mean(axis=0)
    session.look_at((column - 112, row - 112, column + 112, row + 112))
    session.wait_until_idle(TIMEOUT_S)

    def wait_and_complete(request, candidates):
        assert gate.wait(TIMEOUT_S)
        return completed(request, candidates)

    monkeypatch.setattr(DecodeRequest, "completed", wait_and_complete)
    session.set_prompts(Prompts(((column, row),), (1,)))
    while session.state.candidates is None:
        session.background.dispatcher.run_pending(0.05)
    assert "is on its way" in session.state.refining_hint
    assert session.accept() is None
    assert session.state.refining_hint == session.state.hint
    assert not accepted
    gate.set()
    session.wait_until_idle(TIMEOUT_S)
    (edit,) = accepted
    true, everything = labels == 3, (slice(0, 512), slice(0, 512))
    mask = session.editing.target.read(*everything) == edit.label_id
    assert np.count_nonzero(mask & true) / np.count_nonzero(mask | true) > 0.5
    assert not session.state.refining_hint


@pytest.mark.parametrize("label_id", [1, 2, 3, 4, 5])
def test_excluding_something_never_makes_the_mask_explode(nuclei, label_id):
    session, labels = nuclei
    true = labels == label_id
    click(session, true)
    before = session.state.candidates.crop(session.state.chosen).mask.sum()
    beside = ndimage.binary_dilation(true, iterations=6) & ~ndimage.binary_dilation(
        true, iterations=4
    )
    row, column = np.argwhere(beside)[0]
    clicked = session.state.prompts
    session.set_prompts(Prompts((*clicked.points_xy, (column, row)), (1, 0)))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates.crop(session.state.chosen).mask.sum() < 1.5 * before


def test_a_mask_that_was_chosen_is_shown_again_when_it_is_reedited(nuclei):
    session, labels = nuclei
    click(session, labels == 4)
    session.object_in_progress.choose_next()
    session.wait_until_idle(TIMEOUT_S)
    shown = session.state.candidates.crop(session.state.chosen).mask.sum()
    edit = session.accept()
    session.wait_until_idle(TIMEOUT_S)
    session.objects.reedit(edit.label_id)
    session.wait_until_idle(TIMEOUT_S)
    again = session.state.candidates.crop(session.state.chosen).mask.sum()
    assert 0.5 < again / shown < 2
