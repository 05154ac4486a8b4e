"""A box drawn apart from the object in progress accepts its mask and begins the next one."""

import pytest

from napari_sam.session import Overlap, Prompts

TIMEOUT_S = 120
COIN = Prompts((), (), (78, 40, 132, 95))
APART = Prompts((), (), (140, 40, 182, 95))
OVERLAPPING = Prompts((), (), (120, 40, 182, 95))
CLICK = Prompts(((104, 68),), (1,))


def draw(session, prompts, *, is_other_shape=True):
    """Drag a shape, which passes through smaller ones, in the way that the layers say it."""
    in_progress = session.object_in_progress
    in_progress.set_gesture(True)
    x0, y0, x1, y1 = prompts.box_xyxy
    for share in (0.3, 0.7):
        small = (x0, y0, x0 + share * (x1 - x0), y0 + share * (y1 - y0))
        in_progress.set_prompts(Prompts(prompts.points_xy, prompts.point_labels, small))
    in_progress.set_prompts(prompts)
    in_progress.set_gesture(False)
    in_progress.finish_drawing(is_other_shape=is_other_shape)
    session.wait_until_idle(TIMEOUT_S)


@pytest.mark.parametrize("first", [Prompts(), CLICK])
def test_a_click_outside_the_image_is_taken_back(session, labels, first):
    warnings = []
    session.notifier.warned.connect(warnings.append)
    session.set_prompts(first)
    session.wait_until_idle(TIMEOUT_S)
    candidates = session.state.candidates
    in_progress = session.object_in_progress
    in_progress.set_gesture(True)
    in_progress.set_prompts(Prompts((*first.points_xy, (-50, 4)), (*first.point_labels, 1)))
    in_progress.set_gesture(False)
    in_progress.finish_drawing(is_other_shape=False)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts == first
    assert session.state.candidates is candidates
    assert warnings == ["Ignored 1 point outside the image: click on the image."]
    assert session.state.can_undo is not first.is_empty  # no step of its own


@pytest.mark.parametrize("first", [Prompts(), COIN, CLICK])
def test_a_shape_outside_the_image_is_taken_back(session, labels, listen, first):
    session.set_prompts(first)
    session.wait_until_idle(TIMEOUT_S)
    candidates, heard = session.state.candidates, listen(session)
    draw(session, Prompts(first.points_xy, first.point_labels, (-60, -60, -20, -10)))
    assert session.state.prompts == first
    assert session.state.candidates is candidates
    assert not labels.any()
    assert heard.warnings == ["The shape has no area inside the image: draw it around an object."]
    assert session.state.can_undo is not first.is_empty


@pytest.mark.parametrize("first", [COIN, CLICK])
def test_a_shape_apart_accepts_the_mask_before(session, labels, first):
    session.set_prompts(first)
    session.wait_until_idle(TIMEOUT_S)
    both = Prompts(first.points_xy, first.point_labels, APART.box_xyxy)
    draw(session, both)
    assert labels[68, 104] == 1
    assert session.state.prompts == APART  # without the click on the other coin
    assert session.state.candidates.prompts == APART
    session.accept()
    assert labels[68, 160] == 2
    for n_steps, expected in ((1, APART), (2, Prompts()), (3, first), (4, Prompts())):
        session.undo()
        session.wait_until_idle(TIMEOUT_S)
        assert session.state.prompts == expected
        assert labels.any() == (n_steps < 3)
    for _ in range(4):
        session.redo()
        session.wait_until_idle(TIMEOUT_S)
    assert (labels[68, 104], labels[68, 160]) == (1, 2)


@pytest.mark.parametrize(
    ("prompts", "is_other_shape"), [(OVERLAPPING, True), (APART, False)], ids=["overlaps", "moved"]
)
def test_a_shape_that_overlaps_and_one_that_is_moved_replace_it(
    session, labels, prompts, is_other_shape
):
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    assert "A box drawn apart accepts it" in session.state.hint
    draw(session, prompts, is_other_shape=is_other_shape)
    assert not labels.any()
    assert session.state.prompts == prompts
    session.undo()
    assert session.state.prompts == COIN


def test_a_mask_that_is_refused_is_replaced_with_a_warning_and_comes_back_by_undo(
    session, labels, listen
):
    labels[:] = 7
    session.editing.set_overlap(Overlap.KEEP)
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    heard = listen(session)
    draw(session, APART)
    assert len(heard.warnings) == 1
    assert (labels == 7).all()
    assert session.state.prompts == APART
    session.undo()
    assert session.state.prompts == COIN


def test_a_click_without_a_drag_accepts_nothing(session, labels):
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    draw(session, Prompts((), (), (200, 200, 200.5, 200.5)))
    assert not labels.any()


def test_boxes_are_accepted_at_once_when_they_are_finished(session, labels):
    session.object_in_progress.set_accept_on_click(True)
    for label_id, box in ((1, COIN), (2, APART)):
        draw(session, box)
        assert labels.max() == label_id
        assert session.state.prompts.is_empty
    session.undo()
    assert labels.max() == 1
    assert session.state.prompts.is_empty


def test_one_undo_takes_back_a_box_whose_first_masks_the_next_box_accepts(session, labels):
    session.object_in_progress.set_accept_on_click(True)
    drawn = []

    def draw_next(state):
        if state.candidates is not None and not drawn:  # better masks are on their way
            drawn.append(APART)
            session.object_in_progress.set_gesture(True)
            session.set_prompts(APART)
            session.object_in_progress.set_gesture(False)
            session.object_in_progress.finish_drawing(is_other_shape=True)

    session.changed.connect(draw_next)
    draw(session, COIN)
    assert (drawn, labels.max()) == ([APART], 2)
    for n_left in (1, 0):
        session.undo()
        session.wait_until_idle(TIMEOUT_S)
        assert (labels.max(), session.state.prompts.is_empty) == (n_left, True)
    assert not session.state.can_undo
