"""Buttons that emit a signal, and rows of them."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget


def signal_button(text: str, signal: Signal, *arguments: int, tooltip: str = "") -> QPushButton:
    """Return a button that emits a signal with these arguments."""
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.clicked.connect(lambda: signal.emit(*arguments))
    return button


def button_row(*widgets: QWidget) -> QHBoxLayout:
    """Return a row of widgets."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
