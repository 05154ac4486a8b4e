"""What becomes of proposals: kept all at once, or accepted and rejected one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.session.automatic.accepted import AcceptedMasks
from napari_sam.session.automatic.masks import AutomaticMask, Key, in_overlap_order
from napari_sam.session.automatic.picture import AutomaticPicture
from napari_sam.session.automatic.settings import OverlapOrder
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.jobs import Dispatcher, LatestWinsExecutor, user_message
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.labels import LabelsPlane, TargetError
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry, score_of
from napari_sam.session.session import AnnotationSession
from napari_sam.session.state import SessionState


class _ToWrite(NamedTuple):
    """Proposals that become objects of a class together; the states they are known by then."""

    proposals: tuple[AutomaticMask, ...]
    states: dict[Key, ObjectState]
    class_name: str | None


class AutomaticReview:
    """Has proposals written as objects; those that are done with are offered no longer.

    A proposal is done with as long as the target has the object that was made of it, whatever it
    has become, so that undo brings it back, and when it was rejected. All methods belong to the
    owner's thread.
    """

    changed = Signal()
    """Others are offered, or another one is looked at."""
    added = Signal(int, int)
    """How many objects were added at once, and how many were not as nothing is left of them."""

    def __init__(self, session: AnnotationSession, dispatcher: Dispatcher) -> None:
        self._session = session
        self._lane = LatestWinsExecutor("napari-sam-automatic-accept", dispatcher)
        self._waiting: deque[_ToWrite] = deque()
        self._writing: _ToWrite | None = None
        self._kept = AcceptedMasks()
        self._rejected: set[Key] = set()
        self._picture: AutomaticPicture | None = None
        self._key: Key | None = None
        self._book: ObjectRegistry | None = None
        self.is_here = False
        """Whether the proposals lie on the plane that is annotated."""
        session.changed.connect(self._on_session_changed)
        self.follow_target()

    def close(self) -> None:
        """Stop for good."""
        self._session.changed.disconnect(self._on_session_changed)
        self._follow(None)
        self._waiting.clear()
        self._lane.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be written."""
        return self._lane.is_idle and not self._waiting and self._writing is None

    def begin_anew(self) -> None:
        """Forget what was done with the proposals of another search."""
        self._kept.clear()
        self._rejected.clear()
        self._key = self._picture = None

    # One by one ----------------------------------------------------------------------------

    def show(self, picture: AutomaticPicture | None) -> None:
        """Hear what is offered now."""
        self._picture = picture
        self.changed.emit()

    @property
    def _proposals(self) -> tuple[AutomaticMask, ...]:
        return () if self._picture is None else self._picture.proposals

    @property
    def current(self) -> AutomaticMask | None:
        """The proposal that is looked at alone."""
        return next((one for one in self._proposals if one.key == self._key), None)

    @property
    def summary(self) -> str:
        """Says which of them is looked at; empty if none is."""
        current = self.current
        if current is None:
            return ""
        place = self._proposals.index(current) + 1
        iou = score_of(current.record.predicted_iou)
        return f"{place} of {len(self._proposals)}: predicted IoU {iou:.2f}"

    @property
    def rejected_count(self) -> int:
        """How many were rejected."""
        return len(self._rejected)

    @property
    def is_done_with_some(self) -> bool:
        """Whether any was kept or rejected."""
        return bool(self._kept or self._rejected)

    def step(self, step: int) -> None:
        """Look at the next proposal, or another one, around the end; at first at the best."""
        proposals, current = self._proposals, self.current
        if not proposals:
            return
        place = 0 if step > 0 else -1
        if current is not None:
            place = (proposals.index(current) + step) % len(proposals)
        self._key = proposals[place].key
        self.changed.emit()

    def look_at_all(self) -> None:
        """Look at no single one any more."""
        self._key = None
        self.changed.emit()

    def accept(self) -> None:
        """Write the proposal that is looked at, and look at the next."""
        current = self.current
        if current is not None and self.keep([current]):
            self._leave(current)

    def reject(self) -> None:
        """Leave out the proposal that is looked at, and look at the next."""
        current = self.current
        if current is not None:
            self._rejected.add(current.key)
            self._leave(current)

    def bring_back(self) -> None:
        """Offer again what was rejected."""
        self._rejected.clear()
        self._update()

    def _leave(self, current: AutomaticMask) -> None:
        proposals = self._proposals
        following = proposals[(proposals.index(current) + 1) % len(proposals)]
        self._key = None if following is current else following.key
        self._update()
        self.changed.emit()

    # Writing -------------------------------------------------------------------------------

    def keep(self, proposals: Sequence[AutomaticMask]) -> bool:
        """Write proposals into the target, in the background; they are undone as one.

        They get the current class.
        """
        if not proposals:
            return False
        if not self.is_here:
            self._session.notifier.warn(
                "These masks lie on another image or slice: go there to keep them."
            )
            return False
        self._session.objects.need_target()
        if self._session.objects.target is None:
            self._session.notifier.warn(
                "There is no target to write objects into: choose a Labels layer."
            )
            return False
        states = {one.key: one.object_state() for one in proposals}
        class_name = self._session.classes.table.current
        self._waiting.append(_ToWrite(tuple(proposals), states, class_name))
        self._update()
        self._go_on()
        return True

    def _go_on(self) -> None:
        """Prepare what waits, unless something else is being written."""
        is_writing = self._session.state.is_writing
        if self._writing is not None or is_writing or not self._waiting:
            return
        target = self._session.objects.target
        if target is None or not self.is_here:
            self._waiting.clear()
            self._update()
            return
        batch = self._writing = self._waiting.popleft()
        layering = self._session.automatic.settings.layering
        overlap = self._session.objects.overlap
        self._lane.submit(
            lambda _: _records(batch, layering, target, overlap),
            lambda records: self._add(records, batch, target),
            self._on_failed,
        )

    def _add(self, records: list[ObjectRecord], batch: _ToWrite, target: LabelsPlane) -> None:
        def on_added(edit: LabelsEdit) -> None:
            if len(batch.proposals) > 1:
                count = edit.n_made
                self.added.emit(count, len(batch.proposals) - count)

        if self._session.state.is_writing:  # which was begun while the records were made
            self._waiting.appendleft(batch)
            self._writing = None
            return
        try:
            # Another plane of it may be shown by now, or none just then.
            now = self._session.objects.target
            if now is not None and now.labels is not target.labels:
                raise TargetError("Another target was chosen meanwhile: nothing was kept.")
            if not records:
                raise TargetError("Nothing was kept: these masks lie on other objects.")
            self._kept.add(batch.states, target.labels.book)
            self._session.objects.add(records, on_added, target)
        except TargetError as error:
            self._on_failed(error)

    def _on_failed(self, error: BaseException) -> None:
        self._writing = None
        self._session.notifier.warn(
            str(error)
            if isinstance(error, TargetError)
            else user_message(error, "The masks could not be kept")
        )
        self._update()
        self._go_on()

    def _on_session_changed(self, state: SessionState) -> None:
        if state.is_writing:
            return
        if self._writing is not None and self._lane.is_idle:
            self._writing = None
            self._update()
        self._go_on()

    # What is done with ---------------------------------------------------------------------

    def follow_target(self) -> None:
        """Look at the objects of the target that is in use now."""
        target = self._session.objects.target
        try:
            self._follow(None if target is None else target.labels.book)
        except TargetError:
            self._follow(None)
        self._update()

    def _follow(self, book: ObjectRegistry | None) -> None:
        if self._book is not None:
            self._book.changed.disconnect(self._update)
        self._book = book
        if book is not None:
            book.changed.connect(self._update)

    def _update(self) -> None:
        done = set() if self._book is None else set(self._kept.follow(self._book))
        on_the_way = [*self._waiting] if self._writing is None else [self._writing, *self._waiting]
        done |= {key for batch in on_the_way for key in batch.states}
        self._session.automatic.leave_out(done | self._rejected)


def _records(
    batch: _ToWrite, layering: OverlapOrder, target: LabelsPlane, overlap: Overlap
) -> list[ObjectRecord]:
    """Return proposals as objects in the order in which they are to be written."""
    ordered = in_overlap_order(batch.proposals, layering)
    if overlap is Overlap.REPLACE:
        ordered.reverse()  # what lies on top is written last
    elif overlap is Overlap.REFUSE:
        ordered = _on_background(ordered, target)
    return [one.object_record(target, batch.states[one.key], batch.class_name) for one in ordered]


def _on_background(proposals: Sequence[AutomaticMask], target: LabelsPlane) -> list[AutomaticMask]:
    """Return the proposals that lie neither on labels nor on another one before them."""
    free: list[AutomaticMask] = []
    boxes = np.empty((len(proposals), 4), int)
    for one in proposals:
        box = _box(one)
        known = boxes[: len(free)]
        meets = ((known[:, :2] < box[2:]) & (box[:2] < known[:, 2:])).all(axis=1)
        if any(_overlap(one, free[index]) for index in np.flatnonzero(meets)):
            continue
        for mask, top, left in one.blocks():
            height, width = mask.shape
            if target.read(slice(top, top + height), slice(left, left + width))[mask].any():
                break
        else:
            boxes[len(free)] = box
            free.append(one)
    return free


def _box(one: AutomaticMask) -> NDArray[np.int_]:
    """Return first row and column, and those after the last."""
    rows, columns = one.span
    return np.array((rows.start, columns.start, rows.stop, columns.stop))


def _overlap(one: AutomaticMask, other: AutomaticMask) -> bool:
    rows, columns = (
        np.arange(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(one.span, other.span, strict=True)
    )
    return bool((one.at(rows, columns) & other.at(rows, columns)).any())
