"""Outlines and scribbles as prompts: what they mean, and that nothing of them is lost."""

import json

import numpy as np
import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import Outline, OutlineKind, Prompts, Scribble
from napari_sam.session.decoding.mask_prompts import _simplified, limit_of_outline
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile
from napari_sam.session.journal.entries import record_from_json, record_to_json
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.prompts.shapes import axis_aligned_box

TIMEOUT_S = 120
TRIANGLE = Outline(((10, 10), (50, 10), (10, 60)))
ROUND = Outline(((10, 20), (50, 20), (50, 40), (10, 40)), OutlineKind.ELLIPSE)
LINE = Scribble(((0, 0), (60, 0)))
COIN_XY = (155, 51)


def around_coin(radius=27, bite=0):
    """Return a ring around a coin; without the lowest `bite` pixels of it."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    xs = COIN_XY[0] + radius * np.cos(angles)
    ys = np.minimum(COIN_XY[1] + radius * np.sin(angles), COIN_XY[1] + radius - bite)
    return Outline(tuple(zip(xs.tolist(), ys.tolist(), strict=True)))


def mask_of(session, shape=(303, 384)):
    candidates, mask = session.state.candidates, np.zeros(shape, bool)
    for part, top, left in candidates.blocks(session.state.chosen):
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


def test_the_box_of_prompts_is_that_of_their_outline():
    assert Prompts(outline=TRIANGLE).box_xyxy == (10, 10, 50, 60)
    assert Prompts(outline=ROUND).box_xyxy == pytest.approx((10, 20, 50, 40))
    assert Prompts(outline=ROUND).has_foreground
    assert Prompts(outline=ROUND).size == 1


def test_a_turned_ellipse_is_no_larger_than_it_is():
    turned = Outline(((30, 0), (60, 30), (30, 60), (0, 30)), OutlineKind.ELLIPSE)
    assert turned.box_xyxy == pytest.approx((8.8, 8.8, 51.2, 51.2), abs=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Outline(((0, 0), (1, 1))), "three vertices"),
        (lambda: Outline(((0, 0), (1, 1), (2, 5)), "ellipse"), "an ellipse four"),
        (lambda: Outline(((0, 0), (1, np.nan), (2, 5))), "finite"),
        (lambda: Scribble(()), "needs vertices"),
        (lambda: Scribble(((0, 0),), 2), "1 .foreground."),
        (lambda: Scribble(((np.inf, 0),)), "finite"),
    ],
)
def test_wrong_drawings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_scribble_is_points_along_it_and_those_outside_are_ignored():
    usable, remarks = Prompts(((5, 5),), (0,), scribbles=(LINE,)).within((50, 40))
    assert usable.scribbles == ()
    assert usable.points_xy == ((5, 5), (10, 0), (20, 0), (30, 0))
    assert usable.point_labels == (0, 1, 1, 1)
    assert remarks == ("Ignored 2 points outside the image: click on the image.",)
    assert Scribble(((3, 4), (3, 4))).points_xy == ((3, 4),)


def test_a_background_scribble_alone_says_nothing_of_where_the_object_is():
    prompts = Prompts(scribbles=(Scribble(((0, 0), (9, 9)), 0),))
    assert not prompts.is_empty
    assert not prompts.has_foreground
    assert prompts.bounds_xyxy == (0, 0, 9, 9)


def test_what_is_added_to_drawn_prompts_extends_them():
    drawn = Prompts(outline=TRIANGLE)
    more = Prompts(outline=TRIANGLE, scribbles=(LINE,))
    assert more.extends(drawn)
    assert drawn.extends(Prompts())
    assert not Prompts(outline=ROUND, scribbles=(LINE,)).extends(drawn)
    assert not drawn.extends(Prompts(scribbles=(LINE,)))
    # The same box, but what was drawn is another thing.
    assert not Prompts(box_xyxy=(10, 10, 50, 60), scribbles=(LINE,)).extends(drawn)


def test_only_upright_rectangles_are_boxes():
    assert axis_aligned_box([(1, 2), (5, 2), (5, 4), (1, 4)]) == (1, 2, 5, 4)
    assert axis_aligned_box([(3, 0), (6, 3), (3, 6), (0, 3)]) is None


@pytest.mark.parametrize("tile", [Tile(0, 0, 0, 80, 100), Tile(0, 8, 4, 64, 64)])
def test_the_limit_of_an_outline_lies_where_the_outline_does(tile):
    limit = limit_of_outline(TRIANGLE, tile, 256)

    def at(x, y):
        cell = tile.side / 256
        return limit[int((y + 0.5 - tile.top) / cell), int((x + 0.5 - tile.left) / cell)]

    assert at(20, 20) > 15
    assert at(40, 14) > 15
    assert at(45, 50) == at(8, 64) == at(55, 12) == -10


@pytest.mark.parametrize("far", [1e3, 1e5, 1e9, 1e12, 1e30])
def test_an_outline_that_leaves_the_tile_by_far_is_clipped(far):
    tile = Tile(0, 0, 0, 400, 400)
    half = Outline(((-far, -far), (199.5, -far), (199.5, far), (-far, far)))
    limit = limit_of_outline(half, tile, 256)
    slack = min(far / 8, 400)  # drawn roughly, as seen from afar
    inside = round(min(256, (200 + slack) * 256 / 400))
    assert (limit[:, :128] > 0).all()
    assert (limit[:, inside:] < 0).all()


def test_an_outline_elsewhere_allows_nothing_in_the_tile():
    beyond = Outline(((900, 900), (1000, 900), (900, 1000)))
    assert (limit_of_outline(beyond, Tile(0, 0, 0, 400, 400), 256) < 0).all()


def test_a_lasso_of_many_vertices_is_the_curve_that_it_follows():
    tile = Tile(0, 0, 0, 400, 400)
    limits = []
    for count in (300, 20_000):
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        places = zip(200 + 90 * np.cos(angles), 200 + 60 * np.sin(angles), strict=True)
        outline = Outline(tuple(places))
        limits.append(limit_of_outline(outline, tile, 256) > 0)
    few, many = limits
    assert (few != many).sum() < 0.01 * few.sum()
    line = np.stack([90 * np.cos(angles), 60 * np.sin(angles)], axis=1)
    assert len(_simplified(line)) < 100


def test_an_outline_that_runs_to_and_fro_is_not_simplified():
    # Which would take the square of the count.
    zigzag = np.stack([np.linspace(0, 200, 20_000), np.arange(20_000) % 2 * 150.0], axis=1)
    assert len(_simplified(zigzag)) == len(zigzag)
    limit = limit_of_outline(Outline(tuple(map(tuple, zigzag))), Tile(0, 0, 0, 400, 400), 256)
    assert (limit[1:90, 1:120] > 0).all()
    assert (limit[120:] < 0).all()


def test_the_journal_keeps_what_was_drawn():
    prompts = Prompts(((1, 2),), (0,), outline=ROUND, scribbles=(LINE, Scribble(((1, 1),), 0)))
    record = ObjectRecord(3, (0, 0), (5, 5), 9, state=ObjectState(prompts, 1))
    content = json.loads(json.dumps(record_to_json(record)))
    assert record_from_json(content).state.prompts == prompts
    for name in ("outline", "scribbles"):  # journals of before knew neither
        content["state"].pop(name)
    assert record_from_json(content).state.prompts == Prompts(((1, 2),), (0,), prompts.box_xyxy)


def test_masks_end_at_the_outline_unless_a_click_lies_beyond_it(session, labels):
    session.set_prompts(Prompts(outline=around_coin()))
    session.wait_until_idle(TIMEOUT_S)
    whole = mask_of(session)
    assert whole[51, 155]
    cut = Prompts(outline=around_coin(bite=20))
    session.set_prompts(cut)
    session.wait_until_idle(TIMEOUT_S)
    bottom = np.flatnonzero(mask_of(session).any(1)).max()
    assert bottom < np.flatnonzero(whole.any(1)).max() - 6
    session.set_prompts(Prompts(((155, 68),), (1,), outline=cut.outline))
    session.wait_until_idle(TIMEOUT_S)
    assert np.flatnonzero(mask_of(session).any(1)).max() > bottom + 3


def test_undo_redo_and_reediting_find_the_same_masks_of_an_outline(session, labels):
    drawn = Prompts(outline=around_coin(), scribbles=(Scribble(((147, 45), (163, 57))),))
    session.set_prompts(drawn)
    session.wait_until_idle(TIMEOUT_S)
    before = mask_of(session)
    session.undo()
    assert session.state.prompts.is_empty
    session.redo()
    session.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(mask_of(session), before)
    session.accept()
    np.testing.assert_array_equal(labels == 1, before)
    session.objects.reedit(1)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts == drawn
    np.testing.assert_array_equal(mask_of(session), before)


def test_a_box_over_an_earlier_outline_starts_anew(session):
    session.set_prompts(Prompts((COIN_XY,), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    session.set_prompts(Prompts((COIN_XY,), (1,), outline=around_coin()))
    session.wait_until_idle(TIMEOUT_S)
    # The mask of the click alone is no start: it may reach far beyond what was drawn then.
    state = session.object_in_progress.state
    assert len(state.feedback) == 1
    assert state.mask_prompt(None, state.tile, SAM_SPEC) is None
