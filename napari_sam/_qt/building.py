"""Short ways to build the widgets and layouts that all panels are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

Part: TypeAlias = "QWidget | QLayout"


def button(text: str, tooltip: str, action: Callable[[], object]) -> QPushButton:
    """Return a button that starts an action."""
    push_button = QPushButton(text)
    push_button.setToolTip(tooltip)
    push_button.clicked.connect(lambda: action())
    return push_button


def check_box(
    text: str,
    tooltip: str,
    action: Callable[[bool], object] | None = None,
    *,
    checked: bool = False,
) -> QCheckBox:
    """Return a check box; it passes its state to an action, if there is one."""
    box = QCheckBox(text)
    box.setChecked(checked)
    box.setToolTip(tooltip)
    if action is not None:
        box.toggled.connect(action)
    return box


def progress_bar(tooltip: str) -> QProgressBar:
    """Return a progress bar in percent."""
    bar = QProgressBar()
    bar.setRange(0, 100)
    bar.setToolTip(tooltip)
    return bar


def row(*parts: Part, stretch: Part | None = None) -> QHBoxLayout:
    """Return a row of equal parts; with `stretch`, that part takes all spare width."""
    layout = QHBoxLayout()
    for part in parts:
        _add(layout, part, 1 if stretch is None or part is stretch else 0)
    return layout


def fill(widget: QWidget, *parts: Part) -> None:
    """Lay out parts below each other in a widget, without margins."""
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        _add(layout, part, 0)


def _add(layout: Any, part: Part, stretch: int) -> None:
    if isinstance(part, QLayout):
        layout.addLayout(part, stretch)
    else:
        layout.addWidget(part, stretch)
