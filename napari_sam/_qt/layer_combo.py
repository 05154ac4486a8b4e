"""A combo box of layers that follows a changing list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget


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
        self._offered: list[Any] = [None]  # entry by entry
        # magicgui's combo would say nothing when the entry for None is chosen.
        self._combo = QComboBox()
        self._combo.addItem(none_text)
        self._combo.setToolTip(tooltip)
        self._combo.setMinimumWidth(80)
        self._combo.currentIndexChanged.connect(self._on_entry_chosen)
        self.setFocusProxy(self._combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)

    @property
    def layer(self) -> Any:
        """The layer that is shown as chosen, or None."""
        return self._offered[self._combo.currentIndex()]

    @property
    def layers(self) -> list[Any]:
        """The layers that are offered."""
        return self._offered[1:]

    def set_layers(self, layers: Sequence[Any], chosen: Any) -> None:
        """Offer these layers, with `chosen` as the current one; emits nothing."""
        offered = [None, *layers]
        texts = [self._none_text, *map(self._text_of, layers)]
        current = next((n for n, layer in enumerate(offered) if layer is chosen), 0)
        with QSignalBlocker(self._combo):
            self._offered = offered
            self._combo.clear()
            self._combo.addItems(texts)
            self._combo.setCurrentIndex(current)

    def _text_of(self, layer: Any) -> str:
        name = str(layer.name)
        return f"{name} (layer)" if name == self._none_text else name

    def _on_entry_chosen(self, index: int) -> None:
        self.chosen.emit(self._offered[index])
