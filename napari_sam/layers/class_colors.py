"""Colors the objects of a target layer by class."""

from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import direct_colormap, shown_labels
from napari_sam.layers.outlines import NO_SEGMENTS, LayerOutline, Segments
from napari_sam.layers.target import TargetLayer
from napari_sam.session.classes.classes import ClassTable
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import Defer
from napari_sam.session.objects.records import ObjectRecord

_WITHOUT: Final = "#a0a0a0"
"""Objects without a class, and objects that a brush has just started."""
_LARGEST: Final = 65534
"""The largest label value of napari's cyclic colormap, which is made in a millisecond; a direct
colormap takes as long for each 100 labels."""
_MAPPERS: Final = "numba", "PartSegCore_compiled_backend"
"""napari needs one of these to draw a direct colormap of labels beyond 65535."""
MOST_MAPPED: Final = 5_000
"""The most labels in a direct colormap; more would block the window at each change."""


class ColoringError(ValueError):
    """Objects cannot be colored by class."""


class ClassColors:
    """Colors the objects of a layer by class until `close` restores its colors."""

    def __init__(
        self,
        target: TargetLayer,
        table: ClassTable,
        defer: Defer,
        on_stopped: Callable[[str], None],
    ) -> None:
        self._target, self._table, self._defer = target, table, defer
        self._on_stopped = on_stopped
        self._original = target.layer.colormap
        self._is_due = self._is_closed = self._are_seams_due = False
        self._show()
        self._seams = LayerOutline(target.layer, "napari-sam-seams", "black", 1)
        self._draw_seams()
        self._connections = Connections(
            (target.registry.changed, self._on_changed),
            (table.changed, self._on_changed),
            (target.layer.events.set_data, self._draw_seams_soon),
        )

    def close(self) -> None:
        """Restore the layer's colors; a colormap that the user has set since stays."""
        self._is_closed = True
        self._connections.close()
        self._seams.remove()
        if not self._target.is_gone and self._target.layer.colormap is self._colormap:
            _set(self._target.layer, self._original)

    def _on_changed(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._defer(self._update)

    def _update(self) -> None:
        self._is_due = False
        if self._is_closed or self._target.is_gone:
            return
        try:
            self._show()
        except ColoringError as error:
            self._on_stopped(str(error))

    def _draw_seams_soon(self) -> None:
        if not self._are_seams_due:
            self._are_seams_due = True
            self._defer(self._draw_seams)

    def _draw_seams(self) -> None:
        """Draw a line where objects touch: those of one class would look like one."""
        self._are_seams_due = False
        if not (self._is_closed or self._target.is_gone):
            pixels = shown_labels(self._target.layer)
            self._seams.show(NO_SEGMENTS if pixels is None else Segments.between(pixels))

    def _show(self) -> None:
        colors = {object_class.name: object_class.color for object_class in self._table.classes}
        self._colormap = _colormap(self._target.registry, colors)
        _set(self._target.layer, self._colormap)


def _set(layer: Labels, colormap: Any) -> None:
    colormap.use_selection, colormap.selection = layer.show_selected_label, layer.selected_label
    layer.colormap = colormap


def _colormap(records: Iterable[ObjectRecord], colors: dict[str, str]) -> Any:
    """Return a colormap with each object in the color of its class."""
    rgba = {name: _rgba(color) for name, color in colors.items()}
    without = _rgba(_WITHOUT)
    by_label = {record.label_id: rgba.get(record.class_name or "", without) for record in records}
    if max(by_label, default=0) > _LARGEST:
        return _mapping(by_label, without)
    table = np.tile(without, (_LARGEST + 1, 1))
    table[0] = 0
    if by_label:
        table[list(by_label)] = list(by_label.values())
    return CyclicLabelColormap(colors=table)


@cache
def _rgba(color: str) -> NDArray[Any]:
    rgba: NDArray[Any] = transform_color(color)[0]
    return rgba


def _mapping(by_label: dict[int, NDArray[Any]], without: NDArray[Any]) -> DirectLabelColormap:
    mapped = {label_id: rgba for label_id, rgba in by_label.items() if rgba is not without}
    if not any(find_spec(name) for name in _MAPPERS):
        raise ColoringError(
            f"Colors by class above label {_LARGEST:,} need numba. Install numba and restart."
        )
    if len(mapped) > MOST_MAPPED:
        raise ColoringError(
            f"Too many objects to color above label {_LARGEST:,}: renumber them from 1 "
            "(skimage.segmentation.relabel_sequential)."
        )
    return direct_colormap(mapped, without)
