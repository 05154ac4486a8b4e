"""Connects the options of objects, prompts, masks and display, and keeps some of them."""

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, Final

from napari.layers import Labels, Layer, Points, Shapes

from napari_sam._qt.building import rest_timer
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.options_panel import OptionsPanel
from napari_sam._qt.prompt_panel import PromptPanel
from napari_sam._qt.tabs import Tab
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.preferences import keep_of_objects
from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session.connections import Connections
from napari_sam.session.objects.edits import Overlap
from napari_sam.session.objects.labels import TargetError
from napari_sam.storage.options import load_options, save_options

_SAVE_MS: Final = 500
"""How long a slider has to rest before its value is saved."""


class OptionsController:
    """Applies the options of an `OptionsPanel`, and those of a `PromptPanel` that are kept."""

    def __init__(self, context: WidgetContext, prompt_panel: PromptPanel) -> None:
        self._binding, self._session = context.binding, context.session
        self._in_progress, self._messages = context.session.object_in_progress, context.messages
        self._display = display = context.binding.display
        self.on_demand = OnDemand(OptionsPanel)
        """The panel, which others may have something in."""
        self.on_demand.when_built(self._connect)
        tooltip = "Where objects are written, prompts are read, and how masks and objects look"
        self.tab = Tab(self.on_demand, "Options", tooltip)
        self._layers: Sequence[Layer] = ()
        self._unsaved: dict[str, Any] = {}
        self._timer = rest_timer(context.widget, _SAVE_MS, self._save)
        saved = load_options()
        self._clean(
            saved.get("clean") is not False, _share(saved, "clean_strength", CLEAN_STRENGTH)
        )
        display.set_outlined(saved.get("outlined") is True)
        display.set_opacity(_share(saved, "fill_opacity", display.opacity))
        candidates, self._prompt_panel = context.binding.candidates, prompt_panel
        self.set_accept_at_once(context.preferences.accept_at_once)
        if saved.get("preview") is True:
            candidates.set_hover(True)
        prompt_panel.accept_on_click.toggled.connect(partial(keep_of_objects, "accept_at_once"))
        self._connections = Connections(
            (display.changed, self._on_display_changed),
            (candidates.hover_changed, lambda on: self._keep(preview=on)),
        )

    @property
    def panel(self) -> OptionsPanel:
        """The page of the tab, built when it is first needed."""
        return self.on_demand.get()

    def _connect(self, panel: OptionsPanel) -> None:
        panel.clean_requested.connect(self._on_clean_requested)
        panel.outlined_requested.connect(self._display.set_outlined)
        panel.opacity_requested.connect(self._display.set_opacity)
        panel.feedback.toggled.connect(self._in_progress.set_feedback)
        panel.points_combo.chosen.connect(self._on_prompt_layer_chosen)
        panel.boxes_combo.chosen.connect(self._on_prompt_layer_chosen)
        panel.target_combo.chosen.connect(self._on_target_chosen)
        panel.overlap_combo.currentTextChanged.connect(self._on_overlap_chosen)
        panel.show_clean(*self._cleaning)
        self._show_display()
        self.offer(self._layers)

    def offer(self, layers: Sequence[Layer]) -> None:
        """Offer the user's layers as target and for prompts."""
        self._layers, panel = layers, self.on_demand.built
        if panel is None:
            return
        prompts = self._binding.prompts.image_prompts
        for combo, layer_type, chosen in (
            (panel.points_combo, Points, prompts.points.user_layer),
            (panel.boxes_combo, Shapes, prompts.boxes.user_layer),
            (panel.target_combo, Labels, self._binding.target.layer),
        ):
            combo.set_layers([layer for layer in layers if isinstance(layer, layer_type)], chosen)

    def set_accept_at_once(self, is_on: bool) -> None:
        """Accept the preselected mask at once, as the preferences say."""
        self._in_progress.set_accept_on_click(is_on)
        self._prompt_panel.show_accept_on_click(is_on)

    def close(self) -> None:
        """Save what was changed last."""
        self._connections.close()
        if self._timer.isActive():
            self._timer.stop()
            self._save()

    def _show_display(self) -> None:
        if self.on_demand.built is not None:
            self.panel.show_display(self._display.is_outlined, self._display.opacity)

    def _on_display_changed(self) -> None:
        self._show_display()
        self._keep(outlined=self._display.is_outlined, fill_opacity=self._display.opacity)

    def _on_clean_requested(self, is_on: bool, strength: float) -> None:
        self._clean(is_on, strength)
        self._keep(clean=is_on, clean_strength=strength)

    def _clean(self, is_on: bool, strength: float) -> None:
        self._cleaning = is_on, strength
        if self.on_demand.built is not None:
            self.panel.show_clean(is_on, strength)
        self._in_progress.set_clean(strength if is_on else 0)

    def _on_overlap_chosen(self, overlap: str) -> None:
        self._session.editing.set_overlap(Overlap(overlap))
        self._messages.done()

    def _on_prompt_layer_chosen(self) -> None:
        panel = self.panel
        self._binding.prompts.set_layers(panel.points_combo.layer, panel.boxes_combo.layer)

    def _on_target_chosen(self, layer: Labels | None) -> None:
        try:
            self._binding.target.set_layer(layer)
        except TargetError as error:
            self._session.notifier.warn(str(error))
            self.offer(self._layers)

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
