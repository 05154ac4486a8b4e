"""Colors the objects of a target layer by lineage: all that descend from one have its color."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.layers.object_colors import LARGEST, ObjectColors, cyclic, mapping
from napari_sam.layers.outlines import NO_SEGMENTS, Segments
from napari_sam.layers.target import TargetLayer
from napari_sam.session.jobs import Defer
from napari_sam.session.tracks.lineage import Lineages


class LineageColors(ObjectColors):
    """Gives objects that have parents the color of their founder, until `close`.

    Others keep their colors, and so do all of them while none has a parent.
    """

    def __init__(
        self, target: TargetLayer, axis: int, defer: Defer, on_stopped: Callable[[str], None]
    ) -> None:
        self._axis = axis
        self._founders: dict[int, int] = {}
        self._colors: NDArray[Any] | None = None  # of all labels, as the layer has them
        super().__init__(target, defer, on_stopped)

    def _make_colormap(self) -> Any:
        """Return a colormap with each object in the color of its founder."""
        lineages = Lineages(self._target.registry, self._axis)
        founders = {n: lineages.founder_of(n) for n in lineages.graph}
        if not founders:
            self._founders = founders
            return self._original
        label_ids = [track.label_id for track in lineages]
        if max(label_ids) > LARGEST:
            colors = self._mapped(np.array([founders.get(n, n) for n in label_ids]))
            colormap = mapping(dict(zip(label_ids, colors, strict=True)), np.ones(4, np.float32))
        else:
            colors = self._all_colors().copy()
            colors[list(founders)] = colors[list(founders.values())]
            colormap = cyclic(colors)
        self._founders = founders
        return colormap

    def _seams_of(self, pixels: NDArray[Any]) -> Segments:
        """Return lines between objects of one lineage, and no others."""
        if not self._founders:
            return NO_SEGMENTS
        shown = np.unique(pixels)
        founders = np.array([self._founders.get(int(n), int(n)) for n in shown])
        return Segments.between(pixels, founders[np.searchsorted(shown, pixels)])

    def _all_colors(self) -> NDArray[Any]:
        if self._colors is None:
            self._colors = self._mapped(np.arange(LARGEST + 1))
            self._colors[0] = 0
        return self._colors

    def _mapped(self, label_ids: NDArray[Any]) -> NDArray[Any]:
        """Return the colors of labels in the layer's own colormap, whatever is selected."""
        colormap = self._original
        use_selection, colormap.use_selection = colormap.use_selection, False
        colors: NDArray[Any] = np.asarray(colormap.map(label_ids))
        colormap.use_selection = use_selection
        return colors
