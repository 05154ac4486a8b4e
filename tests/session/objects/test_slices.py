"""What is known of an object on each slice."""

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


def test_a_slice_lies_between_the_nearest_anchors():
    assert SLICES.span_around(7) == (5, 9)
    assert SLICES.span_around(2) == (None, 5)
    assert SLICES.span_around(9) == (5, None)
    assert [entry.slice_index for entry in SLICES.with_object] == [5, 6, 7]
