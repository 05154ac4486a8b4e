"""A stroke costs what it changes, however many objects it touches, and is written down exactly."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from napari_sam.session import ArrayLabels
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.painting import PaintedPixels, updated_records
from tests.session.annotating import REFERENCE

SIDE = 1200


class CountingLabels(ArrayLabels):
    """Counts the pixels that are read."""

    n_read = 0

    def read(self, region):
        self.n_read += prod(one.stop - one.start for one in region)
        return super().read(region)


def many_squares(dtype=np.uint16):
    array = np.zeros((SIDE, SIDE), dtype)
    starts = range(2, SIDE - 20, 30)
    for label_id, (y, x) in enumerate(((y, x) for y in starts for x in starts), start=1):
        array[y : y + 20, x : x + 20] = label_id
    labels = CountingLabels(array)
    labels.registry.replace_all(find_objects(labels))
    labels.n_read = 0
    return labels


def places(records):
    return {one.label_id: (one.start, one.stop, one.area_px) for one in records}


def stroke(labels, painted, start, mask, value):
    """Paint as napari does: only pixels that change."""
    region = tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))
    part = labels.array[region]
    mask = mask & (part != value)
    painted.add(start, mask)
    painted.touch({*np.unique(part[mask]).tolist(), *np.ravel(value).tolist()})
    part[mask] = value[mask] if isinstance(value, np.ndarray) else value


def note(labels, painted, journal):
    masks = painted.masks()
    changes = updated_records(labels, labels.registry, masks, painted.label_ids)
    labels.registry.apply(tuple(changes))
    journal.record_paint(masks, changes)
    assert places(labels.registry) == places(find_objects(ArrayLabels(labels.array)))


@pytest.mark.slow
def test_a_polygon_over_very_many_objects_costs_its_pixels_and_is_replayed():
    labels = many_squares()
    journal = Journal(REFERENCE, labels)
    journal.prepare()
    before, n_objects = labels.array.copy(), len(labels.registry)
    labels.registry.replace_all([replace(one, note="known") for one in labels.registry])
    triangle = np.tri(SIDE, dtype=bool)
    for value, n_left in ((0, n_objects // 2), (before, n_objects), (7, n_objects // 2)):
        labels.n_read, painted = 0, PaintedPixels()
        stroke(labels, painted, (0, 0), triangle, value)
        note(labels, painted, journal)
        assert labels.n_read < 4 * SIDE**2
        assert abs(len(labels.registry) - n_left) < 60
    assert labels.registry.get(7).note == "known"
    assert journal.path.stat().st_size < 1e6
    again = ArrayLabels(np.zeros_like(before))
    replay(read_journal(journal.path).entries(), again)
    changed = triangle & (before != 7)
    np.testing.assert_array_equal(again.array[changed], labels.array[changed])


def test_many_dabs_along_a_diagonal_are_noted_once():
    labels = many_squares()
    painted, journal = PaintedPixels(), Journal(REFERENCE, labels)
    journal.prepare()
    for at in range(0, SIDE - 9):
        stroke(labels, painted, (at, at), np.ones((9, 9), bool), 60000)
    masks = painted.masks()
    assert len(masks) <= 9
    assert sum(one.area_px for one in masks) == (labels.array == 60000).sum()
    note(labels, painted, journal)
    assert labels.n_read < 3 * SIDE**2
    assert labels.registry.get(60000).start == (0, 0)


@pytest.mark.parametrize("dtype", [np.int32, np.uint64])
def test_places_far_apart_in_a_volume(dtype):
    labels = ArrayLabels(np.zeros((5, 700, 900), dtype))
    where = np.array([0, 4, 4]), np.array([3, 699, 698]), np.array([899, 0, 513])
    labels.array[where] = 2**30
    painted = PaintedPixels()
    painted.add_places(where)
    painted.touch({0, 2**30})
    assert len(painted.masks()) == 3
    changes = updated_records(labels, labels.registry, painted.masks(), painted.label_ids)
    labels.registry.apply(tuple(changes))
    assert places(labels.registry) == places(find_objects(labels))
    assert updated_records(labels, labels.registry, (), ()) == []
    assert PaintedPixels().masks() == ()
