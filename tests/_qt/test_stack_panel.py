"""The panel of a stack: what it says of an object, of a run and of a question, and requests."""

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QMenu

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.stack_panel import BACKWARD, BOTH_WAYS, FORWARD, StackPanel
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.session.propagation.stack_editing import StackState
from napari_sam.session.propagation.stack_run import StackRun

SLICES = ObjectSlices(
    0,
    (
        ObjectSlice(3, Origin.PROPAGATED, 0.9),
        ObjectSlice(4),
        ObjectSlice(5, Origin.PROPAGATED, 0.58),
    ),
)
EMPTY = StackState(20, 4, "z")
CHOSEN = replace(EMPTY, label_id=7, slices=SLICES)


@pytest.fixture
def panel(shown):
    return shown(StackPanel(ShortcutTexts()), 330, 300)


def show(panel, state, *, is_new=False, n_selected=0):
    panel.show_state(state, is_new=is_new, n_selected=n_selected)
    return panel._about.text()


def page(panel):
    return panel._pages.currentIndex()


def enabled(panel):
    parts = {
        "backward": panel._directions[0],
        "propagate": panel._directions[1],
        "forward": panel._directions[2],
        "back": panel._back,
        "next": panel._next,
        "correct": panel._correct,
        "clear": panel._clear,
        "weak": panel._weak,
    }
    return {name for name, part in parts.items() if part.isEnabled()}


PROPAGATES = {"backward", "propagate", "forward"}


def test_it_says_what_the_buttons_act_on_and_enables_those_that_can(panel):
    assert show(panel, EMPTY) == "No object chosen"
    assert enabled(panel) == set()
    assert "Segment an object" in panel._next.toolTip()
    assert show(panel, EMPTY, is_new=True) == "New object · slice 4"
    assert enabled(panel) == PROPAGATES | {"back", "next"}
    assert show(panel, CHOSEN) == "Object 7 · slices 3-5 · weakest 5 (0.58)"
    assert panel._next_step.text().startswith("1 weak slice")
    assert enabled(panel) == PROPAGATES | {"back", "next", "correct", "clear", "weak"}
    assert show(panel, CHOSEN, n_selected=3) == "3 selected objects"
    assert enabled(panel) == PROPAGATES
    assert panel.strip.object_range is None
    single = ObjectSlices(0, (ObjectSlice(0),))
    first = replace(CHOSEN, slice_index=0, slices=single)
    assert show(panel, first) == "Object 7 · slice 0"
    assert enabled(panel) == PROPAGATES | {"next", "correct", "clear"}
    assert panel._back.toolTip() == "This is the first slice"
    assert show(panel, replace(CHOSEN, slices=None)) == "Object 7"
    assert "Roll the axes" in panel._next_step.text()


def test_buttons_request_what_they_say(panel, heard):
    names = "propagate", "all", "continue", "correct", "clear", "weak"
    requests = heard(panel, *(f"{name}_requested" for name in names))
    show(panel, CHOSEN)
    steps = panel._back, panel._next, panel._correct, panel._clear, panel._weak
    for widget in (*panel._directions, *steps):
        widget.click()
    for action in panel.findChild(QMenu).actions():
        action.trigger()
    assert requests == [
        *(("propagate_requested", way) for way in (BACKWARD, BOTH_WAYS, FORWARD)),
        ("continue_requested", -1),
        ("continue_requested", 1),
        ("correct_requested",),
        ("clear_requested",),
        ("weak_requested",),
        *(("all_requested", way) for way in (BOTH_WAYS, FORWARD, BACKWARD)),
    ]


def test_a_run_shows_its_progress_and_is_stopped_by_button_or_escape(panel, heard):
    requests = heard(panel, "stop_requested")
    show(panel, CHOSEN)
    QTest.keyClick(panel, Qt.Key.Key_Escape)  # there is nothing to stop
    height = panel.sizeHint().height()
    show(panel, replace(CHOSEN, run=StackRun(3, 12, 2)))
    assert panel._progress.text() == "3 of at most 12 slices · 2 objects"
    assert panel.sizeHint().height() == height
    panel._stop.click()
    QTest.keyClick(panel.strip, Qt.Key.Key_Escape)
    assert requests == [("stop_requested",)] * 2
    show(panel, replace(CHOSEN, run=StackRun(3, 12, 2, is_stopping=True)))
    assert not panel._stop.isEnabled()
    show(panel, CHOSEN)
    assert page(panel) == 0


def test_a_question_is_asked_in_the_same_place(panel, heard):
    requests = heard(panel, "go_on_requested", "dismiss_requested")
    height = panel.sizeHint().height()
    show(panel, replace(CHOSEN, question="Object 7: 12 slices and not ended. Go on?"))
    assert panel._question.text() == "Object 7: 12 slices and not ended. Go on?"
    assert panel.sizeHint().height() == height
    for text in ("Continue", "Stop here"):
        buttons = panel._pages.currentWidget().findChildren(type(panel._stop))
        next(button for button in buttons if button.text() == text).click()
    assert requests == [("go_on_requested",), ("dismiss_requested",)]


def test_the_range_is_the_whole_stack_until_it_is_changed(panel):
    show(panel, CHOSEN)
    assert panel.limits == (None, None)
    panel._first.setValue(2)
    assert panel._last.minimum() == 2
    show(panel, replace(CHOSEN, n_slices=30))  # the stack has grown
    assert panel.limits == (2, None)
    panel._last.setValue(9)
    assert panel.limits == (2, 9)
    show(panel, replace(CHOSEN, n_slices=5))
    assert panel.limits == (2, None)


def test_keys_are_named_in_tooltips_of_what_can_be_pressed(panel):
    panel.texts.show({"propagate": "Shift+S", "continue_next": "J"})
    show(panel, CHOSEN)
    assert panel._directions[1].toolTip().endswith("(Shift+S)")
    assert panel._next.toolTip() == "Continue the object in slice 5, and show that slice (J)"
    show(panel, EMPTY)
    assert "Shift" not in panel._directions[1].toolTip()


def test_whether_slices_are_frames_is_shown_on_both_pages(panel, heard):
    requests, tracks = heard(panel, "frames_toggled"), QLabel("tracks")
    panel.add_tracks(tracks)
    assert not tracks.isVisible()
    assert not any(widget.isVisible() for widget in panel.views)
    panel.frames.click()
    assert requests == [("frames_toggled", True)]
    panel.show_film(has_frames=True, is_along=True)
    place = panel.frames.pos()
    for number, is_shown in ((1, True), (0, False)):
        panel.views[number].click()
        assert tracks.isVisible() is is_shown
        assert panel.strip.isVisible() is not is_shown
        assert panel.frames.isVisible()
        assert panel.frames.isChecked()
        assert panel.frames.pos() == place
    panel.frames.click()
    assert requests == [("frames_toggled", True), ("frames_toggled", False)]


def test_memory_is_offered_and_moves_nothing(panel, heard):
    show(panel, CHOSEN)
    emitted = heard(panel, "memory.toggled")
    panel.show_memory(is_offered=False, is_on=False)
    panel.layout().activate()
    width = panel.minimumSizeHint().width()
    places = [part.geometry() for part in (panel.frames, panel._body, panel.strip)]
    panel.show_memory(is_offered=True, is_on=True)
    panel.layout().activate()
    assert panel.memory.isVisible()
    assert panel.memory.isChecked()
    assert panel.minimumSizeHint().width() == width
    assert [part.geometry() for part in (panel.frames, panel._body, panel.strip)] == places
    assert emitted == []
