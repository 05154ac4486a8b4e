"""What a brush paints in a Labels layer, and what napari's own undo there takes back."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Labels
from napari.utils.events import Event

from napari_sam.layers.napari_workarounds import StrokeHistory
from napari_sam.session.objects.painting import PaintedPixels, counts_of


class BrushStrokes:
    """Collects the pixels of strokes in a layer, and of strokes that are undone there."""

    def __init__(self, layer: Labels, on_stroke: Callable[[], None]) -> None:
        self._on_stroke = on_stroke
        self._painted = PaintedPixels()
        self._layer = ref(layer)
        self._is_mixed = False
        self._history = StrokeHistory(layer)
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self._on_shown)

    def close(self, layer: Labels) -> None:
        """Let the layer go."""
        self.take()
        layer.events.paint.disconnect(self._on_paint)
        layer.events.set_data.disconnect(self._on_shown)

    def take(self) -> PaintedPixels:
        """Return what was painted since the last call."""
        layer = self._layer()
        if layer is not None:
            self._note_moved(layer)  # napari sends nothing for a layer that is hidden
        painted, self._painted = self._painted, PaintedPixels()
        return painted

    def mistrust(self) -> None:
        """Handle, on any thread, that something other than a brush writes to the layer.

        What is painted at that time may be counted already as a part of what was written.
        """
        layer = self._layer()
        if self._painted.label_ids:
            self._painted.count(None)
        if layer is not None and self._history.is_drawing(layer):
            self._is_mixed = True

    @property
    def largest_label_id(self) -> int:
        """The largest label_id that was painted with since `take`, 0 without one."""
        return max(self._painted.label_ids, default=0)

    def _on_paint(self, event: Event) -> None:
        self._history.note_stroke()
        self._note(event.value, is_known=not self._is_mixed)
        self._is_mixed = False

    def _on_shown(self, event: Event) -> None:
        """Note the strokes whose undo or redo may have made napari show the data again."""
        self._note_moved(event.source)

    def _note_moved(self, layer: Labels) -> None:
        for stroke in self._history.moved_strokes(layer):
            # It wrote its stored pixels over whatever was in the layer by then.
            self._note(stroke, is_known=False)

    def _note(self, stroke: Any, *, is_known: bool) -> None:
        """Note a stroke; `is_known` if its stored pixels are those that were in the layer."""
        n_gained: Counter[int] = Counter()
        for where, *mask, before, after in stroke:
            before = np.asarray(before)
            lost, gained = counts_of(before), counts_of(np.broadcast_to(after, before.shape))
            n_gained.update(gained)
            n_gained.subtract(lost)
            self._painted.touch((*lost, *gained))
            if isinstance(where[0], slice):  # a box, and which of its pixels; None: all
                start = tuple(int(span.start) for span in where)
                changed = mask[0] if mask else None
                if changed is None:
                    changed = np.ones([int(span.stop - span.start) for span in where], np.bool_)
                self._painted.add(start, changed)
            else:
                self._painted.add_places([np.asarray(axis) for axis in where])
        self._painted.count(n_gained if is_known else None)
        self._on_stroke()
