"""Every published setting of automatic mask generation under its published name."""

from typing import Any, Final

from magicgui.widgets import create_widget
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QWidget

from napari_sam._qt.building import combo_box
from napari_sam.engine.automatic_settings import AutomaticSettings, Setting, offered_settings
from napari_sam.engine.instance_settings import InstanceSettings
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.linking.settings import LinkSettings, Splits

_SPLITS: Final = {
    Splits.ONE: "All parts are one object",
    Splits.TWO: "The largest part carries the object on; the others are objects of their own",
}


class AutomaticSettingsForm(QWidget):
    """A spin box for each setting except point_grids and output_mode, which are for scripts."""

    values_chosen = Signal(dict)
    """Other values of settings, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        # The longest name does not fit beside a spin box in a dock.
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        offered = offered_settings(AutomaticSettings) | offered_settings(AutomaticRunSettings)
        offered |= offered_settings(InstanceSettings) | offered_settings(LinkSettings)
        for name, (_, setting) in offered.items():
            box = self.fields[name] = _spin_box(name, setting)
            box.valueChanged.connect(
                lambda value, name=name: self.values_chosen.emit({name: value})
            )
            form.addRow(name, box)
        self.splits = combo_box("", ((choice, tooltip) for choice, tooltip in _SPLITS.items()))
        self.splits.setToolTip("An object that splits from one slice to the next, or two that meet")
        self.splits.activated.connect(self._on_splits)
        form.addRow("splits", self.splits)
        self.show_settings(AutomaticRunSettings())

    def show_settings(self, settings: AutomaticRunSettings) -> None:
        """Show settings; nothing is emitted."""
        for name, box in self.fields.items():
            parts = settings, settings.published, settings.instances, settings.links
            value = next(getattr(part, name) for part in parts if hasattr(part, name))
            with QSignalBlocker(box):
                box.setValue(value if isinstance(box, QDoubleSpinBox) else int(value))

        self.splits.setCurrentIndex(list(_SPLITS).index(settings.links.splits))

    def _on_splits(self, index: int) -> None:
        self.values_chosen.emit({"splits": list(_SPLITS)[index]})


def _spin_box(name: str, setting: Setting) -> Any:
    takes_effect_later = setting.decides_decoding or name == "points_per_batch"
    remark = " Takes effect with the next run." if takes_effect_later else ""
    widget = create_widget(
        annotation=type(setting.step),
        options={
            "min": setting.lowest,
            "max": setting.highest,
            "step": setting.step,
            "tooltip": setting.help + remark,
        },
    )
    widget.native.setKeyboardTracking(False)
    return widget.native
