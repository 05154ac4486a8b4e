"""Tracks of the target, as the user edits them; each step can be undone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.editing import MAX_BLOCKS_AT_ONCE, Editing
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import Labels, TargetError
from napari_sam.session.tracks.divisions import (
    ProposedDivision,
    plan_confirmed,
    plan_pieces,
    propose_by_birth,
    propose_by_pieces,
)
from napari_sam.session.tracks.frame_links import (
    FrameLinks,
    FrameObjects,
    frame_objects,
    link_frames,
    links_of_points,
    plan_links,
    require_laptrack,
    with_marked_divisions,
)
from napari_sam.session.tracks.lineage import Lineages
from napari_sam.session.tracks.planning import (
    TrackLabels,
    plan_cut,
    plan_division,
    plan_end,
    plan_join,
    plan_no_division,
    plan_swap,
)
from napari_sam.session.tracks.trackastra_links import link_by_trackastra

_STOPPED: Final = "Linking was stopped: nothing was changed."


@dataclass(frozen=True)
class LinkRun:
    """The progress of linking: how many frames are measured of how many."""

    done: int
    total: int
    is_stopping: bool = False


@dataclass(frozen=True)
class TracksState:
    """What a view shows of tracks.

    Parameters
    ----------
    axis : int, optional
        The axis of the target along which objects are tracks; None without frames.
    divisions : tuple of ProposedDivision
        Those that the user may confirm.
    run : LinkRun, optional
        The progress of linking; None while nothing is linked.
    """

    axis: int | None = None
    divisions: tuple[ProposedDivision, ...] = ()
    run: LinkRun | None = None

    def following(self, division: ProposedDivision) -> ProposedDivision | None:
        """Return the division that is in question once another one is decided."""
        place = self.divisions.index(division)
        return next(iter((*self.divisions[place + 1 :], *self.divisions[:place])), None)


@dataclass
class _Link:
    """What frames were linked by: the objects that it changed, and the divisions it proposed."""

    uids: frozenset[int]
    divisions: frozenset[ProposedDivision]
    is_undone: bool = False


class TrackEditing:
    """Links objects to tracks, and edits tracks; all methods belong to the owner's thread.

    All of them raise TargetError where an edit is not possible; the message says what to do.
    """

    changed = Signal()
    """`state` changed."""
    linked = Signal(int)
    """Sent with the number of tracks once the objects are linked."""

    def __init__(self, editing: Editing, background: Background) -> None:
        self._editing, self._dispatcher = editing, background.dispatcher
        self._notifier = background.notifier
        self._axis: int | None = None
        self._divisions: tuple[ProposedDivision, ...] = ()
        self._mothers: dict[ProposedDivision, int] = {}  # of the confirmed ones
        self._unconfirmed: list[ProposedDivision] = []  # that are confirmed one after the other
        self._labels: Labels | None = None  # those that the proposals are about
        self._linked: FrameLinks | None = None  # while they are being written
        self._last_link: _Link | None = None  # the last one
        self._run: LinkRun | None = None
        self._is_stopped = threading.Event()
        editing.done.connect(self._on_edited)
        editing.restored.connect(self._on_restored)
        editing.changed.connect(self._on_editing_changed)

    @property
    def state(self) -> TracksState:
        """What a view shows."""
        with suppress(TargetError):
            tracks = self._tracks()
            is_about = tracks.labels is self._labels
            divisions = self._divisions if is_about else ()
            divisions = _open(divisions, self._mothers, self._last_link, tracks)
            return TracksState(tracks.axis, divisions, self._run)
        return TracksState(run=self._run)

    def set_axis(self, axis: int | None) -> None:
        """Choose the axis of time; None: the only one with frames, or the first of several."""
        if axis != self._axis:
            self._axis, self._divisions = axis, ()
            self.changed.emit()

    @property
    def lineages(self) -> Lineages:
        """The tracks of the target."""
        tracks = self._tracks()
        return Lineages(tracks.registry, tracks.axis)

    # Linking ---------------------------------------------------------------------------------

    def link(
        self,
        max_distance: float | None = None,
        max_gap: int = 1,
        scale: Sequence[float] | None = None,
        images: Callable[[], NDArray[Any]] | None = None,
    ) -> None:
        """Link the objects of all frames to tracks, in the background; propose divisions.

        Those that are marked stay as they are.

        See `frame_objects` and `session.tracks.frame_links.link_frames` for the parameters.
        With `images`, which returns the frames, `link_by_trackastra` links them.
        """
        if images is None:
            require_laptrack()

        def find(
            tracks: TrackLabels, objects: FrameObjects, check: Callable[[], None]
        ) -> FrameLinks:
            if images is None:
                links = link_frames(objects, max_distance, max_gap, check)
            else:
                links = link_by_trackastra(tracks, objects, images(), check)
            return with_marked_divisions(tracks, links)

        self._link(find, scale)

    def link_by_points(self, points: NDArray[Any], parents: Mapping[int, int]) -> None:
        """Link the objects that the points of tracks lie in, in the background.

        See `session.tracks.frame_links.links_of_points`.
        """
        self._link(lambda tracks, objects, _: links_of_points(tracks, objects, points, parents))

    def stop_linking(self) -> None:
        """Stop to link; nothing is changed then."""
        if self._run is not None:
            self._is_stopped.set()
            self._run = replace(self._run, is_stopping=True)
            self.changed.emit()

    def _link(
        self,
        find: Callable[[TrackLabels, FrameObjects, Callable[[], None]], FrameLinks],
        scale: Sequence[float] | None = None,
    ) -> None:
        tracks, is_stopped = self._tracks(), threading.Event()
        total = tracks.labels.shape[tracks.axis]

        def show(n_frames: int) -> None:
            if self._run is not None and is_stopped is self._is_stopped:
                self._run = replace(self._run, done=n_frames)
                self.changed.emit()

        def check() -> None:
            if is_stopped.is_set():
                raise TargetError(_STOPPED)

        def on_frame(frame: int) -> None:
            check()
            self._dispatcher.post(lambda: show(frame + 1))

        def plan(_: Labels) -> LabelsEdit:
            objects = frame_objects(tracks.labels, tracks.axis, scale, on_frame)
            links = find(tracks, objects, check)
            check()
            self._linked = links
            return plan_links(tracks, links)

        self._editing.edit(plan, in_background=True)
        self._is_stopped, self._run = is_stopped, LinkRun(0, total)
        self.changed.emit()

    # Edits -----------------------------------------------------------------------------------

    def join(self, label_id: int, other_id: int) -> None:
        """Make two tracks one; see `plan_join`."""
        self._edit((label_id, other_id), lambda tracks: plan_join(tracks, label_id, other_id))

    def cut(self, label_id: int, frame: int) -> None:
        """Make the part of a track from a frame on a track of its own."""
        self._edit((label_id,), lambda tracks: plan_cut(tracks, label_id, frame))

    def divide(self, mother_id: int, daughter_ids: Sequence[int], frame: int) -> None:
        """Mark that a track divides before a frame; see `plan_division`.

        Without daughters, these are the two pieces that the track has from that frame on.
        """
        label_ids = mother_id, *daughter_ids
        if daughter_ids:
            self._edit(label_ids, lambda t: plan_division(t, mother_id, daughter_ids, frame))
        else:
            self._edit(label_ids, lambda t: plan_pieces(t, mother_id, frame))

    def undivide(self, mother_id: int) -> None:
        """Take a division back: its daughters have no parent any more."""
        self._edit((), lambda tracks: plan_no_division(tracks, mother_id))

    def swap(self, label_id: int, other_id: int, frame: int) -> None:
        """Swap two tracks from a frame on."""
        label_ids = label_id, other_id
        self._edit(label_ids, lambda t: plan_swap(t, label_id, other_id, frame))

    def end(self, label_id: int, frame: int) -> None:
        """Erase a track from a frame on; what it was before stays."""
        self._edit((label_id,), lambda tracks: plan_end(tracks, label_id, frame))

    def _edit(self, label_ids: Iterable[int], plan: Callable[[TrackLabels], LabelsEdit]) -> None:
        tracks = self._tracks()
        records = [tracks.record(label_id) for label_id in dict.fromkeys(label_ids)]
        n_frames = sum(record.shape[tracks.axis] for record in records)
        in_background = n_frames > MAX_BLOCKS_AT_ONCE  # each is read by itself
        self._editing.edit(lambda _: plan(tracks), records, in_background=in_background)

    # Proposed divisions ----------------------------------------------------------------------

    def propose(self, label_ids: Iterable[int]) -> None:
        """Propose divisions: of objects that fall in two large pieces at their end, and others.

        Those become much smaller as one of the given objects begins where they were.
        """
        tracks = self._tracks()
        likely = (
            propose_by_pieces(tracks, label_id) or propose_by_birth(tracks, label_id)
            for label_id in label_ids
        )
        divisions = [division for division in likely if division is not None]
        self._set_divisions(tracks.labels, (*self.state.divisions, *divisions))

    def confirm(self, division: ProposedDivision) -> None:
        """Mark a proposed division; once that is undone, it is proposed again."""
        tracks = self._tracks()
        mother_id = division.mother_id(tracks.labels)
        label_ids = {mother_id, *division.daughter_ids(tracks.labels)}
        self._edit(label_ids - {0}, lambda tracks: plan_confirmed(tracks, division))
        self._mothers[division] = mother_id
        self.changed.emit()

    def confirm_all(self) -> None:
        """Mark all proposed divisions, one after the other; each is undone by itself."""
        self._unconfirmed = list(self.state.divisions)
        self._confirm_next()

    def _confirm_next(self) -> None:
        while self._unconfirmed and self._editing.executor.is_idle:
            division = self._unconfirmed.pop(0)
            try:
                self.confirm(division)
            except TargetError as error:
                self._notifier.warn(str(error))

    def reject(self, division: ProposedDivision) -> None:
        """Propose a division no more."""
        left = tuple(other for other in self._divisions if other != division)
        self._set_divisions(self._labels, left)

    def _set_divisions(self, labels: Labels | None, divisions: Iterable[ProposedDivision]) -> None:
        self._labels, self._divisions = labels, tuple(dict.fromkeys(divisions))
        self._mothers = {n: self._mothers[n] for n in self._divisions if n in self._mothers}
        self.changed.emit()

    def _on_edited(self, edit: Edit) -> None:
        links, self._linked = self._linked, None
        if links is not None and edit.labels is not None:
            self._last_link = _Link(_uids(edit.labels), frozenset(links.divisions))
            self._set_divisions(edit.labels.target, links.divisions)
            self.linked.emit(len(links.tracks))

    def _on_restored(self, edit: Edit, _: ObjectState) -> None:
        link = self._last_link
        if link is not None and edit.labels is not None and link.uids == _uids(edit.labels):
            link.is_undone = not link.is_undone
            self.changed.emit()

    def _on_editing_changed(self) -> None:
        """Notice that something is written, or is not."""
        if self._run is not None and self._editing.executor.is_idle:
            self._run = None
            self.changed.emit()
        if self._unconfirmed:
            self._confirm_next()

    def _tracks(self) -> TrackLabels:
        target = self._editing.target
        if target is None:
            raise TargetError("There are no objects yet: choose a Labels layer.")
        labels, axis = target.labels, self._axis
        if axis is None:
            axis = target.slice_axis if len(labels.shape) < 4 else 0
        if axis is None:
            raise TargetError("The image has no frames: tracks need a film.")
        return TrackLabels(labels, axis)


def _uids(edit: LabelsEdit) -> frozenset[int]:
    """Return which objects an edit changes, also once it is undone or redone."""
    records = (record for change in edit.changes for record in (change.before, change.after))
    return frozenset(record.uid for record in records if record is not None)


def _open(
    divisions: tuple[ProposedDivision, ...],
    mothers: Mapping[ProposedDivision, int],
    link: _Link | None,
    tracks: TrackLabels,
) -> tuple[ProposedDivision, ...]:
    """Return the proposals but those that are marked, whose link is undone, or objects are gone.

    They are back again once that is undone, or redone.
    """
    if link is not None and link.is_undone:
        divisions = tuple(division for division in divisions if division not in link.divisions)
    marked = {record.parent_id for record in tracks.registry} - {0} if mothers else set()
    return tuple(
        division
        for division in divisions
        if mothers.get(division, 0) not in marked and not division.is_gone(tracks.labels)
    )
