"""A target layer whose objects have the colours of their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_sam.layers.target import TargetLayer
from napari_sam.session.classes.classes import ClassTable
from napari_sam.session.objects.records import ObjectRecord

_WITHOUT: Final = "#a0a0a0"
"""Objects without a class, and those that a brush has just begun."""
_LARGEST: Final = 65534
"""So many colours, and none for background, go into napari's table of colours by number. It takes
a thousandth of a second to make, which a mapping of single labels takes for each 100 of them."""
_MAPPERS: Final = "numba", "PartSegCore_compiled_backend"
"""With one of these napari maps labels beyond 65535; without it, it fails while it draws."""
MOST_MAPPED: Final = 5_000
"""So many labels are mapped one by one; more would make the window wait at each change."""


class ColoringError(ValueError):
    """Objects cannot be coloured by class."""


class ClassColors:
    """Colours the objects of one layer by class, and gives the layer its colours back."""

    def __init__(
        self,
        target: TargetLayer,
        table: ClassTable,
        defer: Callable[[Callable[[], None]], None],
        on_given_up: Callable[[str], None],
    ) -> None:
        self._target, self._table, self._defer = target, table, defer
        self._on_given_up = on_given_up
        self._before = target.layer.colormap
        self._is_due = self._is_closed = False
        self._show()
        target.book.changed.connect(self._on_changed)
        table.changed.connect(self._on_changed)

    def close(self) -> None:
        """Give the layer back the colours that it had; others that the user chose stay."""
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
        if self._is_closed or self._target.is_gone:
            return
        try:
            self._show()
        except ColoringError as error:
            self._on_given_up(str(error))

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
        return _mapping(by_label, without)
    table = np.tile(without, (_LARGEST + 1, 1))
    table[0] = 0
    if by_label:
        table[list(by_label)] = list(by_label.values())
    return CyclicLabelColormap(colors=table)


def _mapping(by_label: dict[int, NDArray[Any]], without: NDArray[Any]) -> DirectLabelColormap:
    mapped = {label_id: rgba for label_id, rgba in by_label.items() if rgba is not without}
    if not any(find_spec(name) for name in _MAPPERS):
        msg = (
            f"Objects with numbers above {_LARGEST:,} can be coloured by class only with numba: "
            "install numba and restart napari."
        )
        raise ColoringError(msg)
    if len(mapped) > MOST_MAPPED:
        msg = (
            f"Objects are not coloured by class: with numbers above {_LARGEST:,}, more than "
            f"{MOST_MAPPED:,} objects of classes would make each change slow. Number the objects "
            "from 1 on, as skimage.segmentation.relabel_sequential does, to have it."
        )
        raise ColoringError(msg)
    colormap = DirectLabelColormap(color_dict={None: without})
    colormap.color_dict.update(mapped)  # given to it at once, each is looked at, which is slow
    return colormap
