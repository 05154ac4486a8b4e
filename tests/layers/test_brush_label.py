"""The brush paints on the object that is re-edited or chosen, or else begins a new one."""

import pytest
from app_model.types import KeyBinding
from napari.layers import Image
from napari.utils.notifications import notification_manager
from skimage import data

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
    layer.paint((68, 130), layer.selected_label)
    widget.wait_until_idle(TIMEOUT_S)
    assert layer.data[68, 130] == 1
    layer.keymap[KeyBinding.from_str("Q")](layer)
    assert binding.prompts.tool == "lasso"
    viewer.cursor.position = (200, 200)
    binding.shortcuts.run("brush")
    assert layer.selected_label == 3
    binding.shortcuts.run("brush")
    binding.prompts.start_points()
    binding.shortcuts.run("brush")
    binding.shortcuts.run("brush")
    assert binding.prompts.tool == "points"


def test_the_brush_key_tells_that_there_is_nothing_to_paint_on(make_widget):
    _, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    widget.binding.shortcuts.run("brush")
    assert "accept one first" in notification_manager.records[-1].message
    assert widget.binding.prompts.tool == "points"
