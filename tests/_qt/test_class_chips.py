import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_sam._qt.class_chips import ClassChips
from napari_sam.session.classes.classes import ObjectClass

CLASSES = (ObjectClass("coin", "#ff0000"), ObjectClass("ring", "#00ff00"))
MANY = tuple(ObjectClass(f"class {number}", "#ff0000") for number in range(5000))


@pytest.fixture
def chips(shown):
    return shown(ClassChips(), width=324, height=26)


def texts(chips):
    return [chip.text() for chip in chips.chips]


def test_a_chip_for_each_class_names_its_key(chips):
    chips.show_classes(CLASSES, "ring", {"coin": "1", "ring": ""})
    assert texts(chips) == ["1 coin", "ring"]
    assert [chip.isChecked() for chip in chips.chips] == [False, True]
    before = list(chips.chips)
    chips.show_classes(CLASSES, "coin", {"coin": "1", "ring": ""})
    assert chips.chips == before  # only the frame moves
    chips.show_classes((), None, {})
    assert texts(chips) == []


def test_a_click_asks_to_apply_a_class_and_leaves_the_frame_where_it_is(chips, heard):
    requests = heard(chips, "apply_requested")
    chips.show_classes(CLASSES, "coin", {})
    for chip in chips.chips:
        chip.click()
    assert requests == [("apply_requested", "coin"), ("apply_requested", "ring")]
    assert [chip.isChecked() for chip in chips.chips] == [True, False]


def test_a_chip_with_the_focus_is_in_sight(chips, qtbot):
    chips.show_classes(MANY[:20], None, {})
    last = chips.chips[-1]
    assert last.x() > chips._strip.width()
    chips.window().activateWindow()
    last.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(last.hasFocus)
    assert 0 <= last.x() <= chips._strip.width() - last.width()


def test_names_are_asked_for_in_the_row(chips, heard, qtbot):
    requests = heard(chips, "add_requested", "rename_requested")
    place = chips.add.geometry()
    chips.add.click()
    qtbot.keyClicks(chips._editor, " coin ")
    qtbot.keyClick(chips._editor, Qt.Key.Key_Return)
    assert not chips._editor.isVisible()
    chips.show_classes(CLASSES, None, {})
    QApplication.processEvents()
    assert chips.add.geometry() == place  # the next name is asked for by a click there
    chips.edit("coin")
    qtbot.keyClicks(chips._editor, "money")
    qtbot.keyClick(chips._editor, Qt.Key.Key_Return)
    chips.add.click()
    qtbot.keyClicks(chips._editor, "not this")
    qtbot.keyClick(chips._editor, Qt.Key.Key_Escape)
    assert not chips._editor.isVisible()
    assert requests == [("add_requested", "coin"), ("rename_requested", "coin", "money")]


def test_the_color_dialog_begins_with_the_color_of_the_class(chips, heard, monkeypatch):
    seen = []

    def choose(color, *_):
        seen.append(color.name())
        return type(color)("#102030")

    monkeypatch.setattr("napari_sam._qt.class_chips.QColorDialog.getColor", choose)
    requests = heard(chips, "recolor_requested")
    chips.show_classes(CLASSES, None, {})
    chips._recolor("ring")
    assert seen == ["#00ff00"]
    assert requests == [("recolor_requested", "ring", "#102030")]


def test_of_many_classes_the_first_and_the_current_one_are_there_and_in_sight(chips):
    chips.show_classes(MANY, "class 4321", {})
    assert len(chips.chips) == 31
    assert texts(chips)[-1] == "class 4321"
    last = chips.chips[-1]
    assert 0 <= last.x() <= chips._strip.width() - last.width()
    place, global_place = QPointF(5, 5), QPointF(chips.mapToGlobal(QPoint(5, 5)))
    for _ in range(100):
        event = QWheelEvent(
            place,
            global_place,
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(chips, event)
    assert chips.chips[0].x() == 0
    assert not event.isAccepted()  # what is around the row scrolls on
