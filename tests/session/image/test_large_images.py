"""Images of many tiles: objects of every size come out whole, from one click."""

import threading

import numpy as np
import pytest

from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session import (
    AnnotationSession,
    ArrayPlane,
    ImagePlane,
    Phase,
    Prompts,
    TargetError,
)
from napari_sam.session.image.tiles import TilePyramid
from napari_sam.session.objects import editing
from napari_sam.session.objects.measuring import find_objects

TIMEOUT_S = 240
SHAPE = (3000, 2600)
TINY, MIDDLING, LARGE = (400, 1900, 9), (700, 700, 150), (2000, 1300, 800)  # row, column, radius
DOT = (2700, 200, 5)  # smaller than what may be drawn by a slip of the mouse on the whole image


def disc(row, column, radius):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(0)
    pixels = np.full(SHAPE, 60.0)
    for one, gray in ((TINY, 200), (DOT, 200), (MIDDLING, 150), (LARGE, 180)):
        pixels[disc(*one)] = gray
    return np.clip(pixels + rng.normal(0, 4, SHAPE), 0, 255).astype(np.uint8)


@pytest.fixture
def labels():
    return np.zeros(SHAPE, np.uint16)


@pytest.fixture
def session(open_session, picture, labels):
    session = open_session()
    session.set_image(ImagePlane(picture, name="large"))
    session.set_target(ArrayPlane(labels))
    session.wait_until_idle(TIMEOUT_S)
    return session


def click(session, row, column, *_):
    session.set_prompts(Prompts(((column, row),), (1,)))
    session.wait_until_idle(TIMEOUT_S)


def iou(mask, one):
    true = disc(*one)
    return np.count_nonzero(mask & true) / np.count_nonzero(mask | true)


def around(one, margin):
    row, column, radius = one
    reach = radius + margin
    return column - reach, row - reach, column + reach, row + reach


@pytest.mark.parametrize("one", [MIDDLING, LARGE], ids=["middling", "large"])
def test_one_click_on_the_whole_image(session, labels, one):
    click(session, *one)
    session.accept()
    assert iou(labels == 1, one) > 0.95


@pytest.mark.parametrize("one", [TINY, MIDDLING, LARGE], ids=["tiny", "middling", "large"])
def test_one_click_with_the_object_in_sight(session, labels, one):
    session.look_at(around(one, 200))
    session.wait_until_idle(TIMEOUT_S)
    click(session, *one)
    tile = session.object_in_progress.state.tile
    session.accept()
    assert iou(labels == 1, one) > 0.8
    session.look_at((0, 0, 2600, 3000))
    session.wait_until_idle(TIMEOUT_S)
    next_px = None if tile.size == SHAPE else tile.side  # the next object is probably as small
    assert session.state.tile_px == next_px


@pytest.mark.parametrize("margin", [0.5, 2])
def test_a_box_that_is_not_being_drawn_is_used_however_small_it_is(session, labels, margin):
    session.set_prompts(Prompts(box_xyxy=around(DOT, margin)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    assert iou(labels == 1, DOT) > 0.8


def test_a_box_drawn_while_zoomed_in_is_used_after_zooming_out(session, labels):
    session.look_at(around(DOT, 100))
    session.object_in_progress.set_gesture(True)
    session.set_prompts(Prompts(box_xyxy=around(DOT, 2)))
    session.object_in_progress.set_gesture(False)
    session.look_at((0, 0, 2600, 3000))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    assert iou(labels == 1, DOT) > 0.8


def test_a_box_of_few_screen_pixels_is_no_box_while_it_is_being_drawn(session):
    session.object_in_progress.set_gesture(True)
    session.set_prompts(Prompts(box_xyxy=around(DOT, 2)))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates is None
    assert session.state.hint.startswith("The shape is too small")
    session.set_prompts(Prompts(box_xyxy=around(DOT, 10)))
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates is not None
    session.object_in_progress.set_gesture(False)


def test_an_object_without_prompts_is_reedited_however_small_it_is(session, labels):
    labels[disc(*DOT)] = 7
    target = ArrayPlane(labels)
    target.labels.registry.replace_all(list(find_objects(target.labels)))
    session.set_target(target)
    session.objects.reedit(7)
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    assert iou(labels == 7, DOT) > 0.8


def test_one_click_zoomed_in_on_a_part_of_a_large_object_gives_all_of_it(session, labels):
    row, column, radius = LARGE
    session.look_at(around((row, column + radius // 2, 200), 0))
    session.wait_until_idle(TIMEOUT_S)
    session.set_prompts(Prompts(((column + radius // 2, row), (column + radius - 40, row)), (1, 1)))
    session.wait_until_idle(TIMEOUT_S)
    session.accept()
    assert iou(labels == 1, LARGE) > 0.9


def test_no_seam_shows(session, labels):
    """Wherever the tiles lie, the same object is found."""
    row, column, radius = MIDDLING
    areas = []
    for shift in range(-300, 301, 150):
        session.look_at((column + shift - 350, row - 350, column + shift + 350, row + 350))
        session.wait_until_idle(TIMEOUT_S)
        click(session, *MIDDLING)
        session.accept()
        assert iou(labels > 0, MIDDLING) > 0.95
        areas.append(np.count_nonzero(labels))
        session.undo()
        session.object_in_progress.clear()
    assert max(areas) - min(areas) < 0.02 * np.pi * radius**2


def test_a_coarser_mask_serves_until_the_finer_one_is_there(session, held, labels):
    session.look_at((1900 - 600, 400 - 400, 1900 + 600, 400 + 400))
    session.wait_until_idle(TIMEOUT_S)
    session.look_at((0, 0, 2600, 3000))
    session.wait_until_idle(TIMEOUT_S)
    held.encode_gate.clear()
    held.encode_started.clear()
    session.object_in_progress.set_accept_on_click(True)
    session.set_prompts(Prompts(box_xyxy=around(TINY, 3)))
    assert held.encode_started.wait(TIMEOUT_S)
    while session.state.candidates is None:
        session.background.dispatcher.run_pending(0.05)
    coarse = session.state
    assert coarse.is_decoding
    assert coarse.candidates.tile == TilePyramid(SHAPE, SAM_SPEC).whole
    assert not labels.any()  # what is accepted at once waits for the better one
    held.encode_gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.candidates is None
    assert iou(labels == 1, TINY) > 0.8


def test_what_was_awaited_is_taken_as_it_is_if_nothing_better_comes(session, held, labels):
    held.encode_gate.clear()
    held.encode_started.clear()
    session.object_in_progress.set_accept_on_click(True)
    session.set_prompts(Prompts(box_xyxy=around(TINY, 3)))
    assert held.encode_started.wait(TIMEOUT_S)
    while session.state.candidates is None:
        session.background.dispatcher.run_pending(0.05)
    session.embedding.cancel()
    held.encode_gate.set()
    session.wait_until_idle(TIMEOUT_S)
    assert labels.any()
    assert session.state.phase is Phase.READY  # on what is in sight
    assert session.state.candidates is None


def test_tiles_are_embedded_once(session, held):
    click(session, *MIDDLING)
    count = len(held.encoded)
    session.object_in_progress.clear()
    session.wait_until_idle(TIMEOUT_S)
    click(session, *MIDDLING)
    session.look_at((0, 0, 2600, 3000))
    session.wait_until_idle(TIMEOUT_S)
    assert len(held.encoded) == count


def test_undo_and_redo_bring_back_the_same_masks_on_the_same_tile(session):
    session.look_at(around(MIDDLING, 100))
    session.wait_until_idle(TIMEOUT_S)
    click(session, *MIDDLING)
    before = session.state.candidates
    session.look_at((0, 0, 2600, 3000))
    session.object_in_progress.clear()
    session.wait_until_idle(TIMEOUT_S)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    after = session.state.candidates
    assert after.tile == before.tile
    np.testing.assert_array_equal(after.crop(0).mask, before.crop(0).mask)


def test_a_click_is_a_point_of_the_image_not_of_a_tile(session):
    session.look_at(around(MIDDLING, 100))
    session.wait_until_idle(TIMEOUT_S)
    click(session, *MIDDLING)
    box = session.state.candidates.bounds_xyxy(session.state.chosen)
    np.testing.assert_allclose(box, around(MIDDLING, 0.5), atol=4)


def test_the_preview_finds_an_object_in_sight(session):
    session.look_at(around(MIDDLING, 100))
    session.wait_until_idle(TIMEOUT_S)
    session.object_in_progress.preview.want(Prompts(((MIDDLING[1], MIDDLING[0]),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    preview = session.state.preview
    np.testing.assert_allclose(preview.bounds_xyxy(preview.best), around(MIDDLING, 0.5), atol=4)


# Objects that take long to write ---------------------------------------------------------------


@pytest.fixture
def all_are_huge(monkeypatch):
    monkeypatch.setattr(editing, "MAX_AREA_AT_ONCE_PX", 0)


def test_a_huge_object_is_written_in_the_background(session, labels, all_are_huge):
    target = ArrayPlane(labels)
    shown = []
    target.labels.show = lambda: shown.append(threading.current_thread())
    session.set_target(target)
    click(session, *LARGE)
    assert session.accept() is None
    assert session.state.is_writing
    for action in (session.accept, session.undo, session.redo):
        with pytest.raises(TargetError, match="still being written"):
            action()
    session.wait_until_idle(TIMEOUT_S)
    assert not session.state.is_writing
    assert shown == [threading.main_thread()]
    assert iou(labels == 1, LARGE) > 0.95
    written = labels.copy()
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert not labels.any()
    session.redo()
    session.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(labels, written)


def test_a_huge_object_that_cannot_be_written_is_said_and_kept(
    session, listen, labels, all_are_huge
):
    heard = listen(session)
    labels[:] = 5
    click(session, *LARGE)
    session.accept()
    session.wait_until_idle(TIMEOUT_S)
    assert "Covered by object 5" in heard.warnings[-1]
    assert session.state.candidates is not None


def test_a_new_object_begun_while_a_huge_one_is_written_stays(session, all_are_huge, labels):
    click(session, *LARGE)
    session.accept()
    session.set_prompts(Prompts(((MIDDLING[1], MIDDLING[0]),), (1,)))
    session.wait_until_idle(TIMEOUT_S)
    assert labels.any()
    assert session.state.candidates is not None


def test_sessions_on_a_large_plane_can_be_closed_at_any_moment(picture, held):
    held.encode_gate.clear()
    session = AnnotationSession(lambda *_: held)
    session.set_image(ImagePlane(picture))
    session.look_at(around(TINY, 50))
    session.close()
    held.open()
