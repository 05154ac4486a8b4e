"""Tracks as the records of the objects tell them: frames, parents and lineages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry


def founder_in(registry: ObjectRegistry, label_id: int, axis: int | None) -> int:
    """Return the first object from which one descends along an axis, as `Lineages` has it."""
    record = registry.get(label_id)
    while axis is not None and record is not None:
        label_id, first = record.label_id, record.start[axis]
        record = registry.get(record.parent_id)
        if record is not None and record.start[axis] >= first:
            break
    return label_id


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
            first, parent = record.start[axis], by_id.get(record.parent_id)
            is_parent = parent is not None and parent.start[axis] < first
            parent_id = record.parent_id if is_parent else 0
            self._tracks[label_id] = Track(label_id, first, record.stop[axis] - 1, parent_id)
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
