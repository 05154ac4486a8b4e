"""Panels are tested alone: settings in, signals out, without a viewer."""

from operator import attrgetter

import pytest


@pytest.fixture
def shown(qtbot):
    """Show a widget in a window of its own, which is closed after the test."""

    def show(widget, width=320, height=400):
        qtbot.addWidget(widget)
        widget.resize(width, height)
        with qtbot.waitExposed(widget):
            widget.show()
        return widget

    return show


@pytest.fixture
def heard():
    """Collect what signals of a widget or of its parts emit, as (name, arguments)."""

    def listen(widget, *names):
        emitted = []

        def hear(name, *arguments):
            # PyQt6 tells such a function that a button is not checked, PySide6 tells it nothing.
            emitted.append((name,) if name.endswith(".clicked") else (name, *arguments))

        for name in names:
            attrgetter(name)(widget).connect(lambda *arguments, name=name: hear(name, *arguments))
        return emitted

    return listen
