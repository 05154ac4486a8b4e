"""The points of tracks: the center of each object in each frame, for a view of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.tracks.frame_links import frame_objects
from napari_sam.session.tracks.moving import pixels_in_frame
from napari_sam.storage.pacing import paced

_MAX_SEPARATE: Final = 50
"""More objects that have changed are measured together, frame by frame."""


class TrackPoints:
    """The points of the tracks of some labels; those of unchanged objects are kept.

    May be used on any thread, by one at a time.
    """

    def __init__(self, labels: Labels, axis: int) -> None:
        self._labels, self._axis = labels, axis
        self._points: dict[int, tuple[ObjectRecord, NDArray[np.float64]]] = {}

    def update(self, records: Iterable[ObjectRecord]) -> NDArray[np.float64]:
        """Return the label_id, frame and center of each object in each frame, in pixels.

        Parameters
        ----------
        records : iterable of ObjectRecord
            Those of all objects; their pixels may not change meanwhile.
        """
        by_id = {record.label_id: record for record in records}
        unchanged = {n: entry for n, entry in self._points.items() if by_id.get(n) is entry[0]}
        changed = [record for label_id, record in by_id.items() if label_id not in unchanged]
        if len(changed) > _MAX_SEPARATE:
            tracks = self._measured_together()
            nothing = np.zeros((0, len(self._labels.shape) + 1))  # of what is gone by then
            measured = {record.label_id: tracks.get(record.label_id, nothing) for record in changed}
        else:
            measured = {record.label_id: self._measured(record) for record in paced(changed)}
        self._points = unchanged | {n: (by_id[n], points) for n, points in measured.items()}
        empty = np.zeros((0, len(self._labels.shape) + 1))
        return np.concatenate([empty, *(self._points[n][1] for n in sorted(self._points))])

    def _measured(self, record: ObjectRecord) -> NDArray[np.float64]:
        rows = []
        for frame in range(record.start[self._axis], record.stop[self._axis]):
            parts = list(pixels_in_frame(self._labels, record, self._axis, frame))
            if parts:
                pixels = np.concatenate([np.argwhere(mask) + corner for corner, mask in parts])
                center = np.delete(pixels.mean(axis=0), self._axis)
                rows.append([record.label_id, frame, *center])
        return np.array(rows, np.float64).reshape(-1, len(record.start) + 1)

    def _measured_together(self) -> dict[int, NDArray[np.float64]]:
        objects = frame_objects(self._labels, self._axis)
        keys = np.array([(key.label_id, key.frame) for key in objects.keys], np.float64)
        points = np.column_stack([keys.reshape(-1, 2), objects.centers])
        points = points[np.lexsort((points[:, 1], points[:, 0]))]
        label_ids, firsts = np.unique(points[:, 0].astype(np.int64), return_index=True)
        return dict(zip(label_ids.tolist(), np.split(points, firsts[1:]), strict=True))
