"""Shapes of every kind drawn with a real mouse, and what the layers show of them."""

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_sam.session import Outline, OutlineKind, Prompts, Scribble
from tests.test_mouse import Mouse

TIMEOUT_S = 120
CENTRE_RC = (51, 155)


def ring(radius, count=24):
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [(CENTRE_RC[0] + radius * np.sin(a), CENTRE_RC[1] + radius * np.cos(a)) for a in angles]


@pytest.fixture
def job(make_widget):
    image = Image(data.coins(), name="coins")
    viewer, widget = make_widget(image, show=True)
    QTest.qWaitForWindowExposed(viewer.window._qt_window)
    viewer.reset_view()
    return viewer, widget, Mouse(viewer, image)


def press(widget, tool):
    widget.controllers.annotate.prompt_panel._tools[tool].click()


def prompts_of(widget):
    widget.wait_until_idle(TIMEOUT_S)
    return widget.session.state.prompts


def test_lasso_then_polygon_then_undo_shows_each_as_it_was_drawn(job):
    viewer, widget, mouse = job
    press(widget, "lasso")
    shapes = viewer.layers["SAM boxes"]
    heard = []
    widget.session.changed.connect(lambda state: heard.append(state.prompts))
    mouse.drag(*ring(26))
    first = prompts_of(widget)
    assert first.outline.kind is OutlineKind.POLYGON
    np.testing.assert_allclose(first.box_xyxy, (129, 25, 181, 77), atol=4)
    assert set(heard) <= {Prompts(), first}  # means nothing before it is closed
    assert shapes.shape_type == ["polygon"]
    (crop,) = widget.session.state.candidates.blocks(widget.session.state.chosen)
    assert 1400 < crop.mask.sum() < 2000

    press(widget, "polygon")
    for place in ring(30, 5):
        mouse.move(place)
        mouse.click(place)
        QApplication.processEvents()
    assert prompts_of(widget) == first
    assert len(shapes.data) == 2
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Escape)
    second = prompts_of(widget)
    assert len(second.outline.vertices_xy) == 5
    assert len(shapes.data) == 1
    widget.binding.objects.undo()
    assert prompts_of(widget) == first
    assert shapes.shape_type == ["polygon"]
    assert len(shapes.data[0]) == len(first.outline.vertices_xy)
    widget.binding.objects.redo()
    assert prompts_of(widget) == second


def test_a_shape_too_small_to_count_leaves_the_layer_as_it_was(job):
    viewer, widget, mouse = job
    for tool in ("lasso", "scribble", "polygon", "line", "ellipse"):
        press(widget, tool)
        shapes = viewer.layers["SAM boxes"]
        mouse.drag((51, 155), (51, 156))
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Escape)
        prompts_of(widget)
        widget.session.object_in_progress.clear()
        assert len(shapes.data) == len(shapes.features) == 0, tool
        press(widget, "rectangle")
        mouse.drag((25, 129), (51, 155), (77, 181))
        box = prompts_of(widget).box_xyxy
        np.testing.assert_allclose(box, (129, 25, 181, 77), atol=4, err_msg=tool)
        assert len(shapes.data) == len(shapes.features) == 1, tool
        widget.session.object_in_progress.clear()


def test_an_ellipse_with_scribbles_in_both_polarities(job):
    viewer, widget, mouse = job
    press(widget, "ellipse")
    shapes = viewer.layers["SAM boxes"]
    mouse.drag((26, 130), (40, 150), (76, 180))
    assert prompts_of(widget).outline.kind is OutlineKind.ELLIPSE
    press(widget, "scribble")
    mouse.drag((40, 140), (48, 150), (42, 160), (60, 168), (62, 150))
    widget.binding.prompts.flip_polarity()
    press(widget, "line")
    mouse.drag((88, 130), (88, 150), (88, 180))
    drawn = prompts_of(widget)
    assert [one.label for one in drawn.scribbles] == [1, 0]
    assert drawn.outline is not None
    assert shapes.shape_type == ["ellipse", "path", "line"]
    assert shapes.features["polarity"].tolist() == ["foreground", "foreground", "background"]
    colors = [tuple(np.round(color[:2])) for color in shapes.edge_color]
    assert colors == [(0, 1), (0, 1), (1, 0)]
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert shapes.data == []
    assert widget.session.state.prompts.is_empty
    assert 1400 < (widget.binding.target.layer.data == 1).sum() < 2000
    widget.binding.objects.reedit(1)
    assert prompts_of(widget) == drawn
    assert sorted(shapes.shape_type) == ["ellipse", "line", "path"]
    names = dict(zip(shapes.shape_type, shapes.features["polarity"], strict=True))
    assert names == {"ellipse": "foreground", "path": "foreground", "line": "background"}
    # The next object begins with what belongs to it.
    widget.session.object_in_progress.clear()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.prompts.image_prompts.polarity == 1


def test_the_users_own_shapes_are_read_and_never_changed(make_widget):
    own = Shapes(ndim=2, name="mine", scale=(2, 2), translate=(10, 20))
    own.add_ellipses(((np.array([(26, 130), (26, 180), (76, 180), (76, 130)])) - (10, 20)) / 2)
    own.add_paths((np.array([(45, 145), (50, 150), (60, 160)]) - (10, 20)) / 2)
    own.features = {"polarity": ["foreground", "background"]}
    _, widget = make_widget(Image(data.coins(), name="coins"), own)
    before = [vertices.copy() for vertices in own.data]
    widget.binding.prompts.set_layers(None, own)
    drawn = prompts_of(widget)
    corners = ((130, 26), (180, 26), (180, 76), (130, 76))
    assert drawn.outline == Outline(corners, OutlineKind.ELLIPSE)
    assert drawn.scribbles == (Scribble(((145, 45), (150, 50), (160, 60)), 0),)
    widget.session.object_in_progress.clear()
    assert prompts_of(widget).is_empty
    own.feature_defaults = {"polarity": "foreground"}
    own.add_lines((np.array([(40, 150), (60, 160)]) - (10, 20)) / 2)
    assert prompts_of(widget).scribbles == (Scribble(((150, 40), (160, 60))),)
    assert prompts_of(widget).outline is None
    for one, other in zip(own.data, before, strict=False):
        np.testing.assert_array_equal(one, other)


def test_o_over_another_labels_layer_begins_with_its_object(make_widget):
    labels = np.zeros((303, 384), np.int32)
    labels[33:69, 137:173] = 9
    viewer, widget = make_widget(
        Image(data.coins(), name="coins"), Labels(labels.copy(), name="cellpose")
    )
    widget.binding.prompts.start_points()
    viewer.cursor.position = CENTRE_RC
    widget.binding.objects.reedit_under_cursor()
    assert prompts_of(widget).box_xyxy == (136.5, 32.5, 172.5, 68.5)
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(viewer.layers["cellpose"].data, labels)
    made = widget.binding.target.layer.data == 1
    assert made.sum() > 1100
    # Now the accepted one is under the cursor, too: it is the one that opens.
    widget.binding.objects.reedit_under_cursor()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.object_in_progress.state.reedited.label_id == 1
    viewer.layers["cellpose"].visible = False
    viewer.cursor.position = (290, 10)
    heard = []
    widget.session.notifier.warned.connect(heard.append)
    widget.binding.objects.reedit_under_cursor()
    assert "no accepted object under the cursor" in heard[0]


def test_the_tool_in_use_is_that_of_the_selected_layer(make_widget):
    viewer, widget = make_widget(Image(np.zeros((40, 40), np.uint8), name="dark"), wait=False)
    prompts, tools = widget.binding.prompts, []
    prompts.tool_changed.connect(tools.append)
    for tool in ("rectangle", "scribble"):
        prompts.start_shape(tool)
        assert tools[-1] == prompts.tool == tool
    viewer.layers["SAM boxes"].mode = "add_ellipse"  # with napari's own button
    assert tools[-1] == "ellipse"
    prompts.start_points()
    assert tools[-1] == "points"
    viewer.layers["SAM points"].mode = "select"
    assert tools[-1] == ""
    prompts.start_points()
    viewer.layers.selection.active = viewer.layers["dark"]
    assert tools[-1] == ""


def test_points_and_edges_are_as_large_on_the_screen_at_every_zoom(job, qtbot):
    viewer, widget, mouse = job
    press(widget, "rectangle")
    mouse.drag((30, 130), (72, 180))
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    press(widget, "points")
    mouse.click(CENTRE_RC)
    assert len(prompts_of(widget).points_xy) == 1
    points, shapes = viewer.layers["SAM points"], viewer.layers["SAM boxes"]
    widget.session.object_in_progress.clear()
    shapes.add_rectangles(np.array([(30, 130), (30, 180), (72, 180), (72, 130)]))
    mouse.click(CENTRE_RC)
    camera = viewer.scene.camera
    for zoom in (1.0, 8.0):
        camera.center, camera.zoom = CENTRE_RC, zoom
        widget.wait_until_idle(TIMEOUT_S)
        # napari tells its layers the zoom when it draws.
        qtbot.waitUntil(lambda zoom=zoom: abs(points.scale_factor * zoom - 1) < 0.01)
        np.testing.assert_allclose(shapes.edge_width, 2 / zoom)
        near_px, far_px = 8 / zoom, 12 / zoom
        row, column = points.data[0]  # where the mouse has put it
        assert points.get_value((row + near_px, column)) == 0
        assert points.get_value((row + far_px, column)) is None


def test_signs_of_points_follow_their_polarity(job):
    viewer, widget, mouse = job
    press(widget, "points")
    mouse.click(CENTRE_RC)
    widget.binding.prompts.set_polarity(0)
    points = viewer.layers["SAM points"]
    assert [str(symbol) for symbol in points.symbol] == ["cross"]
    mouse.click((80, 190))
    assert [str(symbol) for symbol in points.symbol] == ["cross", "hbar"]
    assert prompts_of(widget).point_labels == (1, 0)
    assert not points._highlight_index  # no ring around the newest
    points.mode, points.selected_data = "select", {0}
    widget.binding.prompts.flip_polarity()
    assert [str(symbol) for symbol in points.symbol] == ["hbar", "hbar"]
    assert len(points._highlight_index) == 1


def test_a_click_outside_the_image_leaves_no_point(job):
    viewer, widget, mouse = job
    press(widget, "points")
    mouse.click(CENTRE_RC)
    widget.wait_until_idle(TIMEOUT_S)
    mouse.click((-20, 155))
    widget.wait_until_idle(TIMEOUT_S)
    assert len(viewer.layers["SAM points"].data) == 1
    assert len(prompts_of(widget).points_xy) == 1
    assert widget.controllers.annotate.hint.text().startswith("Ignored 1 point outside the image")
