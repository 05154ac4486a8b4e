import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sam._qt.value_slider import ValueSlider


@pytest.fixture
def slider(qtbot):
    slider = ValueSlider("help", low=-100, high=100, text="{:+d}".format, title="Level")
    qtbot.addWidget(slider)
    slider.resize(300, 20)
    slider.show()
    qtbot.waitExposed(slider)
    return slider


def test_what_is_shown_is_not_requested(slider, heard):
    requests = heard(slider, "value_requested")
    slider.show_value(30)
    assert slider.value == 30
    assert requests == []
    slider.slider.setValue(31)
    assert requests == [("value_requested", 31)]


def click_twice(part, button):
    QTest.mouseDClick(part, button)
    QTest.mouseRelease(part, button)


def test_a_double_click_or_a_click_on_a_label_goes_back(slider, heard):
    requests = heard(slider, "value_requested")
    parts = [slider.layout().itemAt(n).widget() for n in range(3)]
    for part, act in zip(parts, (QTest.mouseClick, click_twice, QTest.mouseClick), strict=True):
        slider.show_value(30)
        act(part, Qt.MouseButton.LeftButton)
        assert slider.value == 0
    assert requests == [("value_requested", 0)] * 3
    slider.show_value(30)
    slider.set_enabled(False)
    for part in parts:
        click_twice(part, Qt.MouseButton.LeftButton)
    assert slider.value == 30


def test_a_drag_begins_and_ends_even_if_there_is_nothing_left_to_choose(slider, heard):
    drags = heard(slider, "dragged")
    slider.slider.setSliderDown(True)
    slider.slider.setSliderDown(False)
    slider.slider.setSliderDown(True)
    slider.set_enabled(False)
    assert drags == [("dragged", value) for value in (True, False) * 2]


def test_it_has_the_same_size_whatever_it_says(slider):
    hints = []
    for value in (-100, 0, 7):
        slider.show_value(value)
        hints.append(slider.minimumSizeHint())
    assert hints[0] == hints[1] == hints[2]
