import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.tool_window import ToolWindow


@pytest.fixture
def window(shown):
    owner = shown(QWidget(), width=340, height=600)
    panel = QLabel("contents")
    panel.setWindowTitle("Model: one")
    window = ToolWindow(panel, owner)
    window.panel = panel
    yield window
    window.close()


def test_it_has_the_title_of_its_panel_and_is_not_modal(window):
    assert window.windowTitle() == "Model: one"
    window.panel.setWindowTitle("Model: another")
    assert window.windowTitle() == "Model: another"
    assert not window.isModal()


def test_it_comes_back_where_it_was(window, qtbot):
    window.toggle()
    qtbot.waitUntil(window.isVisible)
    window.move(QPoint(70, 90))
    QApplication.processEvents()
    place = window.pos()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isVisible()
    window.toggle()
    QApplication.processEvents()
    assert window.pos() == place
    window.toggle()
    assert not window.isVisible()


def test_its_panel_is_built_when_it_is_first_opened(shown):
    panel = OnDemand(lambda: QLabel("contents"))
    window = ToolWindow(panel, shown(QWidget()))
    assert panel.built is None
    window.toggle()
    assert panel.built.isVisible()
    window.close()
