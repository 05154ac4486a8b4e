"""The commands of tabs, windows, files and runs: they press what the user would press."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QAbstractButton

from napari_sam._qt.tabs import Tab
from napari_sam.controllers.context import WidgetContext

Pressed: TypeAlias = QAbstractButton | QAction
"""A button, or an entry of a menu."""
_NO_TAB: Final = "The image has no other slices: open a stack to use the tab Stack."
_REASONS: Final = {
    "export": "A file is still being written or read: try again when that is done.",
    "merge": "Select the rows of two or more objects in the table first.",
    "automatic_cancel": "No search for automatic masks is running.",
    "automatic_discard": "There are no automatic masks: find some first.",
    "automatic": "Open an image first, or wait until the run has ended.",
    "segment_all": "Choose a layer or a file of prompts in the tab Batch first.",
    "embed_all": "Open a stack first, or wait until its slices are embedded.",
}
"""Why something cannot be pressed, and what to do about it."""


class DockCommands:
    """Registers a command for each tab, and for buttons that have no key of their own."""

    def __init__(
        self,
        context: WidgetContext,
        tabs: Mapping[str, Tab],
        buttons: Mapping[str, tuple[Tab, Callable[[], Pressed]]],
        others: Mapping[str, Callable[[], object]],
    ) -> None:
        self._warn = context.messages.warn
        commands: dict[str, Callable[[], None]] = {
            f"tab_{name}": partial(self._show_tab, tab) for name, tab in tabs.items()
        }
        for name, (tab, find) in buttons.items():
            reason = _REASONS.get(name) or _REASONS.get(name.partition("_")[0], _REASONS["export"])
            commands[name] = partial(self._press, tab, find, reason)
        for name, act in others.items():
            commands[name] = partial(_call, act)
        context.binding.shortcuts.register(commands)

    def _show_tab(self, tab: Tab) -> None:
        if tab.is_offered:
            tab.select()
            tab.take_keyboard()
        else:
            self._warn(_NO_TAB)

    def _press(self, tab: Tab, find: Callable[[], Pressed], reason: str) -> None:
        """Show a tab and press something in it, or say why that is not possible."""
        tab.select()
        pressed = find()
        if not pressed.isEnabled() or (
            isinstance(pressed, QAbstractButton) and not pressed.isVisibleTo(tab)
        ):
            self._warn(reason)
        elif isinstance(pressed, QAction):
            pressed.trigger()
        else:
            pressed.click()


def _call(act: Callable[[], object]) -> None:
    act()
