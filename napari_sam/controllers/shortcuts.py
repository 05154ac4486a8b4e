"""Connects the list of shortcuts with the keys in force, and keeps the user's own keys."""

from collections.abc import Iterable
from typing import Final

from app_model.backends.qt import QKeyBindingSequence
from app_model.types import KeyBinding
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QMenu, QShortcut

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.shortcuts_panel import ShortcutRow, ShortcutsPanel
from napari_sam._qt.workarounds import focus_canvas
from napari_sam.controllers.context import WidgetContext
from napari_sam.layers import SHORTCUTS
from napari_sam.layers.shortcuts import MAX_NUMBERED, Shortcut, class_command, key_text
from napari_sam.session.connections import Connections
from napari_sam.storage.shortcuts import load_shortcuts, save_shortcuts

_OF_CLASSES: Final = ("0 … 9", "Set the class with this number, or none")
_GROUPS: Final = list(dict.fromkeys(shortcut.group for shortcut in SHORTCUTS))


class ShortcutsController:
    """Shows all shortcuts, changes them, and keeps them from one start to the next."""

    def __init__(self, context: WidgetContext, texts: Iterable[ShortcutTexts]) -> None:
        self._texts = tuple(texts)
        self._widget = widget = context.widget
        self._warn = context.session.notifier.warn
        self._classes = classes = context.session.classes.table
        self._shortcuts = context.binding.shortcuts
        self.panel = ShortcutsPanel(widget)
        self.panel.key_requested.connect(self._on_key_requested)
        self.panel.reset.clicked.connect(self._on_reset_clicked)
        self._help_key = QShortcut(QKeySequence("?"), widget)
        self._help_key.activated.connect(self.toggle)
        self._shortcuts.register({"help": self.toggle})
        self._load()
        self._viewer = context.viewer
        self._connections = Connections(
            (self._shortcuts.changed, self._show),
            (classes.changed, self._show),
            (context.viewer.events.mouse_over_canvas, self._on_mouse_over_canvas),
        )
        self._show()

    def close(self) -> None:
        """Close the list."""
        self._connections.close()
        self.panel.close()

    def toggle(self) -> None:
        """Show the list or hide it; it is not modal."""
        if self.panel.isVisible():
            self.panel.hide()
        else:
            self.panel.show_note("")
            self.panel.show()
            self._show()

    def _on_mouse_over_canvas(self) -> None:
        if self._viewer.mouse_over_canvas:
            focus_canvas(self._widget.window())

    def _load(self) -> None:
        try:
            invalid = self._shortcuts.reset(load_shortcuts())
        except ValueError as error:
            self._warn(str(error))
            return
        if invalid:
            self._warn(
                f"Ignored invalid shortcuts in your settings: {', '.join(invalid)}. Press ? to set "
                "them again."
            )

    def _show(self) -> None:
        for texts in self._texts:
            texts.show(self._shortcuts.texts)
        if self.panel.isVisible():
            self.panel.show_rows(self._rows())

    def _rows(self) -> list[ShortcutRow]:
        numbers = {class_command(number): number for number in range(1, MAX_NUMBERED + 1)}
        bindings = self._shortcuts.bindings
        return [
            ShortcutRow(
                shortcut.group,
                key_text(bindings[shortcut.command]),
                self._help(shortcut, numbers.get(shortcut.command)),
                shortcut.command if shortcut.layer_types else "",
                self._remark(shortcut),
                bindings[shortcut.command] != shortcut.binding,
                _OF_CLASSES if shortcut.command in (*numbers, class_command(0)) else None,
            )
            for shortcut in sorted(SHORTCUTS, key=lambda shortcut: _GROUPS.index(shortcut.group))
        ]

    def _help(self, shortcut: Shortcut, number: int | None) -> str:
        """Return what a key does now."""
        if number is not None:
            name = self._classes.name_of(number)
            return f"{shortcut.help}: {name}" if name else f"{shortcut.help} (not defined yet)"
        names = [layer_type.__name__ for layer_type in shortcut.layer_types]
        return f"{shortcut.help} ({names[0]} layer)" if len(names) == 1 else shortcut.help

    def _remark(self, shortcut: Shortcut) -> str:
        hidden = self._shortcuts.hidden_actions(shortcut.command)
        return f"On SAM layers this replaces napari's: {', '.join(hidden)}" if hidden else ""

    # What is asked for ---------------------------------------------------------------------------

    def _on_key_requested(self, command: str, binding: KeyBinding | None) -> None:
        try:
            self._check_menus(binding)
            self._shortcuts.set_key(command, binding)
            save_shortcuts(self._shortcuts.changed_keys)
        except ValueError as error:
            self.panel.refuse(str(error))
            return
        hidden = self._shortcuts.hidden_actions(command)
        if hidden:
            self.panel.show_note(
                f"{key_text(binding)} normally triggers '{', '.join(hidden)}': no longer so on SAM "
                "layers."
            )

    def _check_menus(self, binding: KeyBinding | None) -> None:
        """Refuse a key of napari's menus, which no layer would get."""
        if binding is None:
            return
        sequence = QKeyBindingSequence(binding)
        menus = self._widget.window().findChildren(QMenu)
        for action in (action for menu in menus for action in menu.actions()):
            if sequence in action.shortcuts():
                name = action.text().replace("&", "")
                msg = f"{key_text(binding)} triggers '{name}' in napari."
                raise ValueError(msg)

    def _on_reset_clicked(self) -> None:
        self._shortcuts.reset()
        try:
            save_shortcuts(self._shortcuts.changed_keys)
        except ValueError as error:
            self.panel.show_note(str(error))
