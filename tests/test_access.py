"""Everything in the dock by the keyboard alone, by a screen reader, and with the focus in sight."""

import numpy as np
import pytest
from napari.layers import Image
from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollBar,
    QWidget,
)
from skimage import data

from napari_sam.session import Prompts

TIMEOUT_S = 120
EDITED = QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit
INTERACTIVE = QAbstractButton, QAbstractSlider, *EDITED
LEAST_CONTRAST = 60
"""Of the frame around what has the focus, in steps of lightness from 0 to 255."""


@pytest.fixture
def window(make_widget, qtbot):
    """A stack with objects, classes and an object in progress, in a window that has the focus."""
    stack = np.stack([data.coins()[40:168, 40:200]] * 3)
    viewer, widget = make_widget(Image(stack, name="coins"), show=True)
    viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(viewer.window._qt_window.isActiveWindow)
    for name in ("gold", "silver"):
        widget.session.classes.add(name)
    widget.binding.prompts.start_points()
    for is_accepted, x in ((True, 64), (True, 110), (False, 64)):
        widget.session.set_prompts(Prompts(((x, 28),), (1,)))
        widget.wait_until_idle(TIMEOUT_S)
        if is_accepted:
            widget.binding.objects.accept()
            widget.wait_until_idle(TIMEOUT_S)
    return widget


def interactive(widget: QWidget) -> list[QWidget]:
    """Return what can be used now, but for the parts of such things, which they pass on."""
    return [
        part
        for part in widget.findChildren(QWidget)
        if isinstance(part, INTERACTIVE)
        and part.isVisible()
        and part.isEnabled()
        and not isinstance(part, QScrollBar | QHeaderView)
        and not any(
            isinstance(around, EDITED) for around in (part.parent(), part.parent().parent())
        )
        and not part.findChildren(QAbstractSlider)  # one with its value beside it
        and type(part).__name__ != "SliderLabel"  # that value, which the slider sets
    ]


def spoken_name(widget: QWidget) -> str:
    """Return what a screen reader calls a widget."""
    labels = widget.window().findChildren(QLabel)
    own = widget.text() if isinstance(widget, QAbstractButton) else ""
    of_labels = (label.text() for label in labels if label.buddy() is widget)
    return widget.accessibleName() or own or next(of_labels, "")


def shown(widget: QWidget):
    """Return a widget as it is painted, with what lies over it."""
    return widget.parentWidget().grab(widget.geometry()).toImage()


def tab_through(first: QWidget, around: QWidget) -> list[QWidget]:
    """Press Tab until it leads out of a widget, or around; return what has had the focus."""
    first.setFocus(Qt.FocusReason.TabFocusReason)
    reached: list[QWidget] = []
    while (focused := QApplication.focusWidget()) not in reached and around.isAncestorOf(focused):
        reached.append(focused)
        image = shown(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
        pictures, places = (image, shown(focused)), ((1, image.height() // 2), (5, 1))
        lightness = [[one.pixelColor(*place).lightness() for place in places] for one in pictures]
        contrast = np.abs(np.diff(lightness, axis=0)).max()
        assert contrast > LEAST_CONTRAST, (type(focused).__name__, spoken_name(focused))
    return reached


def test_the_tab_key_reaches_everything_and_everything_has_a_name(window):
    parts = window.controllers
    first = parts.annotate.image_panel.image_combo
    pages = [(tab, lambda: None) for tab in parts.tabs.tabs]
    pages.append((parts.stack.tab, lambda: show_tracks(parts.stack.panel)))
    for tab, prepare in pages:
        tab.select()
        prepare()
        window.wait_until_idle(TIMEOUT_S)
        usable = interactive(window)
        assert not [part.toolTip() for part in usable if not spoken_name(part)], tab.title
        reached = tab_through(first, window)
        missed = [spoken_name(part) for part in usable if part not in reached]
        assert not missed, tab.title
        # Nothing takes the focus that does nothing with it.
        assert not [part for part in reached if part not in usable and not spoken_name(part)]
    for one in (*parts.windows, parts.automatic.panel.form.window(), parts.shortcuts.panel):
        one.show()
        usable = interactive(one)
        assert usable
        assert not [part.toolTip() for part in usable if not spoken_name(part)]


def test_texts_are_as_large_as_those_of_napari(make_widget):
    _, widget = make_widget()
    dock, appearance = widget.controllers.dock, get_settings().appearance
    usual, width = appearance.font_size, dock.widget().minimumSizeHint().width()
    assert dock.help_button.font().pointSizeF() == usual
    for size, is_wider in ((2 * usual, True), (usual, False)):
        appearance.font_size = size
        QApplication.processEvents()
        assert dock.help_button.font().pointSizeF() == size
        assert (dock.widget().minimumSizeHint().width() > width) == is_wider


def show_tracks(panel) -> None:
    panel.frames.click()
    panel.views[1].click()
