"""What a brush paints in a Labels layer, and what napari's own undo there takes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.events import Event

from napari_sam.session import Start

Stroke = tuple[tuple[int, Start, Start], ...]
"""Which labels were maybe changed, each with the box in which, from start to stop."""


class BrushStrokes:
    """Follows the strokes in a layer, also those that are undone there, which napari tells nobody.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    on_stroke : callable
        Called with each `Stroke` that was made, undone or repeated; napari may not have written
        it yet.
    """

    def __init__(self, layer: Labels, on_stroke: Callable[[Stroke], None]) -> None:
        self._on_stroke = on_stroke
        self._n_undone = len(layer._redo_history)
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self._on_shown)

    def close(self, layer: Labels) -> None:
        """Let the layer go."""
        layer.events.paint.disconnect(self._on_paint)
        layer.events.set_data.disconnect(self._on_shown)

    def _on_paint(self, event: Event) -> None:
        self._n_undone = 0
        self._on_stroke(tuple(_painted(event.value)))

    def _on_shown(self, event: Event) -> None:
        """Look whether napari's undo or redo was what has made it show the data anew."""
        layer = event.source
        by = len(layer._redo_history) - self._n_undone
        self._n_undone += by
        moved = list(layer._redo_history)[-by:] if by > 0 else list(layer._undo_history)[by:]
        for strokes in moved if by else ():
            self._on_stroke(tuple(_painted(strokes)))


def _painted(strokes: Any) -> Iterator[tuple[int, Start, Start]]:
    """Yield which labels a brush may have changed, and in which box."""
    for where, *more in strokes:
        # What a stroke changed is told in several forms; old and new values come last in each.
        *_, before, after = more
        if isinstance(where[0], slice):
            start = tuple(int(one.start) for one in where)
            stop = tuple(int(one.stop) for one in where)
        else:
            start = tuple(int(np.min(one)) for one in where)
            stop = tuple(int(np.max(one)) + 1 for one in where)
        for label_id in np.union1d(before, after):
            if label_id:
                yield int(label_id), start, stop
