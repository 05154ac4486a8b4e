"""However narrow the dock is, nothing in it is cut off."""

from __future__ import annotations

from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication
from skimage import data


def test_the_narrowest_dock_shows_everything(make_widget, qtbot):
    viewer, widget = make_widget(
        Image(data.coins()[40:110, 40:140], name="coins"), wait=False, show=True
    )
    window, column = viewer.window._qt_window, widget._column
    window.resize(1100, 800)
    widget.session.classes.add("a class with a name that is much longer than the dock is wide")
    parts = widget.automatic, widget._many, widget._class_list, widget._object_list
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
