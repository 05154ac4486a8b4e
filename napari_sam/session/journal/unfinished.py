"""Objects in progress, as journals and session files keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.journal.entries import state_from_json, state_to_json
from napari_sam.session.objects.packed import Start
from napari_sam.session.objects.records import ObjectRecord


@dataclass(frozen=True)
class UnfinishedObject:
    """An object in progress, on a plane of an image."""

    state: ObjectState  # its prompts
    index: Start  # the position of its plane along each axis of the image
    axes: tuple[int, int]  # the axes of the image that are the plane's rows and columns
    label_id: int | None = None  # the object that it will replace
    class_name: str | None = None  # the class that it will get

    @property
    def without_masks(self) -> UnfinishedObject:
        """The object as it is read again: without logits and the object that it replaces."""
        return replace(self, state=replace(self.state, feedback=(), reedited=None))

    def is_finished_by(self, record: ObjectRecord) -> bool:
        """Whether a record is of this object, as it was accepted, maybe with more prompts."""
        prompts = self.state.prompts
        states = [record.state]
        if record.slices is not None:
            entry = record.slices.get(prompts.slice_index)
            states.append(None if entry is None else entry.state)
        accepted = [state.prompts for state in states if state is not None]
        return any(other == prompts or other.extends(prompts) for other in accepted)


def unfinished_to_json(unfinished: UnfinishedObject) -> dict[str, Any]:
    """Return an object in progress as JSON."""
    content: dict[str, Any] = {
        "state": state_to_json(unfinished.state),
        "index": [int(position) for position in unfinished.index],
        "axes": [int(axis) for axis in unfinished.axes],
        "label_id": None if unfinished.label_id is None else int(unfinished.label_id),
    }
    if unfinished.class_name is not None:  # older files lack it
        content["class_name"] = unfinished.class_name
    return content


def unfinished_from_json(content: Mapping[str, Any]) -> UnfinishedObject:
    """Return the object that `unfinished_to_json` was given; `checks` has judged the content."""
    row_axis, column_axis = content["axes"]
    return UnfinishedObject(
        state_from_json(content["state"]),
        tuple(content["index"]),
        (row_axis, column_axis),
        content["label_id"],
        content.get("class_name"),
    )
