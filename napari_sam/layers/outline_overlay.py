"""An overlay of napari that draws outlines; the only module that sees vispy."""

from typing import Any, Final

import numpy as np
from napari._vispy.overlays.base import LayerOverlayMixin, VispySceneOverlay
from napari._vispy.utils.visual import overlay_to_visual
from napari.components.overlays import Overlay
from napari.components.overlays.base import SceneOverlay
from napari.layers import Labels
from numpy.typing import NDArray
from vispy.scene.visuals import Compound, Line

_CASING: Final = (0, 0, 0, 0.6)
"""The color beside an outline, without which it is lost on what is as bright."""


class OutlineOverlay(SceneOverlay):
    """An outline over a Labels layer, in the color that it has been made with."""

    segments: Any = None
    """The pieces of the outline, with their ends as `ends_rc`."""
    color: str = "white"
    width_px: float = 2


class _OutlineVisual(LayerOverlayMixin, VispySceneOverlay):
    """Draws an outline.

    Reason: contours of Labels layers are some data pixels wide, take the place of the filling, and
    another layer would be drawn, listed and saved with the user's.
    Remove it when napari has a public way to register overlays of plugins.
    """

    overlay: OutlineOverlay
    layer: Labels

    def __init__(self, **kwargs: Any) -> None:
        self._casing = Line(connect="segments", method="gl", color=_CASING)
        self._line = Line(connect="segments", method="gl")
        super().__init__(node=Compound([self._casing, self._line]), **kwargs)
        self.overlay.events.segments.connect(self._on_segments)
        self.layer.events.set_data.connect(self._on_set_data)
        self.reset()

    def _should_be_visible(self) -> bool:
        return self._is_flat and super()._should_be_visible() and len(self._ends_rc) > 0

    @property
    def _is_flat(self) -> bool:
        return bool(self.layer._slice_input.ndisplay == 2)

    @property
    def _ends_rc(self) -> NDArray[np.float32]:
        segments = self.overlay.segments
        return np.empty((0, 2), np.float32) if segments is None else segments.ends_rc

    @property
    def _corner_xy(self) -> NDArray[np.float64]:
        """The first pixel that is drawn, of the level that is shown."""
        if not self.layer.multiscale:
            return np.zeros(2)
        displayed = list(self.layer._slice_input.displayed)
        return np.asarray(self.layer.corner_pixels[0][displayed][::-1], float)

    def _on_set_data(self) -> None:
        """Follow a change between 2D and 3D, or to another level."""
        if self.layer.multiscale:
            self._on_segments()
        else:
            self._on_visible_change()

    def _on_segments(self) -> None:
        ends_rc = self._ends_rc
        if self._is_flat and len(ends_rc) > 0:
            # napari places an overlay, but one that is added later only as the layer changes next.
            self.node.transform.reset()
            self.node.transform.translate(0.5 - self._corner_xy)
            if self.layer.multiscale:  # napari draws in the pixels of the level that is shown
                displayed = list(self.layer._slice_input.displayed)
                factors = self.layer.downsample_factors[self.layer.data_level][displayed]
                ends_rc = (ends_rc + 0.5) / factors - 0.5
            ends_xy, width = np.ascontiguousarray(ends_rc[:, ::-1]), self.overlay.width_px
            self._casing.set_data(ends_xy, width=width + 2)
            self._line.set_data(ends_xy, color=self.overlay.color, width=width)
        self._on_visible_change()

    def reset(self) -> None:
        """Draw everything again."""
        super().reset()
        self._on_segments()


_VISUALS: Final[dict[type[Overlay], Any]] = overlay_to_visual
_VISUALS[OutlineOverlay] = _OutlineVisual
