"""Nothing in the dock is cut off or has to be scrolled for, in any window."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QCheckBox, QComboBox, QWidget
from skimage import data

from napari_sam._qt.workarounds import PanelColumn
from napari_sam.session import ArrayPlane, ObjectRecord, Overlap, TargetError
from napari_sam.session.objects.planning import NewObject, plan_object
from napari_sam.widget import SamWidget

SMALL = data.coins()[40:110, 40:140]
SQUARE = NewObject([(np.ones((60, 60), bool), 0, 0)], ObjectRecord(0, (), (), 0))


@pytest.fixture
def open_window(make_widget, qtbot):
    """Open a window of a size with the widget in it."""

    def make(width, height, image=SMALL):
        viewer, widget = make_widget(Image(image, name="coins"), wait=False, show=True)
        viewer.window._qt_window.resize(width, height)
        qtbot.waitUntil(widget.isVisible)
        qtbot.wait(50)  # until timers of the layout have run, too
        QApplication.processEvents()
        return viewer, widget

    return make


def is_in_sight(widget, dock):
    corner = widget.mapTo(dock.viewport(), QPoint(0, 0))
    room = dock.viewport().rect()
    return room.contains(widget.rect().translated(corner))


def scroll_bars(widget):
    areas = [area for area in widget.findChildren(PanelColumn) if area.isVisible()]
    return [area for area in areas if area.verticalScrollBar().isVisible()]


@pytest.mark.parametrize("size", [(1400, 900), (1100, 700)])
def test_nothing_has_to_be_scrolled_for(open_window, size):
    _, widget = open_window(*size)
    controllers = widget.controllers
    dock, annotate = controllers.dock, controllers.annotate
    assert dock.verticalScrollBar().maximum() == 0
    panels = annotate.image_panel, annotate.prompt_panel, annotate.mask_panel
    table = controllers.objects.table
    parts = (*panels, annotate.object_panel, annotate.hint, controllers.classes.chips, table)
    assert all(is_in_sight(part, dock) for part in parts)
    assert table.view.viewport().height() >= 4 * table.view.verticalHeader().defaultSectionSize()
    assert is_in_sight(controllers.objects.files.row, dock)


def test_every_tab_comes_on_top_and_there_is_one_scroll_bar_at_most(open_window, qtbot):
    _, widget = open_window(1100, 900, np.stack([SMALL] * 3))  # a stack has more tabs and rows
    tabs = widget.controllers.tabs
    # As high as in windows of 900, 770, 700 and 500 pixels: napari makes no window so low.
    for height, scrolling in ((834, ()), (704, ()), (634, ()), (434, tabs.tabs)):
        widget.setFixedHeight(height)
        for number, button in enumerate(tabs._buttons):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
            QApplication.processEvents()
            assert tabs.pages.currentIndex() == number
            assert tabs.tabs[number].isVisible()
            may_scroll = scrolling is tabs.tabs or tabs.tabs[number].title in scrolling
            qtbot.waitUntil(lambda most=may_scroll: len(scroll_bars(widget)) <= most)


def test_the_narrowest_dock_shows_everything(open_window):
    viewer, widget = open_window(1100, 800)
    window, dock = viewer.window._qt_window, widget.controllers.dock
    widget.session.classes.add("a class with a name that is much longer than the dock is wide")
    for number, _ in enumerate(widget.controllers.tabs.tabs):
        widget.controllers.tabs.select(number)
        window.resizeDocks([widget.parent()], [100], Qt.Orientation.Horizontal)
        QApplication.processEvents()
        assert dock.widget().width() <= dock.viewport().width()
        for kind in (QAbstractButton, QComboBox, QCheckBox):
            for part in dock.findChildren(kind):
                if (
                    part.isVisible()
                    and part.parentWidget() is not widget.controllers.classes.chips._strip
                ):
                    right = part.mapTo(dock.viewport(), QPoint(part.width(), 0)).x()
                    assert right <= dock.viewport().width(), part
    assert dock.width() <= 380


def why_refused(label_ids, overlap):
    """Return what is said of a new object where others are already."""
    pixels = np.resize(np.asarray(label_ids, np.uint16), (60, 60))
    with pytest.raises(TargetError) as refusal:
        plan_object(ArrayPlane(pixels), SQUARE, overlap)
    return str(refusal.value)


def test_why_a_mask_is_refused_fits_the_narrowest_dock(open_window):
    viewer, widget = open_window(1100, 800)
    window, line = viewer.window._qt_window, widget.controllers.annotate.hint
    window.resizeDocks([widget.parent()], [100], Qt.Orientation.Horizontal)
    QApplication.processEvents()
    for overlap in (Overlap.KEEP, Overlap.REFUSE):
        for label_ids in ([1234], [1, 3]):
            widget.session.notifier.warn(why_refused(label_ids, overlap))
            shown = " ".join(line._broken(line.text_box.width()))
            assert shown == line.text()
        assert "2 objects" in line.text()


def test_the_unsaved_objects_are_offered_over_the_tabs_and_nothing_moves(open_window):
    _, widget = open_window(1100, 700)
    controllers = widget.controllers
    widget.setFixedHeight(widget.height())  # napari's status bar may change its height
    buttons = [b for b in controllers.dock.findChildren(QAbstractButton) if b.isVisible()]
    row = controllers.restore.row
    buttons = [button for button in buttons if not row.isAncestorOf(button)]
    before = [button.mapTo(widget, QPoint(0, 0)) for button in buttons]
    row._text.show_text("3 unsaved objects on 'coins' (today 12:00; napari did not exit cleanly).")
    row.show()
    QApplication.processEvents()
    assert [button.mapTo(widget, QPoint(0, 0)) for button in buttons] == before
    pages = controllers.tabs.pages
    assert row.mapTo(pages, QPoint(0, 0)) == QPoint(0, 0)
    assert row.width() == pages.width()
    assert row.restore.height() >= 20
    controllers.tabs.select(len(controllers.tabs.tabs) - 1)
    assert pages.childAt(row.geometry().center()) in (row, *row.findChildren(QWidget))


def test_model_and_appearance_open_in_windows_that_close_with_the_widget(open_window, qtbot):
    _, widget = open_window(1100, 700)
    panel = widget.controllers.annotate.image_panel
    for button, window in zip(
        (panel.model, panel.appearance), widget.controllers.windows, strict=True
    ):
        button.click()
        assert window.isVisible()
        assert not window.isModal()
        qtbot.keyClick(window, Qt.Key.Key_Escape)
        assert not window.isVisible()
        button.click()
    assert widget.controllers.windows[0].windowTitle().startswith("Model: MobileSAM")
    widget.close()
    assert not any(window.isVisible() for window in widget.controllers.windows)


def test_moved_to_the_left_it_is_as_wide_and_as_high_as_it_needs(open_window, qtbot):
    viewer, widget = open_window(1100, 700)
    window, dock = viewer.window._qt_window, widget.controllers.dock
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, widget.parent())
    qtbot.waitUntil(lambda: dock.verticalScrollBar().maximum() == 0)
    assert dock.widget().minimumSizeHint().width() <= dock.viewport().width()
    assert viewer.window._qt_viewer.dockLayerList.isVisible()


def test_restored_at_the_left_of_a_low_window_it_is_as_high_as_at_the_right(make_widget, qtbot):
    viewer, first = make_widget(Image(SMALL, name="coins"), wait=False, show=True)
    viewer.window.remove_dock_widget(first)
    viewer.window._qt_window.resize(1100, 700)
    widget = SamWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SAM live", area="left")
    dock = widget.controllers.dock
    qtbot.waitUntil(lambda: dock.isVisible() and dock.verticalScrollBar().maximum() == 0)
    assert widget.controllers.objects.table.view.height() >= 80
    assert viewer.window._qt_viewer.dockLayerList.isVisible()
    widget.close()
