"""The planes that a session has been on, and the unfinished objects that were left there."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.prompts.prompts import Prompts

_MAX_PARKED: Final = 100
"""Objects parked on other planes; the masks of one take a megabyte."""


@dataclass(frozen=True, eq=False)
class _ParkedObject:
    """An object as it was when its plane was left, and the pixels of the plane."""

    pixels: Hashable
    state: ObjectState
    candidates: Candidates | None
    is_restored: bool = False  # from another program, and not decoded since


class PlaneRegistry:
    """Assigns ids to planes, and parks the unfinished object of each.

    A plane without a key has a new id each time, and its object is not kept.
    """

    def __init__(self) -> None:
        self._ids = count(1)
        self._plane_ids: dict[Hashable, int] = {}
        self._parked: dict[int, _ParkedObject] = {}
        self._pixels: Hashable = None
        self.key: Hashable = None
        """The key of the current plane."""
        self.plane_id = 0
        """The id of the current plane."""

    @property
    def newest(self) -> ObjectState | None:
        """The object that was parked last, on whatever plane."""
        return next((parked.state for parked in reversed(self._parked.values())), None)

    @property
    def parked(self) -> list[tuple[Any, ObjectState]]:
        """The objects that are parked on planes, with the keys of these; the newest last."""
        return [
            (self.key_of(plane_id), parked.state.as_shown(parked.candidates))
            for plane_id, parked in self._parked.items()
        ]

    def leave(self, state: ObjectState, candidates: Candidates | None) -> None:
        """Park the object in progress on the current plane."""
        if self.key is not None and not state.prompts.is_empty:
            self._park(self.plane_id, _ParkedObject(self._pixels, state, candidates))

    def go_to(self, key: Hashable, pixels: Hashable) -> None:
        """Go to another plane with its present pixels."""
        self.key, self._pixels = key, pixels
        self.plane_id = next(self._ids) if key is None else self.id_of(key)

    def id_of(self, key: Hashable) -> int:
        """Return the id of a plane, a new one if it was not shown yet."""
        return self._plane_ids.setdefault(key, next(self._ids))

    def take(self) -> tuple[ObjectState, Candidates | None]:
        """Return the object that is parked on the current plane, with its masks.

        Without them, if the plane had other pixels then; a new object, if none is parked.
        """
        parked = self._parked.pop(self.plane_id, None)
        if parked is None:
            return ObjectState(), None
        if parked.is_restored:
            return parked.state, None
        if parked.pixels is None or parked.pixels != self._pixels:
            return ObjectState(parked.state.prompts, reedited=parked.state.reedited), None
        return parked.state, parked.candidates

    def key_of(self, plane_id: int) -> Hashable:
        """Return the key of a plane; None if that is unknown."""
        return next((key for key, id_ in self._plane_ids.items() if id_ == plane_id), None)

    def put(self, plane_id: int, state: ObjectState) -> None:
        """Replace the object that is parked on another plane."""
        if state.prompts.is_empty:
            self._parked.pop(plane_id, None)
        elif plane_id in self._plane_ids.values():
            self._park(plane_id, _ParkedObject(None, state, None))

    def restore(self, plane_id: int, state: ObjectState) -> ObjectState:
        """Park the object of another program on another plane; return what was parked there."""
        parked = self._parked.get(plane_id)
        self._park(plane_id, _ParkedObject(None, state, None, is_restored=True))
        return ObjectState() if parked is None else parked.state

    def end(self, plane_id: int, prompts: Prompts) -> None:
        """Drop the parked object with these prompts, which was accepted."""
        parked = self._parked.get(plane_id)
        if parked is not None and parked.state.prompts == prompts:
            del self._parked[plane_id]

    def forget_masks(self) -> None:
        """Drop the masks of another model."""
        self._parked = {
            plane_id: replace(parked, pixels=None, candidates=None)
            for plane_id, parked in self._parked.items()
        }

    def _park(self, plane_id: int, parked: _ParkedObject) -> None:
        self._parked.pop(plane_id, None)
        self._parked[plane_id] = parked
        if len(self._parked) > _MAX_PARKED:
            del self._parked[next(iter(self._parked))]
