"""What is known of the objects in some labels: one record each, kept true by edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.packed import Start

if TYPE_CHECKING:
    from napari_sam.session.decoding.object_state import ObjectState
    from napari_sam.session.objects.packed import PackedMask


def score_of(predicted_iou: float) -> float:
    """Return the score of an object made here: the predicted IoU, which may exceed 1 a little."""
    return min(float(predicted_iou), 1.0)


@dataclass(frozen=True, eq=False)
class ObjectRecord:
    """One object in labels of any number of dimensions.

    Parameters
    ----------
    label_id : int
        Its integer in the labels.
    start, stop : tuple of int
        Its bounding box in the labels, the last index exclusive.
    area_px : int
        Number of its pixels.
    score, stability : float, optional
        The predicted IoU, at most 1, and the stability score of its mask, for one that was made
        here.
    class_name : str, optional
        Its class.
    reviewed : bool
        Whether the user has looked at it again.
    note : str
        What the user wrote of it.
    state : ObjectState, optional
        The prompts it was made with; None for an object from elsewhere.
    masks : tuple of PackedMask
        The mask as it was accepted, whatever other objects have taken of it, so that overlaps can
        be exported and later strokes of a brush be told; empty for an object from elsewhere.
    brushed : BrushEdits
        What a brush has done to it.
    uid : int
        Tells it from another object that gets its number later; the same for all records of an
        object, in this program.
    """

    label_id: int
    start: Start
    stop: Start
    area_px: int
    score: float | None = None
    stability: float | None = None
    class_name: str | None = None
    reviewed: bool = False
    note: str = ""
    state: ObjectState | None = None
    masks: tuple[PackedMask, ...] = field(default=(), repr=False)
    brushed: BrushEdits = field(default=NOT_BRUSHED, repr=False)
    uid: int = field(default_factory=count().__next__, repr=False)

    @property
    def region(self) -> tuple[slice, ...]:
        """Its bounding box as an index."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def shape(self) -> Start:
        """Extent of its bounding box."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))


@dataclass(frozen=True, eq=False)
class RecordChange:
    """What an edit makes of a record: None where there is none before or after."""

    before: ObjectRecord | None
    after: ObjectRecord | None

    @property
    def inverse(self) -> RecordChange:
        """The change that takes this one back."""
        return RecordChange(self.after, self.before)

    @property
    def label_id(self) -> int:
        """The integer of the object, which stays the same."""
        record = self.before or self.after
        return 0 if record is None else record.label_id


class ObjectRegistry:
    """The records of all objects in some labels, by label_id."""

    changed = Signal(frozenset)
    """With the label_ids of records that are new, changed or gone."""

    def __init__(self) -> None:
        self._records: dict[int, ObjectRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ObjectRecord]:
        return iter(tuple(self._records.values()))

    def __contains__(self, label_id: object) -> bool:
        return label_id in self._records

    def get(self, label_id: int) -> ObjectRecord | None:
        """Return the record of an object; None if there is none."""
        return self._records.get(label_id)

    @property
    def largest_label_id(self) -> int:
        """The largest label_id of a record, 0 without one."""
        return max(self._records, default=0)

    def apply(self, changes: tuple[RecordChange, ...]) -> None:
        """Make the records what the changes say."""
        touched: set[int] = set()
        for change in changes:
            if change.before is not None:
                self._records.pop(change.before.label_id, None)
                touched.add(change.before.label_id)
            if change.after is not None:
                # Last in any case, so that a journal brings back the same order.
                self._records.pop(change.after.label_id, None)
                self._records[change.after.label_id] = change.after
                touched.add(change.after.label_id)
        if touched:
            self.changed.emit(frozenset(touched))

    def replace_all(self, records: list[ObjectRecord]) -> None:
        """Forget all records and keep these."""
        touched = frozenset(self._records) | {record.label_id for record in records}
        self._records = {record.label_id: record for record in records}
        self.changed.emit(touched)


def counted(n_objects: int) -> str:
    """Return how many objects there are, in words."""
    return "1 object" if n_objects == 1 else f"{n_objects} objects"
