"""A combo box of layers that follows a changing list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget


class LayerCombo(QWidget):
    """A combo of layers and, first of all, an entry that stands for none of them.

    Parameters
    ----------
    none_text : str
        What the entry for None says.
    tooltip : str
        What the choice means.
    """

    chosen = Signal(object)
    """The layer the person chose, or None."""

    def __init__(self, none_text: str, tooltip: str) -> None:
        super().__init__()
        self._none_text = none_text
        self._combo = ComboBox(choices=[(none_text, None)], value=None, tooltip=tooltip)
        self._combo.changed.connect(self.chosen.emit)
        native = self._combo.native
        native.setMinimumWidth(80)
        self.setFocusProxy(native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(native)

    @property
    def layer(self) -> Any:
        """The layer that is shown as chosen, or None."""
        return self._combo.value

    def set_layers(self, layers: Sequence[Any], chosen: Any) -> None:
        """Offer these layers, with `chosen` as the current one; emits nothing."""
        choices: dict[str, Any] = {self._none_text: None}
        for layer in layers:
            text = layer.name
            while text in choices:  # a layer may be called what the first entry is called
                text += " (layer)"
            choices[text] = layer
        with self._combo.changed.blocked():
            self._combo.choices = list(choices.items())
            self._combo.value = chosen if any(layer is chosen for layer in layers) else None
