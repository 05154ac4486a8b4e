import pytest

from napari_sam._qt.class_panel import ClassPanel
from napari_sam.session.classes.classes import ObjectClass

CLASSES = (ObjectClass("coin", "#ff0000"), ObjectClass("ring", "#00ff00"))


@pytest.fixture
def panel(qtbot):
    panel = ClassPanel()
    qtbot.addWidget(panel)
    return panel


def cells(panel, column):
    rows = panel.rows
    return [rows.topLevelItem(row).text(column) for row in range(rows.topLevelItemCount())]


def test_a_row_for_each_class_and_one_for_none(panel):
    keys = {None: "0", "coin": "1", "ring": "2"}
    panel.show_classes(CLASSES, "ring", {None: 4, "coin": 2}, keys)
    assert cells(panel, 0) == ["0", "1", "2"]
    assert cells(panel, 1) == ["no class", "coin", "ring"]
    assert cells(panel, 2) == ["4", "2", "0"]
    assert panel.rows.currentItem().text(1) == "ring"
    panel.show_classes(CLASSES[:1], None, {}, {})
    assert cells(panel, 1) == ["no class", "coin"]


def test_only_a_class_can_be_changed(panel):
    assert not panel._save.isEnabled()
    panel.show_classes(CLASSES, None, {}, {})
    assert panel._save.isEnabled()
    buttons = panel._rename, panel._recolor, panel._remove
    assert not any(button.isEnabled() for button in buttons)
    panel.show_classes(CLASSES, "coin", {}, {})
    assert all(button.isEnabled() for button in buttons)


def test_showing_classes_requests_nothing(panel, heard):
    requests = heard(panel, "choose_requested", "rename_requested", "coloring.toggled")
    panel.show_classes(CLASSES, "coin", {}, {})
    assert requests == []


def test_what_is_asked_for(panel, heard, qtbot):
    names = "choose", "add", "rename", "remove"
    requests = heard(panel, *(f"{name}_requested" for name in names), "coloring.toggled")
    panel.show_classes(CLASSES, "coin", {}, {})
    panel.rows.setCurrentItem(panel.rows.topLevelItem(2))
    panel.rows.setCurrentItem(panel.rows.topLevelItem(0))
    panel._new.setText("  ")
    panel._on_add()
    panel._new.setText(" bolt ")
    panel._on_add()
    assert panel._new.text() == ""
    panel.coloring.click()
    panel.rows.topLevelItem(1).setText(1, "money ")
    qtbot.waitUntil(lambda: len(requests) == 5)
    assert requests == [
        ("choose_requested", "ring"),
        ("choose_requested", None),
        ("add_requested", "bolt"),
        ("coloring.toggled", True),
        ("rename_requested", "coin", "money"),
    ]


def test_the_swatch_has_the_color_of_the_class(panel, heard, monkeypatch):
    seen = []

    def choose(color, *_):
        seen.append(color.name())
        return type(color)("#102030")

    monkeypatch.setattr("napari_sam._qt.class_panel.QColorDialog.getColor", choose)
    requests = heard(panel, "recolor_requested")
    panel.show_classes(CLASSES, "ring", {}, {})
    panel._on_recolor()
    assert seen == ["#00ff00"]
    assert requests == [("recolor_requested", "ring", "#102030")]


def test_only_rows_that_differ_are_touched(panel):
    classes = [ObjectClass(f"class {number}", "#ff0000") for number in range(6)]
    panel.show_classes(classes, None, {"class 2": 1}, {})
    items = [panel.rows.topLevelItem(row) for row in range(7)]
    touched = []
    panel.rows.model().dataChanged.connect(lambda first, _: touched.append(first.row()))
    panel.show_classes(classes, "class 4", {"class 2": 1}, {})
    assert touched == []
    assert panel.rows.currentItem() is items[5]
    panel.show_classes(classes, None, {"class 2": 2}, {})
    assert set(touched) == {3}
    touched.clear()
    del classes[3], items[4]
    panel.show_classes(classes, None, {"class 2": 2}, {})
    classes.append(ObjectClass("new", "#00ff00"))
    panel.show_classes(classes, "new", {"class 2": 2}, {})
    assert touched == []
    assert [panel.rows.topLevelItem(row) for row in range(6)] == items
    assert cells(panel, 1) == ["no class", *(entry.name for entry in classes)]


def test_a_refused_name_does_not_stay_in_its_row(panel):
    panel.show_classes(CLASSES, "coin", {}, {})
    panel.rows.topLevelItem(1).setText(1, "ring")
    panel.show_classes(CLASSES, "coin", {}, {})
    assert cells(panel, 1) == ["no class", "coin", "ring"]


def test_a_class_is_found_by_its_words(panel):
    classes = [ObjectClass(name, "#ff0000") for name in ("red cell", "white cell", "nucleus")]
    panel.show_classes(classes, None, {}, {})

    def visible():
        rows = [panel.rows.topLevelItem(row) for row in range(panel.rows.topLevelItemCount())]
        return [row.text(1) for row in rows if not row.isHidden()]

    panel._find.setText("CELL")
    assert visible() == ["red cell", "white cell"]
    panel.show_classes([*classes, ObjectClass("cell wall", "#ff0000")], None, {}, {})
    assert visible() == ["red cell", "white cell", "cell wall"]
    panel._find.clear()
    assert len(visible()) == 5
    assert panel.windowTitle() == "Classes (4)"
