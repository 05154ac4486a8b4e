"""Colors the objects of a target layer by what their records say, until it is closed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import direct_colormap, shown_labels
from napari_sam.layers.outlines import NO_SEGMENTS, LayerOutline, Segments
from napari_sam.layers.target import TargetLayer
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import Defer, DeferredCall

LARGEST: Final = 65534
"""The largest label value of napari's cyclic colormap, which is made in a millisecond; a direct
colormap takes as long for each 100 labels."""
_MAPPERS: Final = "numba", "PartSegCore_compiled_backend"
"""napari needs one of these to draw a direct colormap of labels beyond 65535."""
MOST_MAPPED: Final = 5_000
"""The most labels in a direct colormap; more would block the window at each change."""


class ColoringError(ValueError):
    """Objects cannot be colored."""


class ObjectColors(ABC):
    """Colors the objects of a layer until `close` restores its colors."""

    def __init__(
        self, target: TargetLayer, defer: Defer, on_stopped: Callable[[str], None], *signals: Any
    ) -> None:
        self._target, self._on_stopped = target, on_stopped
        self._original = target.layer.colormap
        self._is_closed = False
        self._update_soon = DeferredCall(defer, self._update)
        self._draw_seams_soon = DeferredCall(defer, self._draw_seams)
        self._show()
        self._seams = LayerOutline(target.layer, "napari-sam-seams", "black", 1)
        self._draw_seams()
        self._connections = Connections(
            *(
                (signal, self._update_soon.request)
                for signal in (target.registry.changed, *signals)
            ),
            (target.layer.events.set_data, self._draw_seams_soon.request),
        )

    @abstractmethod
    def _make_colormap(self) -> Any:
        """Return the colormap that the layer is to have."""

    def close(self) -> None:
        """Restore the layer's colors; a colormap that the user has set since stays."""
        self._is_closed = True
        self._connections.close()
        self._seams.remove()
        if not self._target.is_gone and self._target.layer.colormap is self._colormap:
            _set(self._target.layer, self._original)

    def _update(self) -> None:
        if self._is_closed or self._target.is_gone:
            return
        try:
            self._show()
        except ColoringError as error:
            self._on_stopped(str(error))

    def _draw_seams(self) -> None:
        """Draw a line where objects touch: those of one color would look like one."""
        if not (self._is_closed or self._target.is_gone):
            pixels = shown_labels(self._target.layer)
            self._seams.show(NO_SEGMENTS if pixels is None else self._seams_of(pixels))

    def _seams_of(self, pixels: NDArray[Any]) -> Segments:
        """Return the lines between the objects in the pixels that are shown."""
        return Segments.between(pixels)

    def _show(self) -> None:
        self._colormap = self._make_colormap()
        _set(self._target.layer, self._colormap)


def cyclic(table: NDArray[Any]) -> CyclicLabelColormap:
    """Return a colormap of the colors (`LARGEST` + 1, 4) of labels."""
    return CyclicLabelColormap(colors=table)


def mapping(by_label: Mapping[int, NDArray[Any]], elsewhere: Any) -> DirectLabelColormap:
    """Return a colormap with these colors, for labels above `LARGEST`.

    Raises
    ------
    ColoringError
        If napari cannot draw it; the message says what to do.
    """
    if not any(find_spec(name) for name in _MAPPERS):
        raise ColoringError(
            f"Colors of objects above label {LARGEST:,} need numba. Install numba and restart."
        )
    if len(by_label) > MOST_MAPPED:
        raise ColoringError(
            f"Too many objects above label {LARGEST:,}: renumber them from 1 "
            "(skimage.segmentation.relabel_sequential)."
        )
    return direct_colormap(dict(by_label), elsewhere)


def _set(layer: Labels, colormap: Any) -> None:
    if layer.colormap is not colormap:
        colormap.use_selection = layer.show_selected_label
        colormap.selection = layer.selected_label
        layer.colormap = colormap
