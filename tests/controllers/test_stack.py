"""The Stack tab in a real window: objects are carried on, and shown slice by slice."""

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Image
from skimage import data

from napari_sam._qt.stack_panel import FORWARD
from napari_sam.session.objects.slices import Origin

from ..session.propagation.volume import moving_discs

TIMEOUT_S = 240
DISCS = moving_discs()


@pytest.fixture
def opened(make_widget):
    viewer, widget = make_widget(Image(DISCS, name="discs"), wait=False)
    viewer.dims.set_current_step(0, 4)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.prompts.start_points()
    return viewer, widget, widget.controllers.stack


def press(viewer, widget, key):
    layer = viewer.layers.selection.active
    layer.keymap[KeyBinding.from_str(key)](layer)
    widget.wait_until_idle(TIMEOUT_S)


def click(viewer, widget, *place):
    viewer.layers["SAM points"].add([place])
    widget.wait_until_idle(TIMEOUT_S)


def slices_with(widget, label_id):
    labels = np.asarray(widget.binding.target.layer.data)
    return np.flatnonzero((labels == label_id).any(axis=(1, 2))).tolist()


def test_an_object_is_carried_on_by_keys_and_shown_slice_by_slice(opened):
    viewer, widget, stack = opened
    stack.tab.select()
    panel = stack.panel
    assert panel._about.text() == "No object chosen"
    click(viewer, widget, 4, 34, 30)
    assert panel._about.text() == "New object · slice 4"
    press(viewer, widget, "Shift+F")
    extent = slices_with(widget, 1)
    assert (extent[0], extent[-1]) == (4, panel.strip.object_range[1])
    assert extent[-1] > 5
    assert panel._about.text().startswith(f"Object 1 · slices 4-{extent[-1]} · weakest")
    model = widget.controllers.objects.table.model
    row = [model.index(0, number).data() for number in range(model.columnCount())]
    assert f"4-{extent[-1]}" in row
    press(viewer, widget, "Shift+J")
    assert viewer.dims.current_step[0] == 3
    assert slices_with(widget, 1)[0] == 3
    press(viewer, widget, "Shift+N")
    weakest = widget.session.stack.state.slices.weakest
    assert viewer.dims.current_step[0] == weakest.slice_index
    table = widget.controllers.objects.table
    table.reedit_requested.emit(1)  # where it is shown, not in its middle
    widget.wait_until_idle(TIMEOUT_S)
    assert viewer.dims.current_step[0] == weakest.slice_index
    assert panel._about.text().startswith("Object 1 · slices 3-")
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    panel.strip.slice_requested.emit(extent[-1])
    widget.wait_until_idle(TIMEOUT_S)
    assert viewer.dims.current_step[0] == extent[-1]
    press(viewer, widget, "Shift+H")
    assert extent[-1] not in slices_with(widget, 1)
    entry = widget.session.stack.state.slices.get(extent[-1])
    assert entry.origin is Origin.CLEARED
    assert panel._correct.isChecked()
    click(viewer, widget, extent[-1], 30 + extent[-1], 30)
    assert extent[-1] in slices_with(widget, 1)
    assert widget.session.state.prompts.is_empty
    assert len(viewer.layers["SAM points"].data) == 0
    press(viewer, widget, "Escape")
    assert not panel._correct.isChecked()
    entry = widget.session.stack.state.slices.get(extent[-1])
    assert entry.origin is Origin.ANNOTATED
    panel.strip.range_requested.emit(3, 4)
    widget.wait_until_idle(TIMEOUT_S)
    assert slices_with(widget, 1) == [3, 4]


def test_selected_objects_or_all_of_a_slice_are_carried_on_together(opened):
    viewer, widget, stack = opened
    for place in ((4, 34, 30), (4, 66, 70)):
        click(viewer, widget, *place)
        widget.binding.objects.accept()
        widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.stack.state.label_id == 2
    table = widget.controllers.objects.table
    table.select(1)
    assert widget.session.stack.state.label_id == 1
    table.view.selectAll()
    stack.tab.select()
    assert stack.panel._about.text() == "2 selected objects"
    stack.panel._last.setValue(5)
    hint = widget.controllers.annotate.hint
    stack.propagate(FORWARD)
    assert hint.text() == "Propagating through the stack; you can keep clicking."
    widget.wait_until_idle(TIMEOUT_S)
    assert hint.text() == "Click on an object."
    assert [slices_with(widget, n) for n in (1, 2)] == [[4, 5]] * 2
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert [slices_with(widget, n) for n in (1, 2)] == [[4]] * 2
    table.view.clearSelection()
    stack.propagate_all(FORWARD)
    widget.wait_until_idle(TIMEOUT_S)
    assert [slices_with(widget, n) for n in (1, 2)] == [[4, 5]] * 2


def test_there_is_a_tab_for_a_stack_only_and_refusals_are_said(opened):
    viewer, widget, stack = opened
    said = []
    widget.session.notifier.warned.connect(said.append)
    stack.propagate(FORWARD)
    stack.go_to_weak()
    stack.propagate_all(FORWARD)
    assert [text.split(":")[0] for text in said] == [
        "Choose an object first",
        "Choose an object first",
        "There is no object on this slice yet",
    ]
    stack.tab.select()
    coins = viewer.add_image(data.coins()[:96, :96], name="coins")
    widget.binding.set_image(coins)
    widget.wait_until_idle(TIMEOUT_S)
    assert not stack.tab.is_offered
    assert widget.controllers.objects.tab.is_current
    widget.binding.set_image(viewer.layers["discs"])
    widget.wait_until_idle(TIMEOUT_S)
    assert stack.tab.is_offered


def test_the_tab_stays_while_the_viewer_shows_3d(opened):
    viewer, widget, stack = opened
    stack.tab.select()
    click(viewer, widget, 4, 34, 30)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    assert stack.tab.is_current
    assert stack.panel.strip.scale.n_slices == 9
    assert not stack.panel._clear.isEnabled()
    assert "2-D" in stack.panel._clear.toolTip()
    said = []
    widget.session.notifier.warned.connect(said.append)
    for key in ("clear_slice", "correct_slice"):
        widget.binding.shortcuts.run(key)
    assert ["2-D" in text for text in said] == [True, True]
    viewer.dims.ndisplay = 2
    widget.wait_until_idle(TIMEOUT_S)
    assert stack.panel._clear.isEnabled()
    stack.correct()
    assert stack.panel._correct.isChecked()
    assert widget.controllers.annotate.hint.text().startswith("Correcting object 1")
    widget.controllers.objects.tab.select()  # where nothing shows that clicks correct
    assert not widget.session.stack.state.is_correcting
    assert not widget.controllers.annotate.hint.text().startswith("Correcting")
