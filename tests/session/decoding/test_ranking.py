"""Which candidate is preselected, and why: pure rules, then a session on real weights."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.model import MaskPrediction
from napari_sam.model.automatic.mask_ops import stable_mask
from napari_sam.session import ArrayPlane, ImagePlane, Prompts
from napari_sam.session.decoding.features import MaskFeatures, measure_features
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.ranking import MAX_EXAMPLES, Example, MaskBefore, rank
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit, History
from napari_sam.session.objects.labels import TargetError

TIMEOUT_S = 120
CELLS_RC = ((60, 60), (60, 190), (190, 60), (190, 190), (60, 320), (190, 320), (125, 125))


def traits(**fields):
    """Return the traits of a part, the object and the whole field."""
    known = {
        "iou_predictions": (0.9, 0.9, 0.9),
        "stability_score": (0.9, 0.9, 0.9),
        "area_px": (100, 1000, 60_000),
        "tile_share": (0.0016, 0.016, 0.95),
        "border_share": (0, 0, 0.8),
        "brightness": (200, 150, 60),
        "contrast": (50, 90, 0),
        "elongation": (0.1, 0.1, 0.1),
        "fullness": (1, 1, 1),
        "edge": (1, 1, 1),
    } | fields
    has_box = known.pop("has_box", False)
    arrays = {name: np.array(values, np.float64) for name, values in known.items()}
    return MaskFeatures(**arrays, has_box=has_box)


def ellipse(shape, center_rc, axes):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return ((y - center_rc[0]) / axes[0]) ** 2 + ((x - center_rc[1]) / axes[1]) ** 2 <= 1


def prediction_of(*masks, input_size=(1024, 1024), height=5.0):
    """Return a prediction whose masks, in low-res pixels, are these."""
    logits = np.full((len(masks), 256, 256), -height, np.float32)
    for one, mask in zip(logits, masks, strict=True):
        one[: mask.shape[0], : mask.shape[1]][mask] = height
    return MaskPrediction(
        logits, np.ones(len(masks), np.float32), input_size, input_size, input_side=1024
    )


def gray(values):
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


# Traits ------------------------------------------------------------------------------------


def test_traits_of_ellipses():
    masks = [ellipse((256, 256), (100, 120), axes) for axes in ((20, 20), (20, 40), (40, 20))]
    found = measure_features(prediction_of(*masks), gray(np.full((128, 128), 7)), 512 * 512)
    areas = [np.count_nonzero(mask) for mask in masks]
    np.testing.assert_allclose(found.area_px, np.array(areas) * 4)
    np.testing.assert_allclose(found.tile_share, np.array(areas) / 256**2)
    np.testing.assert_allclose(found.elongation, [0, np.log(2), np.log(2)], atol=0.02)
    np.testing.assert_allclose(found.fullness, 1, atol=0.01)
    np.testing.assert_array_equal(found.border_share, 0)
    np.testing.assert_array_equal(found.stability_score, 1)
    np.testing.assert_allclose(found.brightness, 7)
    np.testing.assert_allclose(found.contrast, 0)


def test_a_mask_in_two_pieces_is_not_full():
    mask = ellipse((256, 256), (60, 60), (15, 15)) | ellipse((256, 256), (190, 190), (15, 15))
    found = measure_features(prediction_of(mask), None, 256**2)
    assert found.fullness[0] < 0.5
    assert found.elongation[0] > 1


def test_edges_along_the_border():
    """On a finer grid; where the tile ends, no border is."""
    edges = np.ones((512, 512), np.float16)
    edges[200:400, 238:242] = edges[200:400, 318:322] = 4  # to the left and right of a bar
    bar, beside, whole = np.zeros((3, 256, 256), bool)
    bar[100:200, 120:160] = beside[100:200, 60:100] = whole[:] = True
    found = measure_features(prediction_of(bar, beside, whole), None, 512**2, edges=edges)
    assert found.edge[:2] == pytest.approx([1 + 3 * 200 / 280, 1], abs=0.1)
    assert np.isnan(found.edge[2])


def test_a_mask_ends_at_something_that_is_seen():
    unseen = traits(edge=(0.8, 4, np.nan), iou_predictions=(0.95, 0.85, 0.5))
    ranking = rank(unseen, ())
    assert ranking.order[0] == 1
    assert ranking.reason == "ends at clearer edges than mask 1"
    assert rank(dataclasses.replace(unseen, has_box=True), ()).order[0] == 0
    clear = traits(edge=(6, 20, 1), iou_predictions=(0.95, 0.93, 0.5))  # both are clear enough
    assert rank(clear, ()).order[0] == 0


def test_brightness_inside_and_around():
    image = np.full((128, 128), 40)
    image[ellipse((128, 128), (50, 60), (11, 11))] = 200
    dark = ellipse((256, 256), (200, 200), (20, 20))
    bright = ellipse((256, 256), (100, 120), (22, 22))
    found = measure_features(prediction_of(bright, dark), gray(image), 256**2)
    np.testing.assert_allclose(found.brightness, [200, 40], atol=2)
    np.testing.assert_allclose(found.contrast, [160, 0], atol=8)


def test_the_padding_of_the_input_does_not_count():
    found = measure_features(
        prediction_of(np.ones((128, 256), bool), input_size=(512, 1024)),
        gray(np.full((64, 128), 9)),
        100 * 200,
    )
    assert found.tile_share[0] == found.border_share[0] == 1
    assert found.area_px[0] == 100 * 200
    assert found.brightness[0] == 9


def test_an_empty_mask_and_one_thinner_than_a_thumbnail_have_traits():
    line = np.zeros((256, 256), bool)
    line[101, 20:80] = True
    found = measure_features(
        prediction_of(np.zeros((256, 256), bool), line), gray(np.zeros((96, 96))), 256**2
    )
    np.testing.assert_array_equal(found.area_px, [0, 60])
    assert np.isnan(found.brightness).all()
    assert sorted(rank(found, (Example(found, 1),)).order) == [0, 1]


@pytest.fixture(scope="module")
def prediction(real_predictor):
    """Return the model's answer to a click on one of many cells."""
    image = gray(cells_image())
    row, column = CELLS_RC[0]
    return real_predictor.decode(real_predictor.encode(image), [(column, row)], [1])


def test_the_stability_score_is_that_of_automatic_masks(prediction):
    """It is counted in low-res pixels instead of the image's, hence the tolerance."""
    found = measure_features(prediction, None, 250 * 380)
    expected = [
        stable_mask(prediction.scaled_logits(k, prediction.original_size), 1.0)
        for k in range(len(prediction))
    ]
    np.testing.assert_allclose(
        found.stability_score, [one.stability_score for one in expected], atol=0.03
    )
    np.testing.assert_allclose(found.area_px, prediction.masks.sum(axis=(1, 2)), rtol=0.05)


# The rule ------------------------------------------------------------------------------------


def test_with_nothing_to_tell_masks_apart_the_score_does():
    ranking = rank(traits(iou_predictions=(0.8, 0.95, 0.9)), ())
    assert ranking.order == (1, 0, 2)
    assert ranking.reason == "highest score"


def test_the_whole_field_is_preselected_only_far_ahead():
    ranking = rank(traits(iou_predictions=(0.7, 0.85, 0.95)), ())
    assert ranking.order[0] == 1
    assert ranking.reason == "preferred to mask 3, which fills the field"
    assert rank(traits(iou_predictions=(0.3, 0.4, 0.95)), ()).order[0] == 2


def test_a_large_mask_inside_the_field_and_one_in_a_box_are_not_the_whole_field():
    scores = (0.7, 0.85, 0.95)
    assert rank(traits(iou_predictions=scores, border_share=(0, 0, 0.1)), ()).order[0] == 2
    assert rank(traits(iou_predictions=scores, has_box=True), ()).order[0] == 2


def test_a_mask_that_grew_after_something_was_excluded_is_preselected_only_far_ahead():
    scores = {"iou_predictions": (0.4, 0.7, 0.8), "border_share": (0, 0, 0)}
    assert rank(traits(**scores), ()).order[0] == 2
    ranking = rank(traits(**scores), (), corrected_from=MaskBefore(110, (0, 0, 10, 11)))
    assert ranking.order[0] == 0
    assert ranking.reason == "preferred to mask 3, which grew too much"
    assert rank(traits(**scores), (), corrected_from=MaskBefore(1000, (0, 0, 30, 34))).order[0] == 1


def test_a_far_larger_mask_is_not_what_was_added_to_another():
    features = traits(
        iou_predictions=(0.5, 0.9, 0.95), border_share=(0, 0, 0), area_px=(400, 12000, 60000)
    )
    before = MaskBefore(86, (0, 0, 10, 11), is_excluding=False)
    assert rank(features, (), corrected_from=before).order[0] == 0
    assert rank(features, (), corrected_from=before._replace(area_px=8000)).order[0] == 2


def test_stability_decides_between_equal_scores():
    ranking = rank(traits(stability_score=(0.6, 0.95, 0.9)), ())
    assert ranking.order[0] == 1
    assert ranking.reason == "as good as mask 1, and more stable"


def test_scores_that_are_shown_as_equal_are_no_reason():
    scores = {"iou_predictions": (1.001, 1.004, 0.5), "border_share": (0, 0, 0)}
    assert rank(traits(**scores), ()).reason == "highest score"
    stable = traits(**scores, stability_score=(0.95, 0.9, 0.9))
    assert rank(stable, ()).reason == "as good as mask 2, and more stable"
    alike = rank(traits(**scores), (Example(traits(), 1),) * 3)
    assert alike.order[0] == 1
    assert alike.reason.startswith("like your objects: ")


def test_masks_that_were_not_accepted_are_the_reason_only_where_they_decided():
    scores = {"iou_predictions": (0.9, 0.92, 0.5), "border_share": (0, 0, 0)}
    shown = traits(**scores, area_px=(1e5, 1000, 9e6), tile_share=(0, 0, 0))
    unlike = traits(area_px=(1, 1000, 1100), brightness=(20, 150, 150), contrast=(0, 90, 90))
    ranking = rank(shown, (Example(unlike, 0),) * 4)
    assert ranking.order[0] == 0
    assert ranking.reason == "preferred to mask 2: you skipped similar ones"


@pytest.mark.parametrize("accepted", [0, 1, 2])
def test_what_was_accepted_is_preselected(accepted):
    examples = tuple(Example(traits(), accepted) for _ in range(3))
    scores = np.full(3, 0.9)
    scores[accepted] = 0.8
    ranking = rank(traits(iou_predictions=scores), examples)
    assert ranking.order[0] == accepted
    assert ranking.reason.startswith("like your objects: ")


def test_the_reason_names_what_is_alike():
    area = traits(brightness=(150, 150, 150), contrast=(90, 90, 90))
    ranking = rank(area, (Example(traits(brightness=(150, 150, 150)), 1),) * 3)
    assert ranking.reason == "like your objects: size"


def test_masks_that_are_all_the_object_were_not_passed_over():
    parts = traits(
        area_px=(100, 101, 102),
        tile_share=(0.0016,) * 3,
        border_share=(0,) * 3,
        brightness=(200,) * 3,
        contrast=(50,) * 3,
    )
    shown = traits(iou_predictions=(0.9, 0.98, 0.9))
    assert rank(shown, ()).order[0] == 1
    assert rank(shown, (Example(parts, 1),) * 3).order[0] == 0


def test_a_much_better_score_is_preselected_against_examples():
    examples = (Example(traits(), 1),)
    assert rank(traits(iou_predictions=(0.95, 0.5, 0.5)), examples).order[0] == 0


def test_examples_of_quite_other_objects_says_nothing():
    other = traits(area_px=(1e6, 1e7, 1e8), brightness=(1, 2, 3), contrast=(0, 0, 0))
    scores = (0.8, 0.81, 0.82)
    shown = traits(iou_predictions=scores, tile_share=(0, 0, 0))
    assert rank(shown, (Example(other, 0),) * 20).order == rank(shown, ()).order


def test_brightness_that_is_not_known_makes_no_difference():
    unknown = traits(
        iou_predictions=(0.9, 0.95, 0.9), brightness=(np.nan,) * 3, contrast=(np.nan,) * 3
    )
    ranking = rank(unknown, (Example(traits(), 0),) * 3)
    assert ranking.order[0] == 0
    assert "size" in ranking.reason
    assert "brightness" not in ranking.reason


def test_a_single_candidate_is_the_first():
    one = traits(**{f.name: (1,) for f in dataclasses.fields(MaskFeatures) if f.name != "has_box"})
    assert rank(one, (Example(one, 0),)).order == (0,)


# In a session -----------------------------------------------------------------------------------


def cells_image():
    """Draw cells with bright nuclei: the model's highest score is that of whole cells."""
    rng = np.random.default_rng(3)
    image = np.full((250, 380), 30.0)
    for row, column in CELLS_RC:
        image[ellipse(image.shape, (row, column), (26, 22))] += 40
        image[ellipse(image.shape, (row, column), (11, 10))] += 60
    image = ndimage.gaussian_filter(image, 1.2) + rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def cells(open_session):
    """Return a session on cells with nuclei."""
    session = open_session()
    session.set_image(ImagePlane(cells_image()), key="cells")
    session.set_target(ArrayPlane(np.zeros((250, 380), np.uint16)))
    session.wait_until_idle(TIMEOUT_S)
    return session


def click(session, number):
    row, column = CELLS_RC[number]
    session.set_prompts(Prompts(((column, row),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    return session.state.candidates


def area_of(candidates, index):
    return np.count_nonzero(candidates.crop(index).mask)


def accept_nucleus(session, number):
    candidates = click(session, number)
    smallest = min(range(3), key=lambda index: area_of(candidates, index))
    session.object_in_progress.choose(smallest)
    session.wait_until_idle(TIMEOUT_S)
    session.accept()


def test_the_session_learns_what_is_meant_and_unlearns_it_exactly(cells):
    first = click(cells, 0)
    assert first.best == np.argmax(first.iou_predictions)
    assert first.ranking.reason == "highest score"
    assert area_of(first, first.best) > 1200
    cells.object_in_progress.clear()

    for number in (1, 2, 3):
        accept_nucleus(cells, number)
    learnt = click(cells, 0)
    assert area_of(learnt, learnt.best) < 600
    assert learnt.ranking.reason.startswith("like your objects: ")
    assert cells.state.chosen == learnt.best
    np.testing.assert_array_equal(
        learnt.masks[0].prediction.low_res_logits, first.masks[0].prediction.low_res_logits
    )

    cells.object_in_progress.clear()
    while cells.state.can_undo:
        cells.undo()
        cells.wait_until_idle(TIMEOUT_S)
    while cells.state.can_redo:
        cells.redo()
        cells.wait_until_idle(TIMEOUT_S)
    again = click(cells, 0)
    assert again.ranking.order == learnt.ranking.order
    assert again.ranking.reason == learnt.ranking.reason

    while cells.state.can_undo:
        cells.undo()
        cells.wait_until_idle(TIMEOUT_S)
    unlearnt = click(cells, 0)
    assert unlearnt.best == first.best
    assert unlearnt.ranking.reason == first.ranking.reason


def test_a_preview_preselects_what_the_click_would(cells):
    for number in (1, 2, 3):
        accept_nucleus(cells, number)
    row, column = CELLS_RC[0]
    cells.object_in_progress.preview.want(Prompts(((column, row),), (1,)))
    cells.wait_until_idle(TIMEOUT_S)
    preview = cells.state.preview
    assert area_of(preview, preview.best) < 600
    cells.object_in_progress.preview.want(None)


def test_a_choice_stays_a_choice(cells):
    for number in (1, 2, 3):
        accept_nucleus(cells, number)
    candidates = click(cells, 0)
    whole = max(range(2), key=lambda index: area_of(candidates, index))
    assert whole != candidates.best
    cells.object_in_progress.choose(whole)
    cells.wait_until_idle(TIMEOUT_S)
    assert cells.state.chosen == whole
    row, column = CELLS_RC[0]
    cells.set_prompts(Prompts(((column, row), (column + 16, row)), (1, 1)))
    cells.wait_until_idle(TIMEOUT_S)
    assert cells.state.chosen == whole


def test_what_was_learnt_on_another_plane_counts(cells, coins):
    for number in (1, 2, 3):
        accept_nucleus(cells, number)
    cells.set_image(coins, key="coins")
    cells.wait_until_idle(TIMEOUT_S)
    cells.set_image(ImagePlane(cells_image()), key="again")
    cells.wait_until_idle(TIMEOUT_S)
    learnt = click(cells, 0)
    assert area_of(learnt, learnt.best) < 600


def test_examples_keep_the_newest():
    history, nothing = History(), ObjectState()
    examples = [Example(traits(), 0) for _ in range(MAX_EXAMPLES + 3)]
    for example in examples:
        history.push(Edit(nothing, nothing, 0, example=example))
        history.push(Edit(nothing, nothing, 0))
    assert all(a is b for a, b in zip(history.accepted_examples(None), examples[3:], strict=True))
    history.undo()
    history.undo()
    assert history.accepted_examples(None)[-1] is examples[-2]
    assert history.accepted_examples(None)[0] is examples[2]
    history.redo()
    assert history.accepted_examples(None)[-1] is examples[-1]


def test_examples_of_another_image_count_until_this_one_has_enough():
    history, nothing = History(), ObjectState()
    before, shown = (ArrayPlane(np.zeros((4, 4), np.uint8)) for _ in range(2))
    for target, count in ((before, 9), (shown, 4)):
        for _ in range(count):
            written = LabelsEdit(target.labels, (), (), 1)
            example = Example(traits(), 0)
            history.push(Edit(nothing, nothing, 0, labels=written, example=example))
    assert len(history.accepted_examples(shown)) == 13
    assert len(history.accepted_examples(before)) == 9
    history.push(Edit(nothing, nothing, 0, labels=written, example=example))
    assert len(history.accepted_examples(shown)) == 5
    history.undo()
    assert len(history.accepted_examples(shown)) == 13


def test_a_target_that_cannot_be_read_now_hides_no_examples():
    class Unfit:
        @property
        def labels(self):
            raise TargetError("It no longer has the image's shape.")

    history, nothing = History(), ObjectState()
    history.push(Edit(nothing, nothing, 0, example=Example(traits(), 0)))
    assert len(history.accepted_examples(Unfit())) == 1
