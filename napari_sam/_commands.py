"""The plugin's commands for napari's command palette and for its menu of a layer."""

from collections.abc import Callable
from functools import partial

import napari
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam.layers import SHORTCUTS
from napari_sam.layers.napari_workarounds import unwrapped
from napari_sam.widget import SamWidget

_NAMES = frozenset(shortcut.command for shortcut in SHORTCUTS)


def __getattr__(name: str) -> Callable[[], None]:
    if name not in _NAMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return partial(run, name)


def run(command: str) -> None:
    """Run a command in the viewer that was used last; open the widget there if it is closed."""
    viewer = _viewer()
    if viewer is not None:
        _widget_in(viewer).binding.shortcuts.run(command)


def segment_image() -> None:
    """Annotate the image layer that is selected, in the widget."""
    viewer = _viewer()
    layer = None if viewer is None else viewer.layers.selection.active
    if viewer is not None and isinstance(layer, Image):
        _widget_in(viewer).annotate(layer)


def _viewer() -> ViewerModel | None:
    viewer = napari.current_viewer()
    return None if viewer is None else unwrapped(viewer)


def _widget_in(viewer: ViewerModel) -> SamWidget:
    widget = SamWidget.open_in(viewer)
    if widget is None:
        widget = SamWidget.docked_in(viewer)
    widget.reveal()
    return widget
