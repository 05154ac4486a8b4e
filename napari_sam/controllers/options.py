"""Connects the options of masks and of their display, and keeps those of masks."""

from numbers import Real
from typing import Any, Final

from napari_sam._qt.building import rest_timer
from napari_sam._qt.options_panel import OptionsPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.session.decoding.cleaning import CLEAN_STRENGTH
from napari_sam.storage.options import load_options, save_options

_SAVE_MS: Final = 500
"""How long a slider has to rest before its value is saved."""


class OptionsController:
    """Cleans outlines, and draws objects and masks, as an `OptionsPanel` says."""

    def __init__(self, context: WidgetContext, panel: OptionsPanel) -> None:
        self._panel, self._in_progress = panel, context.session.object_in_progress
        self._display = context.binding.display
        saved = load_options()
        self._is_clean = saved.get("clean") is not False
        self._strength = _share(saved.get("clean_strength"), CLEAN_STRENGTH)
        self._timer = rest_timer(context.widget, _SAVE_MS, self._save)
        panel.clean_requested.connect(self._on_clean_requested)
        panel.outlined_requested.connect(self._display.set_outlined)
        panel.opacity_requested.connect(self._display.set_opacity)
        self._connections = Connections((self._display.changed, self._show_display))
        panel.show_clean(self._is_clean, self._strength)
        self._clean()
        self._show_display()

    def close(self) -> None:
        """Save what was changed last."""
        self._connections.close()
        if self._timer.isActive():
            self._timer.stop()
            self._save()

    def _show_display(self) -> None:
        self._panel.show_display(self._display.is_outlined, self._display.opacity)

    def _on_clean_requested(self, is_on: bool, strength: float) -> None:
        self._is_clean, self._strength = is_on, strength
        self._clean()
        self._timer.start()

    def _clean(self) -> None:
        self._in_progress.set_clean(self._strength if self._is_clean else 0)

    def _save(self) -> None:
        save_options({"clean": self._is_clean, "clean_strength": self._strength})


def _share(value: Any, default: float) -> float:
    """Return a number from a file if it is a share, else the default."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value <= 1 else default
