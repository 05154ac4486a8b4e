"""Bright outlines of masks, as wide on the screen at every zoom."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam.session.objects.packed import Mask


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of outlines: their (2 N, 2) ends, row and column in the displayed axes of a layer."""

    ends_rc: NDArray[np.float32]

    @classmethod
    def around(cls, masks: Iterable[tuple[Mask, int, int]]) -> "Segments":
        """Return the edges of the pixels along the borders of masks: mask, top and left of each."""
        pieces = [NO_SEGMENTS]
        for mask, top, left in masks:
            padded = np.pad(mask, 1)
            below, right = padded[1:] != padded[:-1], padded[:, 1:] != padded[:, :-1]
            pieces.append(_segments(below, right, top - 1, left - 1))
        return cls(np.concatenate([piece.ends_rc for piece in pieces]))

    @classmethod
    def between(cls, labels: NDArray[Any], groups: NDArray[Any] | None = None) -> "Segments":
        """Return the edges of pixels where objects touch each other; of one group, if given."""
        is_object = labels != 0
        below = (labels[1:] != labels[:-1]) & is_object[1:] & is_object[:-1]
        right = (labels[:, 1:] != labels[:, :-1]) & is_object[:, 1:] & is_object[:, :-1]
        if groups is not None:
            below &= groups[1:] == groups[:-1]
            right &= groups[:, 1:] == groups[:, :-1]
        return _segments(below, right)


NO_SEGMENTS: Final = Segments(np.empty((0, 2), np.float32))


def _segments(below: Mask, right: Mask, top: int = 0, left: int = 0) -> Segments:
    """Return the edges below and to the right of pixels."""
    # Several times as fast as `nonzero`; a mask may fill the image, and the mouse waits for it.
    rows, starts, stops = _runs(*divmod(np.flatnonzero(below), below.shape[1]))
    edge_rows, edge_columns = divmod(np.flatnonzero(right), right.shape[1])
    order = np.argsort(edge_columns, kind="stable")
    columns, upper, lower = _runs(edge_columns[order], edge_rows[order])
    ends = np.empty((len(rows) + len(columns), 2, 2), np.float32)
    horizontal, vertical = np.split(ends, [len(rows)])
    horizontal[..., 0] = rows[:, np.newaxis] + 0.5
    horizontal[..., 1] = np.column_stack([starts, stops]) - 0.5
    vertical[..., 1] = columns[:, np.newaxis] + 0.5
    vertical[..., 0] = np.column_stack([upper, lower]) - 0.5
    return Segments(ends.reshape(-1, 2) + np.array((top, left), np.float32))


def _runs(
    lines: NDArray[np.intp], places: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return line, start and stop of the runs of places that follow each other on a line."""
    is_start = np.ones(len(lines) + 1, bool)
    is_start[1:-1] = (np.diff(lines) != 0) | (np.diff(places) != 1)
    starts = np.flatnonzero(is_start[:-1])
    stops = np.flatnonzero(is_start[1:])
    return lines[starts], places[starts], places[stops] + 1


class LayerOutline:
    """The outline of something in a Labels layer."""

    def __init__(self, layer: Labels, name: str, color: str, width_px: float = 2) -> None:
        # Needs Qt, which the command line can do without when it opens images.
        from napari_sam.layers.outline_overlay import OutlineOverlay

        self._layer, self._name = layer, name
        self._overlay = OutlineOverlay(color=color, width_px=width_px)
        layer._overlays.pop(name, None)  # napari keeps one that is equal
        layer._overlays[name] = self._overlay

    def show(self, segments: Segments) -> None:
        """Show other segments."""
        if segments is not self._overlay.segments:
            self._overlay.segments = segments
        if len(segments.ends_rc):  # napari makes what draws it as it is first visible
            self._overlay.update({"visible": True})

    def remove(self) -> None:
        """Take the outline off the layer."""
        if self._layer._overlays.get(self._name) is self._overlay:
            del self._layer._overlays[self._name]
