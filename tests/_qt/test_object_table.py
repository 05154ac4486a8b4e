import dataclasses

import pytest
from app_model.types import KeyBinding
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_sam._qt.object_columns import AREA, CLASS, COLUMNS, NOTE, SLICE, VOLUME, PlaneAxes
from napari_sam._qt.object_model import ObjectModel
from napari_sam._qt.object_table import ObjectTable
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin

REQUESTS = "go", "reedit", "remove", "merge", "change", "command"


def record(label_id, area_px=10, **details):
    return ObjectRecord(label_id, (label_id, 0, 0), (label_id + 1, 4, 4), area_px, **details)


RECORDS = (record(1, 30), record(2, 20, class_name="Coin"), record(3, 10, note="worn edge"))


@pytest.fixture
def table(shown):
    table = shown(ObjectTable())
    table.set_records(RECORDS, PlaneAxes(sliced=(0,)))
    return table


def cells(model, column):
    return [model.index(row, column).data() for row in range(model.rowCount())]


def ids(table):
    return cells(table.model, 0)


def select(table, *label_ids):
    table.view.clearSelection()
    selection = table.view.selectionModel()
    flags = selection.SelectionFlag.Select | selection.SelectionFlag.Rows
    for label_id in label_ids:
        selection.select(table.model.index(table.model.rows[label_id], 0), flags)


def test_values_of_the_columns(table):
    assert ids(table) == [1, 2, 3]
    assert cells(table.model, 1) == ["", "Coin", ""]
    assert cells(table.model, AREA) == [30, 20, 10]
    assert cells(table.model, SLICE) == ["1", "2", "3"]
    table.model.set_axes(PlaneAxes(pixel_area=0.5, unit="um"))
    assert cells(table.model, AREA) == ["15.00", "10.00", "5.00"]
    header = table.model.headerData(AREA, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole)
    assert header == "area (um²)"
    assert cells(table.model, SLICE) == ["", "", ""]


def test_an_object_of_several_slices_has_a_range_and_a_volume(table):
    slices = ObjectSlices(
        0, (ObjectSlice(3), ObjectSlice(4, Origin.PROPAGATED, 0.58), ObjectSlice(5))
    )
    deep = ObjectRecord(7, (3, 0, 0), (6, 4, 4), 40, slices=slices)
    plain = ObjectRecord(8, (3, 0, 0), (5, 4, 4), 24)
    table.set_records((record(1), deep, plain), PlaneAxes((0,), 0.5, "um", 2.0))
    assert cells(table.model, SLICE) == ["1", "3-5", "3-4"]
    assert cells(table.model, VOLUME) == ["", "40.00", "24.00"]
    header = table.model.headerData(VOLUME, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole)
    assert header == "volume (um³)"
    tooltips = [table.model.index(row, SLICE).data(Qt.ItemDataRole.ToolTipRole) for row in range(3)]
    assert tooltips == [None, "Weakest: slice 4 · propagated · 0.58", None]
    table.model.set_text("3-5")
    assert ids(table) == [7]
    table.model.set_text("")
    table.model.set_axes(PlaneAxes((0,)))
    assert cells(table.model, VOLUME) == ["", 40, 24]
    table.model.set_axes(PlaneAxes((0,), slice_distance=None))
    assert cells(table.model, VOLUME) == ["", "", ""]
    assert not any(map(table.view.isColumnHidden, (SLICE, VOLUME)))
    table.model.set_axes(PlaneAxes())
    assert all(map(table.view.isColumnHidden, (SLICE, VOLUME)))


def test_sorting_and_filtering_follow_changes(table):
    table.view.sortByColumn(AREA, Qt.SortOrder.AscendingOrder)
    assert ids(table) == [3, 2, 1]
    table.update_records({1: record(1, 5), 2: None, 9: record(9, 7)})
    assert ids(table) == [1, 9, 3]
    table.model.set_text("EDGE worn")
    assert ids(table) == [3]
    table.update_records({9: record(9, 7, note="worn at the edge"), 3: None})
    assert ids(table) == [9]
    table.model.set_text("")
    assert ids(table) == [1, 9]


def test_the_selection_stays_with_its_objects(table):
    select(table, 1, 3)
    table.view.sortByColumn(AREA, Qt.SortOrder.AscendingOrder)
    assert table.selected == [3, 1]
    table.update_records({3: record(3, 100)})
    assert table.selected == [1, 3]


def test_buttons_act_on_the_selection(table, heard):
    requests = heard(table, *(f"{name}_requested" for name in REQUESTS))
    assert not any(b.isEnabled() for b in (table._reedit, table._delete, table.merge))
    select(table, 2)
    table._reedit.click()
    table.merge.click()  # takes two
    select(table, 1, 3)
    table._reedit.click()  # takes one
    table.merge.click()
    table._delete.click()
    table._class.setEditText(" ring ")
    table._on_class()
    table._class.setEditText("")
    table._on_class()
    assert requests == [
        ("reedit_requested", 2),
        ("merge_requested", [1, 3]),
        ("remove_requested", [1, 3]),
        ("change_requested", [1, 3], "class_name", "ring"),
        ("change_requested", [1, 3], "class_name", None),
    ]


def test_the_table_needs_no_mouse(table, heard, qtbot):
    requests = heard(table, "remove_requested")
    qtbot.keyClick(table.view, Qt.Key.Key_Delete)  # nothing is selected
    select(table, 1, 3)
    qtbot.keyClick(table.view, Qt.Key.Key_Delete)
    assert requests == [("remove_requested", [1, 3])]
    area = table.columns._orders[AREA]
    assert area.text() == COLUMNS[AREA].title
    area.trigger()
    assert ids(table) == [3, 2, 1]
    area.trigger()
    assert ids(table) == [1, 2, 3]
    assert table.view.contextMenuPolicy() == Qt.ContextMenuPolicy.CustomContextMenu
    table.view.customContextMenuRequested.emit(QPoint(5, 5))
    assert table.columns.isVisible()
    table.columns.close()


@pytest.mark.parametrize(
    "refill",
    [
        lambda table: table.set_records((), PlaneAxes()),
        lambda table: table.set_records(RECORDS, PlaneAxes()),
        lambda table: table.update_records(dict.fromkeys((1, 2, 3))),
        lambda table: table.model.set_text("no such word"),
    ],
    ids=["emptied", "refilled", "removed", "filtered"],
)
def test_without_a_selected_row_there_is_nothing_to_click(table, heard, refill):
    changes = []
    select(table, 1, 2)
    table.view.selectionModel().selectionChanged.connect(lambda *_: changes.append(table.selected))
    refill(table)
    assert changes[-1] == table.selected == []
    requests = heard(table, *(f"{name}_requested" for name in REQUESTS))
    widgets = table._reedit, table._delete, table.merge, table._class
    assert not any(widget.isEnabled() for widget in widgets)
    for button in widgets[:3]:
        button.click()
    assert requests == []


def test_a_change_in_a_selected_row_is_for_all_of_them(table, heard):
    requests = heard(table, "change_requested")
    model = table.model
    select(table, 1, 3)
    edit, check = Qt.ItemDataRole.EditRole, Qt.ItemDataRole.CheckStateRole
    assert model.setData(model.index(0, NOTE), " look ", edit)
    assert model.setData(model.index(1, 2), Qt.CheckState.Checked, check)
    assert model.setData(model.index(1, 1), " ", edit)
    assert not model.setData(model.index(0, 0), 9, edit)
    assert requests == [
        ("change_requested", [1, 3], "note", "look"),
        ("change_requested", [2], "reviewed", True),
        ("change_requested", [2], "class_name", None),
    ]
    assert cells(model, NOTE) == ["", "", "worn edge"]  # shown once it is made


def test_steps_go_through_the_rows_as_they_are_shown(table, heard):
    requests = heard(table, "go_requested")
    table.view.sortByColumn(AREA, Qt.SortOrder.AscendingOrder)
    assert (table.neighbor(1), table.neighbor(-1)) == (3, 1)
    table.select(2)
    assert table.selected == [2]
    assert (table.neighbor(1), table.neighbor(-1)) == (1, 3)
    table.select(1)
    assert table.neighbor(1) is None
    assert requests == [("go_requested", 2), ("go_requested", 1)]


def test_keys_ask_for_commands(table, heard, qtbot):
    requests = heard(table, "command_requested")
    table.set_keys({KeyBinding.from_str("Shift+M"): "previous_object"})
    qtbot.keyClick(table.view, Qt.Key.Key_M)
    qtbot.keyClick(table.view, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    assert requests == [("command_requested", "previous_object")]
    table.texts.show({"reedit": "O", "remove": ""})
    assert table._reedit.toolTip().endswith("(O with the cursor on it)")
    assert "(" not in table._delete.toolTip()


def test_a_key_right_after_a_click_acts_on_the_clicked_row(table, qtbot):
    table.set_keys({KeyBinding.from_str("M"): "next_object"})
    neighbors = []
    table.command_requested.connect(lambda _: neighbors.append(table.neighbor(1)))
    view = table.view
    place = view.visualRect(table.model.index(0, 1)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    view.selectAll()
    qtbot.wait(QApplication.doubleClickInterval() + 50)  # the next click is one of its own
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(view, Qt.Key.Key_M)
    assert (table.selected, neighbors) == ([1], [2])


def test_progress_and_marks(table):
    table.update_records({2: record(2, 20, reviewed=True)})
    assert table.model.progress == table._progress.text() == "1 of 3 reviewed"
    table.highlight(3)
    role = Qt.ItemDataRole.BackgroundRole
    marks = [table.model.index(row, 0).data(role) is not None for row in range(3)]
    assert marks == [False, False, True]
    table.highlight(None)
    assert table.model.index(2, 0).data(role) is None
    table.highlight(99)  # has no row


def test_classes_have_their_colors_and_what_is_typed_stays(table):
    table._class.setEditText("ri")
    table.set_classes({"Coin": "#102030", "ring": "#405060"})
    assert table._class.currentText() == "ri"
    for names in (["Coin", "ring", "more"], ["Coin", "other", "more"], ["more"]):
        table.set_classes(dict.fromkeys(names, "#102030"))
        assert [table._class.itemText(n) for n in range(table._class.count())] == names
        assert table._class.currentText() == "ri"
    table.set_classes({"Coin": "#102030", "ring": "#405060"})
    assert table.model.index(1, 1).data(Qt.ItemDataRole.DecorationRole).name() == "#102030"


def test_only_classes_are_listed_whatever_was_typed(table, qtbot):
    table.set_classes({"Coin": "#102030"})
    select(table, 1)
    for typed in (" ring ", "ringx"):
        table._class.setEditText(typed)
        qtbot.keyClick(table._class, Qt.Key.Key_Return)
    names = ["Coin", "ring", "more"]
    table.set_classes(dict.fromkeys(names, "#102030"))
    assert [table._class.itemText(n) for n in range(table._class.count())] == names


@pytest.mark.parametrize(
    ("typed", "name"),
    [("ring", "ring"), ("Coin", "Coin"), ("coin", "Coin"), (" Coin", "Coin"), ("", None)],
)
def test_return_in_the_class_box_requests_one_change(table, heard, qtbot, typed, name):
    table.set_classes({"Coin": "#102030"})
    requests = heard(table, "change_requested")
    select(table, 1)
    table._class.setEditText("")
    qtbot.keyClicks(table._class, typed)
    qtbot.keyClick(table._class, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(requests))
    QApplication.processEvents()
    assert requests == [("change_requested", [1], "class_name", name)]


@pytest.mark.parametrize("gone", [(1,), (2, 3), (1, 3), (1, 2, 3)])
def test_runs_of_rows_are_removed_with_their_signals(qtbot, gone):
    model = ObjectModel()
    model.set_records(RECORDS, PlaneAxes())
    removed = []
    model.rowsRemoved.connect(lambda _, first, last: removed.append(last - first + 1))
    model.update_records(dict.fromkeys(gone))
    assert sum(removed) == len(gone)
    assert cells(model, 0) == [label_id for label_id in (1, 2, 3) if label_id not in gone]
    assert model.progress == f"0 of {model.rowCount()} reviewed"


def test_scattered_rows_are_removed_at_once_and_others_stay_selected(table):
    table.set_records([record(label_id) for label_id in range(1, 100)], PlaneAxes())
    select(table, 3, 4, 50)
    removed = []
    table.model.rowsRemoved.connect(lambda *rows: removed.append(rows))
    table.update_records(dict.fromkeys(range(2, 100, 2)))
    assert len(removed) == 1
    assert ids(table) == list(range(1, 100, 2))
    assert table.selected == [3]


def in_sight(table, label_id):
    place = table.view.visualRect(table.model.index(table.model.rows[label_id], 0))
    return table.view.viewport().rect().contains(place)


@pytest.mark.parametrize("selected", [(), (20,)])
def test_a_click_on_a_title_scrolls_to_the_first_row_or_the_selected_one(table, qtbot, selected):
    table.set_records([record(label_id) for label_id in range(1, 60)], PlaneAxes())
    select(table, *selected)
    header = table.view.horizontalHeader()
    for first in (59, 1):
        table.view.scrollToBottom()
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
        assert table.model.shown[0] == first
        assert in_sight(table, *(selected or (first,)))


def test_columns_come_and_go_by_the_menu_of_the_titles(table):
    def titles():
        return [
            column.title for n, column in enumerate(COLUMNS) if not table.view.isColumnHidden(n)
        ]

    stability, volume = (
        next(action for action in table.columns.actions() if action.text() == title)
        for title in ("stability", "volume")
    )
    table.set_records(RECORDS, PlaneAxes())
    assert titles() == ["id", "class", "✓", "area", "score", "note"]
    assert not volume.isVisible()
    stability.trigger()
    assert titles() == ["id", "class", "✓", "area", "score", "stability", "note"]
    table.model.set_axes(PlaneAxes(sliced=(0,)))
    assert volume.isVisible()
    table.view.scrollTo(table.model.index(0, NOTE))
    volume.trigger()
    assert table.view.horizontalScrollBar().value() == 0
    assert titles() == ["id", "class", "✓", "area", "slice", "score", "stability", "note"]


def test_long_classes_and_notes_are_elided_where_there_is_no_room(table):
    table.set_records(RECORDS, PlaneAxes())
    bar, view = table.view.horizontalScrollBar(), table.view
    for details in ({"class_name": "stroma of a long name"}, {"note": "to be drawn again " * 9}):
        table.resize(330, 300)
        long = dataclasses.replace(record(2), **details)
        table.update_records({2: long})
        QApplication.processEvents()
        assert bar.maximum() == 0
        assert view.columnViewportPosition(NOTE) + view.columnWidth(NOTE) <= view.viewport().width()
        (text,) = details.values()
        column = NOTE if "note" in details else CLASS
        index = table.model.index(table.model.rows[2], column)
        assert table.model.data(index, Qt.ItemDataRole.ToolTipRole) == text
        table.resize(1000, 300)
        QApplication.processEvents()
        if column == CLASS:
            assert view.columnWidth(CLASS) > view.fontMetrics().horizontalAdvance(text)


@pytest.mark.parametrize("count", [0, 40])
def test_new_rows_are_in_sight_after_many_were_restored_and_others_pointed_at(table, count):
    bar = table.view.verticalScrollBar()
    table.update_records({label_id: record(label_id) for label_id in range(4, 20)})
    table.show_new(19)
    bar.triggerAction(bar.SliderAction.SliderToMinimum)
    table.set_records((), PlaneAxes())
    table.update_records({label_id: record(label_id) for label_id in range(1, 1 + count)})
    for label_id in range(100, 120):
        table.update_records({label_id: record(label_id)})
        table.show_new(label_id)
        assert in_sight(table, label_id)
        bar.triggerAction(bar.SliderAction.SliderSingleStepSub)
        table.highlight(table.model.shown[0])
        assert table.view.visualRect(table.model.index(0, 0)).top() >= 0


def test_a_new_row_is_in_sight_unless_the_user_has_scrolled_away_or_chosen_rows(table, qtbot):
    bar = table.view.verticalScrollBar()

    def add(label_id):
        table.update_records({label_id: record(label_id)})
        QApplication.processEvents()
        table.show_new(label_id)
        return in_sight(table, label_id)

    assert all(add(label_id) for label_id in range(4, 30))
    bar.triggerAction(bar.SliderAction.SliderToMinimum)
    assert not add(30)
    bar.triggerAction(bar.SliderAction.SliderToMaximum)  # back where new rows are
    assert add(31)
    select(table, 2)
    assert not add(32)
