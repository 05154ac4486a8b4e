"""Shortcuts on SAM layers: napari's stay free, and every command in the list is there."""

from functools import partial

import numpy as np
from app_model.types import KeyBinding, KeyCode, KeyMod
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.shortcuts import default_shortcuts
from skimage import data

from napari_sam.layers import SHORTCUTS
from napari_sam.layers.shortcuts import ShortcutMap, key_text

TIMEOUT_S = 120
_LETTERS_OF_TOOLS = {Points: "P", Shapes: "PREL", Labels: "PEL"}
TOOLS_BY_KEY = "rectangle", "lasso", "polygon", "ellipse", "scribble", "line"
NAPARI_TYPES = {"points": Points, "shapes": Shapes, "labels": Labels}


def napari_keys(layer_type) -> set[KeyBinding]:
    """All keys that napari itself gives to a layer type: bound on the class, or as shortcuts."""
    bound = {key for cls in layer_type.__mro__ for key in getattr(cls, "class_keymap", {})}
    # napari's table names actions, not layer types; what it binds on the classes covers them.
    # The viewer's keys must stay free as well.
    viewer_actions = {
        "napari:toggle_console_visibility",
        "napari:toggle_ndisplay",
        "napari:toggle_theme",
        "napari:reset_view",
        "napari:delete_selected_layers",
        "napari:show_shortcuts",
        "napari:increment_dims_left",
        "napari:increment_dims_right",
        "napari:focus_axes_up",
        "napari:focus_axes_down",
        "napari:roll_axes",
        "napari:transpose_axes",
        "napari:rotate_layers",
        "napari:toggle_grid",
        "napari:toggle_selected_visibility",
        "napari:toggle_unselected_visibility",
        "napari:select_layer_above",
        "napari:select_layer_below",
        "napari:show_only_layer_above",
        "napari:show_only_layer_below",
        "napari:hold_for_pan_zoom",
    }
    return bound | {
        KeyBinding.validate(key)
        for action in viewer_actions
        for key in default_shortcuts.get(action, ())
    }


def test_no_key_of_the_annotated_image_is_one_that_napari_has_for_images(make_widget):
    viewer, _ = make_widget(Image(data.coins(), name="coins"), wait=False)
    ours = set(viewer.layers["coins"].keymap)
    ours -= {one.binding for one in SHORTCUTS if one.command in ("undo", "redo")}
    assert ours
    assert not ours & napari_keys(Image)


def test_no_key_shadows_one_of_naparis_own(make_napari_viewer):
    make_napari_viewer()  # registers napari's actions with the layer classes
    for layer_type in (Points, Shapes, Labels):
        taken = napari_keys(layer_type)
        assert len(taken) > 15
        assert not keys_that_matter(layer_type) & taken


def keys_that_matter(layer_type):
    """Return our keys but those that may stand for something else than in napari."""
    ours = {shortcut.binding for shortcut in SHORTCUTS if layer_type in shortcut.layer_types}
    # The digits are ours only while there are classes, and have letters beside them in napari; a
    # mask cannot be painted, so it needs no new label, none to swap and no polygon to cancel;
    # scribbles have a button.
    # Brush strokes are steps of the session's history.
    ours -= {KeyBinding.from_str(str(digit)) for digit in range(10)}
    # Of the letters of tools, P adds points in napari too, and R and E draw what they draw there;
    # polygons and lines of Shapes have other letters here, and a mask cannot be painted.
    ours -= {KeyBinding.from_str(key) for key in _LETTERS_OF_TOOLS[layer_type]}
    if layer_type is Labels:
        ours -= {KeyBinding.from_str(key) for key in ("M", "X", "Escape")}
        ours -= {one.binding for one in SHORTCUTS if one.command in ("undo", "redo")}
    if layer_type is Shapes:
        ours -= {KeyBinding.from_str("T"), KeyBinding.from_str("X")}
    return ours


def test_keys_are_bound_on_our_layers_and_some_on_the_target_and_the_image(make_widget):
    mine = Points([(1, 1)], name="mine")
    viewer, widget = make_widget(Image(data.coins(), name="coins"), mine)
    widget.binding.prompts.start_shape("rectangle")
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    for layer in viewer.layers:
        ours = {
            shortcut.binding
            for shortcut in SHORTCUTS
            if isinstance(layer, shortcut.layer_types)
            and shortcut.code is not None
            and not shortcut.command.startswith("class")
        }
        of_target = {
            shortcut.binding
            for shortcut in SHORTCUTS
            if shortcut.command in ("undo", "redo", "brush")
        }
        selecting = {one.binding for one in SHORTCUTS if one.command == "select_object"}
        of_tools = {one.binding for one in SHORTCUTS if one.command.startswith("tool_")}
        of_napari = {KeyBinding.from_str(key) for key in "EL"}  # to erase, and to pick a label
        expected = {
            "coins labels": of_target | selecting | of_tools - of_napari,
            "coins": of_target | of_tools,
            "mine": set(),
        }.get(layer.name, ours)
        assert set(layer.keymap) == expected, layer.name
    assert not viewer.keymap
    widget.binding.set_image(None)
    assert not viewer.layers["coins"].keymap


def press(viewer, key: str) -> None:
    """Send a key to the layer that is active, the way napari's window does."""
    layer = viewer.layers.selection.active
    layer.keymap[KeyBinding.from_str(key)](layer)


def test_keys_do_the_whole_job(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    points.add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    chosen = widget.session.state.chosen
    press(viewer, "W")
    assert widget.session.state.chosen == (chosen + 1) % 3
    press(viewer, "Shift+W")
    assert widget.session.state.chosen == chosen
    press(viewer, "T")
    points.add([(68, 60)])
    assert widget.session.state.prompts.point_labels == (1, 0)
    press(viewer, "Ctrl+Z")
    assert widget.session.state.prompts.point_labels == (1,)
    press(viewer, "Ctrl+Shift+Z")
    assert widget.session.state.prompts.point_labels == (1, 0)
    press(viewer, "C")
    widget.wait_until_idle(TIMEOUT_S)
    assert viewer.layers["coins labels"].data[68, 104] == 1
    points.add([(68, 150)])
    press(viewer, "Shift+C")
    assert widget.session.state.prompts.is_empty


def test_naparis_undo_key_on_a_candidate_undoes_the_prompt(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    candidate = viewer.layers["SAM mask 1"]
    candidate.undo()
    assert widget.session.state.prompts.is_empty
    candidate.redo()
    assert not widget.session.state.prompts.is_empty


def test_t_flips_selected_points_but_not_the_one_just_added(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    points.add([(68, 104)])
    widget.binding.prompts.flip_polarity()
    assert widget.session.state.prompts.point_labels == (1,)
    assert widget.binding.prompts.image_prompts.polarity == 0

    points.add([(68, 60)])
    points.mode = "select"
    points.selected_data = {0, 1}
    widget.binding.prompts.flip_polarity()
    assert widget.session.state.prompts.point_labels == (0, 1)
    assert widget.binding.prompts.image_prompts.polarity == 1
    np.testing.assert_allclose(points.face_color[1, :2], (0, 1), atol=0.01)


def test_t_flips_scribbles_but_neither_boxes_nor_points_elsewhere(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    viewer.layers["SAM points"].mode = "select"
    widget.binding.prompts.start_shape("scribble")
    shapes = viewer.layers["SAM boxes"]
    shapes.add_rectangles(np.array([(50, 80), (50, 130), (90, 130), (90, 80)]))
    press(viewer, "T")
    shapes.add_paths(np.array([(60, 90), (70, 100), (75, 110)]))
    (scribble,) = widget.session.state.prompts.scribbles
    assert scribble.label == 0
    shapes.mode = "select"
    shapes.selected_data = {0, 1}
    press(viewer, "T")
    prompts = widget.session.state.prompts
    assert [one.label for one in prompts.scribbles] == [1]
    assert prompts.point_labels == (1,)
    assert list(shapes.features["polarity"]) == ["foreground", "foreground"]
    assert widget.binding.prompts.image_prompts.polarity == 1


def test_a_key_goes_to_layers_of_its_type_as_long_as_its_command_is_offered():
    keys, points, shapes = ShortcutMap(), Points(), Shapes()
    done = []
    keys.bind(points)
    keys.bind(shapes)
    keys.register({"flip": lambda: done.append("flip"), "accept": lambda: done.append("accept")})
    assert set(map(str, points.keymap)) == {"C", "T"}
    assert set(map(str, shapes.keymap)) == {"C", "T"}
    keys.unregister({"accept": None})
    assert set(map(str, points.keymap)) == {"T"}
    keys.run("accept")
    keys.run("flip")
    assert done == ["flip"]
    keys.unbind(points)
    assert not points.keymap
    # A key that was exchanged with another one is understood again.
    assert keys.reset({"accept": "W", "next": "C"}) == []
    assert keys.changed_keys == {"accept": "W", "next": "C"}
    # One that is new to this version is not taken from what the user gave it to.
    assert keys.reset({"accept": "M"}) == []
    assert keys.bindings["next_object"] is None


def test_a_key_that_was_stored_under_a_former_name_is_still_read():
    shortcuts = ShortcutMap()
    assert shortcuts.reset({"reopen": "Ctrl+I"}) == []
    assert shortcuts.bindings["reedit"] == KeyBinding.from_str("Ctrl+I")
    assert shortcuts.changed_keys == {"reedit": "Ctrl+I"}


def test_keys_that_mean_something_else_on_one_layer_follow_the_choice_too():
    keys, masks, found = ShortcutMap(), Labels(np.zeros((2, 2), int)), Labels(np.zeros((2, 2), int))
    done = []
    keys.register({"accept": lambda: done.append("mask")})
    keys.bind(masks)
    keys.bind(found, {what: partial(done.append, what) for what in ("accept", "reject")})
    keys.set_key("accept", KeyBinding.from_str("Ctrl+I"))
    keys.set_key("reject", KeyBinding.from_str("C"))
    assert set(map(str, masks.keymap)) == {"Ctrl+I"}
    assert set(map(str, found.keymap)) == {"Ctrl+I", "C"}
    for layer, key in ((masks, "Ctrl+I"), (found, "Ctrl+I"), (found, "C")):
        layer.keymap[KeyBinding.from_str(key)](layer)
    assert done == ["mask", "accept", "reject"]
    keys.unbind(found)
    keys.register({})
    assert not found.keymap


def test_keys_are_written_as_on_the_platform(monkeypatch):
    binding = KeyBinding.from_int(KeyMod.Shift | KeyCode.KeyM)
    assert key_text(binding) == "Shift+M"
    monkeypatch.setattr("sys.platform", "darwin")
    assert key_text(binding) == "⇧M"
    assert key_text(None) == ""


def test_every_command_of_the_list_is_registered(make_widget):
    _, widget = make_widget(wait=False)
    widget.session.classes.add("coin")
    missing = {
        shortcut.command
        for shortcut in SHORTCUTS
        if shortcut.command not in widget.binding.shortcuts.commands
    }
    assert missing == set()


def test_every_tool_has_a_key_on_all_our_layers(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"), wait=False)
    prompts = widget.binding.prompts
    prompts.start_points()
    for key, tool in zip("RLGEKNP", (*TOOLS_BY_KEY, "points"), strict=True):
        layer = viewer.layers.selection.active
        layer.keymap[KeyBinding.from_str(key)](layer)
        assert prompts.tool == tool


def test_the_status_bar_names_our_keys_on_our_layers_alone(make_widget):
    mine = Points([(1, 1)], name="mine")
    viewer, widget = make_widget(Image(data.coins(), name="coins"), mine, wait=False)
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    ours = "C accept, W next mask, T add / remove, Shift+C clear, Ctrl+Z undo, ? all keys"
    assert points.help == viewer.help == ours
    points.mode = "select"  # napari names the keys of other modes then
    assert points.help == viewer.help == ours
    widget.binding.shortcuts.set_key("accept", KeyBinding.from_str("Ctrl+I"))
    assert points.help.startswith("Ctrl+I accept, ")
    viewer.layers.selection.active = mine
    mine.mode = "add"
    assert "accept" not in viewer.help
