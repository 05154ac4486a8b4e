"""What becomes of the shown mask: accept it, or begin again."""

from typing import Final

from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.flat_button import FlatButton
from napari_sam.session.state import SessionState

_HEIGHT_PX: Final = 32
_LOW_PX: Final = 28


class ObjectPanel(QWidget):
    """The buttons to accept, clear, undo and redo.

    Automatic masks on offer are accepted by the same button, unless there are prompts.
    """

    accept_requested = Signal()
    accept_automatic_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.texts = ShortcutTexts()
        self._state = SessionState()
        self._offer, self._is_reviewing = "", False
        self.accept = FlatButton(is_primary=True)
        self.clear = FlatButton("Clear")
        self.undo = FlatButton("", icon="undo")
        self.redo = FlatButton("", icon="redo")
        for widget, tooltip, command in (
            (self.clear, "Remove the prompts of this object", "clear"),
            (self.undo, "Undo the last change of prompts or objects", "undo"),
            (self.redo, "Redo the last undone step", "redo"),
        ):
            self.texts.add(widget.setToolTip, tooltip, command)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget, share in ((self.accept, 5), (self.clear, 2), (self.undo, 1), (self.redo, 1)):
            layout.addWidget(widget, share)
        self.set_low(False)
        self.accept.clicked.connect(self._on_accept)
        self.accept.installEventFilter(self)
        self.show_state(self._state)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        """Keep the second press of a double-click, meant for an object, from all masks."""
        is_second = event.type() == QEvent.Type.MouseButtonDblClick
        return is_second and self._accepts_automatic and not self._is_reviewing

    def set_low(self, is_low: bool) -> None:
        """Take less height, or the usual one."""
        for widget in (self.accept, self.clear, self.undo, self.redo):
            widget.setFixedHeight(_LOW_PX if is_low else _HEIGHT_PX)

    def show_automatic(self, offer: str, *, is_reviewing: bool) -> None:
        """Show what accepting automatic masks does, empty: there are none; one of them, or all."""
        if (offer, is_reviewing) != (self._offer, self._is_reviewing):
            self._offer, self._is_reviewing = offer, is_reviewing
            self._show_accept()

    def show_state(self, state: SessionState) -> None:
        """Enable the buttons that have something to do."""
        self._state = state
        self._show_accept()
        self.clear.setEnabled(not state.prompts.is_empty)
        self.undo.setEnabled(state.can_undo)
        self.redo.setEnabled(state.can_redo)

    @property
    def _accepts_automatic(self) -> bool:
        return bool(self._offer) and not self._state.has_object_in_progress

    def _show_accept(self) -> None:
        state, command = self._state, "accept"
        text, tooltip = "Accept", "Add the shown mask to the target layer as a new object"
        if self._accepts_automatic:
            text, tooltip = self._offer, "Add this automatic mask to the target as an object"
            if not self._is_reviewing:  # not what a key does that is pressed once too often
                command = ""
                tooltip = (
                    "Add all automatic masks that pass the filters to the target as objects; one "
                    "undo removes them all. What overlaps objects is up to 'overlaps' in Options"
                )
        elif state.reedited_label_id is not None:
            text = f"Replace object {state.reedited_label_id}"
            tooltip = "Replace this object in the target layer with the shown mask"
        self.texts.add(self.accept.setText, text, command)
        self.accept.setToolTip(tooltip)
        self.accept.setEnabled(state.can_accept or self._accepts_automatic)

    def _on_accept(self) -> None:
        if self._accepts_automatic:
            self.accept_automatic_requested.emit()
        else:
            self.accept_requested.emit()
