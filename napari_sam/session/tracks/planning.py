"""Edits of tracks: join, cut, mark a division, swap, end; each is planned as one `LabelsEdit`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import Labels, TargetError
from napari_sam.session.objects.planning import first_free_label_id
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry
from napari_sam.session.tracks.moving import Move, plan_moves


@dataclass(frozen=True, eq=False)
class TrackLabels:
    """Labels, and the axis along which their objects are tracks.

    Parameters
    ----------
    labels : Labels
        The labels.
    axis : int
        That of time.
    """

    labels: Labels
    axis: int

    @property
    def registry(self) -> ObjectRegistry:
        """The records of the objects."""
        return self.labels.registry

    def record(self, label_id: int) -> ObjectRecord:
        """Return the record of an object; raise TargetError if there is none."""
        record = self.registry.get(label_id)
        if record is None:
            raise TargetError(f"There is no object {label_id}: choose another one.")
        return record

    def frames(self, label_id: int) -> range:
        """Return the frames that a track extends through."""
        record = self.record(label_id)
        return range(record.start[self.axis], record.stop[self.axis])

    def children(self, label_id: int) -> list[int]:
        """Return the label_ids of the tracks that one has divided into."""
        return [record.label_id for record in self.registry if record.parent_id == label_id]

    def new_label_ids(self) -> Iterator[int]:
        """Yield free label_ids; raise TargetError where the type of the labels has no more."""
        for count in itertools.count(1):
            yield first_free_label_id(self.labels, self.registry, count) + count - 1

    def plan(self, moves: Sequence[Move], parents: dict[int, int] | None = None) -> LabelsEdit:
        """Plan to move pixels, and to give objects other parents."""
        return plan_moves(self.labels, self.registry, self.axis, moves, parents)


def plan_join(tracks: TrackLabels, label_id: int, other_id: int) -> LabelsEdit:
    """Plan to make two tracks one, which has the label_id and the parent of the earlier one."""
    if label_id == other_id:
        raise TargetError("There is nothing to join: choose two tracks.")
    first, second = sorted((label_id, other_id), key=lambda n: tracks.frames(n).start)
    if children := tracks.children(first):
        raise TargetError(
            f"Track {first} divides into {_listed(children)}: take that division back first."
        )
    parents = dict.fromkeys(tracks.children(second), first)
    return tracks.plan([Move(second, tracks.frames(second), first)], parents)


def plan_cut(tracks: TrackLabels, label_id: int, frame: int) -> LabelsEdit:
    """Plan to make the part of a track from a frame on a track of its own, without a parent."""
    frames = tracks.frames(label_id)
    if not frames.start < frame < frames.stop:
        raise TargetError(
            f"Track {label_id} is in frames {frames.start} to {frames.stop - 1}: go to one of them "
            "after the first."
        )
    new_id = next(tracks.new_label_ids())
    parents = dict.fromkeys(tracks.children(label_id), new_id)
    return tracks.plan([Move(label_id, range(frame, frames.stop), new_id)], parents)


def plan_division(
    tracks: TrackLabels, mother_id: int, daughter_ids: Sequence[int], frame: int
) -> LabelsEdit:
    """Plan to mark that a track divides: it ends, and its daughters begin in a frame.

    What a daughter was before that frame becomes a track of its own, unless it is the mother. What
    is left of the mother from that frame on becomes one, too, unless it is a daughter.
    """
    frames = tracks.frames(mother_id)
    if len(set(daughter_ids)) < 2:
        raise TargetError("A division needs two daughters: choose two objects of the frame.")
    if frames.start >= frame:
        raise TargetError(
            f"Track {mother_id} begins in frame {frames.start}: it can only divide after that."
        )
    new_ids, moves, parents = tracks.new_label_ids(), [], {}
    if frame < frames.stop:  # the mother's label goes on, as a daughter or as a track of its own
        moves.append(Move(mother_id, range(frame, frames.stop), next(new_ids)))
        parents = dict.fromkeys(tracks.children(mother_id), moves[0].to)
    for daughter_id in daughter_ids:
        span = tracks.frames(daughter_id)
        if span.stop <= frame:
            raise TargetError(f"Object {daughter_id} is in no frame from {frame} on.")
        if daughter_id == mother_id:
            parents[moves[0].to] = mother_id
            continue
        parents[daughter_id] = mother_id
        if span.start < frame:  # its past is another track
            moves.append(Move(daughter_id, range(span.start, frame), next(new_ids)))
            parents[moves[-1].to] = tracks.record(daughter_id).parent_id
    return tracks.plan(moves, parents)


def plan_no_division(tracks: TrackLabels, mother_id: int) -> LabelsEdit:
    """Plan to take a division back: the daughters have no parent any more."""
    children = tracks.children(mother_id)
    if not children:
        raise TargetError(f"Track {mother_id} does not divide.")
    return tracks.plan([], dict.fromkeys(children, 0))


def plan_swap(tracks: TrackLabels, label_id: int, other_id: int, frame: int) -> LabelsEdit:
    """Plan to swap two tracks from a frame on, with what they divide into."""
    if label_id == other_id:
        raise TargetError("There is nothing to swap: choose two tracks.")
    moves: list[Move] = []
    parents: dict[int, int] = {}
    for source, to in ((label_id, other_id), (other_id, label_id)):
        stop = tracks.frames(source).stop
        if frame < stop:
            moves.append(Move(source, range(frame, stop), to))
        parents |= dict.fromkeys(tracks.children(source), to)
    if not moves:
        raise TargetError(f"Neither track is in a frame from {frame} on: go to an earlier one.")
    whole = [move for move in moves if tracks.frames(move.label_id).start >= frame]
    for move in whole:  # whose beginning another label_id has then
        parents[move.label_id] = tracks.record(move.to).parent_id if len(whole) > 1 else 0
    return tracks.plan(moves, parents)


def plan_end(tracks: TrackLabels, label_id: int, frame: int) -> LabelsEdit:
    """Plan to erase a track from a frame on; what it was before stays."""
    frames = tracks.frames(label_id)
    if frame <= frames.start:
        raise TargetError(f"Nothing would be left of track {label_id}: delete it instead.")
    if frame >= frames.stop:
        raise TargetError(f"Track {label_id} has ended before frame {frame}.")
    parents = dict.fromkeys(tracks.children(label_id), 0)
    return tracks.plan([Move(label_id, range(frame, frames.stop), 0)], parents)


def _listed(label_ids: Sequence[int]) -> str:
    return " and ".join(map(str, label_ids))
