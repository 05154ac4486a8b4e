"""Draws the pictures of the candidates, on a thread and after the mask itself is on screen."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QColor

from napari_sam._qt.building import rest_timer
from napari_sam._qt.mask_panel import PICTURE_SIZE_PX, MaskPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.pictures import candidate_pictures
from napari_sam.session.state import SessionState

_SIZE_PX = (2 * PICTURE_SIZE_PX[0], 2 * PICTURE_SIZE_PX[1])
"""Sharp also where a picture is shown larger, or on a dense screen."""

_AFTER_MASK_MS = 80
"""The mask in the image comes first: without a GPU, each repaint composes the whole window again.
An object that is accepted at once needs no pictures at all."""


class ThumbnailController:
    """Keeps the pictures of a `MaskPanel` up to date."""

    def __init__(self, context: WidgetContext, panel: MaskPanel) -> None:
        self._session, self._panel = context.session, panel
        self._executor = context.session.background.executor("thumbnails")
        self._candidates: Candidates | None = None
        self._timer = rest_timer(context.widget, _AFTER_MASK_MS, self._draw)
        self._connections = Connections((context.session.changed, self._on_session_changed))

    def close(self) -> None:
        """Draw no more."""
        self._connections.close()
        self._timer.stop()

    @property
    def is_idle(self) -> bool:
        """Whether the drawing of all pictures has begun."""
        return not self._timer.isActive()

    def _on_session_changed(self, state: SessionState) -> None:
        if state.candidates is self._candidates:
            return
        self._candidates = state.candidates
        if state.candidates is None:
            self._timer.stop()
            self._executor.cancel()
        else:
            self._timer.start()

    def _draw(self) -> None:
        candidates, plane = self._candidates, self._session.embedding.plane
        if candidates is None or plane is None:
            return
        colors = [QColor(color).getRgb()[:3] for color in self._panel.colors]

        def on_drawn(pictures: list[NDArray[np.uint8]]) -> None:
            self._panel.show_pictures(candidates, pictures)

        self._executor.submit(
            lambda _: candidate_pictures(plane, candidates, colors, _SIZE_PX),
            on_drawn,
            lambda error: None,  # pixels that cannot be read are reported by the embedding
        )
