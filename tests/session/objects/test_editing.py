"""Objects stay what they are whatever a brush does with their label_ids."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import ObjectRecord, Overlap
from napari_sam.session.decoding.object_state import ObjectState, ReeditedObject
from napari_sam.session.objects.object_editing import current_record
from napari_sam.session.objects.painting import PaintedPixels, updated_records
from napari_sam.session.objects.planning import NewObject, plan_object, plan_removal
from tests.session.annotating import Annotator

BOX = np.s_[100:110, 100:110]
FULL = np.ones((10, 10), bool)


@pytest.fixture
def annotator():
    annotator = Annotator(0, journal=False)
    annotator.editing.set_overlap(Overlap.REPLACE)
    return annotator


def accept(annotator, top, left, side=20):
    new = NewObject([(np.ones((side, side), bool), top, left)], ObjectRecord(note="mine"))
    plane, registry = annotator.plane, annotator.labels.registry
    annotator.editing.edit(lambda _: plan_object(plane, new, Overlap.REPLACE, registry))
    return annotator.editing.history.last.labels.label_id


def remove(annotator, label_id):
    records = [annotator.labels.registry.get(label_id)]
    annotator.editing.edit(lambda labels: plan_removal(labels, records))


def paint(annotator, values, *, is_undone=False):
    """Write labels as a brush does, or as napari's undo does, which does not look first."""
    labels, painted = annotator.labels, PaintedPixels()
    former, labels.array[BOX] = labels.array[BOX].copy(), values
    painted.add((100, 100), FULL)
    painted.touch({*np.unique(values).tolist(), *(() if is_undone else np.unique(former).tolist())})
    painted.count(None if is_undone else {})
    changes = updated_records(
        labels, labels.registry, painted.masks(), painted.label_ids, painted.n_gained
    )
    labels.registry.apply(tuple(changes))
    return former


def check(annotator):
    label_ids, areas = np.unique(annotator.labels.array, return_counts=True)
    expected = dict(zip(label_ids.tolist(), areas.tolist(), strict=True))
    expected.pop(0, None)
    assert {record.label_id: record.area_px for record in annotator.labels.registry} == expected


def test_redo_restores_an_object_over_a_stroke_that_got_another_label_id(annotator):
    deleted = accept(annotator, 0, 0)
    remove(annotator, deleted)
    paint(annotator, deleted)
    covering = accept(annotator, 95, 95)
    before = annotator.labels.array.copy()
    annotator.editing.undo()
    annotator.editing.undo()
    check(annotator)
    assert (annotator.labels.array[BOX] > covering).all()  # the stroke
    annotator.editing.redo()
    annotator.editing.redo()
    np.testing.assert_array_equal(annotator.labels.array, before)
    check(annotator)


def test_a_stroke_that_napari_undoes_takes_pixels_of_whatever_is_there_by_then(annotator):
    before = paint(annotator, 50)
    remove(annotator, 50)
    accept(annotator, 95, 95)
    paint(annotator, before, is_undone=True)
    check(annotator)


def test_an_object_that_napari_uncovers_again_has_its_details(annotator):
    covered = accept(annotator, 100, 100, side=10)
    record = annotator.labels.registry.get(covered)
    before = paint(annotator, 50)
    assert annotator.labels.registry.get(covered) is None
    paint(annotator, before, is_undone=True)
    check(annotator)
    uncovered = annotator.labels.registry.get(covered)
    assert (uncovered.uid, uncovered.note) == (record.uid, "mine")


def test_what_is_erased_between_undo_and_redo_is_not_counted(annotator):
    label_id = accept(annotator, 0, 0)
    paint(annotator, label_id)
    annotator.editing.undo()
    check(annotator)
    paint(annotator, 0)
    annotator.editing.redo()
    check(annotator)


def test_an_object_is_still_reedited_once_it_has_another_label_id(annotator):
    label_id, registry = accept(annotator, 0, 0), annotator.labels.registry
    record = registry.get(label_id)
    state = ObjectState(reedited=ReeditedObject(label_id, record.uid, None, None, False))
    assert current_record(state, registry) is record
    renumbered = replace(record, label_id=9)
    registry.replace_all([renumbered])
    assert current_record(state, registry) is renumbered
    registry.replace_all([])
    assert current_record(state, registry) is None
