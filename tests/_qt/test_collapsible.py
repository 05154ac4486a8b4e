from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_sam._qt.collapsible import CollapsibleSection, ElidingLabel
from napari_sam._qt.workarounds import PanelColumn

LONG = "a title or a path that is much longer than any dock is wide, and then some more of it"


def test_a_long_title_takes_no_width_and_is_in_the_tooltip(shown):
    section = shown(CollapsibleSection(QLabel("inside"), "what it is for"), width=150)
    section.set_title(LONG)
    assert section.title == LONG
    button = section.toggleButton()
    assert "…" in button.text()
    assert button.toolTip() == f"{LONG}\nwhat it is for"
    section.resize(1500, 100)
    assert button.text() == LONG
    assert section.minimumSizeHint().width() < 150


def test_contents_that_wrap_are_whole(shown, qtbot):
    label = ElidingLabel()
    label.show_text(LONG)
    section = CollapsibleSection(label, "")
    column = PanelColumn()
    column.add(section)
    shown(column, width=150)
    section.toggleButton().click()
    qtbot.waitUntil(lambda: label.height() >= label.heightForWidth(label.width()))
    section.toggleButton().click()
    qtbot.waitUntil(lambda: section.content().height() == 0)


def test_text_that_looks_like_html_is_shown_as_it_is(shown):
    label = shown(ElidingLabel(), width=400)
    label.show_text("one line")
    height = label.heightForWidth(400)
    label.show_text("<br>" * 5 + "<img src='//server/share/a.png'>")
    assert label.heightForWidth(400) == height
    assert "<br>" in label.text()


def test_a_click_scrolls_to_the_section_and_expanding_alone_does_not(shown, qtbot):
    contents = QWidget()
    column = QVBoxLayout(contents)
    high = QLabel()
    high.setFixedHeight(1000)
    inside = QLabel()
    inside.setFixedHeight(100)
    section = CollapsibleSection(inside, "")
    column.addWidget(high)
    column.addWidget(section)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(contents)
    shown(area)
    section.expand(animate=False)
    qtbot.wait(50)
    assert area.verticalScrollBar().value() == 0
    section.collapse(animate=False)
    qtbot.waitUntil(lambda: section.height() < 100)
    section.toggleButton().click()
    qtbot.waitUntil(lambda: area.verticalScrollBar().value() > 0)
    qtbot.waitUntil(lambda: not section._is_expanding)
    bottom = section.y() + section.height()
    assert bottom <= area.verticalScrollBar().value() + area.viewport().height()


def test_a_label_wraps_texts_and_elides_paths(shown):
    label = shown(ElidingLabel(), width=150)
    label.show_path(LONG)
    assert label.text() == label.toolTip() == LONG
    assert "…" in QLabel.text(label)
    assert QLabel.text(label).endswith("of it")
    label.show_text(LONG)
    assert QLabel.text(label) == LONG
    assert label.toolTip() == ""
    assert label.heightForWidth(150) > 2 * label.fontMetrics().height()
