"""Which objects were made of proposals, followed through whatever is done to them afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from napari_sam.session.automatic.masks import Key
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry


@dataclass(eq=False)
class _Kept:
    """An object that was made of a proposal.

    The state is that of the object as it was written, the masks those that it has had; both are
    told by identity. The label_id is 0 while the object is not there.
    """

    book: ObjectRegistry
    state: ObjectState
    masks: tuple[PackedMask, ...] = ()
    label_id: int = 0


class AcceptedMasks:
    """Tells of which proposals the books have objects.

    An object that is corrected in place, renumbered or merged into another one is still there; one
    that is deleted is not, nor is one whose making was undone, until that is repeated.
    """

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()

    def add(self, states: Mapping[Key, ObjectState], book: ObjectRegistry) -> None:
        """Hear that objects with these very states are about to be written."""
        self._kept.update({key: _Kept(book, state) for key, state in states.items()})

    def follow(self, book: ObjectRegistry) -> Collection[Key]:
        """Look at what has become of the objects of a book; to be called after each change."""
        own = {key: kept for key, kept in self._kept.items() if kept.book is book}
        if not own:
            return ()
        by_state: dict[int, ObjectRecord] = {}
        by_mask: dict[int, ObjectRecord] = {}
        for record in book:
            by_state[id(record.state)] = record
            by_mask.update((id(mask), record) for mask in record.masks)
        there = set()
        for key, kept in own.items():
            if _follow(kept, by_state, by_mask):
                there.add(key)
        return there


def _follow(
    kept: _Kept, by_state: Mapping[int, ObjectRecord], by_mask: Mapping[int, ObjectRecord]
) -> bool:
    """Find an object again; return whether it is there."""
    record = by_state.get(id(kept.state))
    if record is not None:
        kept.label_id, kept.masks = record.label_id, record.masks
        return True
    merged = next((by_mask[id(mask)] for mask in kept.masks if id(mask) in by_mask), None)
    if merged is not None:
        kept.label_id = merged.label_id
        return True
    accepted_again = kept.book.get(kept.label_id)
    if accepted_again is not None:
        # After an undo the masks of before may be those that are found.
        kept.masks = (*kept.masks, *accepted_again.masks)
        return True
    kept.label_id = 0  # another object may get the number
    return False
