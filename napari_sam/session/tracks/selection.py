"""Which edits of tracks are possible with what the user has selected, and what others need."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from napari_sam.session.objects.labels import TargetError
from napari_sam.session.tracks.editing import TrackEditing
from napari_sam.session.tracks.lineage import Lineages, Track


class TrackEdit(StrEnum):
    """An edit of selected tracks in the shown frame."""

    JOIN = "join"
    CUT = "cut"
    SWAP = "swap"
    END = "end"
    DIVIDE = "divide"
    UNDIVIDE = "undivide"


_ONE: Final = "Select one object"
_TWO: Final = "Select two objects"
_FAMILY: Final = "Select the object that divides, alone or with its daughters in this frame"


@dataclass(frozen=True, eq=False)
class TrackSelection:
    """Selected tracks, and the shown frame.

    Parameters
    ----------
    lineages : Lineages
        All tracks of the target.
    label_ids : tuple of int
        The selected objects.
    frame : int
        The frame that is shown.
    """

    lineages: Lineages
    label_ids: tuple[int, ...] = ()
    frame: int = 0

    @cached_property
    def tracks(self) -> list[Track]:
        """The selected tracks, the one that begins first before the others."""
        tracks = (self.lineages.get(label_id) for label_id in self.label_ids)
        present = [track for track in tracks if track is not None]
        return sorted(present, key=lambda track: (track.first, track.label_id))

    def refusal(self, edit: TrackEdit) -> str:
        """Return what an edit needs to be possible; empty if it is."""
        match edit:
            case TrackEdit.JOIN:
                return self._refuse_join()
            case TrackEdit.CUT | TrackEdit.END:
                return self._refuse_inside()
            case TrackEdit.SWAP:
                return self._refuse_swap()
            case TrackEdit.DIVIDE:
                return self._refuse_division()
            case TrackEdit.UNDIVIDE:
                return "" if self._mother_id else "Select an object that divides, or a daughter"

    def apply(self, edit: TrackEdit, editing: TrackEditing) -> None:
        """Make an edit; raise TargetError with what it needs if it is not possible."""
        if reason := self.refusal(edit):
            raise TargetError(f"{reason}.")
        label_ids, frame = [track.label_id for track in self.tracks], self.frame
        first, last = label_ids[0], label_ids[-1]
        match edit:
            case TrackEdit.JOIN:
                editing.join(first, last)
            case TrackEdit.CUT:
                editing.cut(first, frame)
            case TrackEdit.SWAP:
                editing.swap(first, last, frame)
            case TrackEdit.END:
                editing.end(first, frame)
            case TrackEdit.DIVIDE:
                # Of two, the one that is older goes on as a daughter.
                daughter_ids = label_ids if len(label_ids) == 2 else label_ids[1:]
                editing.divide(first, daughter_ids, frame)
            case TrackEdit.UNDIVIDE:
                editing.undivide(self._mother_id)

    def _refuse_join(self) -> str:
        if len(self.tracks) != 2:
            return _TWO
        first, second = self.tracks
        if self.lineages.children_of(first.label_id):
            return f"Object {first.label_id} divides: take that back first"
        if second.first <= first.last:
            return f"Both are in frame {second.first}: cut one of them first"
        return ""

    def _refuse_inside(self) -> str:
        if len(self.tracks) != 1:
            return _ONE
        (track,) = self.tracks
        if track.first < self.frame <= track.last:
            return ""
        if track.first == track.last:
            return f"Object {track.label_id} is in one frame only"
        first = track.first + 1
        if first == track.last:
            return f"Go to frame {first}"
        return f"Go to one of the frames {first} to {track.last}"

    def _refuse_swap(self) -> str:
        if len(self.tracks) != 2:
            return _TWO
        last = max(track.last for track in self.tracks)
        return "" if self.frame <= last else f"Go to frame {last} or an earlier one"

    def _refuse_division(self) -> str:
        if not 1 <= len(self.tracks) <= 3:
            return _FAMILY
        mother, *daughters = self.tracks
        if mother.first >= self.frame:
            return f"Go to a frame after {mother.first}, in which object {mother.label_id} begins"
        goes_on = mother.last >= self.frame
        if not goes_on and len(daughters) < 2:
            return "Select both daughters, too: go to their first frame"
        for track in daughters:
            if mother.first < track.first < self.frame <= track.last:
                number = track.label_id
                return f"Object {number} begins in frame {track.first}: go there, or cut it first"
        ended = [track.label_id for track in daughters if track.last < self.frame]
        return f"Object {ended[0]} ends before this frame" if ended else ""

    @property
    def _mother_id(self) -> int:
        """The only selected track that divides, or the parent of all selected ones; else 0."""
        children_of = self.lineages.children_of
        mothers = {t.label_id if children_of(t.label_id) else t.parent_id for t in self.tracks}
        return mothers.pop() if len(mothers) == 1 else 0
