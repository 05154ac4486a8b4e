"""Automatic masks without a window; with few points."""

import numpy as np
import pytest
import skimage.data

from napari_sam.engine.automatic_presets import PRESETS
from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.model.automatic.mask_ops import run_lengths
from napari_sam.model.automatic.mask_set import GeneratedMask, MaskSet
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, ModelChoice, Prompts
from napari_sam.session.automatic.masks import choose_masks, smaller_first
from napari_sam.session.automatic.request import AutomaticRequest, TileMasks, automatic_tiles
from napari_sam.session.automatic.settings import AutomaticRunSettings, preset_for
from napari_sam.session.automatic.similarity import ExistingObjects
from napari_sam.session.image.tiles import Tile, TilePyramid

TIMEOUT_S = 120
COINS = skimage.data.coins()
FEW = AutomaticRunSettings().with_values(points_per_side=6, points_per_batch=9)


class Heard:
    def __init__(self, session):
        automatic = session.automatic
        self.states, self.pictures, self.warnings, self.edges = [], [], [], []
        automatic.changed.connect(self.states.append)
        automatic.picture_changed.connect(lambda: self.pictures.append(automatic.picture))
        session.notifier.warned.connect(self.warnings.append)
        automatic.edges_detected.connect(lambda _, edges: self.edges.append(edges))


@pytest.fixture
def opened(remembering_predictor):
    session = AnnotationSession(lambda *_: remembering_predictor)
    session.set_image(ImagePlane(COINS, name="coins"))
    labels = np.zeros(COINS.shape, np.uint16)
    session.set_target(ArrayPlane(labels))
    session.wait_until_idle(TIMEOUT_S)
    yield session, labels, Heard(session)
    session.close()


def whole_of(plane):
    return TilePyramid(plane.shape, SAM_SPEC).whole


def whole(plane=None, settings=FEW, **more):
    plane = ImagePlane(COINS, name="coins") if plane is None else plane
    return AutomaticRequest(plane, automatic_tiles(whole_of(plane)), settings, **more)


def generate(session, request):
    session.automatic.start(request)
    session.wait_until_idle(TIMEOUT_S)
    return session.automatic.picture


def test_masks_appear_while_they_are_found_and_are_chosen_anew_without_decoding(
    opened, remembering_predictor, monkeypatch
):
    session, _, heard = opened
    picture = generate(session, whole())
    assert [round(s.fraction * 36) for s in heard.states if s.is_running][1:] == [9, 18, 27, 36, 36]
    assert not session.automatic.state.is_running
    counts = [len(one.masks) for one in heard.pictures if one is not None]
    assert counts == sorted(counts)
    assert counts[-1] > 5
    scores = [one.record.predicted_iou for one in picture.masks]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0.88

    monkeypatch.setattr(remembering_predictor, "decode_batch", None)
    automatic = session.automatic
    automatic.refine(FEW.with_values(pred_iou_thresh=0.6, stability_score_thresh=0.7))
    session.wait_until_idle(TIMEOUT_S)
    assert len(automatic.picture.masks) > counts[-1]
    automatic.refine(FEW.with_values(min_area_px=1000, max_area_px=3000))
    session.wait_until_idle(TIMEOUT_S)
    areas = [one.area_px for one in automatic.picture.masks]
    assert areas
    assert 1000 <= min(areas) <= max(areas) <= 3000
    kept = {
        one.key: label_id
        for one, label_id in zip(automatic.picture.masks, automatic.picture.label_ids, strict=True)
    }
    before = dict(zip((p.key for p in picture.masks), picture.label_ids, strict=True))
    assert kept.items() <= before.items()  # what comes again has its color
    automatic.refine(FEW.with_values(points_per_side=30))  # masks of those are not known: ours stay
    session.wait_until_idle(TIMEOUT_S)
    assert len(automatic.picture.masks) == counts[-1]
    assert heard.warnings == []


def test_colors_stay_from_the_preview_to_the_end_of_the_run(opened):
    session, _, heard = opened
    plane, view = ImagePlane(COINS), (0.0, 0.0, 200.0, 150.0)
    session.set_image(plane)
    tile = TilePyramid(plane.shape, SAM_SPEC).fitted(view)
    assert tile.side < plane.shape[0]
    lax = FEW.with_values(pred_iou_thresh=0.8, stability_score_thresh=0.9, max_share=0.1)
    preview = generate(session, AutomaticRequest(plane, (tile,), lax, view))
    assert preview.masks
    heard.pictures.clear()
    generate(session, whole(plane, lax.with_values(points_per_side=9)))
    colors = list(zip(preview.masks, preview.label_ids, strict=True))
    matches = 0
    for picture in (picture for picture in heard.pictures if picture is not None):
        shown = list(zip(picture.masks, picture.label_ids, strict=True))
        assert len(set(picture.label_ids)) == len(picture.masks)
        for mask, label_id in shown:
            earlier = [old for known, old in colors if mask.iou(known) > 0.8]
            assert not earlier or label_id in earlier
            matches += len(earlier)
        colors += shown
    assert matches > 10


def test_the_smallest_mask_shows_and_all_are_in_the_table(opened):
    session, _, _ = opened
    lax = FEW.with_values(pred_iou_thresh=0.5, stability_score_thresh=0.5, max_share=0.5)
    picture = generate(session, whole(settings=lax))
    first = smaller_first(picture.masks)[0]
    label_id = picture.label_ids[picture.masks.index(first)]
    row = picture.table["index"].index(label_id)
    assert picture.table["shown_px"][row] == picture.table["area_px"][row]
    assert len(picture.table["index"]) == len(picture.masks)
    shown = set(np.unique(picture.labels)) - {0}
    assert picture.covered_count == len(picture.masks) - len(shown)


def test_kept_masks_are_objects_like_any_other(opened):
    session, labels, _ = opened
    picture = generate(session, whole(settings=FEW.with_values(max_share=0.1)))
    target = session.editing.target
    inner = smaller_first(picture.masks)
    session.editing.add([one.object_record(target, one.object_state()) for one in inner])
    session.wait_until_idle(TIMEOUT_S)
    records = list(target.labels.registry)
    assert len(records) == len(np.unique(labels)) - 1
    assert {r.score for r in records} <= {min(p.record.predicted_iou, 1) for p in inner}
    assert all(record.stability >= 0.95 for record in records)
    session.objects.reedit(records[0].label_id)
    session.wait_until_idle(TIMEOUT_S)
    state = session.state
    assert state.prompts.points_xy == (inner[0].point_xy,)
    assert state.chosen == inner[0].record.candidate
    assert state.candidates.iou_predictions[state.chosen] == pytest.approx(
        inner[0].record.predicted_iou, abs=1e-4
    )
    mask, top, left = state.candidates.crop(state.chosen)
    ((own, own_top, own_left),) = inner[0].blocks()
    assert (top, left) == (own_top, own_left)
    np.testing.assert_array_equal(mask, own)
    session.undo()
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert not labels.any()


def test_only_points_in_sight(opened):
    session, _, heard = opened
    view = (0, 0, 190, 302)
    picture = generate(session, whole(view=view))
    assert [round(s.fraction * 18) for s in heard.states if s.is_running][1:] == [9, 18, 18]
    assert max(one.point_xy[0] for one in picture.masks) <= 190


def test_the_rest_is_like_what_was_accepted_and_lies_beside_it(opened):
    session, labels, _ = opened
    session.set_prompts(Prompts(((104, 68),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    target = session.editing.target
    (record,) = target.labels.registry
    existing = ExistingObjects(target, (record,))
    request = whole(settings=FEW.with_values(points_per_side=8), existing=existing)
    picture = generate(session, request)
    assert len(picture.masks) >= 5
    for one in picture.masks:
        assert record.area_px / 2 <= one.area_px <= record.area_px * 2
        x, y = np.rint(one.point_xy).astype(int)
        assert labels[y, x] == 0
        assert one.brightness > 80  # coins, not what is between them
    first = picture.masks[0]
    session.automatic.exclude([first.key])
    session.wait_until_idle(TIMEOUT_S)
    assert first.key not in {one.key for one in session.automatic.picture.masks}
    session.automatic.exclude([])
    session.wait_until_idle(TIMEOUT_S)
    assert first.key in {one.key for one in session.automatic.picture.masks}


@pytest.mark.parametrize("stopped_by", ["cancel", "model"])
def test_masks_stay_when_the_run_is_stopped(opened, stopped_by):
    session, _, heard = opened
    automatic = session.automatic

    def stop(state):
        if state.fraction and stopped_by == "cancel":
            automatic.cancel()
        elif state.fraction:
            session.set_model(ModelChoice(device="cpu"))

    automatic.changed.connect(stop)
    picture = generate(session, whole(settings=FEW.with_values(pred_iou_thresh=0.5)))
    assert 0 < automatic.state.fraction < 1
    assert not automatic.state.is_running
    assert picture.masks
    assert automatic.canceled_at == f"{automatic.state.fraction:.0%}"
    told = [one for one in heard.warnings if "another model is in use" in one]
    assert len(told) == (stopped_by == "model")


def test_a_click_is_answered_while_masks_are_found(opened):
    session, _, _ = opened
    automatic, answered = session.automatic, []

    def click(state):
        if state.fraction and session.state.prompts.is_empty:
            session.set_prompts(Prompts(((104, 68),), (1,)))

    def note(state):
        if state.candidates is not None:
            answered.append(automatic.state.is_running)

    automatic.changed.connect(click)
    session.changed.connect(note)
    generate(session, whole(settings=FEW.with_values(points_per_batch=2)))
    assert answered[0]
    assert session.state.candidates is not None


def test_edges_leave_what_is_offered_alone(opened):
    session, _, heard = opened
    picture = generate(session, whole())
    assert session.automatic.canceled_at == ""
    edges = FEW.with_values(pred_iou_thresh=0, stability_score_thresh=0)
    session.automatic.start_edges(whole(settings=edges, keep_logits=True))
    session.wait_until_idle(TIMEOUT_S)
    (found,) = heard.edges
    assert found.shape == COINS.shape
    assert 0 < (found > 0).mean() < 0.5
    assert session.automatic.picture is picture


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 50)])
def test_nothing_in_a_tiny_or_constant_image_is_no_error(opened, shape):
    session, _, heard = opened
    plane = ImagePlane(np.full(shape, 7, np.uint8))
    session.set_image(plane)
    session.wait_until_idle(TIMEOUT_S)
    heard.warnings.clear()  # of a constant image, the session says so
    generate(session, whole(plane, FEW.with_values(points_per_side=2, pred_iou_thresh=0)))
    assert heard.warnings == []


def test_a_failed_run_is_reported(opened, remembering_predictor, monkeypatch):
    session, _, heard = opened

    def fail(*_, **__):
        raise ValueError("no masks today")

    monkeypatch.setattr(remembering_predictor, "decode_batch", fail)
    generate(session, whole())
    assert "The automatic run failed" in heard.warnings[0]
    assert "no masks today" in heard.warnings[0]
    assert not session.automatic.state.is_running


def test_senseless_settings_are_refused():
    with pytest.raises(ValueError, match=r"crop_overlap_ratio is 2\.0"):
        FEW.with_values(crop_overlap_ratio=2.0)


def test_small_tiles_of_a_large_plane(opened):
    session, _, _ = opened
    large = np.kron(COINS, np.ones((4, 4), np.uint8))
    plane = ImagePlane(large)
    tiles = automatic_tiles(whole_of(plane), 1024)
    assert tiles[0].size == plane.shape
    session.set_image(plane)
    request = AutomaticRequest(
        plane, tiles[:2], FEW.with_values(max_share=0.1), view=(0, 0, 900, 900)
    )
    picture = generate(session, request)
    assert {one.tile for one in picture.masks} == set(tiles[:2])
    one = next(p for p in picture.masks if p.tile == tiles[0])
    rows, columns = one.span
    ((mask, top, left),) = one.blocks()
    assert (top, left, *mask.shape) == (
        rows.start,
        columns.start,
        rows.stop - rows.start,
        columns.stop - columns.start,
    )
    assert mask.sum() == pytest.approx(one.area_px, rel=0.02)
    x, y = one.point_xy
    assert mask[round(y) - top, round(x) - left]


def tile_masks(tile, *squares):
    """Return the masks of a tile that was read pixel by pixel: top, left, side, predicted IoU."""
    masks = []
    for top, left, side, predicted_iou in squares:
        box = left, top, left + side - 1, top + side - 1
        crop = MaskCrop(np.ones((side, side), bool), top, left)
        lengths, whole_box = run_lengths(crop, tile.size), (0, 0, tile.width, tile.height)
        scores = predicted_iou, 0.99, (left, top), whole_box
        masks.append(GeneratedMask(lengths, box, *scores))
    mask_set = MaskSet(FEW.published, 0.5, tile.size, tuple(masks))
    return TileMasks(tile, mask_set, np.zeros(tile.size, np.uint8))


def test_a_fine_mask_displaces_the_coarse_one_of_its_object_unless_it_is_cut_off():
    pyramid = TilePyramid((512, 512), SAM_SPEC)
    coarse = tile_masks(pyramid.whole, (100, 100, 10, 0.99), (240, 200, 30, 0.9), (40, 40, 60, 0.9))
    fine = tile_masks(
        Tile(0, 0, 0, 256, 256),
        (101, 101, 8, 0.9),  # whose box is not like that of the coarse one
        (240, 200, 16, 0.99),  # cut off below
        (40, 40, 40, 0.9),  # a part of the large one
    )
    masks = choose_masks([coarse, fine], pyramid, FEW)
    kept = {(mask.tile.side, mask.span[0].start, round(mask.area_px)) for mask in masks}
    assert kept == {(256, 101, 64), (512, 240, 900), (512, 40, 3600), (256, 40, 1600)}


def test_a_mask_that_two_neighboring_tiles_find_is_offered_once():
    pyramid = TilePyramid((512, 512), SAM_SPEC)
    upper = tile_masks(Tile(0, 0, 0, 256, 256), (150, 60, 20, 0.9))
    lower = tile_masks(Tile(0, 128, 0, 256, 256), (22, 60, 20, 0.95))
    (mask,) = choose_masks([upper, lower], pyramid, FEW)
    assert mask.tile.top == 128


def test_discarded_and_replaced_masks_come_back(opened):
    session, _, _ = opened
    automatic, review = session.automatic, session.automatic_review
    review.set_here(True)
    plane = ImagePlane(COINS)
    first = generate(session, whole(plane))
    assert automatic.restorable_count == 0
    rejected = first.masks[0].key
    review.step(1)
    review.reject_current()
    session.wait_until_idle(TIMEOUT_S)
    automatic.discard()
    assert automatic.picture is None
    assert review.rejected == set()
    assert automatic.restorable_count == len(first.masks) - 1

    automatic.restore()
    session.wait_until_idle(TIMEOUT_S)
    assert review.rejected == {rejected}
    colors = dict(zip((mask.key for mask in first.masks), first.label_ids, strict=True))
    shown = automatic.picture
    again = dict(zip((mask.key for mask in shown.masks), shown.label_ids, strict=True))
    assert again == {key: color for key, color in colors.items() if key != rejected}

    second = generate(session, whole(plane, FEW.with_values(points_per_side=4)))
    assert automatic.restorable_count == len(first.masks) - 1
    automatic.restore()
    session.wait_until_idle(TIMEOUT_S)
    assert len(automatic.picture.masks) == len(first.masks) - 1
    assert automatic.restorable_count == len(second.masks)
    automatic.forget_previous()
    automatic.restore()
    assert automatic.picture is not None
    assert automatic.restorable_count == 0


def test_tiles_cover_the_plane_with_an_overlap():
    covered = np.zeros((3000, 2100), int)
    whole_plane, *tiles = automatic_tiles(Tile(3, 0, 0, *covered.shape), 1024)
    assert whole_plane == Tile(3, 0, 0, 3000, 2100)
    for tile in tiles:
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert covered.min() == 1
    assert len(tiles) == 4 * 3
    tops = sorted({tile.top for tile in tiles})
    assert max(np.diff(tops)) <= 1024 * 3 / 4
    assert automatic_tiles(Tile(1, 0, 0, 500, 700), 1024) == (Tile(1, 0, 0, 500, 700),)


@pytest.mark.parametrize(
    ("image", "is_rgb", "name"),
    [
        (np.zeros((9, 9), np.uint16), False, "cells"),
        (np.zeros((9, 9), ">u2"), False, "cells"),
        (np.zeros((9, 9), np.uint8), False, "natural image"),
        (np.zeros((9, 9), np.int16), False, "natural image"),
        (np.zeros((9, 9, 3), np.uint16), True, "natural image"),
    ],
)
def test_cells_are_expected_in_16_bit_gray_images(image, is_rgb, name):
    preset, reason = preset_for(ImagePlane(image, is_rgb=is_rgb))
    assert preset.name == name
    assert ("16-bit" in reason) == (name == "cells")


def test_presets_make_sense():
    assert len({preset.name for preset in PRESETS}) == len(PRESETS) >= 1
    for preset in PRESETS:
        assert AutomaticRunSettings.of_preset(preset).max_share == preset.max_share
        assert preset.advice
