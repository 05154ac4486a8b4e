"""Re-edit an accepted object, from its prompts or its pixels."""

from dataclasses import replace

from napari_sam.engine.masks import MaskCrop, tight_crop
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
    pixels = MaskCrop(plane.read(rows, columns) == record.label_id, rows.start, columns.start)
    if not pixels.mask.any():
        raise TargetError(f"Object {record.label_id} has no pixels left to re-edit.")
    has_prompts = record.state is not None and bool(record.masks)
    reedited = ReeditedObject(
        record.label_id, record.uid, record.state, pixels, from_region=not has_prompts
    )
    if record.state is not None and has_prompts:
        return replace(record.state, reedited=reedited)
    box_xyxy = tight_crop(*pixels).edges_xyxy
    return ObjectState(Prompts(box_xyxy=box_xyxy), reedited=reedited)


def begin_with(region: MaskCrop) -> ObjectState:
    """Return the state in which a new object starts from given pixels."""
    none = ObjectRecord()  # no object has this label_id: nothing is replaced
    reedited = ReeditedObject(0, none.uid, None, region, from_region=True)
    return ObjectState(Prompts(box_xyxy=region.edges_xyxy), reedited=reedited)
