"""The computed masks of an object as they were before a correction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from napari_sam.session.objects.labels import LabelsPlane, packed_crops
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices
from napari_sam.session.propagation.slice_mask import SliceMask

_NO_MASKS: Final[tuple[PackedMask, ...]] = ()


class FormerMasks(Mapping[int, SliceMask]):
    """The masks of an object on some slices, unpacked when they are asked for, on any thread."""

    def __init__(
        self,
        record: ObjectRecord,
        target: LabelsPlane,
        known: ObjectSlices,
        indices: Collection[int],
    ) -> None:
        self._target, axis = target, known.axis
        self._entries: dict[int, ObjectSlice] = {}
        self._masks: dict[int, list[PackedMask]] = {}
        for mask in record.masks or _NO_MASKS:
            if mask.start[axis] in indices:
                self._masks.setdefault(mask.start[axis], []).append(mask)
        for entry in known:
            if entry.slice_index in self._masks:
                self._entries[entry.slice_index] = entry

    def __getitem__(self, slice_index: int) -> SliceMask:
        entry = self._entries[slice_index]
        plane = self._target.at_slice(slice_index)
        crop = packed_crops(self._masks[slice_index], plane)
        return SliceMask(slice_index, crop, entry.origin, entry.confidence)

    def __iter__(self) -> Iterator[int]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, slice_index: object) -> bool:
        return slice_index in self._entries
