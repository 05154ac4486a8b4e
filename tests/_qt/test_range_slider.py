import pytest
from qtpy.QtCore import Qt

from napari_sam._qt.range_slider import RangeSlider


def test_keys_move_both_ends_within_the_range_and_never_across(shown, qtbot):
    slider = shown(RangeSlider("Sizes", "sizes"), width=200)
    slider.setRange(0, 5)
    slider.setValue((1, 4))
    keys, shift = Qt.Key, Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(slider, keys.Key_Right)
    assert slider.value() == pytest.approx((1, 4.1))
    qtbot.keyClick(slider, keys.Key_Down, shift)
    assert slider.value() == pytest.approx((0.9, 4.1))
    for _ in range(60):
        qtbot.keyClick(slider, keys.Key_Left)
    assert slider.value() == pytest.approx((0.9, 0.9))
    qtbot.keyClick(slider, keys.Key_Home)
    assert slider.accessibleName() == "sizes"
