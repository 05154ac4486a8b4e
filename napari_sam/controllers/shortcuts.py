"""Connects the list of keys with the keys that are in force, and keeps those that are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from app_model.backends.qt import QKeyBindingSequence
from app_model.types import KeyBinding
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QMenu, QShortcut, QWidget

from napari_sam._qt.shortcuts_panel import KeyRow, ShortcutsPanel
from napari_sam.layers import KEYS, LayerBinding
from napari_sam.layers.shortcuts import MAX_NUMBERED, Key, class_command, key_text
from napari_sam.session.classes.classes import ClassTable
from napari_sam.session.connections import Connections
from napari_sam.storage.shortcuts import load_keys, save_keys

_GROUPS: Final = list(dict.fromkeys(key.group for key in KEYS))


class NamesKeys(Protocol):
    """A panel with keys in its texts."""

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Name these keys, by command; "" stands for no key."""


class ShortcutsController:
    """Shows all keys, has them changed, and remembers that from one start to the next."""

    def __init__(
        self,
        widget: QWidget,
        binding: LayerBinding,
        classes: ClassTable,
        panels: Iterable[NamesKeys] = (),
    ) -> None:
        self._panels = tuple(panels)
        self._widget, self._binding, self._classes = widget, binding, classes
        self._keys = binding.keys
        self.panel = ShortcutsPanel(widget)
        self.panel.key_requested.connect(self._on_key_requested)
        self.panel.reset_requested.connect(self._on_reset_requested)
        self._shortcut = QShortcut(QKeySequence("?"), widget)
        self._shortcut.activated.connect(self.toggle)
        self._keys.offer({"help": self.toggle})
        self._load()
        self._connections = Connections(
            (self._keys.changed, self._show), (classes.changed, self._show)
        )
        self._show()

    def close(self) -> None:
        """Take the list off the screen."""
        self._connections.close()
        self.panel.close()

    def toggle(self) -> None:
        """Show the list, or hide it; the rest goes on meanwhile."""
        if self.panel.isVisible():
            self.panel.hide()
        else:
            self.panel.show_note("")
            self.panel.show()
            self._show()

    def _load(self) -> None:
        try:
            wrong = self._keys.reset(load_keys())
        except ValueError as error:
            self._binding.warned.emit(str(error))
            return
        if wrong:
            self._binding.warned.emit(
                f"Some of your keys are not used, press ? to choose others: {', '.join(wrong)}."
            )

    def _show(self) -> None:
        for panel in self._panels:
            panel.show_keys(self._keys.texts)
        if self.panel.isVisible():
            self.panel.show_keys(self._rows())

    def _rows(self) -> list[KeyRow]:
        numbers = {class_command(number): number for number in range(1, MAX_NUMBERED + 1)}
        return [
            KeyRow(
                key.group,
                key_text(self._keys.binding_of(key.command)),
                self._help(key, numbers.get(key.command)),
                key.command if key.layer_types else "",
                self._remark(key),
                self._keys.binding_of(key.command) != key.binding,
            )
            for key in sorted(KEYS, key=lambda key: _GROUPS.index(key.group))
        ]

    def _help(self, key: Key, number: int | None) -> str:
        """Return what a key does now."""
        if number is not None:
            name = self._classes.name_of(number)
            return f"{key.help}: {name}" if name else f"{key.help}, once there is one"
        on = [one.__name__.lower() for one in key.layer_types]
        return f"{key.help} (on {on[0]})" if len(on) == 1 else key.help

    def _remark(self, key: Key) -> str:
        hidden = self._keys.hidden_actions(key.command)
        if not hidden:
            return ""
        return f"On our layers instead of napari's own: {', '.join(hidden)}"

    # What is asked for ---------------------------------------------------------------------------

    def _on_key_requested(self, command: str, binding: KeyBinding | None) -> None:
        try:
            self._check_menus(binding)
            self._keys.choose(command, binding)
            self._save()
        except ValueError as error:
            self.panel.show_note(str(error))
            return
        hidden = self._keys.hidden_actions(command)
        if hidden:
            self.panel.show_note(
                f"{key_text(binding)} is napari's key for: {', '.join(hidden)}. On our layers it"
                " is yours now."
            )

    def _check_menus(self, binding: KeyBinding | None) -> None:
        """Refuse a key that napari's menus would take before a layer hears of it."""
        if binding is None:
            return
        wanted = QKeyBindingSequence(binding)
        menus = self._widget.window().findChildren(QMenu)
        for action in (one for menu in menus for one in menu.actions()):
            if wanted in action.shortcuts():
                name = action.text().replace("&", "")
                msg = f"{key_text(binding)} is napari's key for {name}: choose another."
                raise ValueError(msg)

    def _on_reset_requested(self) -> None:
        self._keys.reset()
        try:
            self._save()
        except ValueError as error:
            self.panel.show_note(str(error))

    def _save(self) -> None:
        save_keys(self._keys.chosen)
