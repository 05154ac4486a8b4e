"""Small films of labels with tracks, and the session parts that edit them."""

from types import SimpleNamespace

import numpy as np

from napari_sam.session import ArrayLabels, ObjectRecord
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import CallbackQueue
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.tracks.editing import TrackEditing
from napari_sam.session.tracks.planning import TrackLabels


class Film:
    """A film of labels (T, Y, X) as the target of an annotation."""

    def __init__(self, array: np.ndarray) -> None:
        self.labels, self.array = ArrayLabels(array), array
        self.labels.registry.replace_all(find_objects(self.labels))
        plane = SimpleNamespace(labels=self.labels, slice_axis=0)
        in_progress = SimpleNamespace(state=ObjectState())
        self.background = Background(CallbackQueue())
        self.editing = Editing(in_progress, self.background)
        self.editing.set_target(plane)
        self.tracks = TrackEditing(self.editing, self.background)

    @property
    def track_labels(self) -> TrackLabels:
        return TrackLabels(self.labels, 0)

    @property
    def registry(self):
        return self.labels.registry

    def record(self, label_id: int) -> ObjectRecord:
        record = self.registry.get(label_id)
        assert record is not None
        return record

    def in_frame(self, frame: int) -> set[int]:
        return set(np.unique(self.array[frame]).tolist()) - {0}

    def spans(self) -> dict[int, tuple[int, int, int]]:
        """First and last frame and parent of each track."""
        return {t.label_id: (t.first, t.last, t.parent_id) for t in self.tracks.lineages}

    def check_records(self) -> None:
        """Compare the records with the pixels."""
        measured = {record.label_id: record for record in find_objects(self.labels)}
        assert measured.keys() == {record.label_id for record in self.registry}
        for record in self.registry:
            assert record.is_alike(measured[record.label_id])


def bars(n_frames: int = 6, n_tracks: int = 3) -> np.ndarray:
    """Return a film of bars side by side, the first of which is label 1."""
    array = np.zeros((n_frames, 8, 6 * n_tracks), np.uint16)
    for n in range(n_tracks):
        array[:, 2:6, 6 * n + 1 : 6 * n + 5] = n + 1
    return array


def dividing(n_frames: int = 8, division: int = 4) -> np.ndarray:
    """Return a film of a disc that falls in two halves, both label 1, which move apart."""
    array = np.zeros((n_frames, 24, 48), np.uint16)
    y, x = np.mgrid[:24, :48]
    for frame in range(n_frames):
        shift = 0 if frame < division else 5 + 2 * (frame - division)
        radius = 6 if frame < division else 4
        for center in (24 - shift, 24 + shift):
            array[frame][(y - 12) ** 2 + (x - center) ** 2 < radius**2] = 1
    return array
