"""A combo box of layers."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox

from napari_sam._qt.spoken_names import spoken_name


class LayerCombo(QComboBox):
    """A combo of layers, whose first entry stands for none of them."""

    chosen = Signal(object)
    """The layer the user chose, or None."""

    def __init__(self, none_text: str, tooltip: str) -> None:
        super().__init__(toolTip=tooltip, minimumWidth=80, accessibleName=spoken_name(tooltip))
        self._none_text = none_text
        self.set_layers([], None)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit(self.layer))

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self.layers[self.currentIndex()]

    def set_layers(self, layers: Sequence[Any], chosen: Any) -> None:
        """List these layers, with `chosen` as the current one; emits nothing."""
        self.layers = [None, *layers]  # entry by entry
        texts = [self._none_text, *map(self._text_of, layers)]
        with QSignalBlocker(self):
            if texts != [self.itemText(index) for index in range(self.count())]:
                self.clear()
                self.addItems(texts)
            current = [index for index, layer in enumerate(self.layers) if layer is chosen]
            self.setCurrentIndex(current[0] if current else 0)

    def _text_of(self, layer: Any) -> str:
        name = str(layer.name)
        return f"{name} (layer)" if name == self._none_text else name
