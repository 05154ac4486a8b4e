"""How our layers are drawn: objects filled or as outlines, and how opaque all of them are."""

from typing import Final

from psygnal import Signal

from napari_sam.layers.candidate_layers import CandidateLayers
from napari_sam.layers.target import FILL_OPACITY
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.session.connections import Connections

_CONTOUR_PX: Final = 1
"""Inside of the object; napari draws one pixel more, outside of it."""


class Display:
    """Draws the target and the candidates as the user wants to see them."""

    changed = Signal()
    """Objects are drawn in another way, or our layers are more or less opaque."""

    def __init__(self, target: TargetBinding, candidate_layers: CandidateLayers) -> None:
        self._target, self._candidate_layers = target, candidate_layers
        self.is_outlined = False
        """Whether objects are drawn as outlines."""
        self._opacity = FILL_OPACITY
        self._connections = Connections((target.changed, self._on_target_changed))

    @property
    def opacity(self) -> float:
        """How opaque filled objects are, 0 to 1; outlines and candidates are twice as opaque."""
        return self._opacity

    def close(self) -> None:
        """Leave the target as it is."""
        self._connections.close()

    def toggle_outlined(self) -> None:
        """Draw objects as outlines instead of filled, or the other way round."""
        self.set_outlined(not self.is_outlined)

    def set_outlined(self, is_outlined: bool) -> None:
        """Draw objects as outlines, or filled."""
        if is_outlined != self.is_outlined:
            self.is_outlined = is_outlined
            self._draw_target()
            self.changed.emit()

    def set_opacity(self, opacity: float) -> None:
        """Draw objects and candidates more or less opaque; at 1, nothing is seen below objects."""
        if opacity != self.opacity:
            self._opacity = opacity
            self._candidate_layers.set_opacity(self._opacity_of_lines)
            self._draw_target()
            self.changed.emit()

    @property
    def _opacity_of_lines(self) -> float:
        """How opaque is what hides little of the image: usually as much as can be."""
        return min(1.0, self.opacity / FILL_OPACITY)

    def _on_target_changed(self) -> None:
        # A target stays as the user has made it until the display is changed.
        if self.is_outlined or self.opacity != FILL_OPACITY:
            self._draw_target()

    def _draw_target(self) -> None:
        layer = self._target.layer
        if layer is None:
            return
        layer.opacity = self._opacity_of_lines if self.is_outlined else self.opacity
        contour_px = _CONTOUR_PX if self.is_outlined else 0
        if layer.contour != contour_px:  # napari draws everything again
            layer.contour = contour_px
