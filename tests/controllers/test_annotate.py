"""The image combo, and what is offered where there is no image."""

import threading

import numpy as np
from napari.layers import Image, Labels
from napari.layers._source import layer_source
from skimage import data

from napari_sam.session.decoding.request import DecodeRequest


def test_integers_opened_as_labels_are_converted(make_widget, tmp_path):
    viewer, widget = make_widget()
    panel = widget.findChild(type(widget.controllers.annotate.image_panel))
    counts = np.arange(1200, dtype=np.int32).reshape(30, 40)
    viewer.add_labels(counts, name="drawn by hand")
    assert not panel.convert.isVisibleTo(panel)
    with layer_source(path=str(tmp_path / "counts.tif")):
        viewer.add_layer(Labels(counts, name="counts", scale=(2, 3)))
    assert panel.convert.isVisibleTo(panel)
    panel.convert.click()
    image = widget.binding.plane.image
    assert isinstance(image, Image)
    assert (image.name, image.source.path) == ("counts", str(tmp_path / "counts.tif"))
    np.testing.assert_array_equal(image.data, counts)
    np.testing.assert_array_equal(image.scale, (2, 3))
    assert not panel.convert.isVisibleTo(panel)


def test_integers_that_were_open_before_the_widget_or_lie_beside_an_image_can_be_converted(
    make_widget, tmp_path
):
    counts = np.arange(1200, dtype=np.int32).reshape(30, 40)
    with layer_source(path=str(tmp_path / "counts.tif")):
        labels = Labels(counts, name="counts")
    viewer, widget = make_widget(labels)
    panel = widget.controllers.annotate.image_panel
    assert panel.convert.isVisibleTo(panel)
    viewer.add_image(np.zeros((30, 40)), name="other")
    assert not panel.convert.isVisibleTo(panel)
    widget.wait_until_idle(120)  # the button to cancel has the same place
    viewer.layers.selection.active = labels
    assert panel.convert.isVisibleTo(panel)
    widget.binding.target.set_layer(labels)
    assert not panel.convert.isVisibleTo(panel)


def test_accept_at_once_begins_with_clicks_where_no_tool_is_in_use(make_widget):
    _, widget = make_widget(Image(np.zeros((40, 50), np.uint8)), wait=False)
    panel, prompts = widget.controllers.annotate.prompt_panel, widget.binding.prompts
    assert prompts.tool == ""
    panel.accept_on_click.click()
    assert prompts.tool == "points"
    panel.accept_on_click.click()
    prompts.start_shape("rectangle")
    panel.accept_on_click.click()
    assert prompts.tool == "rectangle"


def test_accept_at_once_may_be_chosen_before_there_is_an_image(make_widget):
    viewer, widget = make_widget(wait=False)
    widget.controllers.annotate.prompt_panel.accept_on_click.click()
    assert widget.session.object_in_progress.accept_on_click
    assert not viewer.layers


def test_integers_opened_as_labels_name_the_button_in_the_hint(make_widget, tmp_path):
    viewer, widget = make_widget()
    counts = np.arange(1200, dtype=np.int32).reshape(30, 40)
    hint = widget.controllers.annotate.hint
    assert hint.text() == "Open or drop an image."
    with layer_source(path=str(tmp_path / "counts.tif")):
        viewer.add_layer(Labels(counts, name="counts"))
    assert hint.text().startswith("Press Convert to annotate 'counts'")
    widget.controllers.annotate.image_panel.convert.click()
    assert "Convert" not in hint.text()


def test_another_image_is_opened_without_being_annotated_and_the_line_says_so(
    make_widget, tmp_path, qtbot
):
    pixels = np.arange(2000, dtype=np.uint16).reshape(40, 50)
    viewer, widget = make_widget(Image(pixels, name="first"), wait=False, show=True)
    line = widget.controllers.annotate.hint
    viewer.add_image(pixels, name="second")
    qtbot.waitUntil(lambda: line.text().startswith("Still annotating 'first'"))
    assert "'second'" in line.text()
    second, combo = viewer.layers["second"], widget.controllers.annotate.image_panel.image_combo
    viewer.scene.camera.zoom *= 2
    combo.showPopup()
    combo.hidePopup()
    qtbot.wait(1100)  # what is only said for a while would be gone after the next step
    widget.controllers.annotate._messages.done()
    assert line.text().startswith("Still annotating 'first': choose 'second' at the top")
    second.visible = False
    assert "'second'" not in line.text()
    second.visible = True
    combo.chosen.emit(second)
    assert "first" not in line.text()
    combo.chosen.emit(viewer.layers["first"])
    assert line.text().startswith("'first' is hidden by 'second': hide that layer")
    viewer.layers.move(viewer.layers.index(second), 0)
    assert "hidden" not in line.text()
    viewer.layers.move(0, len(viewer.layers))
    with layer_source(path=str(tmp_path / "counts.tif")):
        viewer.add_layer(Labels(pixels, name="counts"))
    viewer.layers.selection.active = viewer.layers["counts"]
    widget.wait_until_idle(120)
    widget.controllers.annotate.image_panel.convert.click()
    widget.wait_until_idle(120)
    assert widget.binding.plane.image.name == "counts"
    assert "annotat" not in line.text()


def test_that_better_masks_are_on_their_way_is_said_until_they_are_there(
    make_widget, monkeypatch, qtbot
):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    gate, completed = threading.Event(), DecodeRequest.completed

    def wait_and_complete(request, candidates):
        assert gate.wait(120)
        return completed(request, candidates)

    monkeypatch.setattr(DecodeRequest, "is_complete", lambda *_: False)
    monkeypatch.setattr(DecodeRequest, "completed", wait_and_complete)
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    annotate = widget.controllers.annotate
    status = annotate.image_panel._status
    qtbot.waitUntil(lambda: status.text().startswith("Refining"), timeout=60_000)
    assert annotate.hint.text().startswith("A mask in more detail is on its way")
    gate.set()
    widget.wait_until_idle(120)
    assert status.text().startswith("Ready")
    assert annotate.hint.text() == widget.session.state.hint


def test_several_selected_layers_are_told_to_choose_a_tool(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(120)
    hint, mask_hint = widget.controllers.annotate.hint, widget.session.state.hint
    assert hint.text() == mask_hint
    viewer.layers.selection.add(viewer.layers["coins"])
    assert hint.text() == "Several layers are selected: choose a tool to continue."
    widget.controllers.annotate.prompt_panel.points_requested.emit()
    assert viewer.layers.selection == {viewer.layers["SAM points"]}
    assert widget.binding.prompts.tool == "points"
    assert hint.text() == mask_hint


def test_an_image_chosen_in_the_dock_is_clicked_on_at_once_and_its_keys_start_tools(make_widget):
    pixels = np.zeros((40, 50), np.uint8)
    viewer, widget = make_widget(Image(pixels, name="first"), Image(pixels, name="second"))
    first, second = viewer.layers["first"], viewer.layers["second"]
    combo, modes = widget.controllers.annotate.image_panel.image_combo, []
    viewer.layers.events.inserted.connect(lambda event: modes.append(str(event.value.mode)))
    for image, former in ((first, second), (second, first), (first, second)):
        viewer.layers.selection.active = image
        combo.chosen.emit(image)
        assert widget.binding.prompts.tool == "points"
        viewer.layers.selection.active = image
        rectangle = widget.binding.shortcuts.bindings["tool_rectangle"]
        image.keymap[rectangle](image)
        assert widget.binding.prompts.tool == "rectangle"
        assert not former.keymap
    # New controls of a layer show this mode, and follow only changes of it.
    assert set(modes) == {"pan_zoom"}
