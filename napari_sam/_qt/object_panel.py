"""The target of accepted objects."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QGroupBox

from napari_sam._qt.building import ShortcutTexts, button, fill, row
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam.session.objects.edits import Overlap
from napari_sam.session.state import SessionState


class ObjectPanel(QGroupBox):
    """The target combo, and the buttons to accept, undo and redo."""

    accept_requested = Signal()
    undo_requested = Signal()
    redo_requested = Signal()
    overlap_requested = Signal(str)

    def __init__(self) -> None:
        super().__init__("Objects")
        self.target_combo = LayerCombo(
            "new labels layer", "The Labels layer that accepted objects are written to"
        )
        overlap_combo = QComboBox()
        overlap_combo.addItems([str(overlap) for overlap in Overlap])
        overlap_combo.setToolTip(
            "Where a new mask overlaps existing objects, they keep their pixels,\nthey lose their "
            "pixels, or the mask is refused"
        )
        overlap_combo.currentTextChanged.connect(self.overlap_requested.emit)
        self.texts = ShortcutTexts()
        self._accept = button(
            "",
            "Write the shown mask into the target layer as a new object",
            self.accept_requested.emit,
        )
        self._undo = button("Undo", "", self.undo_requested.emit)
        self._redo = button("Redo", "", self.redo_requested.emit)
        self.texts.add(self._accept.setText, "Accept", "accept")
        self.texts.add(self._undo.setToolTip, "Undo the last prompt or change of objects", "undo")
        self.texts.add(self._redo.setToolTip, "Redo the last undone step", "redo")
        buttons = row(self._accept, self._undo, self._redo)
        buttons.setStretch(0, 2)
        form = QFormLayout()
        form.addRow("write to", self.target_combo)
        form.addRow("overlaps", overlap_combo)
        fill(self, form, buttons)
        self.show_state(SessionState())

    def show_state(self, state: SessionState) -> None:
        """Enable the buttons that have something to do."""
        self._accept.setEnabled(state.can_accept)
        self._undo.setEnabled(state.can_undo)
        self._redo.setEnabled(state.can_redo)
