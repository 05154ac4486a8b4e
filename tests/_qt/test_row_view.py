import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtTest import QTest

from napari_sam._qt.row_view import RowView


@pytest.fixture
def view(shown):
    model = QStandardItemModel(0, 2)
    for name in "abc":
        model.appendRow([QStandardItem(name), QStandardItem(name * 2)])
    view = RowView()
    view.setModel(model)
    return shown(view)


def click(view, row, modifier=Qt.KeyboardModifier.NoModifier):
    place = view.visualRect(view.model().index(row, 1)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def selected(view):
    return sorted(index.row() for index in view.selectionModel().selectedRows())


def test_a_click_on_one_of_several_selects_it_after_a_while(view, qtbot):
    click(view, 0)
    click(view, 2, Qt.KeyboardModifier.ControlModifier)
    assert selected(view) == [0, 2]
    click(view, 2)
    assert selected(view) == [0, 2]  # it may become a double click, which edits
    qtbot.waitUntil(lambda: selected(view) == [2])
    click(view, 1)
    assert selected(view) == [1]  # at once where nothing is to be kept
