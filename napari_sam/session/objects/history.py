"""Undo and redo: lists of edits, each with the object before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, takewhile
from typing import Final

from napari_sam.session.classes.classes import ClassStep
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.ranking import MAX_EXAMPLES, Example, Memory
from napari_sam.session.objects.edits import LabelsEdit

_MAX_EDITS: Final = 1000
_MAX_BYTES: Final = 2**28
"""Of what was written: a thousand objects, unless each is of tens of millions of pixels."""
_NOTHING: Final = ObjectState()


@dataclass(frozen=True, eq=False)
class Edit:
    """One thing the user did."""

    before: ObjectState  # the object being made, on either side of the edit
    after: ObjectState  # the object being made, on either side of the edit
    plane_id: int  # the image plane on which it was done: prompts are only brought back there
    labels: LabelsEdit | None = None  # what was written into the target, for an accepted object
    example: Example | None = None  # what there is to learn from it
    classes: ClassStep | None = None  # what it did to the classes

    @property
    def size_bytes(self) -> int:
        """How much memory that takes which was written."""
        return 0 if self.labels is None else self.labels.size_bytes


def _within_bounds(edits: list[Edit]) -> list[Edit]:
    """Return the newest edits, as many as there is room for; the last one always."""
    total_bytes = accumulate(edit.size_bytes for edit in reversed(edits[-_MAX_EDITS:]))
    kept = sum(1 for _ in takewhile(lambda size_bytes: size_bytes <= _MAX_BYTES, total_bytes))
    return edits[-max(1, kept) :]


def _leaves_prompts(edit: Edit) -> bool:
    return edit.before.prompts == edit.after.prompts


class History:
    """The edits that can be undone and those that can be redone."""

    def __init__(self) -> None:
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self.in_gesture = False
        """Whether changes of the prompts are those of one drag of the mouse."""
        self._gesture_edit: Edit | None = None

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to repeat."""
        return bool(self._undone)

    @property
    def memory(self) -> Memory:
        """What was accepted last and not taken back."""
        newest = (edit.example for edit in reversed(self._done) if edit.example is not None)
        return tuple(islice(newest, MAX_EXAMPLES))[::-1]

    def push(self, edit: Edit) -> None:
        """Remember an edit that was just done; what was undone before can no longer be redone."""
        self._done = _within_bounds([*self._done, edit])
        self._undone.clear()

    def push_accepted_click(self, edit: Edit) -> None:
        """Remember an object that was accepted as it was clicked on: both are undone as one.

        What was done to classes or other objects while its masks were on their way is a step of
        its own, as if it had been done before the click.
        """
        between = list(takewhile(_leaves_prompts, reversed(self._done)))[::-1]
        click = self._done[-1 - len(between)] if len(between) < len(self._done) else None
        if click is None or click.labels is not None or click.after.prompts != edit.before.prompts:
            self.push(edit)
        else:
            before = click.before
            moved = [replace(one, before=before, after=before) for one in between]
            self._done[-1 - len(between) :] = [*moved, replace(edit, before=before)]
            self._undone.clear()

    def push_prompts(self, edit: Edit) -> None:
        """Remember a change of the prompts; all those of one gesture become one edit."""
        merged = self._gesture_edit
        kept: Edit | None = edit
        if merged is not None and merged is self.last:
            is_undone = merged.before.prompts == edit.after.prompts  # dragged away and back
            kept = None if is_undone else replace(edit, before=merged.before)
            self.replace_last(kept)
        else:
            self.push(edit)
        self._gesture_edit = kept if self.in_gesture else None

    def amend(self, before: ObjectState, after: ObjectState) -> None:
        """Have redo bring back a candidate's choice with its prompts; it is no edit of its own."""
        last = self.last
        if last is not None and last.after is before:
            self.replace_last(replace(last, after=after))
            if self._gesture_edit is last:
                self._gesture_edit = self.last

    def begin_gesture(self) -> None:
        """Merge the changes of the prompts from here on."""
        self.in_gesture, self._gesture_edit = True, None

    def end_gesture(self) -> None:
        """Merge no longer."""
        self.in_gesture, self._gesture_edit = False, None

    def replace_last(self, edit: Edit | None) -> None:
        """Put another edit in the place of the last one, or forget the last one."""
        self._done[-1:] = [] if edit is None else [edit]

    def replace(self, edit: Edit, by: Edit) -> None:
        """Put another edit in the place of one, wherever that is; it may be there no longer."""
        for edits in (self._done, self._undone):
            edits[:] = [by if one is edit else one for one in edits]

    @property
    def last(self) -> Edit | None:
        """The edit that would be undone next."""
        return self._done[-1] if self._done else None

    def undo(self) -> Edit | None:
        """Move one edit to the undone ones and return it, for the caller to revert."""
        if not self._done:
            return None
        self._gesture_edit = None
        edit = self._done.pop()
        self._undone.append(edit)
        return edit

    @property
    def following(self) -> list[Edit]:
        """The edits that can be redone, the next one first."""
        return self._undone[::-1]

    def replace_following(self, edits: Sequence[Edit]) -> None:
        """Put other edits in the place of those that can be redone, the next one first."""
        self._undone[:] = reversed(edits)

    def redo(self) -> Edit | None:
        """Move one edit back to the done ones and return it, for the caller to repeat."""
        if not self._undone:
            return None
        self._gesture_edit = None
        edit = self._undone.pop()
        self._done.append(edit)
        return edit

    def drop_prompts_of(self, plane_id: int) -> None:
        """Forget prompts on a plane that will never be shown again; keep what was accepted."""
        self._gesture_edit = None
        for edits in (self._done, self._undone):
            edits[:] = [
                e if e.plane_id != plane_id else replace(e, before=_NOTHING, after=_NOTHING)
                for e in edits
                if e.labels is not None or e.classes is not None or e.plane_id != plane_id
            ]
