"""The buttons below the table of objects, which act on its selected rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_sam._qt.building import button, fill, row
from napari_sam._qt.shortcut_texts import ShortcutTexts


class ObjectButtons(QWidget):
    """Buttons to re-edit, delete, merge and classify the selected objects."""

    reopen_requested = Signal()
    remove_requested = Signal()
    merge_requested = Signal()
    class_requested = Signal(object)
    """The name of a class, or None."""

    def __init__(self) -> None:
        super().__init__()
        self._keyed = ShortcutTexts()
        self._reopen = button("Re-edit", "", self.reopen_requested.emit)
        self._delete = button("Delete", "", self.remove_requested.emit)
        for widget, tooltip, command in (
            (self._reopen, "Re-edit this object from its original prompts", "reopen"),
            (self._delete, "Delete the selected objects", "remove"),
        ):
            self._keyed.add(widget.setToolTip, tooltip, command, "{} with the cursor on it")
        self._merge = button(
            "Merge", "Merge the selected objects into one", self.merge_requested.emit
        )
        self._class = QComboBox()
        self._class.setEditable(True)
        self._class.setToolTip(
            "Class of the selected objects: choose one, or type a name and press Enter"
        )
        self._class.lineEdit().setPlaceholderText("class")
        self._class.lineEdit().returnPressed.connect(self._on_class)
        self._class.activated.connect(self._on_class)
        fill(self, row(self._reopen, self._delete, self._merge, self._class, stretch=self._class))
        self.show_count(0)

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Show these keys in the texts, by command."""
        self._keyed.show(keys)

    def show_count(self, count: int) -> None:
        """Enable what can be done with so many selected objects."""
        self._reopen.setEnabled(count == 1)
        self._delete.setEnabled(count > 0)
        self._merge.setEnabled(count > 1)
        self._class.setEnabled(count > 0)

    def set_classes(self, names: Iterable[str]) -> None:
        """List these classes; a name that is being typed stays."""
        text = self._class.currentText()
        self._class.clear()
        self._class.addItems(list(names))
        self._class.setEditText(text)

    def _on_class(self) -> None:
        self.class_requested.emit(self._class.currentText().strip() or None)
