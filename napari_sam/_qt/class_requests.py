"""What is asked for by the views of the classes."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget


class ClassRequests(QWidget):
    """A view in which all classes can be changed."""

    add_requested = Signal(str)
    rename_requested = Signal(str, str)
    recolor_requested = Signal(str, str)
    remove_requested = Signal(str)
