"""The planes that a session has been on, and the objects that were left there unfinished."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import count
from typing import Final

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.prompts.prompts import Prompts

_MAX_LEFT: Final = 100
"""Objects put away on other planes; the masks of one take a megabyte."""


@dataclass(frozen=True, eq=False)
class _Left:
    """An object as it was when its plane was left, and what the plane looked like."""

    key: Hashable
    state: ObjectState
    candidates: Candidates | None


class PlaneRegistry:
    """Gives planes their numbers, and puts away the object that is being made on each.

    A plane without a place has a new number each time, and what was on it is not kept.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._plane_ids: dict[Hashable, int] = {}
        self._left: dict[int, _Left] = {}
        self._key: Hashable = None
        self.place: Hashable = None
        """Where the current plane lies."""
        self.plane_id = 0
        """The number of the current plane."""

    def leave(self, state: ObjectState, candidates: Candidates | None) -> None:
        """Put away the object that is being made on the current plane."""
        if self.place is not None and not state.prompts.is_empty:
            self._put(self.plane_id, _Left(self._key, state, candidates))

    def go_to(self, place: Hashable, key: Hashable) -> None:
        """Be on a plane; the key tells what it looks like."""
        self.place, self._key = place, key
        if place is None:
            self.plane_id = next(self._numbers)
        else:
            if place not in self._plane_ids:
                self._plane_ids[place] = next(self._numbers)
            self.plane_id = self._plane_ids[place]

    def take(self) -> tuple[ObjectState, Candidates | None]:
        """Return the object that was left on the current plane, with its masks.

        Without them, if the plane looked otherwise then; a new object, if none was left.
        """
        left = self._left.pop(self.plane_id, None)
        if left is None:
            return ObjectState(), None
        if left.key is None or left.key != self._key:
            return ObjectState(left.state.prompts, reopened=left.state.reopened), None
        return left.state, left.candidates

    def place_of(self, plane_id: int) -> Hashable:
        """Return where a plane lies; None if that is not known."""
        return next((p for p, known in self._plane_ids.items() if known == plane_id), None)

    def put(self, plane_id: int, state: ObjectState) -> None:
        """Have another object be the one that was left on another plane."""
        if state.prompts.is_empty:
            self._left.pop(plane_id, None)
        elif plane_id in self._plane_ids.values():
            self._put(plane_id, _Left(None, state, None))

    def end(self, plane_id: int, prompts: Prompts) -> None:
        """Hear that the object with these prompts was accepted."""
        left = self._left.get(plane_id)
        if left is not None and left.state.prompts == prompts:
            del self._left[plane_id]

    def forget_masks(self) -> None:
        """Drop what another model has made of the objects left."""
        self._left = {n: _Left(None, left.state, None) for n, left in self._left.items()}

    def _put(self, plane_id: int, left: _Left) -> None:
        self._left.pop(plane_id, None)
        self._left[plane_id] = left
        if len(self._left) > _MAX_LEFT:
            del self._left[next(iter(self._left))]
