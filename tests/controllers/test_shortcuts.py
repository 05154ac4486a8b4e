"""The list of keys: complete, true to what is in force, and the place to change them."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
from app_model.types import KeyBinding, KeyCode, KeyMod
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import Qt
from skimage import data

from napari_sam._qt.shortcut_texts import ShortcutTexts
from napari_sam.layers import KEYS
from napari_sam.layers.shortcuts import KeyMap, key_text
from napari_sam.storage.shortcuts import keys_file, save_keys


def listed(panel) -> dict[str, str]:
    """What the list says of each key."""
    groups = [panel.rows.topLevelItem(n) for n in range(panel.rows.topLevelItemCount())]
    items = [group.child(n) for group in groups for n in range(group.childCount())]
    return {item.text(1): item.text(0) for item in items}


def choose(panel, text: str) -> None:
    (item,) = panel.rows.findItems(
        text, Qt.MatchFlag.MatchStartsWith | Qt.MatchFlag.MatchRecursive, 1
    )
    panel.rows.setCurrentItem(item)


def test_the_list_says_what_keys_do_and_changes_them(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins()[40:110, 40:140], name="coins"), wait=False)
    widget.binding.start_points()
    points = viewer.layers["SAM points"]
    panel = widget._key_help.panel
    widget._help_button.click()
    assert panel.isVisible()
    assert not panel.isModal()
    assert len(listed(panel)) == len(KEYS)
    assert listed(panel)["Accept the shown mask"] == "C"
    assert listed(panel)["Show or hide this list"] == "?"
    headings = [panel.rows.topLevelItem(n) for n in range(panel.rows.topLevelItemCount())]
    room = panel.rows.viewport().width()
    for heading in headings:
        assert panel.rows.fontMetrics().boundingRect(heading.text(0)).width() * 1.2 < room
    widget.session.classes.add("Münze")
    assert listed(panel)["Class 1: Münze"] == "1"
    assert KeyBinding.from_str("1") in points.keymap

    choose(panel, "Accept")
    panel._on_change()
    qtbot.keyClick(panel.rows, Qt.Key.Key_W)
    assert "W is taken: Show the next mask" in panel._note.text()
    assert listed(panel)["Accept the shown mask"] == "C"
    panel._on_change()
    qtbot.keyClick(panel.rows, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert "Ctrl+S is napari's key for Save" in panel._note.text()
    panel._on_change()
    qtbot.keyClick(panel.rows, Qt.Key.Key_S)
    assert "napari's key for" in panel._note.text()
    assert "select" in panel._note.text()
    assert listed(panel)["Accept the shown mask (changed)"] == "S"
    assert KeyBinding.from_str("C") not in points.keymap
    called = []
    widget.binding.keys.offer({"accept": lambda: called.append(1)})
    points.keymap[KeyBinding.from_str("S")](points)
    assert called == [1]
    assert json.loads(keys_file().read_text()) == {"accept": "S"}
    assert widget._object_panel._accept.text() == "Accept (S)"
    assert widget.automatic.panel.accept.text() == "Accept (S)"
    assert "C" not in widget.session.state.hint.split()
    choose(panel, "Preview")
    panel._none.click()
    assert widget._prompt_panel._hover.text() == "preview under the cursor"

    widget.binding.start_boxes()  # a layer that is made later has the same keys
    assert KeyBinding.from_str("S") in viewer.layers["SAM boxes"].keymap
    widget.close()
    assert not panel.isVisible()
    assert not points.keymap


def test_keys_are_remembered_and_reset(make_widget):
    save_keys({"accept": "Shift+M", "previous_object": "", "made up": "A", "clear": "§§"})
    said = []
    viewer, widget = make_widget(Image(data.coins()[40:110, 40:140], name="coins"), wait=False)
    widget.binding.warned.connect(said.append)
    widget.binding.start_points()
    points = viewer.layers["SAM points"]
    assert widget.binding.keys.chosen == {"accept": "Shift+M", "previous_object": ""}
    assert KeyBinding.from_str("Shift+M") in points.keymap
    widget._key_help.toggle()
    widget._key_help.panel._reset.click()
    assert not keys_file().exists()
    assert {key.command for key in KEYS} >= set(widget.binding.keys.chosen) == set()
    assert listed(widget._key_help.panel)["Go to the one before"] == "Shift+M"
    keys_file().write_text("[1]")
    widget._key_help._load()
    assert "There are no keys in" in said[-1]


def test_a_key_goes_to_layers_of_its_type_as_long_as_its_command_is_offered():
    keys, points, shapes = KeyMap(), Points(), Shapes()
    done = []
    keys.bind(points)
    keys.bind(shapes)
    keys.offer({"flip": lambda: done.append("flip"), "accept": lambda: done.append("accept")})
    assert set(map(str, points.keymap)) == {"C", "T"}
    assert set(map(str, shapes.keymap)) == {"C", "T"}
    keys.withdraw({"accept": None})
    assert set(map(str, points.keymap)) == {"T"}
    keys.give("accept")
    keys.give("flip")
    assert done == ["flip"]
    keys.unbind(points)
    assert not points.keymap
    # A key that was exchanged with another one is understood again.
    assert keys.reset({"accept": "W", "next": "C"}) == []
    assert keys.chosen == {"accept": "W", "next": "C"}
    # One that is new to this version is not taken from what the user gave it to.
    assert keys.reset({"accept": "M"}) == []
    assert keys.binding_of("next_object") is None


def test_keys_that_mean_something_else_on_one_layer_follow_the_choice_too():
    keys, masks, found = KeyMap(), Labels(np.zeros((2, 2), int)), Labels(np.zeros((2, 2), int))
    done = []
    keys.offer({"accept": lambda: done.append("mask")})
    keys.bind(masks)
    keys.bind(found, {what: partial(done.append, what) for what in ("accept", "reject")})
    keys.choose("accept", KeyBinding.from_str("J"))
    keys.choose("reject", KeyBinding.from_str("C"))
    assert set(map(str, masks.keymap)) == {"J"}
    assert set(map(str, found.keymap)) == {"J", "C"}
    for layer, key in ((masks, "J"), (found, "J"), (found, "C")):
        layer.keymap[KeyBinding.from_str(key)](layer)
    assert done == ["mask", "accept", "reject"]
    keys.unbind(found)
    keys.offer({})
    assert not found.keymap


def test_texts_name_the_keys_that_are_in_force():
    said, texts = {}, ShortcutTexts()
    texts.add(partial(said.__setitem__, "button"), "Accept", "accept")
    texts.add(partial(said.__setitem__, "tip"), "Delete these", "remove", "{} over one")
    assert said == {"button": "Accept", "tip": "Delete these"}
    texts.show({"accept": "J", "remove": "Shift+X"})
    assert said == {"button": "Accept (J)", "tip": "Delete these (Shift+X over one)"}
    texts.show({"accept": "", "remove": "X"})
    assert said == {"button": "Accept", "tip": "Delete these (X over one)"}


def test_keys_are_written_as_on_the_platform(monkeypatch):
    binding = KeyBinding.from_int(KeyMod.Shift | KeyCode.KeyM)
    assert key_text(binding) == "Shift+M"
    monkeypatch.setattr("sys.platform", "darwin")
    assert key_text(binding) == "⇧M"
    assert key_text(None) == ""
