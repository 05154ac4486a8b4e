"""Corrections of an object slice by slice: clicks, cleared slices, another range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import numpy as np
from psygnal import Signal
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.object_in_progress import ObjectInProgress
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import NOWHERE, LabelsPlane, TargetError
from napari_sam.session.objects.object_editing import made_anew, reedit
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slice_planning import (
    SliceEdit,
    crop_of,
    plan_slices,
    slices_of,
)
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.propagation.chosen_object import ChosenObject
from napari_sam.session.propagation.courses import course_after, course_beyond
from napari_sam.session.propagation.stack_run import Run, StackPropagation

_FAR_OFF: Final = (
    "This click is far from object {}: press Esc to segment another object, or draw a box to move "
    "object {} here."
)
_DEEP: Final = 0.9
"""Depth from which on a place may be the middle of a mask, of the greatest."""


class Corrections:
    """Corrects the chosen object on the shown slice, and what was computed beside that.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """`is_on` changed."""
    cleared = Signal(int, list, list)
    """The object that was taken off slices, which ones, and others that changed.

    At first the shown slice; once what is beside it is computed, all of them.
    """

    followed = Signal(int, list, int)
    """The object whose slices were computed anew after a correction, which of them have changed,
    and how many of all its slices are weak."""

    def __init__(
        self,
        chosen: ChosenObject,
        embedding: CurrentEmbedding,
        editing: Editing,
        object_in_progress: ObjectInProgress,
        propagation: StackPropagation,
        background: Background,
    ) -> None:
        self._chosen, self._embedding, self._editing = chosen, embedding, editing
        self._object, self._propagation = object_in_progress, propagation
        self._notifier = background.notifier
        self._is_own_edit = False
        # What follows the last correction, the slices before, and whether it cleared one.
        self._following: tuple[Run, int, ObjectSlices, bool] | None = None
        propagation.finished.connect(self._on_finished)
        self.is_on = False
        """Whether clicks correct the chosen object, rather than begin another one."""

    @property
    def hint(self) -> str:
        """What clicks do while they correct the chosen object; empty otherwise."""
        label_id = self._chosen.label_id
        return f"Correcting object {label_id}: click on what to add or remove" if self.is_on else ""

    def switch(self, is_on: bool) -> None:
        """Set whether clicks correct the chosen object, rather than begin another one."""
        is_on = is_on and self._chosen.record is not None
        if is_on != self.is_on:
            self.is_on = is_on
            self.changed.emit()

    def correct(self, prompts: Prompts) -> bool:
        """Correct the chosen object on the shown slice; return whether the prompts were for that.

        They are accepted at once, and the slice is annotated then. A background click in the
        middle of the object means that it is not on the slice, also where clicks begin other
        objects, if it is on more slices: nobody begins one in the middle of the chosen one.
        """
        record, target, state = self._chosen.record, self._editing.target, self._object.state
        is_other = not state.prompts.is_empty or state.reedited is not None
        if record is None or target is None or is_other or prompts.is_empty:
            return False
        crop = crop_of(record, target) if self.is_on or _is_background_click(prompts) else NOWHERE
        if not self.is_on:
            is_meant = crop.mask.size and _is_in_middle(crop, prompts)
            if is_meant and self._chosen.stack is not None and _is_on_others(record, target):
                self._clear_by_click()
                return True
            return False
        if len(prompts.points_xy) != 1:  # a shape, which replaces what is there
            self._object.set_prompts(prompts, made_anew(record, target, prompts))
        elif prompts.has_foreground and _is_far_off(crop, prompts):  # meant for another object
            self._object.changed.emit()  # the click is gone
            self._notifier.warn(_FAR_OFF.format(record.label_id, record.label_id))
        elif prompts.has_foreground:
            is_elsewhere = not _is_in_box(crop, prompts)  # the object went astray
            base = made_anew(record, target) if is_elsewhere else reedit(target, record)
            self._object.set_prompts(_added(base, prompts), base)
        elif _is_in_middle(crop, prompts):
            self._clear_by_click()
        else:
            base = reedit(target, record)
            self._object.set_prompts(_added(base, prompts), base)
        return True

    def _clear_by_click(self) -> None:
        self.clear_slice()
        self._object.changed.emit()  # the click is gone

    def _on_finished(self, run: Run) -> None:
        """Tell which slices a correction has changed in the end."""
        if self._following is None or self._following[0] is not run:
            return
        (_, label_id, known, is_cleared), self._following = self._following, None
        record = run.target.labels.registry.get(label_id)
        if record is None:
            return
        slices = slices_of(record, known.axis)
        left, changed = slices.changed_since(known)
        if is_cleared:
            self.cleared.emit(label_id, left, changed)
        else:
            n_weak = sum(entry.is_weak for entry in slices)
            self.followed.emit(label_id, sorted([*left, *changed]), n_weak)

    def clear_slice(self) -> None:
        """Take the chosen object off the shown slice: it is not there."""
        (_, target), record = self._chosen.require_stack(), self._chosen.require_record()
        known, index = slices_of(record, target.slice_axis or 0), self._chosen.slice_index
        step = self._take_off(record, {index: _cleared(index)})
        left = self._chosen.record
        run = None if left is None else self._update_around(left, [index], step)
        self.cleared.emit(record.label_id, [index], [])
        self._following = None if run is None else (run, record.label_id, known, True)

    def reopen(self, index: int) -> Edit | None:
        """Forget that the chosen object is not on a slice; return the step, if it was known."""
        record = self._chosen.require_record()
        is_cleared = record.slices is not None and index in record.slices.cleared
        return self._take_off(record, {index: None}) if is_cleared else None

    def set_range(self, first: int, last: int) -> None:
        """Cut the chosen object to a range of slices, or extend it to there.

        Raises
        ------
        TargetError
            If there is no chosen object, or nothing would be left of it.
        """
        (stack, target), record = self._chosen.require_stack(), self._chosen.require_record()
        known = slices_of(record, target.slice_axis or 0)
        indices = [entry.slice_index for entry in known.with_object]
        low, high = indices[0], indices[-1]
        if not first <= last or first > high or last < low:
            raise TargetError("Nothing would be left of the object: delete it instead.")
        cut = {index: None for index in indices if not first <= index <= last}
        beyond = {index: None for index in known.cleared if first <= index <= last}
        ends = ((first - 1, first != low), (last + 1, last != high))
        anchors = {
            index: _cleared(index)
            for index, is_moved in ends
            if is_moved and 0 <= index < len(stack)
        }
        step = self._take_off(record, {**cut, **beyond, **anchors})
        sides = ((low, first, low - 1), (high, high + 1, last))
        courses = [
            course_beyond(self._chosen.require_record(), target, *side, is_forced=True)
            for side in sides
            if side[1] <= side[2]
        ]
        if courses:
            self._propagation.start(stack, target, courses, self._embedding.embedder, step)

    def _take_off(
        self, record: ObjectRecord, entries: Mapping[int, ObjectSlice | None]
    ) -> Edit | None:
        """Erase an object on some slices, of which this is known then; return the step."""
        _, target = self._chosen.require_stack()
        edits = [
            SliceEdit(index, target.at_slice(index), NOWHERE, entry)
            for index, entry in sorted(entries.items())
        ]
        if not edits:
            return None
        overlap = self._editing.overlap
        self._is_own_edit = True
        try:
            self._editing.edit(
                lambda labels: plan_slices(labels, labels.registry, record, edits, overlap)
            )
        finally:
            self._is_own_edit = False
        return self._editing.history.last

    def follow(self, edit: Edit) -> None:
        """Bring computed slices up to date after the user has changed others."""
        if edit.labels is None or self._is_own_edit or self._propagation.is_writing:
            return
        for change in edit.labels.changes:
            before, after = change.before, change.after
            if after is None or after.slices is None or before is None:
                continue
            known = before.slices or ObjectSlices(after.slices.axis)
            corrected = [
                entry.slice_index
                for entry in after.slices
                if entry.is_anchor and known.get(entry.slice_index) is not entry
            ]
            was_on = {entry.slice_index for entry in known.with_object}
            # Several slices at once are painted by a brush of three dimensions.
            is_added = len(corrected) == 1 and corrected[0] not in was_on
            added = corrected if is_added else ()
            # Strokes stay steps of their own, which the viewer's own undo can follow.
            step = None if edit.stroke_ids else self._last(edit)
            is_stroke = bool(edit.stroke_ids)
            self._update_around(after, corrected, step, added, is_after_stroke=is_stroke)

    def _last(self, edit: Edit) -> Edit | None:
        """Return the step that an edit was made a part of, if that is the last one."""
        last = self._editing.history.last
        return last if last is not None and last.labels is edit.labels else None

    def _update_around(
        self,
        record: ObjectRecord,
        corrected: Sequence[int],
        step: Edit | None,
        added: Sequence[int] = (),
        *,
        is_after_stroke: bool = False,
    ) -> Run | None:
        """Compute anew what was computed beside corrected slices."""
        stack, target = self._chosen.stack, self._editing.target
        if stack is not None and target is not None and record.slices is not None:
            with suppress(TargetError):  # carried along another axis
                course = course_after(record, target, stack, corrected, added)
                if course is not None:
                    embedder = self._embedding.embedder
                    about = stack, target, [course], embedder, step
                    run = self._propagation.start(*about, is_after_stroke=is_after_stroke)
                    self._following = run, record.label_id, record.slices, False
                    return run
        return None


def _cleared(index: int) -> ObjectSlice:
    return ObjectSlice(index, Origin.CLEARED)


def _added(accepted: ObjectState, click: Prompts) -> Prompts:
    """Return the prompts of an accepted object with another click."""
    prompts = accepted.prompts
    points = (*prompts.points_xy, *click.points_xy)
    return replace(
        prompts, points_xy=points, point_labels=(*prompts.point_labels, *click.point_labels)
    )


def _is_background_click(prompts: Prompts) -> bool:
    return len(prompts.points_xy) == 1 and not prompts.has_foreground


def _is_on_others(record: ObjectRecord, target: LabelsPlane) -> bool:
    """Whether an object is on more slices of the stack than one."""
    if target.slice_axis is None:
        return False
    with suppress(TargetError):  # carried along another axis
        return len(slices_of(record, target.slice_axis).with_object) > 1
    return False


def _is_in_box(crop: MaskCrop, click: Prompts) -> bool:
    """Whether a click lies within the box of a mask."""
    x0, y0, x1, y1 = crop.edges_xyxy
    ((x, y),) = click.points_xy
    return x0 <= x <= x1 and y0 <= y <= y1


def _is_far_off(crop: MaskCrop, click: Prompts) -> bool:
    """Whether a click lies beyond the box of a mask grown by half its size."""
    if not crop.mask.size:
        return False
    x0, y0, x1, y1 = crop.edges_xyxy
    ((x, y),), margin = click.points_xy, max(x1 - x0, y1 - y0) / 2
    return not (x0 - margin <= x <= x1 + margin and y0 - margin <= y <= y1 + margin)


def _is_in_middle(crop: MaskCrop, click: Prompts) -> bool:
    """Whether a click is nearer to the middle of a mask than to its border, or there is none.

    Not wherever it is as deep: of a mask of two things, it may exclude one.
    """
    if not crop.mask.size:
        return True
    ((x, y),) = click.points_xy
    depths = ndimage.distance_transform_edt(np.pad(crop.mask, 1))[1:-1, 1:-1]
    deep = np.argwhere(depths >= _DEEP * depths.max())
    centroid = np.argwhere(crop.mask).mean(axis=0)
    middle = deep[np.argmin(((deep - centroid) ** 2).sum(axis=1))]
    offset = np.array([y - crop.top, x - crop.left]) - middle
    return bool(np.hypot(*offset) <= depths.max() / 2)
