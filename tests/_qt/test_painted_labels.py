import pytest
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_sam._qt.colors import Severity
from napari_sam._qt.painted_labels import MessageLine, PaintedLabel

LONG = "a text that is much longer than two lines of the narrowest dock, and then some more " * 4


class LayoutCounter(QObject):
    count = 0

    def eventFilter(self, _, event):
        self.count += event.type() == QEvent.Type.LayoutRequest
        return False


def test_a_text_redoes_no_layout(shown):
    outer, label = QWidget(), PaintedLabel(lines=2)
    QVBoxLayout(outer).addWidget(label)
    shown(outer, width=200)
    QApplication.processEvents()
    counter = LayoutCounter()
    outer.installEventFilter(counter)
    for text in ("one", LONG, ""):
        label.set_text(text)
        QApplication.processEvents()
    assert counter.count == 0


@pytest.mark.parametrize("make", [PaintedLabel, MessageLine])
def test_no_text_needs_more_room(shown, make):
    label = shown(make(), width=200)
    hint = label.sizeHint()
    label.set_text(LONG)
    assert label.sizeHint() == label.minimumSizeHint() == hint
    assert (label.text(), label.toolTip()) == (LONG, LONG)
    label.set_text("short", "and the whole story")
    assert (label.text(), label.toolTip()) == ("short", "and the whole story")


def test_a_long_text_is_broken_at_words_and_elided_at_the_end(shown):
    label = shown(PaintedLabel(lines=2), width=240)
    label.set_text(LONG)
    first, second = label._broken(240)
    assert LONG.startswith(first)
    assert second.endswith("…")
    assert LONG[len(first) :].lstrip().startswith(second[:-1])
    width = label.fontMetrics().horizontalAdvance
    assert width(first) <= 240
    assert width(second) <= 240
    label.set_text("one line")
    assert label._broken(240) == ["one line"]
    label.set_text("")
    assert label._broken(240) == []


def test_a_message_has_a_letter_and_a_color_and_can_be_clicked(shown, heard, qtbot):
    line = shown(MessageLine(), width=300, height=40)
    clicks = heard(line, "clicked")
    colors = set()
    for severity in Severity:
        line.show_message("Covered by object 3", severity)
        assert line.severity is severity
        colors.add(line.grab().toImage().pixelColor(3, line.height() // 2).name())
    assert len(colors) == len({severity.letter for severity in Severity}) == len(Severity)
    line.show_message(LONG, Severity.INFO)
    *_, last = line._broken(240)
    assert last.endswith("… more")  # by a click
    assert line.fontMetrics().horizontalAdvance(last) <= 240
    qtbot.mouseClick(line, Qt.MouseButton.LeftButton)
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert clicks == [("clicked",)] * 2
    assert line.focusPolicy() == Qt.FocusPolicy.TabFocus
