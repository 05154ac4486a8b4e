from types import SimpleNamespace

from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QMovie, QWheelEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
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


def test_spinners_are_paused(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    label, plain = QLabel(window), QLabel(window)
    label.setMovie(QMovie())
    pause_spinners(window)
    assert label.movie().state() in (QMovie.MovieState.Paused, QMovie.MovieState.NotRunning)
    assert plain.movie() is None
