"""The list of shortcuts: complete, true to what is in force, and the place to change them."""

import json

import pytest
from app_model.types import KeyBinding
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QCursor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit
from skimage import data

from napari_sam.layers import SHORTCUTS
from napari_sam.storage.shortcuts import save_shortcuts, shortcuts_file


def listed(panel) -> dict[str, str]:
    """What the list says of each key."""
    groups = [panel.rows.topLevelItem(n) for n in range(panel.rows.topLevelItemCount())]
    rows = [group.child(n) for group in groups for n in range(group.childCount())]
    many = [row.child(n) for row in rows for n in range(row.childCount())]
    items = [row for row in rows if not row.childCount()] + many
    return {item.text(1): item.text(0) for item in items}


def choose(panel, text: str) -> None:
    (item,) = panel.rows.findItems(
        text, Qt.MatchFlag.MatchStartsWith | Qt.MatchFlag.MatchRecursive, 1
    )
    panel.rows.setCurrentItem(item)


def test_the_list_shows_what_keys_do_and_changes_them(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins()[40:110, 40:140], name="coins"), wait=False)
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    panel = widget.controllers.shortcuts.panel
    widget.controllers.dock.help_button.click()
    assert panel.isVisible()
    assert not panel.isModal()
    assert len(listed(panel)) == len(SHORTCUTS)
    assert listed(panel)["Accept the shown mask"] == "C"
    assert listed(panel)["Show or hide this list"] == "?"
    headings = [panel.rows.topLevelItem(n) for n in range(panel.rows.topLevelItemCount())]
    room = panel.rows.viewport().width()
    for heading in headings:
        assert panel.rows.fontMetrics().boundingRect(heading.text(0)).width() * 1.2 < room
    widget.session.classes.add("Münze")
    assert listed(panel)["Class 1: Münze"] == "1"
    assert KeyBinding.from_str("1") in points.keymap

    choose(panel, "Accept the")
    panel._on_change()
    qtbot.keyClick(panel.rows, Qt.Key.Key_W)
    assert "W already triggers 'Show the next mask'" in panel._note.text()
    assert listed(panel)["Accept the shown mask"] == "C"
    panel._on_change()
    qtbot.keyClick(panel.rows, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert "Ctrl+S triggers 'Save" in panel._note.text()
    panel._on_change()
    qtbot.keyClick(panel.rows, Qt.Key.Key_S)
    assert "S normally triggers" in panel._note.text()
    assert "select" in panel._note.text()
    assert listed(panel)["Accept the shown mask (changed)"] == "S"
    assert KeyBinding.from_str("C") not in points.keymap
    called = []
    widget.binding.shortcuts.register({"accept": lambda: called.append(1)})
    points.keymap[KeyBinding.from_str("S")](points)
    assert called == [1]
    assert json.loads(shortcuts_file().read_text()) == {"accept": "S"}
    assert widget.controllers.annotate.object_panel.accept.text() == "Accept (S)"
    assert "C" not in widget.session.state.hint.split()
    choose(panel, "Turn the preview")
    panel._none.click()
    assert widget.controllers.annotate.prompt_panel.hover.text() == "preview"

    widget.binding.prompts.start_shape("rectangle")  # a layer that is made later has the same keys
    assert KeyBinding.from_str("S") in viewer.layers["SAM boxes"].keymap
    widget.close()
    assert not panel.isVisible()
    assert not points.keymap


def test_keys_are_remembered_and_reset(make_widget):
    save_shortcuts({"accept": "Shift+M", "previous_object": "", "made up": "A", "clear": "§§"})
    said = []
    viewer, widget = make_widget(Image(data.coins()[40:110, 40:140], name="coins"), wait=False)
    widget.session.notifier.warned.connect(said.append)
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    assert widget.binding.shortcuts.changed_keys == {"accept": "Shift+M", "previous_object": ""}
    assert KeyBinding.from_str("Shift+M") in points.keymap
    widget.controllers.shortcuts.toggle()
    widget.controllers.shortcuts.panel.reset.click()
    assert not shortcuts_file().exists()
    assert not widget.binding.shortcuts.changed_keys
    assert listed(widget.controllers.shortcuts.panel)["Go to the previous object"] == "Shift+M"
    shortcuts_file().write_text("[1]")
    widget.controllers.shortcuts._load()
    assert "contains no shortcuts; using the defaults" in said[-1]
    with pytest.raises(ValueError, match="Not saved"):
        save_shortcuts({})
    assert shortcuts_file().read_text() == "[1]"


def test_keys_go_to_the_canvas_under_the_mouse_unless_text_is_edited(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins()), show=True)
    window, canvas = viewer.window._qt_window, viewer.window._qt_viewer.canvas.native
    QTest.qWaitForWindowExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    table = widget.controllers.objects.table
    for kind in (None, QLineEdit, QComboBox):
        QCursor.setPos(widget.mapToGlobal(widget.rect().center()))
        qtbot.waitUntil(lambda: not viewer.mouse_over_canvas)
        field = table.view if kind is None else table.findChild(kind)
        field.setEnabled(True)
        field.setFocus()
        assert QApplication.focusWidget() is field
        QCursor.setPos(canvas.mapToGlobal(canvas.rect().center()))
        qtbot.waitUntil(lambda: viewer.mouse_over_canvas)
        assert QApplication.focusWidget() is (field if kind else canvas)
