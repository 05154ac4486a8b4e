import pytest
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam._qt.dock import NARROWEST_PX, Dock
from napari_sam._qt.painted_labels import MessageLine
from napari_sam._qt.tabs import DockTabs, Tab


@pytest.fixture
def dock(shown):
    controls = tuple(QPushButton(str(number)) for number in range(3))
    tabs = DockTabs(Tab(QLabel("page"), "Objects", ""), Tab(QLabel("other"), "Options", ""))
    return shown(Dock(controls, MessageLine(), tabs), width=NARROWEST_PX + 20, height=500)


def test_tabs_take_the_rest_and_stand_beside_the_controls_where_it_is_wide(dock, qtbot):
    tabs, controls = dock.tabs, dock._controls
    qtbot.waitUntil(lambda: tabs.y() >= controls.y() + controls.height())
    assert tabs.height() > 200
    dock.resize(2 * NARROWEST_PX + 100, 400)
    qtbot.waitUntil(lambda: tabs.x() >= controls.x() + controls.width())
    assert tabs.y() == controls.y()
    dock.resize(NARROWEST_PX + 20, 500)
    qtbot.waitUntil(lambda: tabs.x() == controls.x())


def test_a_banner_lies_over_the_tabs_and_moves_nothing(dock, qtbot):
    banner = QWidget()
    QVBoxLayout(banner).addWidget(QLabel("3 unsaved objects " * 20, wordWrap=True))
    banner.hide()
    dock.lay_over_tabs(banner)
    assert not banner.isVisible()
    before = dock.tabs.geometry(), dock._controls.geometry()
    banner.show()
    qtbot.waitUntil(lambda: banner.width() == dock.tabs.pages.width())
    assert banner.height() >= banner.heightForWidth(banner.width())
    assert banner.y() == 0
    assert (dock.tabs.geometry(), dock._controls.geometry()) == before
    dock.resize(NARROWEST_PX + 60, 500)
    qtbot.waitUntil(lambda: banner.width() == dock.tabs.pages.width())
