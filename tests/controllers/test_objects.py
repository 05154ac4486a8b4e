"""The table of objects in a real window: both ways between rows, view and labels."""

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QStyleOptionViewItem
from skimage import data

from napari_sam._qt.colors import Severity
from napari_sam._qt.object_columns import AREA, NOTE, SLICE, VOLUME

TIMEOUT_S = 120
PLACES = [(68, 104), (70, 228), (190, 100)]


@pytest.fixture
def opened(make_widget):
    """Open the coins with three accepted objects, the table unfolded."""
    viewer, widget = make_widget(Image(data.coins(), name="coins", scale=(0.5, 0.25)))
    widget.binding.prompts.start_points()
    for place in PLACES:
        viewer.layers["SAM points"].add([place])
        widget.wait_until_idle(TIMEOUT_S)
        widget.binding.objects.accept()
        widget.wait_until_idle(TIMEOUT_S)
    widget.controllers.objects.tab.select()
    return viewer, widget, widget.controllers.objects.table


def cells(table, column):
    model = table.view.model()
    return [model.data(model.index(row, column)) for row in range(model.rowCount())]


def choose(table, *rows):
    table.view.clearSelection()
    for row in rows:
        table.view.selectionModel().select(
            table.view.model().index(row, 0),
            table.view.selectionModel().SelectionFlag.Select
            | table.view.selectionModel().SelectionFlag.Rows,
        )


def test_every_accepted_object_has_a_row(opened):
    _, widget, table = opened
    assert cells(table, 0) == [1, 2, 3]
    labels = widget.binding.target.layer.data
    assert cells(table, AREA) == [int((labels == n).sum()) for n in (1, 2, 3)]
    assert widget.controllers.objects.tab.title == "Objects (3)"
    widget.binding.objects.undo()
    assert cells(table, 0) == [1, 2]


def test_a_review_keeps_its_place_and_goes_to_what_is_not_reviewed(opened, capsys):
    _, widget, table = opened
    controller = widget.controllers.objects
    registry = widget.binding.target.labels.registry
    choose(table, 1)
    controller.review()
    assert (registry.get(2).reviewed, table.selected) == (True, [3])
    table._delete.click()
    assert "Object 3 is deleted: Ctrl+Z takes it back." in capsys.readouterr().out
    widget.binding.objects.undo()
    assert table.selected == []
    controller.step(1)
    assert table.selected == [3]
    controller.review()
    assert table.selected == [1]  # 2 is reviewed
    choose(table, 1)
    controller.review()
    assert (registry.get(2).reviewed, table.selected) == (False, [2])
    assert "Object 2 is no longer reviewed." in capsys.readouterr().out
    controller.review()
    assert table.selected == [1]
    controller.review()
    assert table.selected == []
    controller.step(1)
    assert table.selected == [1]


def test_rows_are_sorted_by_value_and_filtered_by_words(opened):
    _, widget, table = opened
    table.view.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)
    areas = cells(table, AREA)
    assert areas == sorted(areas, reverse=True)
    widget.session.objects.update([2], class_name="Münze", note="oben rechts")
    table.model.set_text("münze rechts")
    assert cells(table, 0) == [2]
    table.model.set_text("")
    assert len(cells(table, 0)) == 3


def test_a_row_leads_to_its_object(opened):
    viewer, widget, table = opened
    viewer.scene.camera.center = (0, 0)
    viewer.scene.camera.zoom = 100
    table.go_requested.emit(2)
    row, column = np.argwhere(widget.binding.target.layer.data == 2).mean(axis=0)
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (row * 0.5, column * 0.25), atol=2)
    assert viewer.scene.camera.zoom < 100


def test_a_row_leads_to_another_slice(make_widget):
    labels = np.zeros((4, 303, 384), np.uint8)
    labels[3, 20:30, 40:50] = 7
    stack = np.repeat(data.coins()[np.newaxis], 4, axis=0)
    viewer, widget = make_widget(Image(stack, name="stack", scale=(3, 1, 1)))
    layer = viewer.add_layer(Labels(labels, name="mine", scale=(3, 1, 1)))
    widget.binding.target.set_layer(layer)
    viewer.dims.set_current_step(0, 0)
    table = widget.controllers.objects.table
    assert cells(table, 0) == [7]
    assert cells(table, SLICE) == ["3"]
    table.reedit_requested.emit(7)
    widget.wait_until_idle(TIMEOUT_S)
    assert viewer.dims.current_step[0] == 3
    assert widget.session.state.prompts.box_xyxy == (39.5, 19.5, 49.5, 29.5)


def test_a_row_in_3d_moves_only_the_sliders(make_widget):
    labels = np.zeros((3, 4, 60, 80), np.uint8)
    labels[2, 3, 20:30, 40:50] = 7
    stack = np.broadcast_to(data.coins()[:60, :80], labels.shape)
    viewer, widget = make_widget(Image(stack, name="stack", scale=(1, 3, 1, 1)))
    layer = viewer.add_layer(Labels(labels, name="mine", scale=(1, 3, 1, 1)))
    widget.binding.target.set_layer(layer)
    viewer.dims.set_current_step(0, 0)
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    center, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    widget.controllers.objects.table.go_requested.emit(7)
    assert viewer.dims.current_step[0] == 2
    assert (viewer.scene.camera.center, viewer.scene.camera.zoom) == (center, zoom)


def test_in_3d_every_action_on_rows_says_why_it_waits(opened, qtbot):
    viewer, widget, table = opened
    viewer.window.show()
    qtbot.waitUntil(widget.isVisible)
    pixels = widget.binding.target.layer.data.copy()
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    line, heard = widget.controllers.annotate.hint, []
    widget.session.notifier.warned.connect(heard.append)
    table.remove_requested.emit([1])
    table.merge_requested.emit([1, 2])
    table.change_requested.emit([1], "class_name", "nucleus")
    table.reedit_requested.emit(1)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.shortcuts.run("remove")
    widget.binding.shortcuts.run("brush")
    assert set(heard) == {"Paused while the viewer shows 3-D. Switch to 2-D (Ctrl+Y) to continue."}
    assert len(heard) == 6
    assert line.severity is Severity.WARNING
    np.testing.assert_array_equal(widget.binding.target.layer.data, pixels)
    viewer.dims.ndisplay = 2
    widget.wait_until_idle(TIMEOUT_S)
    assert "3-D" not in line.text()
    assert line.severity is Severity.HINT
    table.remove_requested.emit([1])
    assert cells(table, 0) == [2, 3]


def test_area_and_slice_are_those_of_the_axes_that_are_shown(make_widget):
    where = {"scale": (1, 5, 2), "units": ("um",) * 3}
    stack = np.stack([data.coins()[:60, :80]] * 6, axis=1)
    viewer, widget = make_widget(Image(stack, name="stack", **where), wait=False)
    viewer.dims.order = (1, 0, 2)
    widget.wait_until_idle(TIMEOUT_S)
    labels = np.zeros((60, 6, 80), np.uint8)
    labels[20:30, 4, 40:50], labels[5:8, 2, 7] = 7, 9
    layer = viewer.add_layer(Labels(labels, name="mine", **where))
    widget.binding.target.set_layer(layer)
    table = widget.controllers.objects.table
    assert cells(table, AREA) == ["200.00", "6.00"]
    assert cells(table, SLICE) == ["4", "2"]
    choose(table, 1)
    viewer.dims.order = (0, 1, 2)
    widget.wait_until_idle(TIMEOUT_S)
    assert cells(table, AREA) == ["1000.00", "30.00"]
    assert cells(table, SLICE) == ["20-29", "5-7"]
    assert cells(table, VOLUME) == ["1000.00", "30.00"]
    assert table.selected == [9]


def test_an_axis_of_channels_has_no_slices(make_widget):
    image = Image(np.stack([data.coins()] * 3, axis=-1), name="channels", rgb=False)
    viewer, widget = make_widget(image, wait=False)
    viewer.dims.order = (2, 0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    plane = widget.binding.plane
    plane.set_appearance(replace(plane.source.appearances.of(image), channel_axis=2))
    widget.wait_until_idle(TIMEOUT_S)
    labels = np.zeros((303, 384, 1), np.uint8)
    labels[10:30, 20:50] = 3
    layer = viewer.add_layer(Labels(labels, scale=(1, 1, 3), translate=(0, 0, 1)))
    widget.binding.target.set_layer(layer)
    assert cells(widget.controllers.objects.table, SLICE) == [""]


def marked(table):
    model, role = table.view.model(), Qt.ItemDataRole.BackgroundRole
    rows = [row for row in range(model.rowCount()) if model.index(row, 0).data(role) is not None]
    return [cells(table, 0)[row] for row in rows]


def test_the_object_under_the_cursor_marks_its_row(opened):
    viewer, widget, table = opened
    choose(table, 2)
    widget.binding.objects._on_pointer_moved(np.array((68 * 0.5, 104 * 0.25)))
    assert marked(table) == [1]
    widget.binding.objects._on_pointer_moved(np.array((0.0, 0.0)))
    assert marked(table) == []
    center = viewer.scene.camera.center
    inside = np.argwhere(widget.binding.target.layer.data == 2)[100]
    widget.binding.objects._on_pointer_moved(inside * (0.5, 0.25))
    assert marked(table) == [2]
    assert viewer.scene.camera.center == center
    assert table.selected == [3]  # what the user has chosen stays so


def test_keys_act_on_the_object_under_the_cursor(opened, capsys):
    viewer, widget, _ = opened
    viewer.cursor.position = (68 * 0.5, 104 * 0.25)
    widget.binding.objects.reedit_under_cursor()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.prompts.points_xy == ((104, 68),)
    widget.session.object_in_progress.clear()
    capsys.readouterr()
    widget.binding.shortcuts.run("remove")
    assert "Object 1 is deleted: Ctrl+Z takes it back." in capsys.readouterr().out
    assert set(np.unique(widget.binding.target.layer.data)) == {0, 2, 3}
    widget.binding.objects.undo()
    assert set(np.unique(widget.binding.target.layer.data)) == {0, 1, 2, 3}


def test_many_rows_at_once(opened):
    _, widget, table = opened
    choose(table, 0, 2)
    table._class.setEditText("coin")
    table._on_class()
    assert cells(table, 1) == ["coin", "", "coin"]
    choose(table, 0, 2)
    table.merge.click()
    assert cells(table, 0) == [1, 2]
    choose(table, 0, 1)
    table._delete.click()
    assert cells(table, 0) == []
    assert not widget.binding.target.layer.data.any()
    for _ in range(3):
        widget.binding.objects.undo()
    assert cells(table, 0) == [1, 2, 3]
    assert cells(table, 1) == ["", "", ""]


def test_cells_are_edited(opened):
    _, widget, table = opened
    model = table.view.model()
    assert model.setData(model.index(1, NOTE), " look again ", Qt.ItemDataRole.EditRole)
    checked = Qt.CheckState.Checked
    assert model.setData(model.index(1, 2), checked, Qt.ItemDataRole.CheckStateRole)
    record = widget.binding.target.labels.registry.get(2)
    assert (record.note, record.reviewed) == ("look again", True)
    assert table._progress.text() == "1 of 3 reviewed"
    assert not model.setData(model.index(1, 0), 9, Qt.ItemDataRole.EditRole)


def press_cell(table, row, column, modifier=Qt.KeyboardModifier.NoModifier, double=False):
    """Click on a cell with the mouse, once or twice in a row."""
    viewport = table.view.viewport()
    place = table.view.visualRect(table.model.index(row, column)).center()
    where = viewport, Qt.MouseButton.LeftButton, modifier, place
    QTest.mouseClick(*where)
    if double:
        QTest.mouseDClick(*where)
        QTest.mouseRelease(*where)


def edit(table, text):
    """Type into the cell that is being edited, and end with Enter."""
    editor = table.view.viewport().findChildren(QLineEdit)[-1]
    editor.selectAll()
    QTest.keyClicks(editor, text)
    QTest.keyClick(editor, Qt.Key.Key_Return)
    QApplication.processEvents()  # the view takes it up in the next round


def test_a_double_click_edits_a_cell_of_all_chosen_rows(opened, qtbot):
    _, _, table = opened
    control = Qt.KeyboardModifier.ControlModifier
    press_cell(table, 0, NOTE)
    press_cell(table, 2, NOTE, control)
    assert table.selected == [1, 3]
    press_cell(table, 2, NOTE, double=True)
    edit(table, "again")
    assert cells(table, NOTE) == ["again", "", "again"]
    assert table.selected == [1, 3]
    press_cell(table, 0, 1, double=True)
    edit(table, "coin")
    assert cells(table, 1) == ["coin", "", "coin"]

    press_cell(table, 0, AREA)
    assert table.selected == [1, 3]
    qtbot.waitUntil(lambda: table.selected == [1])
    press_cell(table, 1, NOTE, double=True)
    edit(table, "alone")
    assert cells(table, NOTE) == ["again", "alone", "again"]


def test_a_key_edits_the_note_of_all_chosen_rows(opened):
    _, _, table = opened
    press_cell(table, 1, 0)
    press_cell(table, 2, 0, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(table.view, Qt.Key.Key_F2)
    edit(table, "worn")
    assert cells(table, NOTE) == ["", "worn", "worn"]


def test_a_tick_is_set_for_all_chosen_rows_which_stay_so(opened):
    _, _, table = opened
    choose(table, 0, 1)
    style, option = table.view.style(), QStyleOptionViewItem()
    option.initFrom(table.view)
    option.rect = table.view.visualRect(table.model.index(0, 2))
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    box = style.subElementRect(style.SubElement.SE_ItemViewItemCheckIndicator, option, table.view)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(table.view.viewport(), left, none, box.center())
    assert table.model.progress == "2 of 3 reviewed"
    QTest.qWait(QApplication.doubleClickInterval() + 100)
    assert table.selected == [1, 2]


def test_strokes_of_the_brush_are_counted(opened):
    viewer, widget, table = opened
    layer = widget.binding.target.layer
    area = cells(table, AREA)[0]
    layer.selected_label = 1
    layer.brush_size = 6
    layer.paint((10, 10), 1)
    widget.wait_until_idle(TIMEOUT_S)
    assert cells(table, AREA)[0] == int((layer.data == 1).sum()) > area
    layer.paint((12, 300), 9)
    widget.wait_until_idle(TIMEOUT_S)
    assert 9 in cells(table, 0)
    layer.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert 9 not in cells(table, 0)
    layer.redo()
    widget.wait_until_idle(TIMEOUT_S)
    assert 9 in cells(table, 0)
    for _ in range(2):
        layer.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert cells(table, AREA)[0] == area
    widget.binding.objects.accept()  # says that there is nothing to accept
    assert viewer.layers["coins labels"] is layer


def test_the_table_lets_go_of_a_target_that_is_deleted_or_left(opened):
    viewer, widget, table = opened
    layer = widget.binding.target.layer
    viewer.layers.remove(layer)
    assert cells(table, 0) == []
    widget.close()
    layer.paint((10, 10), 5)
    assert cells(table, 0) == []
