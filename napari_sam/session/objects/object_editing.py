"""Edits of accepted objects by the user, on the shown plane or elsewhere in the target."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState, ReeditedObject
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.labels import NOWHERE, LabelsPlane, TargetError
from napari_sam.session.objects.planning import plan_merge, plan_removal
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry
from napari_sam.session.objects.slice_planning import (
    crop_of,
    slice_index_of,
    slices_of,
)
from napari_sam.session.objects.slices import Origin
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.storage.pacing import paced
from napari_sam.storage.text import is_encodable


class Details(TypedDict, total=False):
    """What the user may say about an object."""

    class_name: str | None
    reviewed: bool
    note: str


class ObjectEditing:
    """Deletes, merges, describes and re-edits objects of the target; each can be undone."""

    def __init__(
        self, editing: Editing, decoding: Decoding, continue_with: Callable[[ObjectState], None]
    ) -> None:
        self._editing, self._decoding = editing, decoding
        self._continue_with = continue_with

    def remove(self, label_ids: Sequence[int]) -> None:
        """Delete objects of the target, on any slice; can be undone."""
        records = self._records(label_ids)
        if records:
            self._editing.edit(lambda labels: plan_removal(labels, records), records)

    def merge(self, label_ids: Sequence[int]) -> None:
        """Merge several objects into the first one, which keeps its label_id; can be undone."""
        records = self._records(dict.fromkeys(label_ids))
        if len(records) < 2:
            raise TargetError("There is nothing to merge: choose two objects or more.")
        self._editing.edit(lambda labels: plan_merge(labels, records), records)

    def update(self, label_ids: Sequence[int], **details: Unpack[Details]) -> None:
        """Set `class_name`, `reviewed` or `note` of objects; can be undone."""
        for text in (details.get("class_name"), details.get("note")):
            if text is not None and not is_encodable(text):
                msg = f"{text!r} contains an invalid Unicode character (lone surrogate)."
                raise TargetError(msg)
        values: dict[str, Any] = {**details}
        if "class_name" in details:
            values["class_unseen"] = False
        records = [
            record
            for record in paced(self._records(label_ids))
            if any(getattr(record, field) != value for field, value in values.items())
        ]
        if records:
            self._editing.change_records(records, **values)

    # The object in progress -------------------------------------------------------------------

    def reedit(self, label_id: int) -> None:
        """Re-edit an accepted object from its prompts; can be undone.

        It stays in the target as it is until it is accepted again. An object from elsewhere starts
        from its pixels.
        """
        target = self._editing.check_free()
        self._continue_with(reedit(target, self._record(label_id)))

    @property
    def reedited_label_id(self) -> int | None:
        """The accepted object that is being re-edited; None if there is none."""
        target, record = self._editing.target, None
        if target is not None and self._decoding.state.reedited is not None:
            with suppress(TargetError):  # a target that no longer fits is reported when written to
                record = current_record(self._decoding.state, target.labels.registry)
        return None if record is None else record.label_id

    def improve(self, region: MaskCrop) -> None:
        """Begin a new object from existing pixels; can be undone."""
        none = ObjectRecord()  # no object has this label_id: nothing is replaced
        reedited = ReeditedObject(0, none.uid, None, region, from_region=True)
        self._continue_with(ObjectState(Prompts(box_xyxy=region.edges_xyxy), reedited=reedited))

    def resume(self, state: ObjectState, label_id: int | None = None) -> None:
        """Resume an object that was in progress before, maybe in another program."""
        if label_id is not None:
            state = replacing(state, self._editing.check_free(), label_id)
        self._continue_with(state)

    def _record(self, label_id: int) -> ObjectRecord:
        return self._records([label_id])[0]

    def _records(self, label_ids: Collection[int]) -> list[ObjectRecord]:
        registry = self._editing.check_free().labels.registry if label_ids else ObjectRegistry()
        return [_record_of(registry, label_id) for label_id in label_ids]


def _record_of(registry: ObjectRegistry, label_id: int) -> ObjectRecord:
    record = registry.get(label_id)
    if record is None:
        raise TargetError(f"There is no object {label_id} in the target.")
    return record


def replacing(state: ObjectState, plane: LabelsPlane, label_id: int) -> ObjectState:
    """Return an object in progress as one that replaces an accepted object of a plane."""
    record = _record_of(plane.labels.registry, label_id)
    reedited = reedit(plane, record).reedited
    return replace(state, reedited=reedited, shapes=_expected_by(state.prompts, record, plane))


def current_record(state: ObjectState, registry: ObjectRegistry) -> ObjectRecord | None:
    """Return the record of the object that is re-edited; None without one, or if it is gone."""
    reedited = state.reedited
    record = None if reedited is None else registry.get(reedited.label_id)
    if reedited is None or (record is not None and record.uid == reedited.uid):
        return record
    return next((record for record in registry if record.uid == reedited.uid), None)  # renumbered


def reedit(plane: LabelsPlane, record: ObjectRecord) -> ObjectState:
    """Return the state in which an accepted object is re-edited.

    On a slice of a stack that it is not on, it is made from new prompts.
    """
    pixels, state = crop_of(record, plane), record.state
    if not pixels.mask.size and plane.slice_axis is not None:
        return made_anew(record, plane)
    if not pixels.mask.size:
        raise TargetError(f"Object {record.label_id} has no pixels left to re-edit.")
    if record.slices is not None:
        entry = record.slices.get(slice_index_of(plane))
        state = None if entry is None else entry.state
    if state is not None and state.prompts.is_empty:  # of a mask that no prompt made
        state = None
    accepted = state if record.masks else None
    reedited = ReeditedObject(
        record.label_id, record.uid, state, pixels, from_region=accepted is None
    )
    if accepted is not None:
        shapes = _expected_by(accepted.prompts, record, plane)
        return replace(accepted, reedited=reedited, shapes=shapes)
    return ObjectState(Prompts(box_xyxy=pixels.edges_xyxy), reedited=reedited)


def made_anew(
    record: ObjectRecord, plane: LabelsPlane, prompts: Prompts | None = None
) -> ObjectState:
    """Return the state in which an object is made from new prompts, maybe these."""
    none = ReeditedObject(record.label_id, record.uid, None, NOWHERE, from_region=False)
    shapes = () if prompts is None else _expected_by(prompts, record, plane)
    return ObjectState(reedited=none, shapes=shapes)


def _expected_by(
    prompts: Prompts, record: ObjectRecord, plane: LabelsPlane
) -> tuple[MaskCrop, ...]:
    """Return the masks of an object on other slices, if the prompts are of a kind that asks so.

    Those on the nearest annotated slices to either side. They are not kept with the prompts, as
    the labels have them.
    """
    index, axis = slice_index_of(plane), plane.slice_axis
    is_along = axis is not None and (record.slices is None or record.slices.axis == axis)
    if prompts.outline is None or not is_along or axis is None:
        return ()
    entries = slices_of(record, axis)
    annotated = [entry.slice_index for entry in entries if entry.origin is Origin.ANNOTATED]
    before, after = (n for n in annotated if n < index), (n for n in annotated if n > index)
    nearest = max(before, default=None), min(after, default=None)
    crops = (crop_of(record, plane.at_slice(n)) for n in nearest if n is not None)
    return tuple(crop for crop in crops if crop.mask.size)
