"""Classes and review in a real window: panel, number keys, colors, the table's order."""

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Image, Labels
from napari.utils.colormaps import CyclicLabelColormap
from qtpy.QtCore import Qt
from skimage import data

from napari_sam._qt.object_columns import AREA

TIMEOUT_S = 120
COINS = data.coins()[40:110, 40:240]


@pytest.fixture
def opened(make_widget):
    """Open two coins with a target of three objects."""
    viewer, widget = make_widget(Image(COINS, name="coins"))
    labels = np.zeros(COINS.shape, np.uint16)
    labels[2:8, 2:8], labels[2:8, 20:30], labels[2:8, 40:60] = 1, 2, 3
    layer = viewer.add_layer(Labels(labels, name="mine"))
    widget.binding.target.set_layer(layer)
    widget.binding.prompts.start_points()
    return viewer, widget, layer


def press(viewer, key: str) -> None:
    """Send a key to the layer that is active, the way napari's window does."""
    layer = viewer.layers.selection.active
    layer.keymap[KeyBinding.from_str(key)](layer)


def press_in_table(qtbot, table, key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.keyClick(table.view, key, modifier)


def classes_of(widget):
    return {one.label_id: one.class_name for one in widget.binding.target.labels.registry}


def reviewed(widget):
    return {one.label_id for one in widget.binding.target.labels.registry if one.reviewed}


def test_number_keys_are_about_rows_then_a_reedited_object_then_the_next_one(opened, qtbot):
    viewer, widget, _ = opened
    objects, panel = widget.controllers.objects, widget.controllers.classes.panel
    points = viewer.layers["SAM points"]
    assert KeyBinding.from_str("2") not in points.keymap  # napari's, as long as there are none
    for name in ("coin", "Münze"):
        panel._new.setText(name)
        panel._on_add()
    chips = widget.controllers.classes.chips.chips
    assert [(chip.text(), chip.isChecked()) for chip in chips] == [
        ("1 coin", False),
        ("2 Münze", True),
    ]

    press(viewer, "1")
    points.add([(28, 64)])
    widget.wait_until_idle(TIMEOUT_S)
    press(viewer, "C")
    widget.wait_until_idle(TIMEOUT_S)
    assert classes_of(widget) == {1: None, 2: None, 3: None, 4: "coin"}

    assert objects.tab.is_current
    objects.table.select(2)
    press(viewer, "2")
    assert classes_of(widget)[2] == "Münze"
    assert widget.session.classes.table.current == "coin"
    press_in_table(qtbot, objects.table, Qt.Key.Key_0)
    assert classes_of(widget)[2] is None
    press_in_table(qtbot, objects.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert classes_of(widget)[2] == "Münze"
    chips[0].click()  # as the keys; the class of new objects stays
    assert classes_of(widget)[2] == "coin"
    assert [chip.isChecked() for chip in chips] == [True, False]
    chips[0].click()  # which it has
    assert classes_of(widget)[2] == widget.session.classes.table.current == "coin"

    points.add([(28, 150)])  # another object is begun: no row is meant any more
    widget.wait_until_idle(TIMEOUT_S)
    press(viewer, "2")
    assert widget.session.classes.table.current == "Münze"
    press(viewer, "C")
    widget.wait_until_idle(TIMEOUT_S)
    assert classes_of(widget)[5] == "Münze"

    objects.table.select(2)
    widget.session.objects.reedit(5)
    widget.wait_until_idle(TIMEOUT_S)
    assert objects.selected == []
    press(viewer, "1")
    assert classes_of(widget)[5] == "coin"
    assert widget.session.classes.table.current == "Münze"
    press(viewer, "W")
    press(viewer, "C")
    widget.wait_until_idle(TIMEOUT_S)
    assert classes_of(widget)[5] == "coin"
    assert [panel.rows.topLevelItem(n).text(2) for n in range(3)] == ["2", "3", "0"]
    chips[1].click()  # no row, and nothing re-edited: the class of new objects is taken back
    assert widget.session.classes.table.current is None


def test_the_panel_renames_recolors_deletes_and_shares(opened, tmp_path, qtbot, monkeypatch):
    _, widget, _ = opened
    panel, table = widget.controllers.classes.panel, widget.controllers.objects.table
    said = []
    widget.session.notifier.warned.connect(said.append)
    panel.add_requested.emit("coin")
    panel.add_requested.emit("coin")
    assert "already" in said[-1]
    widget.session.objects.update([1, 3], class_name="coin")
    panel.rows.currentItem().setText(1, "Münze")
    qtbot.waitUntil(lambda: classes_of(widget) == {1: "Münze", 2: None, 3: "Münze"})
    assert table.view.model().index(0, 1).data() == "Münze"
    panel.recolor_requested.emit("Münze", "#102030")
    decoration = table.view.model().index(0, 1).data(Qt.ItemDataRole.DecorationRole)
    assert decoration.name() == "#102030"
    monkeypatch.setattr(
        "napari_sam._qt.file_names.QFileDialog.getSaveFileName",
        lambda *_: (str(tmp_path / "team"), ""),
    )
    panel.ask_where_to_save()
    panel.remove_requested.emit("Münze")
    assert classes_of(widget) == {1: None, 2: None, 3: None}
    assert panel.rows.topLevelItemCount() == 1
    panel.open_requested.emit(tmp_path / "team.json")
    assert panel.rows.topLevelItem(1).text(1) == "Münze"
    window = widget.controllers.classes.window  # which has the focus, so that no layer has the keys
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    for _ in range(2):
        qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert classes_of(widget) == {1: "Münze", 2: None, 3: "Münze"}
    panel.open_requested.emit(tmp_path / "missing.json")
    assert "cannot be read" in said[-1]


def test_objects_have_the_colors_of_their_classes(opened):
    viewer, widget, layer = opened
    before = layer.colormap
    widget.session.classes.add("coin", "#ff0000")
    widget.session.objects.update([1], class_name="coin")
    widget.controllers.classes.panel.coloring.setChecked(True)

    def color(label_id):
        return tuple(np.round(layer.get_color(label_id), 2))

    gray = (0.63, 0.63, 0.63, 1)
    assert color(1) == (1, 0, 0, 1)
    assert color(2) == gray
    layer.selected_label = 9
    layer.paint((50, 50), 9)
    assert color(9) == gray
    widget.session.objects.update([9, 2], class_name="coin")
    widget.session.classes.recolor("coin", "#00ff00")
    widget.wait_until_idle(TIMEOUT_S)
    assert {color(n) for n in (1, 2, 9)} == {(0, 1, 0, 1)}
    # Numbers beyond napari's table of colors.
    wide = viewer.add_labels(np.array([[0, 70000]] * 70).repeat(100, axis=1), name="wide")
    widget.binding.target.set_layer(wide)
    assert layer.colormap is before
    widget.session.objects.update([70000], class_name="coin")
    widget.wait_until_idle(TIMEOUT_S)
    assert tuple(wide.get_color(70000)) == (0, 1, 0, 1)
    widget.close()
    assert isinstance(wide.colormap, CyclicLabelColormap)


def test_review_goes_through_the_table_as_it_is_sorted(opened, qtbot):
    viewer, widget, _ = opened
    objects, said = widget.controllers.objects, []
    table = objects.table
    widget.session.notifier.warned.connect(said.append)
    table.view.sortByColumn(AREA, Qt.SortOrder.DescendingOrder)  # by area: 3, 2, 1
    widget.controllers.batch_prompts.tab.select()
    viewer.scene.camera.zoom *= 4  # else all of them are in sight, and nothing moves
    press(viewer, "M")
    assert objects.tab.is_current
    assert table.selected == [3]
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (4.5, 49.5), atol=1)
    press(viewer, "Y")
    assert (reviewed(widget), table.selected) == ({3}, [2])
    assert table._progress.text() == "1 of 3 reviewed"
    press(viewer, "Shift+M")
    assert table.selected == [3]
    press(viewer, "Y")  # takes it back, and stays
    assert (reviewed(widget), table.selected) == (set(), [3])

    # Where marking moves the row, the next one is still the one that followed.
    table.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    order = [table.view.model().index(row, 0).data() for row in range(3)]
    table.select(order[0])
    press_in_table(qtbot, table, Qt.Key.Key_Y)
    assert table.selected == [order[1]]
    widget.binding.objects._on_pointer_moved(np.array((4.0, 4.0)))
    assert table.selected == [order[1]]
    press_in_table(qtbot, table, Qt.Key.Key_Y)
    press_in_table(qtbot, table, Qt.Key.Key_Y)
    assert reviewed(widget) == {1, 2, 3}
    assert not said

    # After the review, class keys are about new objects.
    widget.session.classes.add("coin")
    for is_reviewed in (True, False):
        widget.session.objects.update([1], reviewed=is_reviewed)
        table.select(order[-1])
        press_in_table(qtbot, table, Qt.Key.Key_M)
        assert table.selected == ([] if is_reviewed else [order[-1]])
        press(viewer, "1")
        assert list(classes_of(widget).values()).count("coin") == (0 if is_reviewed else 1)
    assert widget.session.classes.table.current == "coin"
    assert "2 of 3 reviewed" in said[-1]


def test_the_line_says_which_objects_a_key_or_the_end_of_a_review_is_about(opened, monkeypatch):
    viewer, widget, _ = opened
    table, said = widget.controllers.objects.table, []
    monkeypatch.setattr(widget.controllers.classes._messages, "info", said.append)
    widget.session.classes.add("coin")
    widget.controllers.objects.tab.select()
    for label_ids, key in (([2], "1"), ([2], "1"), ([1, 3], "1"), ([2], "0")):
        table.select_only(label_ids)
        press(viewer, key)
    assert said == [
        "Object 2 now has class 'coin': Ctrl+Z takes it back.",
        "2 objects now have class 'coin': Ctrl+Z takes it back.",
        "Object 2 now has no class: Ctrl+Z takes it back.",
    ]
    widget.session.objects.update([1, 2], reviewed=True)
    table.select(3)
    press(viewer, "Y")
    assert said[3:] == ["All 3 objects are reviewed."]
    assert table.selected == []
    press(viewer, "1")  # which it is
    press(viewer, "0")
    assert said[4:] == ["The next objects get no class."]
    press(viewer, "1")
    assert said[5:] == ["The next objects get class 'coin'."]


def test_the_class_is_kept_for_the_next_image_and_the_line_says_so(make_widget):
    first, second = Image(COINS, name="first"), Image(COINS[::-1], name="second")
    _, widget = make_widget(first, second, show=True)
    line = widget.controllers.annotate.hint
    widget.binding.set_image(first)
    assert "class" not in line.text()
    widget.session.classes.add("coin")
    widget.session.classes.table.choose("coin")
    widget.binding.set_image(second)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.classes.table.current == "coin"
    assert line.text() == "New objects still get class 'coin'. Click its chip for none."
    widget.controllers.classes.chips.chips[0].click()
    assert widget.session.classes.table.current is None
    assert "class" not in line.text()
    widget.binding.set_image(first)
    assert "class" not in line.text()
