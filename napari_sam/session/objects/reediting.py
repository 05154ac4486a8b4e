"""Re-edit an accepted object, from its prompts or its pixels."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.decoding.object_state import ObjectState, ReeditedObject
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry
from napari_sam.session.prompts.prompts import Prompts


def current_record(state: ObjectState, registry: ObjectRegistry) -> ObjectRecord | None:
    """Return the record of the object that is re-edited; None without one, or if it is gone."""
    reedited = state.reedited
    record = None if reedited is None else registry.get(reedited.label_id)
    return record if record and reedited and record.uid == reedited.uid else None


def reedit(plane: LabelsPlane, record: ObjectRecord) -> ObjectState:
    """Return the state in which an accepted object is re-edited."""
    box = plane.to_plane(record.start, record.stop)
    if box is None:
        raise TargetError(
            f"Object {record.label_id} is not on this slice alone: go to its slice. Objects that "
            "span several slices cannot be re-edited."
        )
    rows, columns = box
    region = plane.read(rows, columns) == record.label_id
    if not region.any():
        raise TargetError(f"Object {record.label_id} has no pixels left to re-edit.")
    has_prompts = record.state is not None and bool(record.masks)
    reedited = ReeditedObject(
        record.label_id,
        record.uid,
        record.state,
        region,
        rows.start,
        columns.start,
        from_region=not has_prompts,
    )
    if record.state is not None and has_prompts:
        return replace(record.state, reedited=reedited)
    ys, xs = np.nonzero(region)
    box_xyxy = (
        columns.start + int(xs.min()) - 0.5,
        rows.start + int(ys.min()) - 0.5,
        columns.start + int(xs.max()) + 0.5,
        rows.start + int(ys.max()) + 0.5,
    )
    return ObjectState(Prompts(box_xyxy=box_xyxy), reedited=reedited)


def begin_with(region: NDArray[np.bool_], top: int, left: int) -> ObjectState:
    """Return the state in which a new object starts from given pixels."""
    none = ObjectRecord()  # no object has this label_id: nothing is replaced
    reedited = ReeditedObject(0, none.uid, None, region, top, left, from_region=True)
    height, width = region.shape
    box = left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5
    return ObjectState(Prompts(box_xyxy=box), reedited=reedited)
