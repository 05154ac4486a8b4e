"""Brush strokes are steps of the history, undone to the last pixel."""

import numpy as np
import pytest

from napari_sam.session import ObjectRecord
from napari_sam.session.background import Background
from napari_sam.session.jobs import CallbackQueue, run_until
from napari_sam.session.objects.brush_history import BrushHistory, Dab, strokes_of
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.packed import PackedMask
from tests.session.annotating import SHAPE, Annotator


@pytest.fixture
def annotator():
    annotator = Annotator(0, journal=False)
    annotator.queue = CallbackQueue()
    annotator.editing = Editing(annotator.in_progress, Background(annotator.queue))
    annotator.editing.set_target(annotator.plane)
    annotator.strokes = BrushHistory(annotator.editing, annotator.in_progress)
    return annotator


def dab(pixels, top, left, side, label_id):
    """Write a square into an array, as a brush does, and return it as a part of a stroke."""
    where = np.s_[top : top + side, left : left + side]
    before, after = pixels[where].copy(), np.full((side, side), label_id, pixels.dtype)
    pixels[where] = after
    return Dab((top, left), before != after, before, after)


def note(annotator, dabs, *stroke_ids):
    edit = LabelsEdit(annotator.labels, strokes_of(dabs), (), 1, is_exact=False)
    annotator.strokes.note(edit, stroke_ids)


def test_each_pixel_is_held_once_with_the_label_before_all_dabs():
    pixels = np.zeros((600, 600), np.uint16)
    pixels[500:520, 500:520] = 3
    before = pixels.copy()
    dabs = [dab(pixels, at, at, 30, label_id) for at, label_id in ((480, 7), (490, 8), (495, 7))]
    dabs.append(dab(pixels, 515, 515, 10, 3))  # partly as it was
    strokes = strokes_of(dabs)
    assert [stroke.value for stroke in strokes] == [3, 7, 8]
    assert sum(stroke.area_px for stroke in strokes) == (pixels != before).sum()
    for stroke in strokes:
        for block in stroke.blocks:
            where, mask = block.mask.region, block.mask.mask
            np.testing.assert_array_equal(pixels[where][mask], stroke.value)
            np.testing.assert_array_equal(before[where][mask], block.before.labels[mask])


def test_a_stroke_is_undone_in_its_order_and_the_viewer_hears_of_it(annotator):
    moved, pixels = [], annotator.labels.array
    annotator.strokes.moved.connect(lambda *what: moved.append(what))
    states = [pixels.copy()]
    for stroke_id in (1, 2):
        note(annotator, [dab(pixels, 10 * stroke_id, 10, 20, stroke_id)], stroke_id)
        states.append(pixels.copy())
    undo, redo = annotator.editing.undo, annotator.editing.redo
    for move, n_done in ((undo, 1), (undo, 0), (redo, 1), (redo, 2)):
        move()
        np.testing.assert_array_equal(pixels, states[n_done])
    labels = annotator.labels
    assert moved == [
        (labels, (2,), True),
        (labels, (1,), True),
        (labels, (1,), False),
        (labels, (2,), False),
    ]


def test_a_stroke_during_a_long_write_comes_after_it(annotator):
    mask = PackedMask((0, 0), np.ones((20, 20), bool))
    annotator.editing.add([ObjectRecord(masks=(mask,))])
    assert not annotator.editing.executor.is_idle
    note(annotator, [dab(annotator.labels.array, 100, 100, 20, 9)], 1)
    assert annotator.editing.history.last is None
    run_until(lambda: annotator.editing.executor.is_idle, annotator.queue, 60, "test")
    assert annotator.editing.history.last.stroke_ids == (1,)
    annotator.editing.undo()
    assert annotator.editing.history.last.labels.n_made == 1


def test_the_viewers_own_undo_moves_the_last_step_alone(annotator):
    pixels, history = annotator.labels.array, annotator.editing.history
    for stroke_id in (1, 2):
        note(annotator, [dab(pixels, 50 * stroke_id, 10, 20, stroke_id)], stroke_id)
    follow, labels = annotator.strokes.follow, annotator.labels
    follow(labels, (1,), is_undone=True)
    assert history.last.stroke_ids == (2,)
    pixels[100:120, 10:30] = 0
    follow(labels, (2,), is_undone=True)
    assert (history.last.stroke_ids, history.redoable.stroke_ids) == ((1,), (2,))
    annotator.editing.redo()
    assert (pixels[100:120, 10:30] == 2).all()
    assert pixels.shape == SHAPE
