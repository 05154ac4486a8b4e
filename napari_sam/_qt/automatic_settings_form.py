"""Every published setting of automatic mask generation under its published name."""

from typing import Any

from magicgui.widgets import create_widget
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QWidget

from napari_sam.engine.automatic_settings import AutomaticSettings, Setting, offered_settings
from napari_sam.session.automatic.settings import AutomaticRunSettings


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
        for name, (_, setting) in offered.items():
            box = self.fields[name] = _spin_box(name, setting)
            box.valueChanged.connect(
                lambda value, name=name: self.values_chosen.emit({name: value})
            )
            form.addRow(name, box)
        self.show_settings(AutomaticRunSettings())

    def show_settings(self, settings: AutomaticRunSettings) -> None:
        """Show settings; nothing is emitted."""
        for name, box in self.fields.items():
            value = getattr(settings if hasattr(settings, name) else settings.published, name)
            with QSignalBlocker(box):
                box.setValue(value if isinstance(box, QDoubleSpinBox) else int(value))


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
