"""Connects the options of masks, clicks and display, and keeps them for the next start."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, Final

from napari_sam._qt.building import rest_timer
from napari_sam._qt.options_panel import OptionsPanel
from napari_sam._qt.prompt_panel import PromptPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session.connections import Connections
from napari_sam.storage.options import load_options, save_options

_SAVE_MS: Final = 500
"""How long a slider has to rest before its value is saved."""


class OptionsController:
    """Applies the options of an `OptionsPanel` and of a `PromptPanel` that are kept."""

    def __init__(
        self, context: WidgetContext, panel: OptionsPanel, prompt_panel: PromptPanel
    ) -> None:
        self._panel, self._in_progress = panel, context.session.object_in_progress
        self._display = display = context.binding.display
        self._unsaved: dict[str, Any] = {}
        self._timer = rest_timer(context.widget, _SAVE_MS, self._save)
        saved = load_options()
        self._clean(
            saved.get("clean") is not False, _share(saved, "clean_strength", CLEAN_STRENGTH)
        )
        display.set_outlined(saved.get("outlined") is True)
        display.set_opacity(_share(saved, "fill_opacity", display.opacity))
        self._show_display()
        candidates, accept_at_once = context.binding.candidates, saved.get("accept_at_once") is True
        self._in_progress.set_accept_on_click(accept_at_once)
        prompt_panel.show_accept_on_click(accept_at_once)
        if saved.get("preview") is True:
            candidates.set_hover(True)
        panel.clean_requested.connect(self._on_clean_requested)
        panel.outlined_requested.connect(display.set_outlined)
        panel.opacity_requested.connect(display.set_opacity)
        prompt_panel.accept_on_click.toggled.connect(lambda on: self._keep(accept_at_once=on))
        self._connections = Connections(
            (display.changed, self._on_display_changed),
            (candidates.hover_changed, lambda on: self._keep(preview=on)),
        )

    def close(self) -> None:
        """Save what was changed last."""
        self._connections.close()
        if self._timer.isActive():
            self._timer.stop()
            self._save()

    def _show_display(self) -> None:
        self._panel.show_display(self._display.is_outlined, self._display.opacity)

    def _on_display_changed(self) -> None:
        self._show_display()
        self._keep(outlined=self._display.is_outlined, fill_opacity=self._display.opacity)

    def _on_clean_requested(self, is_on: bool, strength: float) -> None:
        self._clean(is_on, strength)
        self._keep(clean=is_on, clean_strength=strength)

    def _clean(self, is_on: bool, strength: float) -> None:
        self._panel.show_clean(is_on, strength)
        self._in_progress.set_clean(strength if is_on else 0)

    def _keep(self, **options: Any) -> None:
        self._unsaved.update(options)
        self._timer.start()

    def _save(self) -> None:
        save_options(self._unsaved)
        self._unsaved = {}


def _share(options: Mapping[str, Any], name: str, default: float) -> float:
    """Return an option from a file if it is a share, else the default."""
    value: Any = options.get(name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value <= 1 else default
