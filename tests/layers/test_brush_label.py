"""The brush paints on the object that is re-edited or chosen, or else begins a new one."""

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Image
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam.session import Overlap

TIMEOUT_S = 60


@pytest.fixture
def annotated(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    accept(viewer, widget, 68, 104)
    accept(viewer, widget, 60, 190)
    return viewer.layers["coins labels"], widget


def accept(viewer, widget, row, column):
    viewer.layers["SAM points"].add([(row, column)])
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)


def free_pixel(layer):
    """Return a pixel of no object."""
    return tuple(np.argwhere(layer.data == 0)[0].tolist())


def test_the_brush_follows_what_is_reedited_and_is_free_after_that(annotated):
    layer, widget = annotated
    assert layer.selected_label == 3
    widget.session.objects.reedit(1)
    assert layer.selected_label == 1
    layer.paint((68, 130), layer.selected_label)
    layer.selected_label = 2  # the user may pick another one
    widget.wait_until_idle(TIMEOUT_S)
    assert layer.selected_label == 2
    widget.session.object_in_progress.clear()
    assert layer.selected_label == 3
    layer.paint((200, 200), 3)
    widget.wait_until_idle(TIMEOUT_S)
    assert layer.selected_label == 3  # the next stroke continues the same object


def test_the_brush_follows_a_single_chosen_row(annotated):
    layer, widget = annotated
    controller = widget.controllers.objects
    controller.tab.select()
    controller.table.select(2)
    assert layer.selected_label == 2
    controller.table.view.selectAll()
    assert layer.selected_label == 3
    controller.table.select(1)
    widget.session.objects.remove([1])
    assert layer.selected_label == 3


def test_a_label_that_an_accepted_object_takes_is_given_up(annotated, make_widget):
    layer, widget = annotated
    viewer = widget.binding._viewer
    accept(viewer, widget, 200, 60)
    assert layer.selected_label == 4
    layer.selected_label = 1
    accept(viewer, widget, 250, 60)
    assert layer.selected_label == 1


def test_the_brush_key_paints_on_the_object_under_the_cursor_and_goes_back(annotated):
    layer, widget = annotated
    viewer, binding = widget.binding._viewer, widget.binding
    binding.prompts.start_shape("lasso")
    viewer.cursor.position = (68, 104)
    binding.shortcuts.run("brush")
    assert viewer.layers.selection.active is layer
    assert (layer.mode, layer.selected_label) == ("paint", 1)
    place = free_pixel(layer)
    layer.paint(place, layer.selected_label)
    widget.wait_until_idle(TIMEOUT_S)
    assert layer.data[place] == 1
    layer.keymap[KeyBinding.from_str("Q")](layer)
    assert binding.prompts.tool == "lasso"
    viewer.cursor.position = free_pixel(layer)
    binding.shortcuts.run("brush")
    assert layer.selected_label == 3
    layer.keymap[KeyBinding.from_str("K")](layer)  # or that of another tool
    assert binding.prompts.tool == "scribble"
    assert layer.mode == "pan_zoom"
    binding.prompts.start_points()
    binding.shortcuts.run("brush")
    binding.shortcuts.run("brush")
    assert binding.prompts.tool == "points"
    # A mask that is not accepted yet would hide the stroke, which would be another object's.
    viewer.layers["SAM points"].add([(200, 60)])
    widget.wait_until_idle(TIMEOUT_S)
    viewer.cursor.position = (200, 60)
    binding.shortcuts.run("brush")
    assert binding.prompts.tool == "points"
    last = notification_manager.records[-1]
    assert last.message == "Accept the mask first, then paint on it."


def test_the_brush_is_as_large_as_suits_the_object_until_the_user_chooses_a_size(annotated):
    layer, widget = annotated
    viewer, binding = widget.binding._viewer, widget.binding
    sizes = []
    for label_id, place in ((1, (68, 104)), (2, (60, 190))):
        viewer.cursor.position = place
        binding.shortcuts.run("brush")
        area_px = np.count_nonzero(layer.data == label_id)
        assert layer.brush_size == round(2 * np.sqrt(area_px / np.pi) / 3)
        sizes.append(layer.brush_size)
        binding.shortcuts.run("brush")
    layer.brush_size = 4
    binding.shortcuts.run("brush")
    assert layer.brush_size == 4
    assert sizes[0] != sizes[1]


def test_the_line_says_what_the_brush_paints_on_until_it_is_put_away(annotated):
    layer, widget = annotated
    viewer, binding = widget.binding._viewer, widget.binding
    hint = widget.controllers.annotate.hint
    viewer.cursor.position = (68, 104)
    binding.shortcuts.run("brush")
    assert hint.text() == "Painting on object 1: press Q to return."
    layer.selected_label = 3
    assert hint.text() == "Painting new object 3: press Q to return."
    layer.paint(free_pixel(layer), 3)
    widget.wait_until_idle(TIMEOUT_S)
    assert hint.text() == "Painting on object 3: press Q to return."
    layer.selected_label = 0
    assert hint.text() == "Erasing: press Q to return."
    binding.shortcuts.run("brush")
    assert hint.text() == "Click on an object."


def test_the_brush_button_paints_on_the_chosen_object_and_shows_whether_it_is_used(annotated):
    layer, widget = annotated
    viewer, binding = widget.binding._viewer, widget.binding
    button = widget.controllers.annotate.prompt_panel._brush
    viewer.cursor.position = (68, 104)  # where the mouse has left the canvas
    button.click()
    assert (button.isChecked(), layer.mode, layer.selected_label) == (True, "paint", 3)
    button.click()
    assert (button.isChecked(), binding.prompts.tool) == (False, "points")
    widget.controllers.objects.tab.select()
    widget.controllers.objects.table.select(2)
    viewer.layers.selection.active = layer
    button.click()
    assert (button.isChecked(), layer.selected_label) == (True, 2)
    binding.prompts.start_shape("rectangle")
    assert not button.isChecked()


def test_the_cursor_of_the_brush_goes_with_it(annotated):
    layer, widget = annotated
    viewer, binding = widget.binding._viewer, widget.binding
    for leave in ("brush", "tool_points", "tool_rectangle", None):
        binding.shortcuts.run("brush")
        assert viewer.cursor.style == "circle", leave
        if leave is None:
            viewer.layers.selection.active = viewer.layers["coins"]
        else:
            binding.shortcuts.run(leave)
        assert layer.mode == "pan_zoom", leave  # a click paints nothing, if it is selected later
        active = viewer.layers.selection.active
        assert viewer.cursor.style == active.cursor != "circle", leave


def test_overlaps_applies_to_the_brush_until_it_is_put_away(annotated):
    layer, widget = annotated
    viewer, binding, editing = widget.binding._viewer, widget.binding, widget.session.editing
    neighbor = layer.data == 2
    viewer.cursor.position = (68, 104)
    binding.shortcuts.run("brush")
    layer.brush_size = 10
    layer.paint((60, 190), layer.selected_label)
    np.testing.assert_array_equal(layer.data == 2, neighbor)
    editing.set_overlap(Overlap.REPLACE)
    layer.paint((60, 190), layer.selected_label)
    assert layer.data[60, 190] == 1
    editing.set_overlap(Overlap.KEEP)
    assert layer.preserve_labels
    binding.shortcuts.run("brush")
    assert not layer.preserve_labels
    layer.preserve_labels = True
    editing.set_overlap(Overlap.REPLACE)
    binding.shortcuts.run("brush")
    assert not layer.preserve_labels
    viewer.layers.selection.active = viewer.layers["coins"]
    assert layer.preserve_labels


def test_the_brush_key_tells_that_there_is_nothing_to_paint_on(make_widget):
    _, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    button = widget.controllers.annotate.prompt_panel._brush
    for use in (button.click, lambda: widget.binding.shortcuts.run("brush")):
        notification_manager.records.clear()
        use()
        assert "accept one first" in notification_manager.records[-1].message
        assert widget.binding.prompts.tool == "points"
        assert not button.isChecked()
