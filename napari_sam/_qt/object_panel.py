"""What becomes of the shown mask: accept it, or begin again."""

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.flat_button import FlatButton
from napari_sam.session.state import SessionState

_HEIGHT_PX = 32


class ObjectPanel(QWidget):
    """The buttons to accept, clear, undo and redo."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = ShortcutTexts()
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
            widget.setFixedHeight(_HEIGHT_PX)
            layout.addWidget(widget, share)
        self.show_state(SessionState())

    def show_state(self, state: SessionState) -> None:
        """Enable the buttons that have something to do."""
        text, tooltip = "Accept", "Add the shown mask to the target layer as a new object"
        if state.reedited_label_id is not None:
            text = f"Replace object {state.reedited_label_id}"
            tooltip = "Replace this object in the target layer with the shown mask"
        self.texts.add(self.accept.setText, text, "accept")
        self.accept.setToolTip(tooltip)
        self.accept.setEnabled(state.can_accept)
        self.clear.setEnabled(not state.prompts.is_empty)
        self.undo.setEnabled(state.can_undo)
        self.redo.setEnabled(state.can_redo)
