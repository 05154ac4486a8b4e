"""The panel for automatic masks: settings, runs, filters and results."""

from typing import Any, Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_sam._qt.automatic_filter_form import AutomaticFilterForm
from napari_sam._qt.automatic_matching_row import AutomaticMatchingRow
from napari_sam._qt.automatic_results_box import AutomaticResultsBox
from napari_sam._qt.automatic_run_box import AutomaticRunBox
from napari_sam._qt.automatic_settings_form import AutomaticSettingsForm
from napari_sam._qt.building import SPACING_PX, ShortcutTexts, fill
from napari_sam._qt.flat_button import HEIGHT_PX, FlatButton
from napari_sam.engine.methods import Method
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.settings import AutomaticRunSettings

_LOW_GAP_PX: Final = 2
_VERY_LOW_PX: Final = 24
"""Height of the buttons in very short windows."""


class AutomaticPanel(QWidget):
    """Keeps the settings of its parts equal."""

    settings_changed = Signal(AutomaticRunSettings)
    refused = Signal(str)
    """Why settings cannot go together."""

    def __init__(self, texts: ShortcutTexts) -> None:
        super().__init__()
        self.settings = AutomaticRunSettings()
        """The chosen settings."""
        self._sizes: tuple[tuple[int, int] | None, int] | None = None
        self.run = AutomaticRunBox()
        self.filters = AutomaticFilterForm()
        self.results = AutomaticResultsBox(texts)
        self.matching = AutomaticMatchingRow()
        self.form = AutomaticSettingsForm()
        self.form.setWindowTitle("All settings of automatic masks")
        self._is_chosen = False  # whether the user has chosen any settings
        self.run.preset_chosen.connect(self._on_preset_chosen)
        self.run.method_chosen.connect(self._on_method_chosen)
        for part in (self.filters, self.form):
            part.values_chosen.connect(self._on_values_chosen)
        fill(self, self.run, self.results, self.filters, self.matching)

    def set_low(self, is_low: bool) -> None:
        """Take less height, or no longer."""
        for part in (self, self.run, self.results, self.filters):
            part.layout().setSpacing(_LOW_GAP_PX if is_low else SPACING_PX)
        self.filters.set_low(is_low)

    def set_very_low(self, is_very_low: bool) -> None:
        """Take even less height, with lower buttons and fewer rows; or no longer."""
        for pressed in self.findChildren(FlatButton):
            pressed.setFixedHeight(_VERY_LOW_PX if is_very_low else HEIGHT_PX)
        self.run.set_very_low(is_very_low)

    def set_settings(self, settings: AutomaticRunSettings) -> None:
        """Choose settings, for good."""
        self._is_chosen = True
        self._set_settings(settings)

    def suggest(self, settings: AutomaticRunSettings) -> bool:
        """Use settings until the user has chosen some; return whether they are used."""
        if not self._is_chosen and settings != self.settings:
            self._set_settings(settings)
        return not self._is_chosen

    def _set_settings(self, settings: AutomaticRunSettings) -> None:
        self.settings = settings
        for part in (self.run, self.filters, self.form):
            part.show_settings(settings)
        self.settings_changed.emit(settings)

    def _on_preset_chosen(self, settings: AutomaticRunSettings) -> None:
        self.set_settings(self.settings.with_preset(settings))

    def _on_method_chosen(self, method: Method) -> None:
        self.set_settings(self.settings.with_method(method))

    def _on_values_chosen(self, values: dict[str, Any]) -> None:
        try:
            settings = self.settings.with_values(**values)
        except ValueError as error:
            self.form.show_settings(self.settings)
            self.refused.emit(str(error))
        else:
            self.set_settings(settings)

    def show_plane(
        self, shape: tuple[int, int] | None, input_side: int, *, is_here: bool = True
    ) -> None:
        """Show the sizes of plane and model, and whether the masks lie on the plane."""
        if (shape, input_side) != self._sizes:
            self._sizes = shape, input_side
            self.run.show_plane(shape, input_side)
            self.filters.show_plane(1 if shape is None else shape[0] * shape[1], self.settings)
        self.filters.like.setEnabled(self.run.can_start)
        self.results.show_plane(is_here=is_here, can_start=self.run.can_start)

    def show_methods(self, *, is_offered: bool) -> None:
        """Offer the methods of instance decoders, with models that have one."""
        self.run.show_methods(is_offered=is_offered)
        if not is_offered and self.settings.method is not Method.GRID:
            self._set_settings(self.settings.with_method(Method.GRID))

    def show_state(self, state: AutomaticState) -> None:
        """Show the progress of a run."""
        self.run.show_state(state)
        self.filters.like.setEnabled(self.run.can_start)
        self.results.show_running(state.is_running, can_start=self.run.can_start)
