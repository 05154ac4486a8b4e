"""The records of the objects in some labels, which edits keep true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from psygnal import Signal

from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.packed import PackedMask, Start
from napari_sam.session.objects.slices import ObjectSlices

_MAX_FORMER: Final = 1000
"""Records of objects that are gone; the masks of one take a kilobyte."""


def score_of(predicted_iou: float) -> float:
    """Return the score of an object made here: the predicted IoU, which may slightly exceed 1."""
    return min(float(predicted_iou), 1.0)


@dataclass(frozen=True, eq=False)
class ObjectRecord:
    """One object in labels of any number of dimensions.

    Parameters
    ----------
    label_id : int
        Its integer in the labels; 0 before it is written.
    start, stop : tuple of int
        Its bounding box in the labels, the last index exclusive; empty before it is written.
    area_px : int
        Number of its pixels.
    score, stability : float, optional
        The predicted IoU, at most 1, and the stability score of its mask, if it was made here.
    class_name : str, optional
        Its class.
    reviewed : bool
        Whether the user has reviewed it.
    note : str
        The user's note.
    state : ObjectState, optional
        The prompts it was made with; None for an object from elsewhere.
    masks : tuple of PackedMask
        The mask as accepted, whatever other objects have taken of it, so that overlaps can be
        exported and brush strokes be recognized; empty for an object from elsewhere.
    brushed : BrushEdits
        What a brush has added to it and erased of it.
    slices : ObjectSlices, optional
        What is known of each slice, if it was carried through a stack.
    parent_id : int
        The label_id of the object that divided into it and others; 0 for none.
    class_unseen : bool
        Whether its class was predicted, and accepted unseen.
    likeness : float, optional
        How much its mask is like examples, 0 to 1, if it was found by them.
    uid : int
        Distinguishes it from another object that gets its label_id later; the same for all records
        of an object, in this program.
    """

    label_id: int = 0
    start: Start = ()
    stop: Start = ()
    area_px: int = 0
    score: float | None = None
    stability: float | None = None
    class_name: str | None = None
    reviewed: bool = False
    note: str = ""
    state: ObjectState | None = None
    masks: tuple[PackedMask, ...] = field(default=(), repr=False)
    brushed: BrushEdits = field(default=NOT_BRUSHED, repr=False)
    slices: ObjectSlices | None = field(default=None, repr=False)
    parent_id: int = 0
    class_unseen: bool = False
    likeness: float | None = None
    uid: int = field(default_factory=count().__next__, repr=False)

    @property
    def shape(self) -> Start:
        """Extent of its bounding box."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def box_at(self, axis: int, index: int) -> tuple[Start, Start]:
        """Return start and shape of the slice of its box at an index along an axis."""
        start, shape = list(self.start), list(self.shape)
        start[axis], shape[axis] = index, 1
        return tuple(start), tuple(shape)

    def is_alike(self, other: ObjectRecord) -> bool:
        """Whether another one has the same box and area."""
        sides = self.start, self.stop, self.area_px
        return sides == (other.start, other.stop, other.area_px)


@dataclass(frozen=True, eq=False)
class RecordChange:
    """A record before and after an edit: None where the object does not exist."""

    before: ObjectRecord | None
    after: ObjectRecord | None

    @property
    def inverse(self) -> RecordChange:
        """The change that reverts this one."""
        return RecordChange(self.after, self.before)

    @property
    def label_id(self) -> int:
        """The object's label_id, which stays the same."""
        record = self.before or self.after
        return 0 if record is None else record.label_id

    def renumbered(self, record: ObjectRecord, label_id: int) -> RecordChange:
        """Return the change with the label_id that an object has now; itself for another one."""
        sides = self.before, self.after
        new_sides = [
            replace(side, label_id=label_id)
            if side and (side.uid, side.label_id) == (record.uid, record.label_id)
            else side
            for side in sides
        ]
        return self if tuple(new_sides) == sides else RecordChange(*new_sides)


def net_effect(changes: Iterable[RecordChange]) -> dict[int, ObjectRecord | None]:
    """Return the records after some changes, by label_id: None for one that is gone."""
    effect: dict[int, ObjectRecord | None] = {}
    for change in changes:
        if change.before is not None:
            effect[change.before.label_id] = None
        if change.after is not None:
            effect[change.after.label_id] = change.after
    return effect


def net_changes(changes: Iterable[RecordChange]) -> tuple[RecordChange, ...]:
    """Return one change for each object, in the order of the last ones.

    Objects that are new, but wholly covered by a later one, are left out.
    """
    net: dict[int, RecordChange] = {}
    for change in changes:
        first = net.pop(change.label_id, change)
        net[change.label_id] = RecordChange(first.before, change.after)
    return tuple(change for change in net.values() if change.before or change.after)


class ObjectRegistry:
    """The records of all objects in some labels, by label_id."""

    changed = Signal(frozenset)
    """Sent with the label_ids of records that are new, changed or gone."""

    def __init__(self) -> None:
        self._records: dict[int, ObjectRecord] = {}
        self._former: dict[int, ObjectRecord] = {}  # the last of each label_id, the newest last
        self.reserved_label_id = 0
        """The largest label_id that an object has, or had: new objects get larger ones."""

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ObjectRecord]:
        return iter(tuple(self._records.values()))

    def get(self, label_id: int) -> ObjectRecord | None:
        """Return the record of an object; None if it does not exist."""
        return self._records.get(label_id)

    def former(self, label_id: int) -> ObjectRecord | None:
        """Return the last record of an object that is gone; None if it is not, or is forgotten."""
        record = self._former.get(label_id)
        is_back = record is not None and any(other.uid == record.uid for other in self)
        return None if is_back else record  # maybe with another label_id

    @property
    def largest_label_id(self) -> int:
        """The largest label_id of a record, 0 without one."""
        return max(self._records, default=0)

    def reserve(self, label_id: int) -> None:
        """Keep new objects from getting this label_id or a smaller one."""
        self.reserved_label_id = max(self.reserved_label_id, label_id)

    def apply(self, changes: tuple[RecordChange, ...]) -> None:
        """Apply changes to the records."""
        effect = net_effect(changes)
        for label_id, record in effect.items():
            # Always the last one, so that a journal restores the same order.
            gone = self._records.pop(label_id, None)
            if record is not None:
                self._records[label_id] = record
            elif gone is not None:
                self._former.pop(label_id, None)
                self._former[label_id] = gone
                if len(self._former) > _MAX_FORMER:
                    del self._former[next(iter(self._former))]
        if effect:
            self.reserve(max(effect))
            self.changed.emit(frozenset(effect))

    def replace_all(self, records: list[ObjectRecord]) -> None:
        """Replace all records."""
        label_ids = frozenset(self._records) | {record.label_id for record in records}
        self._records = {record.label_id: record for record in records}
        self._former.clear()
        self.reserved_label_id = self.largest_label_id
        self.changed.emit(label_ids)


def covered_left_out(n_objects: int) -> str:
    """Return how many objects were left out because others cover them."""
    return f"{n_objects:,} left out because other objects cover them"


def counted(n_objects: int) -> str:
    """Return a number of objects in words."""
    return "1 object" if n_objects == 1 else f"{n_objects:,} objects"
