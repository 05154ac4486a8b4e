"""The main job with a real mouse on a real canvas."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_sam.layers.shape_prompts import TOOLS

TIMEOUT_S = 120
BACKGROUND_CLICKS = (
    {"button": Qt.MouseButton.RightButton},
    {"keys": Qt.KeyboardModifier.ShiftModifier},
)


class Mouse:
    """Presses, moves and releases the mouse over positions in an image's data."""

    def __init__(self, viewer, image):
        self._viewer, self._image = viewer, image
        self._canvas = viewer.window._qt_viewer.canvas
        self._native = self._canvas.native

    def _pixel(self, rc) -> QPoint:
        world = np.asarray(self._image.data_to_world(rc))[list(self._viewer.dims.displayed)]
        camera = self._viewer.scene.camera
        height, width = self._native.height(), self._native.width()
        offset = (world - np.asarray(camera.center)[1:]) * camera.zoom
        return QPoint(round(width / 2 + offset[1]), round(height / 2 + offset[0]))

    def press(self, rc, button=Qt.MouseButton.LeftButton, keys=Qt.KeyboardModifier.NoModifier):
        QTest.mousePress(self._native, button, keys, self._pixel(rc))

    def move(self, rc):
        # A synthetic move carries no pressed button unless it is told so.
        local = QPointF(self._pixel(rc))
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            local,
            QPointF(self._native.mapToGlobal(self._pixel(rc))),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self._native, event)

    def release(self, rc, button=Qt.MouseButton.LeftButton, keys=Qt.KeyboardModifier.NoModifier):
        QTest.mouseRelease(self._native, button, keys, self._pixel(rc))

    def click(self, rc, **options):
        self.press(rc, **options)
        self.release(rc, **options)

    def drag(self, *path):
        self.press(path[0])
        for rc in path:
            self.move(rc)
            QApplication.processEvents()
        self.release(path[-1])

    def wheel(self, rc, x=0, y=0, keys=Qt.KeyboardModifier.NoModifier):
        event = QWheelEvent(
            QPointF(self._pixel(rc)),
            QPointF(self._native.mapToGlobal(self._pixel(rc))),
            QPoint(),
            QPoint(x, y),
            Qt.MouseButton.NoButton,
            keys,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self._native, event)
        QApplication.processEvents()  # the camera moves with the next draw


@pytest.fixture
def job(make_widget):
    image = Image(data.coins(), name="coins")
    viewer, widget = make_widget(image, show=True)
    QTest.qWaitForWindowExposed(viewer.window._qt_window)
    viewer.reset_view()
    return viewer, widget, Mouse(viewer, image)


def test_a_click_is_a_prompt_where_the_mouse_is(job):
    _, widget, mouse = job
    widget.binding.prompts.start_points()
    mouse.click((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    ((x, y),) = widget.session.state.prompts.points_xy
    assert abs(x - 104) < 1.5
    assert abs(y - 68) < 1.5
    assert widget.session.state.candidates is not None


def test_right_click_and_shift_click_are_background(job):
    _, widget, mouse = job
    widget.binding.prompts.start_points()
    for options in BACKGROUND_CLICKS:
        for options_of_click in ({}, options, {}):
            mouse.click((68, 104), **options_of_click)
            widget.wait_until_idle(TIMEOUT_S)
        assert widget.session.state.prompts.point_labels == (1, 0, 1), options
        assert widget.binding.prompts.image_prompts.polarity == 1
        widget.session.undo()
        widget.session.undo()
        assert widget.session.state.prompts.point_labels == (1,), options
        widget.session.undo()
        assert widget.session.state.prompts.is_empty


def test_a_click_for_the_background_is_one_with_every_tool(job):
    viewer, widget, mouse = job
    prompts = widget.binding.prompts
    prompts.start_shape("rectangle")
    mouse.drag((40, 78), (60, 100), (95, 132))
    widget.wait_until_idle(TIMEOUT_S)
    box, count = widget.session.state.prompts.box_xyxy, 0
    for tool in TOOLS:
        prompts.start_shape(tool)
        for options in BACKGROUND_CLICKS:
            mouse.click((45 + count, 82), **options)
            widget.wait_until_idle(TIMEOUT_S)
            count += 1
            state = widget.session.state
            assert (state.prompts.point_labels, state.prompts.box_xyxy) == ((0,) * count, box)
            assert np.allclose(state.prompts.points_xy[-1], (82, 44 + count), atol=1.5)
            assert len(viewer.layers["SAM boxes"].data) == 1
            assert prompts.tool == tool
            assert prompts.image_prompts.polarity == 1
            assert not prompts.image_prompts.has_open_shape
    widget.session.undo()
    assert len(widget.session.state.prompts.points_xy) == count - 1


def test_the_wheel_with_shift_grows_and_shrinks_the_mask_alone(job):
    viewer, widget, mouse = job
    shift = Qt.KeyboardModifier.ShiftModifier
    mouse.wheel((68, 104), y=120, keys=shift)
    assert not widget.session.state.can_undo
    widget.binding.prompts.start_points()
    mouse.click((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    view, levels = (viewer.scene.camera.zoom, viewer.layers.selection.active), []
    for turn in ({"y": 120}, {"x": 120}, {"y": -30}, {"y": -1200}, {"y": -2400}):
        mouse.wheel((68, 104), keys=shift, **turn)
        levels.append(widget.session.state.level)
    assert levels == [0.05, 0.1, 0.088, -0.412, -1]
    assert (viewer.scene.camera.zoom, viewer.layers.selection.active) == view
    widget.session.undo()
    assert widget.session.state.level == 0
    assert widget.session.state.candidates is not None
    mouse.wheel((68, 104), y=120)
    assert viewer.scene.camera.zoom != view[0]
    assert widget.session.state.level == 0


def test_a_drag_of_the_level_is_one_step_and_changes_what_is_drawn(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_points()
    mouse.click((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    level = widget.controllers.annotate.mask_panel.level
    layer = viewer.layers[f"SAM mask {widget.session.state.chosen + 1}"]
    areas = [np.count_nonzero(layer.data)]
    level.slider.setSliderDown(True)
    for value in (-20, -40, -60):
        level.slider.setSliderPosition(value)
        areas.append(np.count_nonzero(layer.data))
    level.slider.setSliderDown(False)
    assert all(np.diff(areas) < 0)
    for command, value, area in (("undo", 0, areas[0]), ("redo", -60, areas[-1])):
        widget.binding.shortcuts.run(command)
        widget.wait_until_idle(TIMEOUT_S)
        assert level.value == value
        assert np.count_nonzero(layer.data) == area
    widget.binding.shortcuts.run("grow")
    assert level.value == -55
    widget.binding.shortcuts.run("shrink")
    assert level.value == -60
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert np.count_nonzero(viewer.layers["coins labels"].data) == areas[-1]
    assert not level.slider.isEnabled()
    assert level.value == 0


def test_a_scribble_with_shift_is_background(job):
    _, widget, mouse = job
    widget.binding.prompts.start_shape("line")
    for row, keys in (
        (60, Qt.KeyboardModifier.NoModifier),
        (120, Qt.KeyboardModifier.ShiftModifier),
    ):
        mouse.press((row, 100), keys=keys)
        mouse.move((row + 20, 130))
        mouse.release((row + 20, 130), keys=keys)
        widget.wait_until_idle(TIMEOUT_S)
    labels = [scribble.label for scribble in widget.session.state.prompts.scribbles]
    assert labels == [1, 0]


def test_delete_takes_a_point_that_lies_on_another(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_points()
    for _ in range(2):
        mouse.click((68, 104))
        widget.wait_until_idle(TIMEOUT_S)
    points = viewer.layers["SAM points"]
    mouse.move((68, 104))
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Delete)
    widget.wait_until_idle(TIMEOUT_S)
    assert len(points.data) == len(widget.session.state.prompts.points_xy) == 1
    mouse.move((100, 150))
    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert len(points.data) == 2


def test_dragging_a_point_decodes_live_and_is_one_step_to_undo(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_points()
    mouse.click((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    before = widget.session.state.prompts
    decoded = []
    widget.session.changed.connect(
        lambda state: decoded.append(state.candidates and state.candidates.prompts)
    )
    viewer.layers["SAM points"].mode = "select"
    mouse.press((68, 104))
    for column in (110, 120, 135, 150):
        mouse.move((68, column))
        widget.wait_until_idle(TIMEOUT_S)
    mouse.release((68, 150))
    widget.wait_until_idle(TIMEOUT_S)
    assert abs(widget.session.state.prompts.points_xy[0][0] - 150) < 2.5
    assert len(set(decoded)) > 2
    widget.session.undo()
    assert widget.session.state.prompts == before


def test_drawing_a_box_decodes_live_and_one_that_overlaps_replaces_it(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_shape("rectangle")
    boxes = viewer.layers["SAM boxes"]
    mouse.drag((40, 78), (60, 100), (95, 132))
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_allclose(widget.session.state.prompts.box_xyxy, (78, 40, 132, 95), atol=2.5)
    first = widget.session.state.prompts
    mouse.drag((40, 130), (60, 150), (95, 180))
    widget.wait_until_idle(TIMEOUT_S)
    assert len(boxes.data) == 1
    np.testing.assert_allclose(widget.session.state.prompts.box_xyxy, (130, 40, 180, 95), atol=2.5)
    widget.session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts == first
    assert len(boxes.data) == 1
    widget.session.undo()
    assert len(boxes.data) == 0


def test_a_box_drawn_apart_accepts_the_mask_before_and_each_is_one_step_to_undo(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_shape("rectangle")
    boxes, session = viewer.layers["SAM boxes"], widget.session
    mouse.drag((40, 78), (60, 100), (95, 132))
    widget.wait_until_idle(TIMEOUT_S)
    first = session.state.prompts
    mouse.drag((40, 150), (60, 160), (95, 200))
    widget.wait_until_idle(TIMEOUT_S)
    labels = viewer.layers["coins labels"].data
    assert labels[68, 104] == 1
    np.testing.assert_allclose(session.state.prompts.box_xyxy, (150, 40, 200, 95), atol=2.5)
    assert len(boxes.data) == 1
    assert boxes.mode == "add_rectangle"
    assert session.state.candidates.prompts == session.state.prompts
    session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts.is_empty
    session.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert (session.state.prompts, labels.any()) == (first, False)
    assert len(boxes.data) == 1


def test_a_box_is_accepted_at_once_when_its_drag_has_ended(job):
    viewer, widget, mouse = job
    widget.session.object_in_progress.set_accept_on_click(True)
    widget.binding.prompts.start_shape("rectangle")
    for label_id, column in ((1, 78), (2, 150)):
        mouse.drag((40, column), (60, column + 20), (95, column + 52))
        widget.wait_until_idle(TIMEOUT_S)
        assert viewer.layers["coins labels"].data.max() == label_id
        assert widget.session.state.prompts.is_empty
        assert not len(viewer.layers["SAM boxes"].data)
    widget.session.undo()
    assert set(np.unique(viewer.layers["coins labels"].data)) == {0, 1}
    assert widget.session.state.prompts.is_empty


def test_a_click_without_a_drag_leaves_no_box(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_shape("rectangle")
    mouse.click((60, 100))
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.is_empty
    assert not widget.session.state.can_undo
    assert not len(viewer.layers["SAM boxes"].data)
    assert widget.controllers.annotate.hint.text().startswith("The shape is too small")


@pytest.mark.parametrize("tool", ["rectangle", "ellipse", "line"])
def test_a_shape_outside_the_image_leaves_the_object_as_it_was(job, tool):
    viewer, widget, mouse = job
    widget.binding.prompts.start_shape("rectangle")
    mouse.drag((40, 78), (60, 100), (95, 132))
    widget.wait_until_idle(TIMEOUT_S)
    first = widget.session.state
    widget.binding.prompts.start_shape(tool)
    mouse.drag((-60, 30), (-50, 50), (-30, 80))
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts == first.prompts
    assert widget.session.state.candidates is first.candidates
    assert len(viewer.layers["SAM boxes"].data) == 1
    assert "the image: draw it" in widget.controllers.annotate.hint.text()
    widget.session.undo()
    assert widget.session.state.prompts.is_empty


def test_resizing_the_box_decodes_again(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_shape("rectangle")
    mouse.drag((40, 78), (60, 100), (95, 132))
    widget.wait_until_idle(TIMEOUT_S)
    viewer.layers["SAM boxes"].mode = "select"
    mouse.click((60, 100))
    mouse.drag((95, 132), (100, 140), (110, 160))
    widget.wait_until_idle(TIMEOUT_S)
    box = widget.session.state.prompts.box_xyxy
    assert box[2] > 150
    assert widget.session.state.candidates.prompts.box_xyxy == box


def test_hover_previews_lightly_and_a_click_makes_it_a_prompt(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_points()
    widget.binding.candidates.set_hover(True)
    mouse.move((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    state = widget.session.state
    assert state.prompts.is_empty
    assert state.candidates is None
    shown = viewer.layers[f"SAM mask {state.preview.best + 1}"]
    assert shown.visible
    assert shown.data[68, 104] == 1
    assert shown.opacity == pytest.approx(0.5)
    assert not state.can_undo

    mouse.move((68, 150))
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.preview.prompts != state.preview.prompts

    mouse.click((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    state = widget.session.state
    assert state.preview is None
    shown = viewer.layers[f"SAM mask {state.chosen + 1}"]
    assert shown.data[68, 104] == 1
    assert shown.opacity == pytest.approx(1)

    mouse.move((68, 150))
    assert widget.session.state.preview is None  # the object has prompts: nothing flickers
    widget.session.object_in_progress.clear()
    mouse.move((68, 150))
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.preview is not None
    widget.binding.candidates.set_hover(False)
    assert widget.session.state.preview is None
    masks = [layer for layer in viewer.layers if layer.name.startswith("SAM mask")]
    assert not any(layer.data.any() for layer in masks if layer.visible)
    mouse.move((68, 104))
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.preview is None


def test_a_shape_begun_by_a_click_says_how_it_ends_and_escape_drops_it(job):
    viewer, widget, mouse = job
    hint = widget.controllers.annotate.hint
    for tool in ("lasso", "scribble", "polygon"):
        widget.binding.prompts.start_shape(tool)
        before = hint.text()
        mouse.click((60, 100))
        widget.wait_until_idle(TIMEOUT_S)
        assert "Esc" in hint.text(), tool
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Escape)
        widget.wait_until_idle(TIMEOUT_S)
        assert hint.text() == before, tool
        assert not len(viewer.layers["SAM boxes"].data), tool
        assert widget.session.state.prompts.is_empty, tool


def test_no_click_is_left_behind_in_3d_and_the_tool_comes_back(job):
    viewer, widget, mouse = job
    widget.binding.prompts.start_points()
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    mouse.click((68, 104))
    assert not len(viewer.layers["SAM points"].data)
    hint = widget.controllers.annotate.hint
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_C)
    assert "Paused while the viewer shows 3-D" in hint.text()
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_R)
    mouse.drag((40, 78), (60, 100), (95, 132))
    assert widget.session.state.prompts.is_empty
    viewer.dims.ndisplay = 2
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.prompts.tool == "rectangle"
    assert "SAM boxes" not in viewer.layers or not len(viewer.layers["SAM boxes"].data)
