"""Colors the objects of a target layer by class."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import shown_labels
from napari_sam.layers.object_colors import LARGEST, ObjectColors, cyclic, mapping
from napari_sam.layers.outlines import NO_SEGMENTS, LayerOutline, Segments
from napari_sam.layers.target import TargetLayer
from napari_sam.session.classes.classes import ClassTable
from napari_sam.session.jobs import Defer

WITHOUT_CLASS: Final = "#a0a0a0"
"""Objects without a class, and objects that a brush has just started."""
_OUTLINE: Final = "#f0f0f0"
"""Of these: their gray is hardly seen on a gray image, and a classed object needs none."""
_MOST_PX: Final = 2**23
"""Up to this area they are outlined, so that a brush stroke does not wait."""


class ClassColors(ObjectColors):
    """Colors the objects of a layer by class until `close` restores its colors."""

    def __init__(
        self,
        target: TargetLayer,
        table: ClassTable,
        defer: Defer,
        on_stopped: Callable[[str], None],
    ) -> None:
        self._table = table
        self._outline: LayerOutline | None = None
        super().__init__(target, defer, on_stopped, table.changed)  # it may refuse
        self._outline = LayerOutline(target.layer, "napari-sam-classless", _OUTLINE, 1)
        self._draw_outline()

    def close(self) -> None:
        """Restore the layer's colors."""
        super().close()
        if self._outline is not None:
            self._outline.remove()

    def _draw_seams(self) -> None:
        super()._draw_seams()
        self._draw_outline()

    def _draw_outline(self) -> None:
        """Outline what has no class."""
        if self._outline is None or self._is_closed or self._target.is_gone:
            return
        pixels, segments = shown_labels(self._target.layer), NO_SEGMENTS
        if pixels is not None and pixels.size <= _MOST_PX:
            known = {one.name for one in self._table.classes}
            records = self._target.registry
            classed = [one.label_id for one in records if one.class_name in known]
            classless = np.isin(pixels, [0, *classed], invert=True)
            if classless.any():
                segments = Segments.around([(classless, 0, 0)])
        self._outline.show(segments)

    def _make_colormap(self) -> Any:
        """Return a colormap with each object in the color of its class."""
        rgba = {
            object_class.name: _rgba(object_class.color) for object_class in self._table.classes
        }
        without, records = _rgba(WITHOUT_CLASS), self._target.registry
        by_label = {
            record.label_id: rgba.get(record.class_name or "", without) for record in records
        }
        if max(by_label, default=0) > LARGEST:
            classed = {n: color for n, color in by_label.items() if color is not without}
            return mapping(classed, without)
        table = np.tile(without, (LARGEST + 1, 1))
        table[0] = 0
        if by_label:
            table[list(by_label)] = list(by_label.values())
        return cyclic(table)


@cache
def _rgba(color: str) -> NDArray[Any]:
    rgba: NDArray[Any] = transform_color(color)[0]
    return rgba
