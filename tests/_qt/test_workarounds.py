from types import SimpleNamespace

import pytest
from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from qtpy.QtGui import QMovie, QWheelEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDockWidget,
    QLabel,
    QMainWindow,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QDoubleRangeSlider, QLabeledDoubleSlider

from napari_sam._qt.workarounds import (
    CalmStatusBar,
    PanelColumn,
    call_soon,
    claim_height,
    pause_spinners,
)
from napari_sam.session.state import SessionState


def test_a_column_is_as_wide_as_its_widest_panel(shown):
    column, panel = PanelColumn(), QWidget()
    panel.setMinimumWidth(300)
    column.add(panel)
    shown(column, width=400)
    QApplication.processEvents()
    least = column.minimumSizeHint().width()
    assert least > 300
    panel.setMinimumWidth(350)
    QApplication.processEvents()
    assert column.minimumSizeHint().width() == least + 50


def test_the_wheel_changes_no_value_in_a_column(shown, qtbot):
    column, panel = PanelColumn(), QWidget()
    layout = QVBoxLayout(panel)
    combo, number, slider = QComboBox(), QSpinBox(), QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    combo.addItems(list("abc"))
    layout.addWidget(combo)
    panel.setMinimumHeight(2000)
    column.add(panel)
    shown(column)
    areas = QDoubleRangeSlider(Qt.Orientation.Horizontal)
    for late in (number, slider, areas):
        layout.addWidget(late)
    for field in (number, slider, areas):
        field.setRange(0, 10)
    number.setValue(5)
    slider.setValue(5)
    areas.setValue((2, 8))
    combo.setCurrentIndex(1)
    qtbot.wait(100)  # for the layouts, one after the other
    for field in (combo, number, slider, slider._slider, slider._label, areas):
        middle = QPointF(field.rect().center())
        event = QWheelEvent(
            middle,
            field.mapToGlobal(middle),
            QPoint(),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(field, event)
        assert not event.isAccepted()  # Qt passes it on to what is around
    values = combo.currentIndex(), number.value(), slider.value(), areas.value()
    assert values == (1, 5, 5, (2, 8))


def test_the_status_bar_is_repainted_with_previews(shown, qtbot):
    window, widget = QMainWindow(), QWidget()
    window.setCentralWidget(widget)
    bar = window.statusBar()
    shown(window)
    calm = CalmStatusBar(widget)
    calm.calm(True)
    bar.repaint()
    qtbot.waitUntil(lambda: not bar.updatesEnabled())
    calm.show_state(SessionState(preview=SimpleNamespace()))
    assert bar.updatesEnabled()
    calm.calm(False)
    assert bar.updatesEnabled()
    bar.repaint()
    QApplication.processEvents()
    assert bar.updatesEnabled()


def test_the_status_bar_is_calm_in_a_window_that_comes_after_previews_are_on(shown, qtbot):
    widget = QWidget()
    calm = CalmStatusBar(widget)
    calm.calm(True)
    window = QMainWindow()
    window.setCentralWidget(widget)
    bar = window.statusBar()
    shown(window)
    calm.show_state(SessionState())
    bar.repaint()
    qtbot.waitUntil(lambda: not bar.updatesEnabled())
    calm.calm(False)
    assert bar.updatesEnabled()


@pytest.mark.parametrize(("width", "is_beside"), [(1100, True), (700, False)])
def test_a_dock_that_is_too_low_gets_a_column_of_its_own_where_there_is_room(
    shown, width, is_beside
):
    window, canvas, parts = QMainWindow(), QWidget(), []
    canvas.setMinimumWidth(100)
    window.setCentralWidget(canvas)
    for height in (300, 180, 60):
        part, content, dock = QWidget(), QWidget(), QDockWidget(window)
        content.setMinimumSize(320, height)
        QVBoxLayout(part).addWidget(content)
        dock.setWidget(part)
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        parts.append(part)
    shown(window, width, 700)
    *above, widget = parts
    claim_height(widget, 500)
    QApplication.processEvents()
    assert (widget.height() >= 500) == is_beside
    assert all(part.height() >= part.minimumSizeHint().height() for part in above)
    assert canvas.width() >= 200


def test_spinners_are_paused(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    label, plain = QLabel(window), QLabel(window)
    label.setMovie(QMovie())
    pause_spinners(window)
    assert label.movie().state() in (QMovie.MovieState.Paused, QMovie.MovieState.NotRunning)
    assert plain.movie() is None


def test_nothing_is_done_for_an_owner_that_is_deleted(qtbot):
    done, owner, other = [], QObject(), QObject()
    call_soon(owner, lambda: done.append("deleted"))
    call_soon(other, lambda: done.append("there"))
    owner.deleteLater()
    QApplication.sendPostedEvents(owner, QEvent.Type.DeferredDelete)
    qtbot.waitUntil(lambda: bool(done))
    assert done == ["there"]
