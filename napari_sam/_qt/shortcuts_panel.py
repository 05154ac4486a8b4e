"""All keys and what they do, in a window of their own in which they can be changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app_model.backends.qt import qkeycombo2modelkey
from app_model.types import KeyBinding
from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QFont, QFontMetrics, QKeyEvent
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

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
_HOW: Final = (
    "Double-click a key, or press Change…, and press another. Keys work while one of our layers is"
    " selected."
)


@dataclass(frozen=True)
class KeyRow:
    """One key."""

    group: str  # under which heading it is listed
    key: str  # as the platform writes it; "" for none
    help: str  # what it does now
    command: str = ""  # what it gives; "" for a key that cannot be changed
    remark: str = ""  # what else is to be known of it
    is_changed: bool = False  # whether the user chose it


class ShortcutsPanel(QDialog):
    """Lists keys in groups; asks for another key for one of them, or for all as they come."""

    key_requested = Signal(str, object)
    """With a command and the `KeyBinding` that is to give it; None: no key."""
    reset_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys of SAM live")
        self.setModal(False)
        self._waiting = ""
        self.rows = QTreeWidget()
        self.rows.setHeaderLabels(["key", "what it does"])
        self.rows.setUniformRowHeights(True)
        self.rows.setRootIsDecorated(False)
        self.rows.setEditTriggers(QTreeWidget.EditTrigger.NoEditTriggers)
        self.rows.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.rows.itemDoubleClicked.connect(self._on_change)
        self.rows.currentItemChanged.connect(self._on_current_changed)
        self.rows.installEventFilter(self)
        self._note = QLabel(_HOW)
        self._note.setWordWrap(True)
        self._change = QPushButton("Change…")
        self._change.setToolTip("Then press the new key; Escape leaves it as it is")
        self._change.clicked.connect(self._on_change)
        self._none = QPushButton("No key")
        self._none.clicked.connect(lambda: self._ask(None))
        self._reset = QPushButton("Reset all")
        self._reset.setToolTip("Have all keys as they come")
        self._reset.clicked.connect(lambda: self.reset_requested.emit())
        buttons = QHBoxLayout()
        for button in (self._change, self._none, self._reset):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.rows, 1)
        layout.addWidget(self._note)
        layout.addLayout(buttons)
        self.resize(*_SIZE_PX)
        self._on_current_changed()

    # What is shown -----------------------------------------------------------------------------

    def show_keys(self, rows: Sequence[KeyRow]) -> None:
        """Show these keys, those of a group under its heading."""
        chosen = self._current
        self.rows.clear()
        groups: dict[str, QTreeWidgetItem] = {}
        for row in rows:
            if row.group not in groups:
                groups[row.group] = heading = QTreeWidgetItem([row.group])
                font = heading.font(0)
                font.setBold(True)
                heading.setFont(0, font)
                heading.setSizeHint(_KEY, QSize(0, _ROW_PX))  # of all rows, by their first
                heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
                self.rows.addTopLevelItem(heading)
                heading.setFirstColumnSpanned(True)
                heading.setExpanded(True)
            text = f"{row.help} (changed)" if row.is_changed else row.help
            item = QTreeWidgetItem([row.key or "none", text])
            item.setData(_KEY, _COMMAND, row.command)
            for column in (_KEY, _HELP):
                item.setToolTip(column, row.remark)
            groups[row.group].addChild(item)
            if row.command and row.command == chosen:
                self.rows.setCurrentItem(item)
        self._leave_room(groups)
        self._reset.setEnabled(any(row.is_changed for row in rows))

    def _leave_room(self, headings: Iterable[str]) -> None:
        """Have no heading cut off; other lines can be scrolled to their ends."""
        font = QFont(self.rows.font())
        font.setBold(True)
        longest = max(map(QFontMetrics(font).horizontalAdvance, headings), default=0)
        bar = self.rows.verticalScrollBar().sizeHint().width()
        self.rows.setMinimumWidth(longest + bar + _AROUND_HEADING_PX)

    def show_note(self, text: str) -> None:
        """Say something of what was just done; "": how keys are changed."""
        self._note.setText(text or _HOW)

    # What is asked for ---------------------------------------------------------------------------

    @property
    def _current(self) -> str:
        item = self.rows.currentItem()
        return "" if item is None else item.data(_KEY, _COMMAND) or ""

    def _on_current_changed(self) -> None:
        self._waiting = ""
        for button in (self._change, self._none):
            button.setEnabled(bool(self._current))

    def _on_change(self) -> None:
        if self._current:
            self._waiting = self._current
            self.rows.setFocus()
            self.show_note(f"Press the new key for: {self.rows.currentItem().text(_HELP)}.")

    def _ask(self, binding: KeyBinding | None) -> None:
        self._waiting = ""
        self.show_note("")
        self.key_requested.emit(self._current, binding)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the next key that is pressed as the new one, while one is waited for."""
        if watched is self.rows and self._waiting and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()  # napari's menus do not get it
            elif event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
                self._waiting = ""
                self.show_note("")
            elif event.type() == QEvent.Type.KeyPress and event.key() not in _MODIFIERS:
                self._ask(KeyBinding.from_int(int(qkeycombo2modelkey(event.keyCombination()))))
            return True
        return bool(super().eventFilter(watched, event))
