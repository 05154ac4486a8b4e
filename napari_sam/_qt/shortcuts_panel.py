"""The window with all shortcuts, in which they can be changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app_model.backends.qt import qkeycombo2modelkey
from app_model.types import KeyBinding
from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QFont, QFontMetrics, QKeyEvent
from qtpy.QtWidgets import QDialog, QLabel, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_sam._qt.building import button, row, table

_KEY, _HELP = range(2)
_COMMAND: Final = Qt.ItemDataRole.UserRole
_SIZE_PX: Final = (460, 640)
_ROW_PX: Final = 20
_AROUND_HEADING_PX: Final = 24
_MODIFIERS: Final = {
    Qt.Key.Key_Shift,
    Qt.Key.Key_Control,
    Qt.Key.Key_Alt,
    Qt.Key.Key_Meta,
    Qt.Key.Key_AltGr,
}
_INSTRUCTIONS: Final = (
    "Double-click a shortcut, then press the new key. Shortcuts work while a SAM layer is selected."
)


@dataclass(frozen=True)
class ShortcutRow:
    """A shortcut as the list shows it."""

    group: str  # the heading it is listed under
    key: str  # as the platform writes it; "" for none
    help: str  # what it does now
    command: str = ""  # "" if the shortcut cannot be changed
    remark: str = ""  # its tooltip
    is_changed: bool = False  # whether it differs from the default
    summary: tuple[str, str] | None = None  # key and help of the line that stands for many


class ShortcutsPanel(QDialog):
    """Lists shortcuts in groups; asks for another key for one of them, or for the defaults."""

    key_requested = Signal(str, object)
    """A command and its new `KeyBinding`, or None for no key."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, windowTitle="SAM live: keyboard shortcuts", modal=False)
        self._command_to_change = ""
        self.rows = table("Keyboard shortcuts", "Key", "Action")
        self.rows.itemDoubleClicked.connect(self._on_change)
        self.rows.currentItemChanged.connect(self._on_current_changed)
        self.rows.installEventFilter(self)
        self._note = QLabel(_INSTRUCTIONS, wordWrap=True)
        self._change = button(
            "Change…", "Then press the new key, or Esc to keep the current one", self._on_change
        )
        self._none = button(
            "Remove key", "Leave this action without a shortcut", lambda: self._ask(None)
        )
        self.reset = button("Reset all", "Restore the default shortcuts")
        layout = QVBoxLayout(self)
        layout.addWidget(self.rows, 1)
        layout.addWidget(self._note)
        layout.addLayout(row(self._change, self._none, self.reset))
        self.resize(*_SIZE_PX)
        self._on_current_changed()

    # What is shown -----------------------------------------------------------------------------

    def show_rows(self, rows: Sequence[ShortcutRow]) -> None:
        """Show these shortcuts, those of a group under its heading."""
        selected = self._current
        self.rows.clear()
        groups: dict[str, QTreeWidgetItem] = {}
        for shortcut in rows:
            if shortcut.group not in groups:
                groups[shortcut.group] = heading = QTreeWidgetItem([shortcut.group])
                font = heading.font(0)
                font.setBold(True)
                heading.setFont(0, font)
                heading.setSizeHint(_KEY, QSize(0, _ROW_PX))  # row heights are uniform
                heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
                self.rows.addTopLevelItem(heading)
                heading.setFirstColumnSpanned(True)
                heading.setExpanded(True)
            text = f"{shortcut.help} (changed)" if shortcut.is_changed else shortcut.help
            item = QTreeWidgetItem([shortcut.key or "none", text])
            item.setData(_KEY, _COMMAND, shortcut.command)
            for column in (_KEY, _HELP):
                item.setToolTip(column, shortcut.remark)
            parent = self._parent_of(groups[shortcut.group], shortcut)
            parent.addChild(item)
            if shortcut.command and shortcut.command == selected:
                self.rows.setCurrentItem(item)
            if shortcut.command == selected or shortcut.is_changed:
                parent.setExpanded(True)
        self._leave_room(groups)
        self.reset.setEnabled(any(shortcut.is_changed for shortcut in rows))

    @staticmethod
    def _parent_of(group: QTreeWidgetItem, shortcut: ShortcutRow) -> QTreeWidgetItem:
        """Return what a shortcut is listed under: its group, or the line that stands for many."""
        if shortcut.summary is None:
            return group
        last = group.child(group.childCount() - 1)
        texts = list(shortcut.summary)
        if last is None or [last.text(_KEY), last.text(_HELP)] != texts:
            last = QTreeWidgetItem(texts)
            last.setToolTip(_HELP, "Double-click to list them one by one")
            group.addChild(last)
        return last

    def _leave_room(self, headings: Iterable[str]) -> None:
        """Keep the window wide enough for the headings; other lines can be scrolled."""
        font = QFont(self.rows.font())
        font.setBold(True)
        longest = max(map(QFontMetrics(font).horizontalAdvance, headings), default=0)
        bar = self.rows.verticalScrollBar().sizeHint().width()
        self.rows.setMinimumWidth(longest + bar + _AROUND_HEADING_PX)

    def refuse(self, reason: str) -> None:
        """Say why a key was not taken, and wait for another one."""
        self._command_to_change = self._current
        self.show_note(f"{reason} Press another key, or Esc to keep the current one.")

    def show_note(self, text: str) -> None:
        """Show what came of the last change; "": the instructions."""
        self._note.setText(text or _INSTRUCTIONS)

    # What is asked for ---------------------------------------------------------------------------

    @property
    def _current(self) -> str:
        item = self.rows.currentItem()
        return "" if item is None else item.data(_KEY, _COMMAND) or ""

    def _on_current_changed(self) -> None:
        self._command_to_change = ""
        for widget in (self._change, self._none):
            widget.setEnabled(bool(self._current))

    def _on_change(self) -> None:
        if self._current:
            self._command_to_change = self._current
            self.rows.setFocus()
            self.show_note(f"Press the new key for '{self.rows.currentItem().text(_HELP)}'.")

    def _ask(self, binding: KeyBinding | None) -> None:
        self._command_to_change = ""
        self.show_note("")
        self.key_requested.emit(self._current, binding)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the next key that is pressed as the new one while a shortcut is being changed."""
        if watched is self.rows and self._command_to_change and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()  # napari's menus do not get it
            elif event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
                self._command_to_change = ""
                self.show_note("")
            elif event.type() == QEvent.Type.KeyPress and event.key() not in _MODIFIERS:
                self._ask(KeyBinding.from_int(int(qkeycombo2modelkey(event.keyCombination()))))
            return True
        return bool(super().eventFilter(watched, event))
