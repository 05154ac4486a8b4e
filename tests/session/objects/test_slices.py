"""What is known of an object on each slice."""

from dataclasses import replace

import numpy as np

from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slice_planning import indices_of, slices_of
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin

SLICES = ObjectSlices(0).updated(
    [
        ObjectSlice(9, Origin.CLEARED),
        ObjectSlice(5),
        ObjectSlice(7, Origin.PROPAGATED, 0.6),
        ObjectSlice(6, Origin.PROPAGATED, 0.9),
    ]
)


def test_slices_are_in_their_order_and_the_last_word_on_each_counts():
    assert [entry.slice_index for entry in SLICES] == [5, 6, 7, 9]
    changed = SLICES.updated([ObjectSlice(6)])
    assert changed.get(6) == ObjectSlice(6)
    assert [entry.slice_index for entry in changed.without([6, 9])] == [5, 7]
    assert changed.get(8) is None


def test_the_weakest_is_a_computed_slice():
    assert SLICES.weakest == ObjectSlice(7, Origin.PROPAGATED, 0.6)
    assert ObjectSlices(0, (ObjectSlice(1, confidence=0.1),)).weakest is None


def test_the_next_weak_slice_is_the_weakest_then_those_that_are_surer():
    confidences = {1: 0.6, 2: 0.9, 3: 0.52, 4: 0.55}
    slices = ObjectSlices(0).updated(
        [ObjectSlice(n, Origin.PROPAGATED, confidence) for n, confidence in confidences.items()]
    )
    assert [slices.next_weak(n) for n in (0, 2, 3, 4, 1)] == [3, 3, 4, 1, 3]
    assert slices.next_weak(4, -1) == 3
    assert slices.without([1, 3, 4]).next_weak(2) == 2  # none is weak
    assert ObjectSlices(0).next_weak(2) is None


def test_a_slice_lies_between_the_nearest_anchors():
    assert SLICES.span_around(7) == (5, 9)
    assert SLICES.span_around(2) == (None, 5)
    assert SLICES.span_around(9) == (5, None)
    assert [entry.slice_index for entry in SLICES.with_object] == [5, 6, 7]


def test_an_object_of_two_slices_has_a_gap_between_them():
    pixel = np.ones((1, 2, 2), bool)
    masks = tuple(PackedMask((index, 0, 0), pixel) for index in (9, 11))
    record = ObjectRecord(1, (9, 0, 0), (12, 2, 2), 8, masks=masks)
    assert [entry.slice_index for entry in slices_of(record, 0)] == [9, 11]
    assert indices_of(replace(record, masks=()), 0) == [9, 10, 11]
