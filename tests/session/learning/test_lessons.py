"""What follows from lessons: pure rules."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.session.decoding.border import N_FEATURES
from napari_sam.session.decoding.learnt import Learnt, Place
from napari_sam.session.decoding.recipe import Policy, Recipe
from napari_sam.session.learning.lessons import (
    Kind,
    Lesson,
    best_policy,
    knowledge_of,
    radius_of,
    scored,
)

TOKEN, OTHER_TOKEN = Policy(0, 1, False), Policy(1, 2, False)
DISC = Policy(0, 1, True)
SAMPLES = np.random.default_rng(0).random((40, N_FEATURES + 1), np.float32)


def lessons(ious, todays, area_px=300.0):
    """Return lessons in their order, each scored before it was known."""
    known = []
    for iou, today in zip(ious, todays, strict=True):
        known.append(scored(Lesson(area_px, today, iou), known))
    return known


def discs(iou, today, count):
    return lessons([{TOKEN: today, DISC: iou}] * count, [today] * count)


def test_nothing_is_learned_from_fewer_than_five_objects():
    few = discs(0.9, 0.5, 4)
    assert best_policy(few, Kind.DISC) is None
    assert knowledge_of(few).learnt is None


def test_a_policy_is_preselected_once_it_was_better_on_objects_that_it_did_not_know():
    assert not knowledge_of(discs(0.65, 0.6, 9)).learnt.is_preselected
    assert knowledge_of(discs(0.65, 0.6, 10)).learnt.is_preselected
    # What is far better is preselected sooner.
    assert not knowledge_of(discs(0.8, 0.6, 7)).learnt.is_preselected
    known = knowledge_of(discs(0.8, 0.6, 8))
    assert known.learnt.is_preselected
    assert known.learnt.recipe.policy == DISC
    assert known.leader.kind is Kind.DISC
    assert known.leader.gain == pytest.approx(0.2)


@pytest.mark.parametrize("iou", [0.8, 0.79, 0.1])
def test_only_what_was_better_in_the_mean_is_offered(iou):
    better = knowledge_of(discs(0.805, 0.8, 20))
    assert not better.learnt.is_preselected
    assert better.summary == "Learned from 20 objects: offered with a star"
    useless = knowledge_of(lessons([{DISC: iou}] * 20, [0.8] * 20))
    useless_few = lessons([{DISC: iou}] * 7, [0.8] * 7)
    assert useless.learnt is None
    assert knowledge_of(useless_few).summary == "Learned from 7 objects; tried on the next ones."
    assert useless.summary == "Learned from 20 objects: no gain here, so not used"


@pytest.mark.parametrize("others", [0.79, 0.8])
def test_one_lucky_object_does_not_make_a_policy_better(others):
    ious = [{DISC: 0.8}] * 5 + [{DISC: others}] * 5 + [{DISC: 0.9}]
    known = knowledge_of(lessons(ious, [0.8] * 10 + [0.0]))
    assert known.standings[0].gain > 0.05
    assert not known.learnt.is_preselected


def test_a_policy_that_mostly_helps_a_little_and_never_harms_is_preselected():
    ious = [{DISC: 0.97}] * 5 + [{DISC: iou} for iou in (0.81, 0.82, 0.81, 0.9, 0.62)]
    todays = [1.0] * 5 + [0.8, 0.8, 0.8, 0.7, 0.61]
    known = knowledge_of(lessons(ious, todays))
    standing = known.standings[0]
    assert standing.gain == pytest.approx(0.25 / 5)
    assert standing.gain - standing.doubt < 0.02
    assert known.learnt.is_preselected
    # Were it due to one object alone, it might be chance.
    ious[6] = {DISC: 0.7}
    known = knowledge_of(lessons(ious, todays))
    assert not known.learnt or not known.learnt.is_preselected


def test_where_a_policy_makes_no_difference_it_tells_nothing():
    alike = [{DISC: 0.97}] * 12
    known = knowledge_of(lessons([*alike, *[{DISC: 0.85}] * 4], [1.0] * 12 + [0.8] * 4))
    assert known.leader is None
    ious, todays = [*alike, *[{DISC: 0.9}] * 5, *alike], [1.0] * 12 + [0.8] * 5 + [1.0] * 12
    known = knowledge_of(lessons(ious, todays))
    assert known.leader.gain == pytest.approx(0.1)
    assert known.leader.n_scored == 5
    # But what has been of more use on the last objects comes first.
    assert known.leader.recent == 0


def test_one_wrong_object_is_no_better_than_another():
    wrong = knowledge_of(discs(0.45, 0.2, 20))
    assert wrong.learnt is None
    assert knowledge_of(discs(0.8, 0.2, 20)).leader.gain == pytest.approx(0.3)


def test_a_policy_that_gets_worse_stands_back():
    ious = [{DISC: 0.9}] * 12 + [{DISC: 0.3}] * 4
    known = knowledge_of(lessons(ious, [0.7] * 16))
    assert known.learnt is None or not known.learnt.is_preselected


def test_lessons_of_another_image_tell_what_to_do_but_not_that_it_is_better():
    before = discs(0.9, 0.5, 20)
    assert knowledge_of([], before).learnt is None
    here = []
    for _ in range(3):
        here.append(scored(Lesson(300.0, 0.5, {DISC: 0.9}), [*before, *here]))
    assert not knowledge_of(here[:2], before).learnt.is_preselected
    assert knowledge_of(here, before).learnt.is_preselected


def test_a_policy_is_judged_where_it_could_be_tried():
    ious = [{TOKEN: 0.7, OTHER_TOKEN: 0.8}, {TOKEN: 0.7}] * 5
    assert best_policy(lessons(ious, [0.6] * 10), Kind.TOKEN) == OTHER_TOKEN
    rarely = [{TOKEN: 0.7}] * 6 + [{TOKEN: 0.7, OTHER_TOKEN: 0.9}] * 4
    assert best_policy(lessons(rarely, [0.6] * 10), Kind.TOKEN) == TOKEN


def test_the_disc_is_as_large_as_the_last_objects():
    assert radius_of([1e6, *[np.pi * 100] * 10]) == pytest.approx(10)


def test_a_size_that_was_refused_more_often_than_accepted_is_not_meant():
    recipe = Recipe(DISC, 10)
    learnt = Learnt(recipe, 5, areas_px=(100, 110, 90), refused_px=(400, 420, 380, 410))
    assert learnt.knows_size(105)
    assert not learnt.knows_size(400)
    assert Learnt(recipe, 5, areas_px=(100, 400, 390, 410, 420)).knows_size(400)


def test_a_size_that_is_far_from_all_accepted_ones_is_not_meant():
    learnt = Learnt(Recipe(DISC, 10), 5, areas_px=(100, 300, 200, 90, 250))
    assert learnt.knows_size(30)
    assert learnt.knows_size(1000)
    assert not learnt.knows_size(20)
    assert not learnt.knows_size(1300)


def test_a_clear_mask_that_differs_more_from_the_learned_one_than_ever_is_another_object():
    clear = SimpleNamespace(iou_predictions=[0.95], stability_score=[0.97], area_px=[5500.0])
    accepted = {"areas_px": (1500.0, 400.0)}
    alike = Learnt(
        Recipe(DISC, 10), 5, **accepted, size_pairs_px=((1600.0, 1500.0), (300.0, 400.0))
    )
    assert alike.is_of_another_kind(clear, 0, 800.0)
    assert not alike.is_of_another_kind(clear, 0, 4000.0)
    # Where accepted objects were parts of what is preselected, it is a part again.
    parts = replace(alike, size_pairs_px=((6000.0, 1500.0), (400.0, 400.0)))
    assert not parts.is_of_another_kind(clear, 0, 800.0)
    unclear = SimpleNamespace(**{**vars(clear), "iou_predictions": [0.8]})
    assert not alike.is_of_another_kind(unclear, 0, 800.0)


def test_a_click_unlike_accepted_ones_is_not_known():
    places = tuple(Place(direction(0.1 * n), 100.0 + n) for n in range(5))
    learnt = Learnt(Recipe(DISC, 10), 5, places={0: places})
    assert learnt.knows_place(Place(direction(0.25), 101), 0)
    assert not learnt.knows_place(Place(direction(0.25), 200), 0)
    assert not learnt.knows_place(Place(direction(2), 101), 0)
    assert learnt.knows_place(Place(direction(0.25), np.nan), 0)
    # On tiles of another level nothing is known.
    assert learnt.knows_place(Place(direction(2), 200), 1)


def direction(angle):
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def bordered(moved, today, count, disc=None):
    """Return lessons that also tell where objects end."""
    known = []
    for _ in range(count):
        ious = {TOKEN: today} if disc is None else {TOKEN: today, DISC: disc}
        borders = None if len(known) < 5 else moved
        lesson = Lesson(300.0, today, ious, samples=SAMPLES, moved=borders)
        known.append(scored(lesson, known))
    return known


def test_a_moved_border_is_preselected_once_it_was_better():
    few = knowledge_of(bordered(0.65, 0.6, 9))
    assert few.leader is None
    known = knowledge_of(bordered(0.9, 0.6, 10))
    assert known.leader.kind is Kind.BORDER
    assert known.learnt.is_preselected
    # It is that of the mask that is preselected without learning.
    assert known.learnt.recipe == Recipe()
    assert len(known.learnt.samples) == 10
    assert known.learnt.token_policy == TOKEN


def test_a_border_is_moved_of_the_mask_that_has_been_better():
    known = knowledge_of(bordered(0.9, 0.6, 12, disc=0.8))
    assert [standing.kind for standing in known.standings[:2]] == [Kind.BORDER, Kind.DISC]
    assert known.learnt.recipe.policy == DISC
    assert len(known.learnt.samples) == 12
    without = knowledge_of(bordered(0.7, 0.6, 12, disc=0.8)).learnt
    assert (without.recipe.policy, without.samples) == (DISC, ())


def test_what_has_led_is_not_given_up_for_what_was_tried_once():
    known = discs(0.9, 0.6, 12)
    once = scored(Lesson(300.0, 0.6, {TOKEN: 0.6, DISC: 0.9}, samples=SAMPLES, moved=1.0), known)
    learnt = knowledge_of([*known, once]).learnt
    assert learnt.is_preselected
    assert (learnt.recipe.policy, learnt.samples) == (DISC, ())


def test_what_is_known_of_borders_is_tried_before_it_is_offered():
    known = knowledge_of(bordered(0.5, 0.6, 12))
    assert known.learnt is None
    assert len(known.border.samples) == 12
    assert knowledge_of(bordered(0.5, 0.6, 4)).border is None
