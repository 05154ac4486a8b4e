from __future__ import annotations

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.shortcuts import default_shortcuts
from skimage import data

from napari_sam.layers import KEYS

TIMEOUT_S = 120
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


@pytest.mark.parametrize("layer_type", [Points, Shapes, Labels])
def test_no_key_shadows_one_of_naparis_own(make_napari_viewer, layer_type):
    make_napari_viewer()  # registers napari's actions with the layer classes
    taken = napari_keys(layer_type)
    assert len(taken) > 15
    ours = {key.binding for key in KEYS if layer_type in key.layer_types}
    # The digits are ours only while there are classes, and have letters beside them in napari; a
    # mask cannot be painted, so it needs no new label and none to swap; scribbles have a button.
    ours -= {KeyBinding.from_str(str(digit)) for digit in range(10)}
    if layer_type is Labels:
        ours -= {KeyBinding.from_str("M"), KeyBinding.from_str("X")}
    if layer_type is Shapes:
        ours.remove(KeyBinding.from_str("T"))
    assert not ours & taken


def test_keys_are_bound_on_our_layers_alone(make_widget):
    mine = Points([(1, 1)], name="mine")
    viewer, widget = make_widget(Image(data.coins(), name="coins"), mine)
    widget.binding.start_boxes()
    widget.binding.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    for layer in viewer.layers:
        ours = {
            key.binding
            for key in KEYS
            if isinstance(layer, key.layer_types)
            and not key.command.startswith("class")
            and key.command != "reject"  # that is for what was found
        }
        expected = ours if layer.name.startswith("SAM ") else set()
        assert set(layer.keymap) == expected, layer.name
    assert not viewer.keymap


def press(viewer, key: str) -> None:
    """Send a key to the layer that is active, the way napari's window does."""
    layer = viewer.layers.selection.active
    layer.keymap[KeyBinding.from_str(key)](layer)


def test_keys_do_the_whole_job(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.start_points()
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
    widget.binding.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    candidate = viewer.layers["SAM mask 1"]
    candidate.undo()
    assert widget.session.state.prompts.is_empty
    candidate.redo()
    assert not widget.session.state.prompts.is_empty


def test_t_flips_selected_points_but_not_the_one_just_added(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.start_points()
    points = viewer.layers["SAM points"]
    points.add([(68, 104)])
    widget.binding.flip_polarity()
    assert widget.session.state.prompts.point_labels == (1,)
    assert widget.binding.polarity == 0

    points.add([(68, 60)])
    points.mode = "select"
    points.selected_data = {0, 1}
    widget.binding.flip_polarity()
    assert widget.session.state.prompts.point_labels == (0, 1)
    assert widget.binding.polarity == 1
    np.testing.assert_allclose(points.face_color[1, :2], (0, 0.88), atol=0.01)


def test_t_flips_scribbles_but_neither_boxes_nor_points_elsewhere(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    viewer.layers["SAM points"].mode = "select"
    widget.binding.start_shape("scribble")
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
    assert widget.binding.polarity == 1
