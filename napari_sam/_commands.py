"""The plugin's commands for napari's command palette: one function for each command with a key."""

from collections.abc import Callable
from functools import partial

import napari

from napari_sam._distribution import DISTRIBUTION
from napari_sam.layers import SHORTCUTS
from napari_sam.layers.napari_workarounds import unwrapped
from napari_sam.widget import SamWidget

_WIDGET = "Click to segment"
_NAMES = frozenset(shortcut.command for shortcut in SHORTCUTS)


def __getattr__(name: str) -> Callable[[], None]:
    if name not in _NAMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return partial(run, name)


def run(command: str) -> None:
    """Run a command in the viewer that was used last; open the widget there if it is closed."""
    viewer = napari.current_viewer()
    if viewer is None:
        return
    widget = SamWidget.open_in(unwrapped(viewer))
    if widget is None:
        _, widget = viewer.window.add_plugin_dock_widget(DISTRIBUTION, _WIDGET)
    widget.binding.shortcuts.run(command)
