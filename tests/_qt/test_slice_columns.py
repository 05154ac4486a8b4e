"""Where slices are in a strip, and what a bar of several slices says."""

from napari_sam._qt.slice_columns import SliceScale
from napari_sam.session.objects.slices import ObjectSlice, Origin


def propagated(slice_index, confidence=0.9):
    return ObjectSlice(slice_index, Origin.PROPAGATED, confidence)


def test_every_slice_is_found_where_it_is_drawn():
    for n_slices in (1, 3, 59, 300):
        scale = SliceScale(0, n_slices, 300)
        middles = [scale.x_of(index) + scale.slice_px / 2 for index in range(n_slices)]
        assert [scale.slice_at(x) for x in middles] == list(range(n_slices))
        assert scale.slice_at(-50) == 0
        assert scale.slice_at(5000) == n_slices - 1


def test_few_slices_do_not_fill_the_strip():
    scale = SliceScale(0, 3, 300)
    assert scale.x_of(2) + scale.bar_px < 100


def test_slices_that_share_a_pixel_show_the_least_sure_one():
    scale = SliceScale(0, 2000, 200)
    entries = [propagated(index) for index in range(100, 130)]
    entries[3] = propagated(103, 0.55)
    entries[12] = ObjectSlice(112)
    entries[25] = ObjectSlice(125, Origin.CLEARED)
    columns = scale.columns(entries)
    assert [(column.first, column.last) for column in columns] == [
        (100, 109),
        (110, 119),
        (120, 129),
    ]
    assert [column.entry.confidence for column in columns] == [0.55, 0.9, 0.9]
    assert [column.is_annotated for column in columns] == [False, True, False]
    assert [column.is_cleared for column in columns] == [False, False, True]
    assert columns[0].text == "Slices 100-109 · least sure: 103 · propagated · 0.55"


def test_a_slice_is_described_by_where_its_mask_comes_from():
    entries = [
        ObjectSlice(3),
        propagated(4, 0.63),
        ObjectSlice(5, Origin.INTERPOLATED, 0.75),
        ObjectSlice(6, Origin.CLEARED),
    ]
    assert [column.text for column in SliceScale(0, 9, 300).columns(entries)] == [
        "Slice 3 · annotated",
        "Slice 4 · propagated · 0.63",
        "Slice 5 · interpolated · 0.75",
        "Slice 6 · not here",
    ]


def test_a_long_stack_shows_the_part_around_an_object():
    stack = SliceScale(0, 2000, 300)
    part = stack.part_around(500, 520, stack)
    assert part.first < 500
    assert part.last > 520
    assert part.slice_px >= 5
    assert [column.first for column in part.columns(map(propagated, range(498, 523)))] == [
        *range(498, 523)
    ]
    # While the object grows in it, the bars stay where they are.
    assert stack.part_around(495, 525, part) == part
    at_end = stack.part_around(1990, 1999, part)
    assert (at_end.last, at_end.n_slices) == (1999, part.n_slices)
    assert stack.part_around(100, 1500, part) == stack
    short = SliceScale(0, 50, 300)
    assert short.part_around(3, 5, short) == short
