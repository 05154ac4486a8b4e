"""A session that learns from the coins that are accepted, with real weights."""

import json
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, ModelChoice, Prompts
from napari_sam.session.batch_prompts.decode import BatchPrompt, decode_batch_prompts
from napari_sam.session.decoding import learnt
from napari_sam.session.decoding.border import fitted
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.ranking import DecodeContext
from napari_sam.session.decoding.recipe import Policy, Recipe
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.decoding.segment import segment
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.journal.entries import state_from_json, state_to_json
from napari_sam.session.learning import learning
from napari_sam.session.learning.lessons import Knowledge
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.painting import updated_records

TIMEOUT_S = 120
COINS_XY = ((104, 68), (150, 68), (220, 60), (322, 126), (47, 44), (180, 262))
MORE_XY = ((271, 119), (205, 124), (44, 124))
SHAPE = 303, 384
# Where the logit is 2 or more, in tenths: means and spreads of what is known, and their weights.
BORDER = (*(0.0,) * 7, *(1.0,) * 7, 10.0, *(0.0,) * 34, -2.0)
LEARNT = Learnt(Recipe(Policy(1, 0, True), 20.0), 12, is_preselected=True)


@pytest.fixture
def session(real_predictor):
    session = AnnotationSession(lambda *_: real_predictor)
    session.set_image(ImagePlane(data.coins()))
    session.set_target(ArrayPlane(np.zeros(SHAPE, np.uint16)))
    session.wait_until_idle(TIMEOUT_S)
    yield session
    session.close()


def click(session, place_xy):
    session.set_prompts(Prompts((place_xy,), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    return session.state.candidates


def accept(session, places_xy, choice=None):
    for place_xy in places_xy:
        click(session, place_xy)
        if choice is not None:
            session.object_in_progress.choose(choice)
        session.accept()
        session.wait_until_idle(TIMEOUT_S)


def erase(plane, label_id, erased):
    """Erase a part of an object with a brush."""
    labels = plane.labels
    erased &= labels.array == label_id
    labels.array[erased] = 0
    labels.registry.apply(
        tuple(updated_records(labels, labels.registry, [PackedMask((0, 0), erased)], {label_id}))
    )


def test_it_learns_from_the_objects_that_are_in_the_target(session):
    learning = session.learning
    accept(session, COINS_XY[:4])
    assert learning.knowledge == Knowledge()
    # Nothing was learned from it yet, and it is taken back and repeated.
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    session.redo()
    session.wait_until_idle(TIMEOUT_S)
    accept(session, COINS_XY[4:])
    assert learning.knowledge.n_objects == 6
    before = learning.knowledge
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert learning.knowledge.n_objects == 5
    session.redo()
    session.wait_until_idle(TIMEOUT_S)
    assert learning.knowledge == before
    session.objects.remove([2])
    session.wait_until_idle(TIMEOUT_S)
    assert learning.knowledge.n_objects == 5
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert learning.knowledge == before
    # A corrected object replaces its earlier self.
    session.objects.reedit(1)
    session.set_prompts(Prompts((COINS_XY[0], (128, 68)), (1, 0)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    assert learning.knowledge.n_objects == 6
    # Only of a corrected one is known what is better than good enough.
    todays = [today for _, today, *_ in learning.to_json()["lessons"]]
    assert todays[:-1] == [0.8] * 5
    assert todays[-1] > 0.9
    # Another image begins without it, and knows it.
    session.set_target(ArrayPlane(np.zeros(SHAPE, np.uint16)))
    assert learning.knowledge.n_objects == 6
    assert not learning.knowledge.standings
    learning.forget()
    assert learning.knowledge.n_objects == 0


def test_an_object_teaches_what_a_brush_has_made_of_it(session):
    plane = ArrayPlane(np.zeros(SHAPE, np.uint16))
    session.set_target(plane)
    accept(session, COINS_XY[:5])
    before = [area_px for area_px, *_ in session.learning.to_json()["lessons"]]
    erased = np.zeros(SHAPE, bool)
    erased[: int(COINS_XY[3][1])] = True
    erase(plane, 4, erased)
    accept(session, COINS_XY[5:])
    after = [area_px for area_px, *_ in session.learning.to_json()["lessons"]]
    assert after[3] == np.count_nonzero(plane.labels.array == 4) < 0.7 * before[3]
    assert after[:3] + after[4:5] == before[:3] + before[4:]
    assert session.learning.knowledge.n_objects == 6


def test_an_object_that_cannot_be_learned_from_as_painted_teaches_nothing(session, monkeypatch):
    plane = ArrayPlane(np.zeros(SHAPE, np.uint16))
    session.set_target(plane)
    accept(session, COINS_XY[:5])
    erased = np.zeros(SHAPE, bool)
    erased[: int(COINS_XY[3][1])] = True
    erase(plane, 4, erased)
    monkeypatch.setattr(learning, "measure", lambda *_: None)
    accept(session, COINS_XY[5:6])
    assert len(session.learning.to_json()["lessons"]) == 4


def test_no_click_waits_for_what_is_known_of_borders(session, monkeypatch):
    threads = []

    def fitted_here(samples):
        threads.append(threading.current_thread().name)
        return fitted(samples)

    monkeypatch.setattr(learnt, "fitted", fitted_here)
    plane = ArrayPlane(np.zeros(SHAPE, np.uint16))
    session.set_target(plane)
    for label_id, place_xy in enumerate((*COINS_XY, MORE_XY[0]), start=1):
        accept(session, [place_xy])
        depth = ndimage.distance_transform_edt(plane.labels.array == label_id)
        erase(plane, label_id, depth < 0.3 * depth.max())
    for change in (partial(accept, session, MORE_XY[1:2]), session.undo):
        change()
        session.wait_until_idle(TIMEOUT_S)
        n_fitted = len(threads)
        assert click(session, MORE_XY[2]).recipe.border
        session.object_in_progress.clear()
        assert len(threads) == n_fitted
    assert {name.partition("_")[0] for name in threads} == {"napari-sam-learning"}


def test_the_same_objects_in_the_same_order_teach_the_same(real_predictor):
    known = []
    for _ in range(2):
        session = AnnotationSession(lambda *_: real_predictor)
        session.set_image(ImagePlane(data.coins()))
        session.set_target(ArrayPlane(np.zeros(SHAPE, np.uint16)))
        accept(session, COINS_XY)
        known.append(session.learning.knowledge)
        session.close()
    assert known[0] == known[1]
    assert known[0].learnt is None or known[0].learnt.recipe == known[1].learnt.recipe


def test_nothing_is_learned_while_it_is_off(session):
    session.learning.switch(False)
    accept(session, COINS_XY[:5])
    assert session.learning.knowledge.n_objects == 0


@pytest.mark.parametrize("recipe", [LEARNT.recipe, Recipe(border=BORDER)], ids=["disc", "border"])
def test_what_was_learned_is_one_more_mask_and_leaves_the_others_alone(session, recipe):
    learnt = replace(LEARNT, recipe=recipe)
    published = click(session, COINS_XY[0])
    session.object_in_progress.clear()
    session.learning.knowledge = Knowledge(12, learnt=learnt)
    shown = click(session, COINS_XY[0])
    assert len(shown) == len(published) + 1
    assert shown.learnt == shown.best == session.state.chosen == 3
    assert shown.ranking.reason == "learned from 12 objects"
    for before, after in zip(published.masks, shown.masks, strict=False):
        assert np.array_equal(before.logits, after.logits)
        assert before.iou_prediction == after.iou_prediction
    assert shown.unlearnt.best == published.best
    edit = session.accept()
    # Re-edited without what was learned, and after a journal, it is the same mask.
    session.learning.forget()
    state = state_from_json(state_to_json(edit.changes[-1].after.state))
    assert state.recipe == learnt.recipe
    session.objects.resume(replace(state, reedited=None))
    session.wait_until_idle(TIMEOUT_S)
    again = session.state
    assert again.chosen == 3
    assert np.array_equal(again.candidates.logits(3), shown.logits(3))


@pytest.mark.parametrize("token", [2, 3])
def test_a_correction_goes_on_from_the_whole_mask_with_the_same_token(session, token):
    recipe = Recipe(Policy(1, token, True, 1.5), 20.0)
    session.learning.knowledge = Knowledge(12, learnt=replace(LEARNT, recipe=recipe))
    shown = click(session, COINS_XY[0])
    before = shown.logits(shown.best)
    session.set_prompts(Prompts((COINS_XY[0], (112, 76)), (1, 1)))
    session.wait_until_idle(TIMEOUT_S)
    corrected = session.state.candidates
    # Of what the model gives with the same token, one more mask is cut higher.
    assert (len(corrected), corrected.learnt, corrected.best) == (4, 3, 3)
    np.testing.assert_array_equal(corrected.logits(3), corrected.logits(token - 1) - 2)
    assert corrected.recipe == recipe._replace(policy=recipe.policy._replace(cut=2.0))
    state, tile = session.object_in_progress.state, shown.masks[shown.best].tile
    spec = session.embedding.embedder.spec
    # It starts from what the model gave, not from where that was cut.
    prompt = state.mask_prompt(shown.masks[shown.best].weights, tile, spec)
    np.testing.assert_allclose(prompt, before + 1.5, atol=1e-5)
    # Re-edited after a journal, and when all is forgotten, it is such a mask again.
    accepted = session.accept().changes[-1].after.state
    session.learning.forget()
    state = state_from_json(state_to_json(accepted))
    session.objects.resume(replace(state, reedited=None))
    session.wait_until_idle(TIMEOUT_S)
    again = session.state
    assert (again.chosen, again.candidates.recipe) == (3, corrected.recipe)


def test_a_correction_moves_the_border_as_before(session):
    recipe = Recipe(border=BORDER)
    session.learning.knowledge = Knowledge(12, learnt=replace(LEARNT, recipe=recipe))
    shown = click(session, COINS_XY[0])
    assert shown.recipe == recipe
    session.set_prompts(Prompts((COINS_XY[0], (104, 50)), (1, 0)))
    session.wait_until_idle(TIMEOUT_S)
    corrected = session.state.candidates
    assert (len(corrected), corrected.learnt, corrected.best) == (4, 3, 3)
    assert corrected.recipe == recipe
    # Only beside the click.
    moved = np.argwhere((corrected.logits(3) > 0) != (shown.logits(3) > 0))
    cell_px = corrected.tile.side / 256
    places = moved[:, ::-1] * cell_px + (corrected.tile.left, corrected.tile.top)
    assert len(moved)
    assert np.hypot(*(places - (104, 50)).T).max() < 12
    accepted = session.accept().changes[-1].after.state
    session.learning.forget()
    session.objects.resume(replace(state_from_json(state_to_json(accepted)), reedited=None))
    session.wait_until_idle(TIMEOUT_S)
    assert (session.state.chosen, session.state.candidates.recipe) == (3, recipe)


def test_it_stands_back_where_another_object_is_clear(session):
    small = replace(LEARNT, areas_px=(60.0, 70.0, 80.0))
    session.learning.knowledge = Knowledge(12, learnt=small)
    shown = click(session, COINS_XY[0])
    assert shown.learnt == 3
    assert shown.best == shown.unlearnt.best
    assert shown.ranking.reason == "highest score"


def test_a_learned_mask_may_have_a_higher_score_than_what_is_preselected(session):
    learnt = replace(LEARNT, recipe=Recipe(Policy(1, 2, True), 20.0), is_preselected=False)
    session.learning.knowledge = Knowledge(12, learnt=learnt)
    shown = click(session, MORE_XY[2])
    assert shown.best != shown.learnt == int(np.argmax(shown.iou_predictions))
    assert shown.ranking.reason == "highest score of the model's own masks"


def show_spot_on_disc(session):
    """Show a spot in the middle of a disc that is too large for the tile of the spot."""
    y, x = np.ogrid[:1500, :1400]
    pixels = np.where(np.hypot(y - 700, x - 700) < 480, 120.0, 60.0)
    pixels[np.hypot(y - 700, x - 700) < 22] = 200
    pixels += np.random.default_rng(0).normal(0, 4, pixels.shape)
    session.set_image(ImagePlane(pixels.clip(0, 255).astype(np.uint8)))


def choose_all_around(session):
    """Choose each of the masks, and the first one again; return which were shown last."""
    for _ in range(len(session.state.candidates)):
        session.object_in_progress.choose_next()
        session.wait_until_idle(TIMEOUT_S)
    return session.state.candidates


def test_a_learned_mask_stays_while_others_are_looked_at(session):
    show_spot_on_disc(session)
    session.learning.knowledge = Knowledge(12, learnt=replace(LEARNT, recipe=Recipe(border=BORDER)))
    shown = click(session, (700, 700))
    assert shown.best == shown.learnt == 3
    after = choose_all_around(session)
    assert after.tile != shown.tile  # one of the others is too large for it
    assert session.state.chosen == after.learnt == after.best == 3
    assert after.masks[3].tile == shown.masks[3].tile
    np.testing.assert_array_equal(after.logits(3), shown.logits(3))


def test_corrected_masks_stay_while_others_are_looked_at(session):
    show_spot_on_disc(session)
    click(session, (700, 700))
    session.set_prompts(Prompts(((700, 700), (700, 735)), (1, 0)))
    session.wait_until_idle(TIMEOUT_S)
    shown, chosen = session.state.candidates, session.state.chosen
    after = choose_all_around(session)
    assert after.tile != shown.tile
    assert session.state.chosen == chosen
    assert after.masks[chosen].tile == shown.masks[chosen].tile
    np.testing.assert_array_equal(after.logits(chosen), shown.logits(chosen))


def test_one_of_the_models_masks_is_not_shown_twice(session):
    token = Learnt(Recipe(Policy(1, 1, False)), 12, is_preselected=True)
    published = click(session, COINS_XY[0])
    session.object_in_progress.clear()
    session.learning.knowledge = Knowledge(12, learnt=token)
    shown = click(session, COINS_XY[0])
    assert len(shown) == len(published)
    assert shown.best == shown.learnt
    assert shown.recipe is None


def test_preview_and_batches_use_it(session):
    session.learning.knowledge = Knowledge(12, learnt=LEARNT)
    session.object_in_progress.preview.want(Prompts((COINS_XY[0],), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.preview.best == 3
    context = session._decoding.context
    assert context.learnt is LEARNT
    prompt = BatchPrompt(Prompts((COINS_XY[0],), (1,)))
    (result,) = decode_batch_prompts(
        session.embedding.embedder, session.embedding.plane, [prompt], context=context
    )
    assert result.state.recipe == LEARNT.recipe


def test_batches_use_it_on_its_tile_whatever_tile_they_are_on(real_predictor):
    embedder = Embedder(ModelChoice(), lambda *_: real_predictor)
    image = np.full((1000, 1000), 60, np.uint8)
    image[: SHAPE[0], : SHAPE[1]] = data.coins()
    plane, (x, y) = ImagePlane(image), COINS_XY[0]
    pyramid = plane.pyramid(embedder.spec)
    whole, near = pyramid.whole, pyramid.around((x, y, x, y), 0)
    prompts = Prompts((COINS_XY[0],), (1,))
    # Its mask is tiny on the whole plane, and the click is decoded on a finer tile, too.
    policy = Policy(whole.level, 0, True)
    context = DecodeContext(learnt=replace(LEARNT, recipe=Recipe(policy, 20.0)))
    shown = segment(partial(embedder.obtain, plane), pyramid, prompts, learnt=context.learnt)
    assert (shown.tile.level, shown.best) == (near.level, shown.learnt)
    for in_sight in (whole, near):
        about = embedder, plane, [BatchPrompt(prompts)]
        (result,) = decode_batch_prompts(*about, in_sight=in_sight, context=context)
        assert result.state.recipe == shown.recipe
        assert sum(mask.area_px for mask in result.masks) == shown.crop(shown.best).mask.sum()


def test_a_model_without_mask_prompts_has_no_disc(session):
    embedded = session.embedding.embedded
    spec = replace(embedded.decoder.spec, capabilities=frozenset())

    class WithoutMasks:
        def __init__(self, decoder):
            self.spec, self.decode, self.device = spec, decoder.decode, decoder.device
            self.decode_batch = decoder.decode_batch

    prompts = Prompts((COINS_XY[0],), (1,))
    context = replace(session._decoding.context, learnt=LEARNT)
    plain = replace(embedded, decoder=WithoutMasks(embedded.decoder))
    assert len(DecodeRequest(plain, prompts, prompts, context).all_at_once()) == 3


def test_what_was_learned_is_kept_and_of_no_use_to_another_model(session, real_predictor):
    accept(session, COINS_XY[:5])
    content = json.loads(json.dumps(session.learning.to_json()))
    other = AnnotationSession(lambda *_: real_predictor)
    other.learning.keep(content)
    assert other.learning.knowledge.n_objects == 5
    assert other.learning.to_json() == content
    for damaged in ({**content, "model": "another"}, {"lessons": 3}, [], None, "x"):
        other.learning.keep(damaged)
        assert other.learning.knowledge.n_objects == 0
    worse = {**content, "lessons": [[1e99, 2, []]]}
    other.learning.keep(worse)
    assert other.learning.knowledge.n_objects == 0
    other.close()


def test_objects_that_a_learned_file_holds_as_well_count_once(session, real_predictor):
    accept(session, COINS_XY[:5])
    content = json.loads(json.dumps(session.learning.to_json()))
    session.learning.keep(content)
    assert session.learning.knowledge.n_objects == 5
    session.set_image(ImagePlane(data.coins()[::-1]))
    session.set_target(ArrayPlane(np.zeros(SHAPE, np.uint16)))
    session.learning.keep(content)
    assert session.learning.knowledge.n_objects == 5


def test_rejected_masks_and_deleted_objects_are_of_a_size_that_is_not_meant(session):
    accept(session, COINS_XY, choice=0)
    assert session.learning.knowledge.standings[0].gain > 0
    area_px = session.learning.knowledge.learnt.areas_px[0]
    session.learning.refuse([area_px] * 20)
    assert not session.learning.knowledge.learnt.knows_size(area_px)
    session.objects.remove([1])
    session.wait_until_idle(TIMEOUT_S)
    assert len(session.learning.knowledge.learnt.refused_px) == 21
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert len(session.learning.knowledge.learnt.refused_px) == 20
