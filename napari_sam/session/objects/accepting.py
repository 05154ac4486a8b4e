"""Accepting a candidate of the object in progress."""

from collections.abc import Iterator
from dataclasses import replace

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.objects.reopening import current_record
from napari_sam.session.objects.writing import LEAST_SHARE, NewObject


def accept_candidate(
    editing: Editing, state: ObjectState, shown: tuple[Candidates, int], *, with_click: bool
) -> tuple[LabelsEdit | None, bool]:
    """Write the shown candidate into the target, in the background if it is very large.

    Return the edit, if it is written, and whether a reopened object stays as it was.
    """
    target, (candidates, index) = editing.require_target(), shown
    replaced = current_record(state, target.labels.registry)
    if state.is_as_accepted and replaced is not None:
        return None, True
    before = replaced or ObjectRecord(0, (), (), 0, class_name=editing.classes.current)
    ranking = candidates.ranking
    record = replace(
        before,
        score=score_of(candidates.iou_predictions[index]),
        stability=None if ranking is None else float(ranking.features.stability_score[index]),
        reviewed=False,
        state=replace(state.with_choice(index), reopened=None),
    )
    new = NewObject(candidates.blocks(index), record, replaced)
    return editing.accept(new, state, shown, with_click=with_click), False


def warnings_of_remains(edit: LabelsEdit) -> Iterator[str]:
    """Yield a warning for each other object of which the edit leaves next to nothing visible."""
    for change in edit.changes:
        before, after = change.before, change.after
        if before is None or after is None or after.label_id == edit.label_id:
            continue
        if after.area_px < LEAST_SHARE * before.area_px:
            yield (
                f"Object {after.label_id} has only {after.area_px} of its {before.area_px} "
                "pixels left. Delete it, too, or undo."
            )
