"""The target of accepted objects."""

from qtpy.QtWidgets import QGroupBox

from napari_sam._qt.building import ShortcutTexts, button, combo_box, fill, form, row
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam.session.objects.edits import Overlap
from napari_sam.session.state import SessionState


class ObjectPanel(QGroupBox):
    """The target combo, and the buttons to accept, undo and redo."""

    def __init__(self) -> None:
        super().__init__("Objects")
        self.target_combo = LayerCombo(
            "new labels layer", "The Labels layer that accepted objects are written to"
        )
        self.overlap_combo = combo_box(
            "Where a new mask overlaps existing objects, they keep their pixels,\nthey "
            "lose their pixels, or the mask is refused"
        )
        self.overlap_combo.addItems([str(overlap) for overlap in Overlap])
        self.texts = ShortcutTexts()
        self.accept = button("", "")
        self.undo = button("Undo", "")
        self.redo = button("Redo", "")
        self.texts.add(self.undo.setToolTip, "Undo the last change of prompts or objects", "undo")
        self.texts.add(self.redo.setToolTip, "Redo the last undone step", "redo")
        buttons = row(self.accept, self.undo, self.redo)
        buttons.setStretch(0, 2)
        choices = form(("write to", self.target_combo), ("overlaps", self.overlap_combo))
        fill(self, choices, buttons)
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
        self.undo.setEnabled(state.can_undo)
        self.redo.setEnabled(state.can_redo)
