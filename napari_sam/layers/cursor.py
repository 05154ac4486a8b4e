"""The position of the cursor on the canvas."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray


class CursorTracker:
    """Follows the cursor over the canvas while it is switched on; costs nothing otherwise."""

    def __init__(
        self, viewer: ViewerModel, on_moved: Callable[[NDArray[np.float64] | None], None]
    ) -> None:
        self._viewer, self._on_moved = viewer, on_moved
        self.is_on = False

    def switch(self, on: bool) -> None:
        """Start or stop following the cursor."""
        if on == self.is_on:
            return
        self.is_on = on
        over_canvas = self._viewer.events.mouse_over_canvas
        if on:
            self._viewer.mouse_move_callbacks.append(self._on_mouse_move)
            over_canvas.connect(self._on_mouse_over_canvas)
        else:
            self._viewer.mouse_move_callbacks.remove(self._on_mouse_move)
            over_canvas.disconnect(self._on_mouse_over_canvas)
            self._on_moved(None)

    def _on_mouse_move(self, _: ViewerModel, event: Any) -> None:
        if not event.is_dragging:
            self._on_moved(np.asarray(event.position, float))

    def _on_mouse_over_canvas(self) -> None:
        if not self._viewer.mouse_over_canvas:
            self._on_moved(None)
