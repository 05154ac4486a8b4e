"""While somebody clicks, nothing in the window moves or is laid out again that need not."""

from napari.layers import Image
from qtpy.QtCore import QEvent, QObject, QPoint
from qtpy.QtWidgets import QAbstractButton, QApplication, QWidget
from skimage import data

from napari_sam.session import Prompts

TIMEOUT_S = 120
ON_A_COIN = Prompts(((104, 68),), (1,))
ON_ANOTHER = Prompts(((153, 50),), (1,))


class LayoutCounter(QObject):
    """Counts how often a widget is asked for another layout."""

    def __init__(self, widget):
        super().__init__()
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, _, event):
        self.count += event.type() == QEvent.Type.LayoutRequest
        return False


class WindowWatcher(QObject):
    """Collects the windows that are shown."""

    def __init__(self):
        super().__init__()
        self.windows = []
        QApplication.instance().installEventFilter(self)

    def eventFilter(self, shown, event):
        if event.type() == QEvent.Type.Show and isinstance(shown, QWidget) and shown.isWindow():
            self.windows.append(shown)
        return False


def test_no_part_of_the_dock_is_a_window_before_it_has_its_place(make_widget):
    watcher = WindowWatcher()
    _, widget = make_widget(Image(data.coins(), name="coins"))
    for tab in widget.controllers.tabs.tabs:
        tab.build()
    QApplication.instance().removeEventFilter(watcher)
    assert [shown for shown in watcher.windows if widget.isAncestorOf(shown)] == []


def settled(widget):
    widget.wait_until_idle(TIMEOUT_S)
    QApplication.processEvents()


def test_buttons_stay_in_place_while_objects_are_made(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins(), name="coins"), show=True)
    viewer.window._qt_window.resize(1200, 850)
    qtbot.waitUntil(widget.isVisible)
    widget.binding.prompts.start_points()
    settled(widget)
    controllers = widget.controllers
    qtbot.waitUntil(lambda: controllers.dock.height() > 700)  # until the window has its size
    settled(widget)
    buttons = controllers.dock.findChildren(QAbstractButton)
    places, moved = {}, []
    phases = set()

    def look(state):
        QApplication.sendPostedEvents()
        phases.add(state.phase)
        # napari's status bar may take a pixel from the whole dock when it first says something.
        foot = controllers.objects.table.mapTo(widget, QPoint(0, 0)).y()
        for button in filter(QAbstractButton.isVisible, buttons):
            place = button.mapTo(widget, QPoint(0, 0))
            if place.y() < foot and places.setdefault(button, place) != place:
                moved.append((button, places[button], place))

    look(widget.session.state)
    widget.session.changed.connect(look)
    widget.session.set_prompts(ON_A_COIN)
    settled(widget)
    viewer.layers[0].contrast_limits = (0, 200)  # has it embedded again
    settled(widget)
    widget.binding.objects.accept()
    settled(widget)
    assert len(phases) > 1
    assert len(places) > 20
    assert moved == []


def test_a_click_lays_out_no_window(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins(), name="coins"), show=True)
    qtbot.waitUntil(widget.isVisible)
    widget.binding.prompts.start_points()
    widget.session.set_prompts(ON_A_COIN)
    settled(widget)
    widget.binding.objects.accept()  # what shows for the first time may take room
    settled(widget)
    counter = LayoutCounter(viewer.window._qt_window)
    widget.session.set_prompts(ON_ANOTHER)
    settled(widget)
    widget.session.object_in_progress.clear()
    settled(widget)
    assert counter.count == 0


def test_what_the_session_writes_leaves_the_layer_list_as_it_is_drawn(make_widget):
    viewer, widget = make_widget(Image(data.coins(), name="coins"))
    widget.binding.prompts.start_points()
    points = viewer.layers["SAM points"]
    points.add((68, 104))
    settled(widget)
    seen = []
    viewer.layers.events.connect(lambda event: seen.append(event.type))
    widget.session.undo()
    settled(widget)
    assert len(points.data) == 0
    widget.session.redo()
    settled(widget)
    assert points.data.tolist() == [[68, 104]]
    assert not {"data", "features", "set_data", "translate"}.intersection(seen)
