"""The strip of slices: what it shows, and what clicks, drags and keys in it request."""

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest

from napari_sam._qt.colors import ACCENT, Severity
from napari_sam._qt.slice_painting import SIDE_PX
from napari_sam._qt.slice_strip import SliceStrip
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin

LEFT = Qt.MouseButton.LeftButton
BAR_PX = 10  # of a stack of 30 slices
WIDTH = 30 * BAR_PX + 2 * SIDE_PX
ORIGINS = {5: Origin.ANNOTATED, 6: Origin.INTERPOLATED, 8: Origin.ANNOTATED}
SLICES = ObjectSlices(
    0,
    tuple(
        ObjectSlice(index, ORIGINS.get(index, Origin.PROPAGATED), 0.5 if index == 10 else 0.9)
        for index in range(3, 13)
    ),
)


@pytest.fixture
def strip(shown):
    strip = SliceStrip()
    strip.show_stack(30, 7)
    strip.show_slices(SLICES)
    return shown(strip, WIDTH, 96)


@pytest.fixture
def requests(strip, heard):
    return heard(strip, "slice_requested", "range_requested")


def place(index, side=0.5):
    return QPoint(round(SIDE_PX + (index + side) * BAR_PX), 40)


def drag(strip, start, end):
    QTest.mousePress(strip, LEFT, pos=start)
    QTest.mouseMove(strip, end)


def test_bars_have_the_color_of_their_origin_and_the_height_of_their_confidence(strip):
    picture = strip.grab().toImage()
    bottom = strip.height() - 30

    def color(index, y):
        return QColor(picture.pixel(place(index).x(), y))

    assert color(5, 20) == color(5, bottom) == ACCENT
    assert color(10, bottom) == Severity.WARNING.color
    assert color(10, 20) == color(20, 20)  # the ground, above a low bar
    assert len({color(index, bottom).rgb() for index in (4, 6, 8, 10, 20)}) == 5


def test_a_click_or_a_drag_over_the_bars_goes_to_slices(strip, requests):
    QTest.mouseClick(strip, LEFT, pos=place(9))
    drag(strip, place(20), place(22))
    QTest.mouseRelease(strip, LEFT, pos=place(22))
    QTest.mouseMove(strip, place(25))
    QTest.mouseClick(strip, LEFT, pos=place(7))  # which is shown already
    assert requests == [("slice_requested", index) for index in (9, 20, 22)]


def test_a_dragged_end_cuts_or_extends_the_object(strip, requests):
    for start, end in (
        (place(12, 1), place(9, 1)),
        (place(12, 1), place(15, 1)),
        (place(3, 0), place(1, 0)),
        (place(3, 0), place(28)),  # at least one slice is left
    ):
        drag(strip, start, end)
        QTest.mouseRelease(strip, LEFT, pos=end)
    ranges = [(3, 9), (3, 15), (1, 12), (12, 12)]
    assert requests == [("range_requested", *extent) for extent in ranges]
    QTest.mouseClick(strip, LEFT, pos=place(12, 1))  # an end that is not dragged
    assert requests[-1] == ("slice_requested", 12)


def test_escape_or_another_object_ends_a_drag(strip, requests):
    drag(strip, place(12, 1), place(9, 1))
    before = strip.grab().toImage()
    QTest.keyClick(strip, Qt.Key.Key_Escape)
    assert strip.grab().toImage() != before
    QTest.mouseRelease(strip, LEFT, pos=place(9, 1))
    drag(strip, place(12, 1), place(9, 1))
    strip.show_slices(None)
    QTest.mouseRelease(strip, LEFT, pos=place(9, 1))
    assert requests == []


def test_keys_go_to_slices_and_move_the_nearest_end(strip, requests):
    keys = Qt.Key
    for key in (keys.Key_Left, keys.Key_Right, keys.Key_Home, keys.Key_End):
        QTest.keyClick(strip, key)
    assert requests == [("slice_requested", index) for index in (6, 8, 3, 12)]
    strip.show_stack(30, 11)
    QTest.keyClick(strip, keys.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    strip.show_stack(30, 0)
    QTest.keyClick(strip, keys.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(strip, keys.Key_Left)  # there is none before
    assert requests[4:] == [("range_requested", 3, 13), ("range_requested", 4, 12)]


def test_a_long_stack_shows_the_object_and_a_line_of_all_slices(strip, requests):
    strip.show_stack(2000, 4)
    assert strip.scale.n_slices < 100
    QTest.mouseClick(strip, LEFT, pos=QPoint(WIDTH // 2, strip.height() - 2))
    assert requests[0][1] == pytest.approx(1000, abs=10)
    strip.show_slices(None)
    assert strip.scale.n_slices == 2000


def test_narrow_bars_leave_no_gaps(strip):
    n_slices = 217  # 1.38 px each
    whole = tuple(ObjectSlice(index, Origin.PROPAGATED, 0.9) for index in range(n_slices))
    strip.show_stack(n_slices, 0)
    strip.show_slices(ObjectSlices(0, whole))
    picture = strip.grab().toImage()
    row = {picture.pixel(x, 40) for x in range(SIDE_PX + 3, strip.width() - SIDE_PX)}
    assert len(row) == 1


def test_it_tells_about_the_slice_under_the_mouse(strip):
    assert strip.text_at(place(10).x()) == "Slice 10 · propagated · 0.50"
    assert strip.text_at(place(20).x()) == "Slice 20"
