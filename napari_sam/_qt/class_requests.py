"""What is asked for by the views of the classes."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget


class ClassRequests(QWidget):
    """A view in which one class is chosen and all of them can be changed."""

    choose_requested = Signal(object)
    """The name of a class, or None."""
    add_requested = Signal(str)
    rename_requested = Signal(str, str)
    recolor_requested = Signal(str, str)
    remove_requested = Signal(str)
