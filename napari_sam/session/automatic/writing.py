"""Accepted automatic masks, written into the target in the background."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from psygnal import Signal

from napari_sam.session.automatic.accepted import AcceptedMasks
from napari_sam.session.automatic.masks import AutomaticMask, MaskKey, smaller_first
from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import user_message
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.planning import RefusedError
from napari_sam.session.objects.records import ObjectRecord


class _Batch(NamedTuple):
    """Masks that become objects together, with all that was chosen when they were accepted."""

    masks: tuple[AutomaticMask, ...]
    states: dict[MaskKey, ObjectState]
    target: LabelsPlane
    class_name: str | None
    accepted: AcceptedMasks  # those of the same run


class _Prepared(NamedTuple):
    """The masks of a batch as objects, and those of them to be written, in that order."""

    records: list[ObjectRecord]
    written: list[ObjectRecord]


class MaskWriter:
    """Writes batches of masks one after the other, whenever nothing else is being written.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """Other masks are pending."""
    added = Signal(int, int, object)
    """Number of objects added at once, of masks left out because nothing of them remained, and the
    class of the objects or None."""

    def __init__(self, editing: Editing, background: Background) -> None:
        self._editing, self._notifier = editing, background.notifier
        self._executor = background.executor("automatic-accept")
        self._waiting: deque[_Batch] = deque()
        self._writing: _Batch | None = None
        self._prepared: _Prepared | None = None
        self.accepted = AcceptedMasks()
        """Which masks of the run exist as objects, and which are covered by others."""
        editing.changed.connect(self._on_editing_changed)
        editing.failed.connect(self._on_edit_failed)

    @property
    def pending_keys(self) -> set[MaskKey]:
        """The masks of the run that wait or are being written."""
        batches = [*self._waiting] if self._writing is None else [self._writing, *self._waiting]
        run = (batch for batch in batches if batch.accepted is self.accepted)
        return {key for batch in run for key in batch.states}

    def follow(self, accepted: AcceptedMasks) -> None:
        """Follow the masks of another run; what was accepted of this one is still written."""
        self.accepted = accepted

    def write(self, masks: Sequence[AutomaticMask], target: LabelsPlane) -> None:
        """Write masks into a target as soon as possible; they get the current class."""
        states: dict[MaskKey, ObjectState] = {}
        for mask in masks:
            states |= dict.fromkeys(mask.keys, mask.object_state())
        class_name = self._editing.classes.current
        self._waiting.append(_Batch(tuple(masks), states, target, class_name, self.accepted))
        self.changed.emit()
        self._prepare_next()

    def _prepare_next(self) -> None:
        """Prepare the next batch, unless something else is being written."""
        if self._writing is not None or not self._editing.executor.is_idle or not self._waiting:
            return
        batch = self._writing = self._waiting.popleft()
        overlap = self._editing.overlap
        self._executor.submit(
            lambda _: _prepare(batch, overlap),
            lambda prepared: self._write(prepared, batch),
            self._on_failed,
        )

    def _write(self, prepared: _Prepared, batch: _Batch) -> None:
        target = batch.target

        def on_added(edit: LabelsEdit) -> None:
            made = {id(one.after.state) for one in edit.changes if one.after is not None}
            self._cover(batch, [one for one in prepared.records if id(one.state) not in made])
            if len(batch.masks) > 1:
                count = edit.n_made
                self.added.emit(count, len(batch.masks) - count, batch.class_name)

        if not self._editing.executor.is_idle:  # another edit began while the records were made
            self._waiting.appendleft(batch)
            self._writing = None
            return
        try:
            # Another plane of the target may be shown by now, or none just then.
            shown = self._editing.target
            if target.labels.is_gone:
                raise TargetError("The target was deleted meanwhile, so no masks were accepted.")
            if shown is not None and shown.labels is not target.labels:
                raise TargetError(
                    "No masks were accepted, as another target was chosen. Accept them again."
                )
            self._prepared = prepared
            batch.accepted.add(batch.states, target.labels.registry)
            if not prepared.written:
                raise RefusedError("No masks were accepted, because other objects cover them.")
            self._editing.add(prepared.written, on_added, target)
        except TargetError as error:
            self._on_edit_failed(error)
            self._on_failed(error)

    def _cover(self, batch: _Batch, records: Sequence[ObjectRecord]) -> None:
        batch.accepted.cover(records, batch.target.labels.registry, self._editing.overlap)

    def _on_edit_failed(self, error: BaseException) -> None:
        """Note that all masks of the batch are covered, if that is why it was not written."""
        batch, prepared = self._writing, self._prepared
        if batch is not None and prepared is not None and isinstance(error, RefusedError):
            self._cover(batch, prepared.records)

    def _on_failed(self, error: BaseException) -> None:
        self._writing = self._prepared = None
        self._notifier.warn(
            str(error)
            if isinstance(error, TargetError)
            else user_message(error, "The automatic masks could not be accepted")
        )
        self.changed.emit()
        self._prepare_next()

    def _on_editing_changed(self) -> None:
        if not self._editing.executor.is_idle:
            return
        if self._writing is not None and self._executor.is_idle:
            self._writing = self._prepared = None
            self.changed.emit()
        self._prepare_next()


def _prepare(batch: _Batch, overlap: Overlap) -> _Prepared:
    """Make objects of masks, in the order in which they are to be written."""
    target = batch.target
    ordered = smaller_first(batch.masks)
    if overlap is Overlap.REPLACE:
        ordered.reverse()  # what lies on top is written last
    records = [
        mask.object_record(target, batch.states[mask.key], batch.class_name) for mask in ordered
    ]
    if overlap is not Overlap.REFUSE:
        return _Prepared(records, records)
    free = {id(batch.states[mask.key]) for mask in _on_background(ordered, target)}
    return _Prepared(records, [record for record in records if id(record.state) in free])


def _on_background(masks: Sequence[AutomaticMask], target: LabelsPlane) -> list[AutomaticMask]:
    """Return the masks that lie neither on labels nor on a mask before them."""
    free: list[AutomaticMask] = []
    boxes = np.empty((len(masks), 4))
    for mask in masks:
        box = np.array(mask.edges_xyxy)
        free_boxes = boxes[: len(free)]
        meets = ((free_boxes[:, :2] < box[2:]) & (box[:2] < free_boxes[:, 2:])).all(axis=1)
        if any(mask.overlaps(free[index]) for index in np.flatnonzero(meets)):
            continue
        if not any(labels.any() for labels in mask.labels_below(target)):
            boxes[len(free)] = box
            free.append(mask)
    return free
