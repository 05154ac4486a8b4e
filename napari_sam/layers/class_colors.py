"""A target layer whose objects have the colours of their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color

from napari_sam.layers.target import TargetLayer
from napari_sam.session import ClassTable, ObjectRecord

_WITHOUT: Final = "#a0a0a0"
"""Objects without a class, and those that a brush has just begun."""
_LARGEST: Final = 65534
"""So many colours, and none for background, go into napari's table of colours by number. It takes
a thousandth of a second to make, a mapping of single labels seconds."""


class ClassColors:
    """Colours the objects of one layer by class, and gives the layer its colours back.

    Parameters
    ----------
    target : TargetLayer
        The layer with its objects.
    table : ClassTable
        The classes.
    defer : callable
        Has a callback called soon: many changes at once are shown as one.
    """

    def __init__(
        self,
        target: TargetLayer,
        table: ClassTable,
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self._target, self._table, self._defer = target, table, defer
        self._before = target.layer.colormap
        self._is_due = self._is_closed = False
        self._show()
        target.book.changed.connect(self._on_changed)
        table.changed.connect(self._on_changed)

    def close(self) -> None:
        """Give the layer back the colours that it had; others that the person chose stay."""
        self._is_closed = True
        self._target.book.changed.disconnect(self._on_changed)
        self._table.changed.disconnect(self._on_changed)
        if not self._target.is_gone and self._target.layer.colormap is self._own:
            _set(self._target.layer, self._before)

    def _on_changed(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._defer(self._show_anew)

    def _show_anew(self) -> None:
        self._is_due = False
        if not self._is_closed and not self._target.is_gone:
            self._show()

    def _show(self) -> None:
        colors = {one.name: one.color for one in self._table.classes}
        records = list(self._target.book)
        self._own = _colormap(records, colors)
        _set(self._target.layer, self._own)


def _set(layer: Labels, colormap: Any) -> None:
    colormap.use_selection, colormap.selection = layer.show_selected_label, layer.selected_label
    layer.colormap = colormap


def _colormap(records: Iterable[ObjectRecord], colors: dict[str, str]) -> Any:
    """Return what shows each object in the colour of its class."""
    rgba = {name: transform_color(color)[0] for name, color in colors.items()}
    without = transform_color(_WITHOUT)[0]
    by_label = {one.label_id: rgba.get(one.class_name or "", without) for one in records}
    if max(by_label, default=0) > _LARGEST:
        return DirectLabelColormap(color_dict=by_label | {None: without})
    table = np.tile(without, (_LARGEST + 1, 1))
    table[0] = 0
    if by_label:
        table[list(by_label)] = list(by_label.values())
    return CyclicLabelColormap(colors=table)
