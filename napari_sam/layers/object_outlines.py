"""Outlines the accepted objects that the user means: chosen in the table or under the cursor."""

from collections.abc import Iterable, Iterator
from math import prod
from typing import Final

import numpy as np
from napari.layers import Labels

from napari_sam.layers.outlines import LayerOutline, Segments
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import Defer, DeferredCall
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.packed import Mask

_COLOR: Final = "#ffffff"
"""Apart from all colors of candidates, prompts and classes."""
_WIDTH_PX: Final = 3
_MAX_OUTLINED_PX: Final = 2**23
"""Objects are outlined up to this area of their boxes, so that no mouse move takes longer."""


class ObjectOutlines:
    """Outlines objects of the target on the shown plane, and follows their changes."""

    def __init__(self, plane: PlaneBinding, target: TargetBinding, defer: Defer) -> None:
        self._plane, self._target = plane, target
        self._chosen: tuple[int, ...] = ()
        self._pointed_at: int | None = None
        self._outline: tuple[Labels, LayerOutline] | None = None
        self._is_closed = False
        self._update_soon = DeferredCall(defer, self._update)
        self._records = Connections()
        self._connections = Connections(
            (target.changed, self._on_target_changed),
            (plane.stack_changed, self._update_soon.request),
        )

    def close(self) -> None:
        """Take the outlines off the target."""
        self._is_closed = True
        self._connections.close()
        self._records.close()
        self._remove()

    @property
    def label_ids(self) -> tuple[int, ...]:
        """The objects that are outlined where they are on the shown plane."""
        pointed_at = () if self._pointed_at is None else (self._pointed_at,)
        return tuple(dict.fromkeys((*self._chosen, *pointed_at)))

    def choose(self, label_ids: Iterable[int]) -> None:
        """Outline the objects that are chosen in the table."""
        self._set(tuple(label_ids), self._pointed_at)

    def point_at(self, label_id: int | None) -> None:
        """Outline the object under the cursor, too."""
        self._set(self._chosen, label_id)

    def _set(self, chosen: tuple[int, ...], pointed_at: int | None) -> None:
        before = self.label_ids
        self._chosen, self._pointed_at = chosen, pointed_at
        if self.label_ids != before:
            self._update_soon.request()

    def _on_target_changed(self) -> None:
        self._records.close()
        self._remove()
        labels = self._target.labels
        if labels is not None:
            self._records = Connections((labels.registry.changed, self._on_records_changed))
        self._set((), None)

    def _on_records_changed(self, label_ids: frozenset[int]) -> None:
        if not label_ids.isdisjoint(self.label_ids):
            self._update_soon.request()

    def _update(self) -> None:
        layer = self._target.layer
        if self._is_closed or layer is None or (self._outline is None and not self.label_ids):
            return
        if self._outline is None:
            self._outline = layer, LayerOutline(layer, "napari-sam-object", _COLOR, _WIDTH_PX)
        self._outline[1].show(Segments.around(self._masks()))

    def _masks(self) -> Iterator[tuple[Mask, int, int]]:
        """Yield the masks of the objects on the shown plane."""
        labels, labels_plane, view = (
            self._target.labels,
            self._target.labels_plane,
            self._plane.view,
        )
        if labels is None or labels_plane is None or view is None:
            return
        view, budget_px = view.for_labels(len(labels.shape)), _MAX_OUTLINED_PX
        for label_id in self.label_ids:
            record = labels.registry.get(label_id)
            if record is None:
                continue
            sides = np.subtract(record.stop, record.start)
            area_px = prod((int(sides[view.row_axis]), int(sides[view.column_axis])))
            budget_px -= area_px
            if budget_px < 0:
                return
            rows, columns = (
                slice(record.start[axis], record.stop[axis])
                for axis in (view.row_axis, view.column_axis)
            )
            try:
                yield labels_plane.read(rows, columns) == label_id, rows.start, columns.start
            except TargetError:
                return  # the target no longer fits the image

    def _remove(self) -> None:
        if self._outline is not None:
            self._outline[1].remove()
            self._outline = None
