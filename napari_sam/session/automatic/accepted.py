"""Which objects were made from automatic masks, followed through all later edits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from napari_sam.session.automatic.masks import MaskKey
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry


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


class AcceptedMasks:
    """Knows which automatic masks exist as objects.

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
