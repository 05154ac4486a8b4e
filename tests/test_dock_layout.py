"""Nothing in the dock is cut off, and what the user expands is visible, in any window."""

import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage import data


@pytest.mark.parametrize("size", [(1400, 900), (900, 600)])
def test_what_is_unfolded_is_in_sight(make_widget, qtbot, size):
    viewer, widget = make_widget(
        Image(data.coins()[40:110, 40:140], name="coins"), wait=False, show=True
    )
    viewer.window._qt_window.resize(*size)
    column = widget._column
    qtbot.waitUntil(column.isVisible)

    def is_in_sight(section):
        top = section.mapTo(column.viewport(), QPoint(0, 0)).y()
        room = column.viewport().height()
        return top == 0 if section.height() > room else 0 <= top <= room - section.height()

    controllers = widget.controllers
    for part in (controllers.objects, controllers.automatic, controllers.batch_prompts):
        title = part.section.toggleButton()
        column.ensureWidgetVisible(title, 0, 0)
        height = part.section.height()
        QTest.mouseClick(
            title, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(20, 8)
        )
        qtbot.waitUntil(lambda part=part, height=height: part.section.height() > height)
        qtbot.waitUntil(lambda part=part: not part.section._is_expanding)
        assert is_in_sight(part.section)
    place = column.verticalScrollBar().value()
    part.section.toggleButton().click()  # what is folded does not scroll
    controllers.classes.section.expand(animate=False)  # nor what was not unfolded by the user
    qtbot.wait(300)
    assert column.verticalScrollBar().value() == place


def test_the_narrowest_dock_shows_everything(make_widget, qtbot):
    viewer, widget = make_widget(
        Image(data.coins()[40:110, 40:140], name="coins"), wait=False, show=True
    )
    window, column = viewer.window._qt_window, widget._column
    window.resize(1100, 800)
    widget.session.classes.add("a class with a name that is much longer than the dock is wide")
    made = widget.controllers
    parts = made.automatic, made.batch_prompts, made.classes, made.objects
    for part in parts:
        part.section.expand(animate=False)
    qtbot.waitUntil(column.isVisible)
    QApplication.processEvents()
    window.resizeDocks([widget.parent()], [100], Qt.Orientation.Horizontal)
    QApplication.processEvents()
    assert column.widget().width() <= column.viewport().width()
    button = widget._help_button
    right = button.mapTo(widget, QPoint(button.width(), 0)).x()
    assert right <= widget.width() - column.panels.contentsMargins().right()
