"""What a brush paints in a Labels layer, and what napari's own undo there takes back."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Labels
from napari.utils.events import Event
from numpy.typing import NDArray

from napari_sam.layers.napari_workarounds import StrokeHistory
from napari_sam.session.objects.brush_history import Dab
from napari_sam.session.objects.packed import Mask, Start
from napari_sam.session.objects.painting import PaintedPixels, counts_of
from napari_sam.session.objects.pixel_sets import tile_shape, tiles_of_places


@dataclass(eq=False)
class Painted:
    """What was painted in a layer in some time."""

    pixels: PaintedPixels = field(default_factory=PaintedPixels)
    new: dict[int, Any] = field(default_factory=dict)  # strokes of napari's, by their ids
    moved: list[tuple[int, bool]] = field(default_factory=list)  # by napari; whether undone

    @property
    def dabs(self) -> Iterator[Dab]:
        """The parts of the new strokes, in their order."""
        for stroke in self.new.values():
            for atom in stroke:
                yield from _dabs(*atom)


class BrushStrokes:
    """Collects the pixels of strokes in a layer, and of strokes that are undone there."""

    def __init__(self, layer: Labels, on_stroke: Callable[[], None]) -> None:
        self._on_stroke = on_stroke
        self._painted = Painted()
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

    def take(self) -> Painted:
        """Return what was painted since the last call."""
        layer = self._layer()
        if layer is not None:
            self._note_moved(layer)  # napari sends nothing for a layer that is hidden
        painted, self._painted = self._painted, Painted()
        return painted

    def mistrust(self) -> None:
        """Handle, on any thread, that something other than a brush writes to the layer.

        What is painted at that time may be counted already as a part of what was written.
        """
        layer = self._layer()
        if self._painted.pixels.label_ids:
            self._painted.pixels.count(None)
        if layer is not None and self._history.is_drawing(layer):
            self._is_mixed = True

    @property
    def largest_label_id(self) -> int:
        """The largest label_id that was painted with since `take`, 0 without one."""
        return max(self._painted.pixels.label_ids, default=0)

    def _on_paint(self, event: Event) -> None:
        self._painted.new[self._history.note_stroke()] = event.value
        self._note(event.value, is_known=not self._is_mixed)
        self._is_mixed = False

    def _on_shown(self, event: Event) -> None:
        """Note the strokes whose undo or redo may have made napari show the data again."""
        self._note_moved(event.source)

    def _note_moved(self, layer: Labels) -> None:
        for stroke, stroke_id, is_undone in self._history.moved_strokes(layer):
            if self._painted.new.pop(stroke_id, None) is None:
                self._painted.moved.append((stroke_id, is_undone))
            # It wrote its stored pixels over whatever was in the layer by then.
            self._note(stroke, is_known=False)

    def _note(self, stroke: Any, *, is_known: bool) -> None:
        """Note a stroke; `is_known` if its stored pixels are those that were in the layer."""
        n_gained: Counter[int] = Counter()
        pixels = self._painted.pixels
        for where, *mask, before, after in stroke:
            before = np.asarray(before)
            lost, gained = counts_of(before), counts_of(np.broadcast_to(after, before.shape))
            n_gained.update(gained)
            n_gained.subtract(lost)
            pixels.touch((*lost, *gained))
            if isinstance(where[0], slice):
                pixels.add(*_box(where, *mask))
            else:
                pixels.add_places([np.asarray(axis) for axis in where])
        pixels.count(n_gained if is_known else None)
        self._on_stroke()

    def move(self, layer: Labels, stroke_ids: tuple[int, ...], *, is_undone: bool) -> None:
        """Have napari take strokes for undone or redone that the session has undone or redone."""
        self._note_moved(layer)
        for stroke_id in stroke_ids[:: -1 if is_undone else 1]:
            self._history.move(layer, stroke_id, is_undone=is_undone)


def _box(where: tuple[slice, ...], mask: Mask | None = None) -> tuple[Start, Mask]:
    """Return the first pixel of a box, and which of its pixels were painted; None: all."""
    start = tuple(int(span.start) for span in where)
    if mask is None:
        mask = np.ones([int(span.stop - span.start) for span in where], np.bool_)
    return start, mask


def _dabs(where: Any, *mask_before_after: Any) -> Iterator[Dab]:
    """Yield a part of one of napari's strokes: a box, or pixels that may lie far apart."""
    *mask, before, after = mask_before_after
    before = np.asarray(before)
    after = np.asarray(after).astype(before.dtype)
    if isinstance(where[0], slice):
        start, painted = _box(where, *mask)
        labels = np.zeros(painted.shape, before.dtype)
        labels[painted] = before.ravel()
        yield Dab(start, painted, labels, np.broadcast_to(after, painted.shape))
        return
    places = [np.asarray(axis) for axis in where]
    before, after = before.ravel(), np.broadcast_to(after, before.shape).ravel()
    for index, members, in_tile in tiles_of_places(places):
        yield _dab_in_tile(index, in_tile, before[members], after[members])


def _dab_in_tile(
    index: Start, in_tile: tuple[NDArray[Any], ...], before: NDArray[Any], after: NDArray[Any]
) -> Dab:
    shape = tile_shape(len(index))
    painted = np.zeros(shape, np.bool_)
    labels = np.zeros((2, *shape), before.dtype)
    painted[in_tile], labels[0][in_tile], labels[1][in_tile] = True, before, after
    start = tuple(number * side for number, side in zip(index, shape, strict=True))
    return Dab(start, painted, *labels)
