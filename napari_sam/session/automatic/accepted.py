"""Which objects were made from automatic masks, followed through all later edits.

And which accepted masks did not become objects, because others cover them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_sam.session.automatic.masks import MaskKey
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.edits import Overlap
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry


@dataclass(frozen=True, eq=False)
class _Refusal:
    """How overlaps were treated when a mask did not become an object, and what is around it."""

    overlap: Overlap
    covers: tuple[PackedMask, ...]


@dataclass(eq=False)
class _AcceptedMask:
    """An object that was made from an automatic mask.

    The state is that of the object as it was written, the masks those that it has had; both are
    compared by identity. The label_id is 0 while the object does not exist.
    """

    registry: ObjectRegistry
    state: ObjectState
    masks: tuple[PackedMask, ...] = ()
    label_id: int = 0
    refusal: _Refusal | None = None


class AcceptedMasks:
    """Knows which automatic masks exist as objects, and which are covered by others.

    An object that is corrected in place, renumbered or merged into another one still exists; one
    that is deleted does not, nor one whose creation was undone, until that is redone.
    """

    def __init__(self) -> None:
        self._accepted: dict[MaskKey, _AcceptedMask] = {}

    def __len__(self) -> int:
        return len(self._accepted)

    def add(self, states: Mapping[MaskKey, ObjectState], registry: ObjectRegistry) -> None:
        """Note that objects with these very states are about to be written."""
        self._accepted.update(
            {key: _AcceptedMask(registry, state) for key, state in states.items()}
        )

    def existing(self, registry: ObjectRegistry) -> Collection[MaskKey]:
        """Return the masks that exist as objects of a registry; call it after each change."""
        accepted = {key: mask for key, mask in self._accepted.items() if mask.registry is registry}
        if not accepted:
            return ()
        by_state: dict[int, ObjectRecord] = {}
        by_mask: dict[int, ObjectRecord] = {}
        for record in registry:
            by_state[id(record.state)] = record
            by_mask.update((id(mask), record) for mask in record.masks)
        return {key for key, mask in accepted.items() if _follow(mask, by_state, by_mask)}

    def cover(
        self, records: Sequence[ObjectRecord], registry: ObjectRegistry, overlap: Overlap
    ) -> None:
        """Note that of these accepted masks too little could be written, because of others."""
        masks = [mask for record in registry for mask in record.masks] if records else []
        starts = np.array([mask.start for mask in masks])
        stops = np.array([mask.stop for mask in masks])
        refusals: dict[int, _Refusal] = {}
        for record in records:
            meets = np.zeros(len(masks), np.bool_)
            for part in record.masks if masks else ():
                meets |= ((starts < part.stop) & (part.start < stops)).all(axis=1)
            covers = tuple(masks[index] for index in np.flatnonzero(meets))
            refusals[id(record.state)] = _Refusal(overlap, covers)
        for accepted in self._accepted.values():
            accepted.refusal = refusals.get(id(accepted.state), accepted.refusal)

    def covered(self, registry: ObjectRegistry, overlap: Overlap) -> set[MaskKey]:
        """Return the masks that would be refused again; call it after each change."""
        refused = {
            key: mask.refusal
            for key, mask in self._accepted.items()
            if mask.registry is registry and mask.refusal is not None
        }
        if not refused:
            return set()
        there = {id(mask) for record in registry for mask in record.masks}
        covered = set()
        for key, refusal in refused.items():
            if not all(id(mask) in there for mask in refusal.covers):
                self._accepted[key].refusal = None  # it may be accepted now
            elif refusal.overlap is overlap:
                covered.add(key)
        return covered


def _follow(
    accepted: _AcceptedMask,
    by_state: Mapping[int, ObjectRecord],
    by_mask: Mapping[int, ObjectRecord],
) -> bool:
    """Find an object again; return whether it exists."""
    record = by_state.get(id(accepted.state))
    if record is not None:
        accepted.label_id, accepted.masks = record.label_id, record.masks
        return True
    merged = next((by_mask[id(mask)] for mask in accepted.masks if id(mask) in by_mask), None)
    if merged is not None:
        accepted.label_id = merged.label_id
        return True
    corrected = accepted.registry.get(accepted.label_id)
    if corrected is not None:
        # After an undo the earlier masks may be those that are found.
        accepted.masks = (*accepted.masks, *corrected.masks)
        return True
    accepted.label_id = 0  # another object may get the label_id
    return False
