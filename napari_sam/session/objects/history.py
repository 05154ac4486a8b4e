"""Undo and redo: lists of edits, each with the state of the object in progress around it."""

from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import Final

from napari_sam.session.classes.classes import ClassStep
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.ranking import MAX_EXAMPLES, AcceptedExamples, Example
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import LabelsPlane, registry_of
from napari_sam.session.objects.records import ObjectRecord

_MAX_EDITS: Final = 1000
_MAX_BYTES: Final = 2**28
"""Of written pixels: a thousand objects, unless each has tens of millions of pixels."""
_LEAST_EXAMPLES: Final = 5
"""Objects accepted in the target's labels from which on those of others are no examples."""
_EMPTY: Final = ObjectState()


@dataclass(frozen=True, eq=False)
class Edit:
    """One step of the user, which is undone as one."""

    before: ObjectState  # the object in progress before the edit
    after: ObjectState  # the object in progress after the edit
    plane_id: int  # the image plane it was made on: only there are prompts restored
    labels: LabelsEdit | None = None  # the edit of accepted objects
    example: Example | None = None  # the accepted mask, as an example for the ranking
    classes: ClassStep | None = None  # the edit of the classes
    stroke_ids: tuple[int, ...] = ()  # the strokes of the viewer's brush that it is
    is_after_stroke: bool = False  # it follows from the stroke before it

    @property
    def size_bytes(self) -> int:
        """Memory that the written pixels take."""
        return 0 if self.labels is None else self.labels.size_bytes


def _within_bounds(edits: list[Edit]) -> list[Edit]:
    """Return as many of the newest edits as there is room for; at least the last one."""
    total_bytes = accumulate(edit.size_bytes for edit in reversed(edits[-_MAX_EDITS:]))
    n_kept = sum(1 for _ in takewhile(lambda size_bytes: size_bytes <= _MAX_BYTES, total_bytes))
    return edits[-max(1, n_kept) :]


def is_with_stroke(edit: Edit | None, stroke: Edit | None) -> bool:
    """Whether an edit follows from the stroke that was made before it, for a user one step."""
    return bool(edit and edit.is_after_stroke and stroke and stroke.stroke_ids)


class History:
    """The edits that can be undone and those that can be redone."""

    def __init__(self) -> None:
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self.in_gesture = False
        """Whether changes of the prompts belong to one drag of the mouse."""
        self._gesture_edit: Edit | None = None

    def accepted_examples(self, target: LabelsPlane | None) -> AcceptedExamples:
        """Return the examples of the masks that were accepted last and not undone.

        Another image may show objects of another kind: once enough were accepted in the labels of
        the target, they alone count.
        """
        accepted = [edit for edit in self._done if edit.example is not None]
        registry = registry_of(target)
        here = [
            edit
            for edit in accepted
            if edit.labels is not None and edit.labels.target.registry is registry
        ]
        counted = here if len(here) >= _LEAST_EXAMPLES else accepted
        return tuple(e.example for e in counted[-MAX_EXAMPLES:] if e.example is not None)

    def push(self, edit: Edit) -> None:
        """Add an edit; nothing can be redone after it."""
        self._done = _within_bounds([*self._done, edit])
        self._undone.clear()

    def push_accepted_click(self, edit: Edit) -> None:
        """Add the accept of an object together with the click that it was made with.

        Edits of classes or other objects that were made while its masks were computed remain
        edits of their own, as if they had been made before the click.
        """
        edits = reversed(self._done)
        later = list(takewhile(lambda step: step.before.prompts == step.after.prompts, edits))[::-1]
        click = self._done[-1 - len(later)] if len(later) < len(self._done) else None
        if click is None or click.labels is not None or click.after.prompts != edit.before.prompts:
            self.push(edit)
        else:
            state = click.before
            moved = [replace(later_edit, before=state, after=state) for later_edit in later]
            self._done[-1 - len(later) :] = [*moved, replace(edit, before=state)]
            self._undone.clear()

    def push_prompts(self, edit: Edit) -> None:
        """Add a change of the prompts; all changes of one gesture become one edit."""
        if not self.in_gesture:
            self._gesture_edit = None
        kept = self._push_merged(edit)
        self._gesture_edit = kept if self.in_gesture else None

    def push_level(self, edit: Edit) -> None:
        """Add a change of the level; those in a row become one edit, and each gesture its own."""
        self._gesture_edit = self._push_merged(edit)

    def _push_merged(self, edit: Edit) -> Edit | None:
        """Add an edit, or make it part of the last one; return that, or None if both cancel."""
        merged = self._gesture_edit
        if merged is None or merged is not self.last:
            self.push(edit)
            return edit
        before, after = merged.before, edit.after
        # Dragged away and back.
        is_undone = (before.prompts, before.level) == (after.prompts, after.level)
        kept = None if is_undone else replace(edit, before=before)
        self.replace_last(kept)
        self._undone.clear()
        return kept

    def update_last(self, before: ObjectState, after: ObjectState) -> None:
        """Let redo restore the chosen candidate with its prompts; choosing is not an edit."""
        last = self.last
        if last is not None and last.after is before:
            # An edit beside the object, such as a stroke, leaves the choice alone when undone.
            first = after if last.before is before else last.before
            self.replace_last(replace(last, before=first, after=after))
            if self._gesture_edit is last:
                self._gesture_edit = self.last

    def set_gesture(self, in_gesture: bool) -> None:
        """Begin or end merging the changes of the prompts."""
        self.in_gesture, self._gesture_edit = in_gesture, None

    def replace_last(self, edit: Edit | None) -> None:
        """Replace the last edit, or remove it."""
        self._done[-1:] = [] if edit is None else [edit]

    def join_stroke(self) -> None:
        """Note that the last edit follows from the stroke before it, which stays a step."""
        if len(self._done) > 1 and self._done[-2].stroke_ids:
            self.replace_last(replace(self._done[-1], is_after_stroke=True))

    def extend_last(self, edit: Edit | None, further: Edit) -> None:
        """Make an edit of objects a part of the last one, if that is the given one; else add it."""
        if edit is None or edit is not self.last or edit.labels is None or further.labels is None:
            self.push(further)
        else:
            labels = edit.labels.followed_by(further.labels)
            self._done = _within_bounds([*self._done[:-1], replace(edit, labels=labels)])
            self._undone.clear()

    def replace(self, edit: Edit, replacement: Edit) -> None:
        """Replace an edit, wherever it is, if it is still there."""
        for edits in (self._done, self._undone):
            edits[:] = [replacement if entry is edit else entry for entry in edits]

    def renumber(self, record: ObjectRecord, label_id: int) -> None:
        """Follow an object that has another label_id from now on, whatever edits it is in."""
        for edit in (*self._done, *self._undone):
            labels = edit.labels and edit.labels.renumbered(record, label_id)
            if labels is not edit.labels:
                self.replace(edit, replace(edit, labels=labels))

    @property
    def last(self) -> Edit | None:
        """The edit that would be undone next."""
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> Edit | None:
        """The edit that would be redone next."""
        return self._undone[-1] if self._undone else None

    def undo(self) -> Edit | None:
        """Move an edit to the undone ones and return it; the caller reverts it."""
        return self._move(self._done, self._undone)

    def redo(self) -> Edit | None:
        """Move an edit back to the done ones and return it; the caller repeats it."""
        return self._move(self._undone, self._done)

    def _move(self, edits: list[Edit], others: list[Edit]) -> Edit | None:
        if not edits:
            return None
        self._gesture_edit = None
        others.append(edits.pop())
        return others[-1]

    def drop_prompts_of(self, plane_id: int) -> None:
        """Forget the prompts on a plane that is never shown again; keep its accepted objects."""
        self._gesture_edit = None
        for edits in (self._done, self._undone):
            edits[:] = [
                replace(edit, before=_EMPTY, after=_EMPTY) if edit.plane_id == plane_id else edit
                for edit in edits
                if edit.labels is not None or edit.classes is not None or edit.plane_id != plane_id
            ]
