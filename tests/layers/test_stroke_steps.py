"""Undo takes back brush strokes and everything else in their order, on whatever layer."""

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Image
from skimage import data

TIMEOUT_S = 60


@pytest.fixture
def annotated(make_widget):
    """An accepted coin, a stroke on it, and another coin beneath a second stroke."""
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    states = []

    def accept(row, column):
        viewer.layers["SAM points"].add([(row, column)])
        widget.wait_until_idle(TIMEOUT_S)
        widget.binding.objects.accept()
        widget.wait_until_idle(TIMEOUT_S)
        states.append(viewer.layers["coins labels"].data.copy())

    def paint(row, column, label_id):
        layer = viewer.layers["coins labels"]
        layer.brush_size = 20
        with layer.block_history():
            layer.paint((row, column), label_id)
            layer.paint((row, column + 12), label_id)
        widget.wait_until_idle(TIMEOUT_S)
        states.append(layer.data.copy())

    accept(68, 104)
    paint(68, 130, 1)
    accept(60, 190)
    paint(60, 170, 0)
    paint(200, 200, 50)
    return viewer.layers["coins labels"], widget, states


def press(layer, key):
    layer.keymap[KeyBinding.from_str(key)](layer)


def test_undo_on_the_target_takes_back_strokes_and_accepts_in_their_order(annotated):
    layer, widget, states = annotated
    session, n_strokes = widget.session, len(layer._undo_history)
    assert n_strokes == 3
    seen = []
    while session.state.can_undo:
        seen.append(layer.data.copy())
        press(layer, "Ctrl+Z")
        widget.wait_until_idle(TIMEOUT_S)
    assert not layer.data.any()
    assert (len(layer._undo_history), len(layer._redo_history)) == (0, n_strokes)
    for state in states:  # among steps of the prompts, each is passed
        assert any((state == pixels).all() for pixels in seen)
    while session.state.can_redo:
        press(layer, "Ctrl+Shift+Z")
        widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(layer.data, states[-1])
    assert (len(layer._undo_history), len(layer._redo_history)) == (n_strokes, 0)


def test_naparis_own_undo_and_that_of_the_session_do_not_undo_a_stroke_twice(annotated):
    layer, widget, states = annotated
    layer.undo()
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(layer.data, states[-2])
    widget.binding.objects.undo()
    np.testing.assert_array_equal(layer.data, states[-3])
    layer.redo()
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(layer.data, states[-2])
    widget.binding.objects.redo()
    np.testing.assert_array_equal(layer.data, states[-1])
    assert not widget.session.state.can_redo
    assert len(layer._undo_history) == 3


def test_after_the_widget_is_closed_napari_undoes_what_is_left(annotated):
    layer, widget, states = annotated
    widget.binding.objects.undo()
    widget.close()
    assert KeyBinding.from_str("Ctrl+Z") not in layer.keymap
    layer.undo()
    np.testing.assert_array_equal(layer.data, states[-3])


def test_undo_of_a_stroke_leaves_prompts_and_the_chosen_mask(annotated):
    layer, widget, states = annotated
    session = widget.session
    widget.binding.prompts.start_points()
    widget.binding.prompts.image_prompts.points.prompts.layer.add([(250, 60)])
    widget.wait_until_idle(TIMEOUT_S)
    layer.paint((280, 300), 60)
    widget.wait_until_idle(TIMEOUT_S)
    session.object_in_progress.choose((session.state.chosen + 1) % 3)
    before = session.state
    press(layer, "Ctrl+Z")
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(layer.data, states[-1])
    assert (session.state.prompts, session.state.chosen) == (before.prompts, before.chosen)
