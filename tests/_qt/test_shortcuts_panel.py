import pytest
from app_model.types import KeyBinding
from qtpy.QtCore import Qt

from napari_sam._qt.shortcuts_panel import ShortcutRow, ShortcutsPanel

ROWS = (
    ShortcutRow("Masks", "C", "Accept", "accept", "hides napari's"),
    ShortcutRow("Masks", "", "Clear", "clear", is_changed=True),
    ShortcutRow("Window", "?", "Help"),
)


@pytest.fixture
def panel(shown):
    panel = shown(ShortcutsPanel())
    panel.show_rows(ROWS)
    return panel


def item(panel, group, row):
    return panel.rows.topLevelItem(group).child(row)


def test_shortcuts_are_listed_in_groups(panel):
    headings = [panel.rows.topLevelItem(n).text(0) for n in range(2)]
    assert headings == ["Masks", "Window"]
    assert (item(panel, 0, 0).text(0), item(panel, 0, 0).text(1)) == ("C", "Accept")
    assert (item(panel, 0, 1).text(0), item(panel, 0, 1).text(1)) == ("none", "Clear (changed)")
    assert item(panel, 0, 0).toolTip(0) == "hides napari's"


def test_a_key_is_asked_for_and_taken(panel, heard, qtbot):
    requests = heard(panel, "key_requested", "reset.clicked")
    panel.rows.setCurrentItem(item(panel, 0, 0))
    panel._change.click()
    assert panel._note.text() == "Press the new key for 'Accept'."
    qtbot.keyClick(panel.rows, Qt.Key.Key_Escape)
    assert "Double-click" in panel._note.text()
    panel._change.click()
    qtbot.keyPress(panel.rows, Qt.Key.Key_Shift)
    qtbot.keyClick(panel.rows, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    panel._none.click()
    panel.reset.click()
    assert requests == [
        ("key_requested", "accept", KeyBinding.from_str("Shift+M")),
        ("key_requested", "accept", None),
        ("reset.clicked",),
    ]
    panel.show_rows(ROWS)
    assert panel.rows.currentItem().text(1) == "Accept"  # stays selected


def test_a_fixed_key_cannot_be_changed_nor_defaults_be_reset(panel):
    panel.rows.setCurrentItem(item(panel, 1, 0))
    assert not panel._change.isEnabled()
    assert not panel._none.isEnabled()
    assert panel.reset.isEnabled()
    panel.show_rows(ROWS[:1])
    assert not panel.reset.isEnabled()


def test_after_a_refusal_it_goes_on_listening(panel, heard, qtbot):
    requests = heard(panel, "key_requested")
    panel.rows.setCurrentItem(item(panel, 0, 0))
    panel._change.click()
    qtbot.keyClick(panel.rows, Qt.Key.Key_W)
    panel.refuse("W is taken.")
    assert panel._note.text() == "W is taken. Press another key, or Esc to keep the current one."
    qtbot.keyClick(panel.rows, Qt.Key.Key_J)
    keys = [KeyBinding.from_str(key) for key in "WJ"]
    assert requests == [("key_requested", "accept", key) for key in keys]
    panel.refuse("J is taken.")
    qtbot.keyClick(panel.rows, Qt.Key.Key_Escape)
    qtbot.keyClick(panel.rows, Qt.Key.Key_K)
    assert len(requests) == 2


def test_one_line_stands_for_many_until_one_of_them_is_changed(panel):
    summary = "0 … 9", "Set the class"
    rows = [
        ShortcutRow("Classes", str(number), f"Class {number}", f"class_{number}", summary=summary)
        for number in range(10)
    ]
    panel.show_rows(rows)
    line = item(panel, 0, 0)
    assert panel.rows.topLevelItem(0).childCount() == 1
    assert (line.text(0), line.text(1), line.childCount()) == (*summary, 10)
    assert not line.isExpanded()
    panel.rows.setCurrentItem(line)
    assert not panel._change.isEnabled()
    panel.show_rows(
        [*rows[:-1], ShortcutRow("Classes", "J", "", "a", is_changed=True, summary=summary)]
    )
    assert item(panel, 0, 0).isExpanded()
