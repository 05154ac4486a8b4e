"""A combo box of layers."""

from collections.abc import Sequence
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import fill


class LayerCombo(QWidget):
    """A combo of layers, whose first entry stands for none of them."""

    chosen = Signal(object)
    """The layer the user chose, or None."""

    def __init__(self, none_text: str, tooltip: str) -> None:
        super().__init__()
        self._none_text = none_text
        self._layers: list[Any] = [None]  # entry by entry
        # By index: magicgui emits nothing when None is chosen.
        self._combo = ComboBox(choices=[(none_text, 0)], value=0, tooltip=tooltip)
        self._combo.changed.connect(self._on_entry_chosen)
        native = self._combo.native
        native.setMinimumWidth(80)
        self.setFocusProxy(native)
        fill(self, native)

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self._layers[self._combo.value]

    def set_layers(self, layers: Sequence[Any], chosen: Any) -> None:
        """List these layers, with `chosen` as the current one; emits nothing."""
        entries = [None, *layers]
        texts = [self._none_text, *map(self._text_of, layers)]
        current = next((n for n, layer in enumerate(entries) if layer is chosen), 0)
        with self._combo.changed.blocked():
            self._layers = entries
            self._combo.choices = [(text, index) for index, text in enumerate(texts)]
            self._combo.value = current

    def _text_of(self, layer: Any) -> str:
        name = str(layer.name)
        return f"{name} (layer)" if name == self._none_text else name

    def _on_entry_chosen(self, index: int) -> None:
        self.chosen.emit(self._layers[index])
