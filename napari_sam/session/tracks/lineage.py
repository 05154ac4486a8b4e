"""Tracks as the records of the objects tell them: frames, parents and lineages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry


def founder_in(registry: ObjectRegistry, label_id: int, axis: int | None) -> int:
    """Return the first object from which one descends along an axis, as `Lineages` has it."""
    record = registry.get(label_id)
    while axis is not None and record is not None:
        label_id = record.label_id
        record = _parent_of(record, registry.get, axis)
    return label_id


def _parent_of(
    record: ObjectRecord, get: Callable[[int], ObjectRecord | None], axis: int
) -> ObjectRecord | None:
    """Return the object that divided into another one, if it is there and begins before that."""
    parent = get(record.parent_id)
    return parent if parent is not None and parent.start[axis] < record.start[axis] else None


@dataclass(frozen=True)
class Track:
    """An object through time.

    Parameters
    ----------
    label_id : int
        The object.
    first, last : int
        The frames that it begins and ends in.
    parent_id : int
        The track that divided into it and others, 0 for none.
    """

    label_id: int
    first: int
    last: int
    parent_id: int = 0


class Lineages:
    """The tracks of some labels along one axis, and how they descend from each other.

    A parent that is gone, or that does not begin before its child, counts as none: so nothing
    descends from itself.
    """

    def __init__(self, records: Iterable[ObjectRecord], axis: int) -> None:
        by_id = {record.label_id: record for record in records}
        self._tracks: dict[int, Track] = {}
        self._children: dict[int, list[int]] = defaultdict(list)
        for label_id in sorted(by_id):
            record = by_id[label_id]
            parent = _parent_of(record, by_id.get, axis)
            parent_id = 0 if parent is None else parent.label_id
            first, last = record.start[axis], record.stop[axis] - 1
            self._tracks[label_id] = Track(label_id, first, last, parent_id)
            if parent_id:
                self._children[parent_id].append(label_id)

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks.values())

    def __len__(self) -> int:
        return len(self._tracks)

    def get(self, label_id: int) -> Track | None:
        """Return a track; None if there is no such object."""
        return self._tracks.get(label_id)

    def children_of(self, label_id: int) -> tuple[int, ...]:
        """Return the label_ids of the tracks that one has divided into."""
        return tuple(self._children.get(label_id, ()))

    def founder_of(self, label_id: int) -> int:
        """Return the label_id of the first track of a lineage, from which another descends."""
        while parent_id := self._tracks[label_id].parent_id:
            label_id = parent_id
        return label_id

    @property
    def graph(self) -> dict[int, list[int]]:
        """The parents of each track that has one, as napari's Tracks layers have them."""
        return {track.label_id: [track.parent_id] for track in self if track.parent_id}
