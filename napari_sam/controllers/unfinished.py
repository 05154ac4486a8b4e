"""Keeps the objects in progress in journals, and continues with those of an earlier program."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image

from napari_sam._qt.building import rest_timer
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.layers.image_references import reference_of
from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.target import TargetLayer
from napari_sam.layers.target_plane import TargetPlane
from napari_sam.session.connections import Connections
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.objects.labels import ArrayLabels, TargetError
from napari_sam.session.objects.object_editing import current_record, replacing

_REST_MS: Final = 500
"""How long the prompts have not changed when they are written down."""


class UnfinishedController:
    """Records what is in progress on an image once its prompts rest, and restores it.

    It goes to the journal of the target; without a target, to one of the image alone.
    """

    def __init__(self, context: WidgetContext, recorder: JournalRecorder) -> None:
        self._binding, self._session = context.binding, context.session
        self._recorder, self._messages = recorder, context.messages
        self._image_journals: WeakKeyDictionary[Image, Journal] = WeakKeyDictionary()
        self._holders: WeakKeyDictionary[Image, Journal] = WeakKeyDictionary()
        self._image: Image | None = None
        self._target: TargetLayer | None = None
        self._seen: tuple[Any, ...] = ()
        self._timer = rest_timer(context.widget, _REST_MS, self._on_rest)
        self._connections = Connections(
            (context.session.changed, self._on_changed),
            (context.session.classes.table.changed, self._on_class_changed),
            (context.binding.image_changed, self._on_image_changed),
            (context.binding.target.changed, self._on_target_changed),
            (recorder.begun, self._on_target_changed),
        )

    def close(self) -> None:
        """Record what is in progress now, whether or not it rests."""
        self._connections.close()
        self._timer.stop()
        self.record()
        for journal in self._image_journals.values():
            journal.close()

    # Recording -------------------------------------------------------------------------------

    def _on_changed(self) -> None:
        in_progress, session = self._session.object_in_progress, self._session.state
        seen = in_progress.state, session.chosen, session.is_decoding
        if seen == self._seen:
            return
        self._seen = seen
        if in_progress.state.prompts.is_empty:
            self._on_rest()
        else:
            self._timer.start()

    def _on_class_changed(self) -> None:
        self._timer.start()

    def _on_image_changed(self, image: Image | None) -> None:
        if self._image is not None:
            self._record(self._image, self._target)
        self._image, self._target = image, self._binding.target.labels

    def _on_target_changed(self) -> None:
        image = self._binding.plane.image
        if image is not self._image:  # which is announced only later
            self._on_image_changed(image)
        self._target = self._binding.target.labels
        if image in self._holders:  # at once: an object that is accepted now goes to the target
            self._on_rest()
        else:
            self._timer.start()

    def _on_rest(self) -> None:
        """Record now, or once the journal is free."""
        if self._session.state.is_writing or not self.record():
            self._timer.start()

    def record(self) -> bool:
        """Record what is in progress on the image; return whether it is in a file."""
        return self._image is None or self._record(self._image, self._target)

    def _record(self, image: Image, target: TargetLayer | None) -> bool:
        unfinished = self._unfinished(image, target)
        former, journal = self._holders.get(image), None
        if unfinished:
            journal = self._recorder.journal_of(target) or self._image_journal(image)
            if not self._recorder.record_unfinished(journal, unfinished):
                return False
            self._holders[image] = journal
        if former is not None and former is not journal:
            self._recorder.record_unfinished(former, ())
            if former is self._image_journals.get(image):
                self._image_journals.pop(image).close()  # which removes its file
        if journal is None:
            self._holders.pop(image, None)
        return True

    def _image_journal(self, image: Image) -> Journal:
        if image not in self._image_journals:
            reference = reference_of(image)
            # No pixel of these labels is read: there are no objects in them.
            labels = np.broadcast_to(np.zeros((), np.uint16), reference.shape[: image.ndim])
            # Silent if it cannot be written: once there are labels, their journal says so.
            self._image_journals[image] = Journal(reference, ArrayLabels(labels))
        self._recorder.record_classes(self._image_journals[image])
        return self._image_journals[image]

    def _unfinished(self, image: Image, target: TargetLayer | None) -> list[UnfinishedObject]:
        source = self._binding.plane.source
        unfinished = self._session.object_in_progress.unfinished.all
        return [
            self._described(state, key[1], target)
            for key, state in unfinished
            if source.image_of(key) is image
        ]

    def _described(
        self, state: ObjectState, view: PlaneView, target: TargetLayer | None
    ) -> UnfinishedObject:
        record = None
        if target is not None and state.reedited is not None and not target.is_gone:
            record = current_record(state, target.registry)
        return UnfinishedObject(
            state,
            view.index,
            (view.row_axis, view.column_axis),
            None if record is None else record.label_id,
            self._session.classes.table.current if record is None else record.class_name,
        )

    @property
    def shown(self) -> UnfinishedObject | None:
        """What is in progress on the shown plane; None if nothing is."""
        if self._session.object_in_progress.state.prompts.is_empty:
            return None
        return next(reversed(self.all), None)

    @property
    def all(self) -> list[UnfinishedObject]:
        """What is in progress on the image, the newest last."""
        return [] if self._image is None else self._unfinished(self._image, self._target)

    @property
    def is_idle(self) -> bool:
        """Whether all of it has rested, and was recorded."""
        return not self._timer.isActive()

    # Restoring -------------------------------------------------------------------------------

    def restore(
        self, unfinished: Sequence[UnfinishedObject], image: Image, target: TargetLayer | None
    ) -> int:
        """Continue with objects of an image; return how many of them have a plane there.

        The last one is shown, if the image is.
        """
        views = [
            view for described in unfinished if (view := self._restore(described, image, target))
        ]
        shown = self._binding.plane.view
        if views and image is self._binding.plane.image and shown is not None:
            view = views[-1]
            if (view.row_axis, view.column_axis) == (shown.row_axis, shown.column_axis):
                self._binding.plane.go_to(view)
                self._binding.prompts.start_points()
            else:
                axes = view.row_axis, view.column_axis
                self._messages.warn(
                    f"Unfinished object on axes {axes}: roll to them (Ctrl+E), and go to "
                    f"{view.index}."
                )
        return len(views)

    def choose_class(self, unfinished: UnfinishedObject) -> None:
        """Choose the class that a new object gets, and have that of a re-edited one."""
        table, name = self._session.classes.table, unfinished.class_name
        table.ensure([name])
        if name is not None and unfinished.label_id is None:
            table.choose(name)

    def _restore(
        self, described: UnfinishedObject, image: Image, target: TargetLayer | None
    ) -> PlaneView | None:
        plane, state = self._binding.plane, described.state
        view = plane.source.view_at(image, described.index, described.axes)
        if view is None:
            return None
        if target is not None and described.label_id is not None:
            with suppress(TargetError):  # that object is gone: it becomes a new one
                target_plane = TargetPlane(target, view.for_labels(target.layer.ndim))
                state = replacing(state, target_plane, described.label_id)
        self.choose_class(described)
        key = plane.source.key_of(image, view)
        if not self._session.object_in_progress.unfinished.is_shown(key):
            self._binding.prompts.note_undone(key)  # its layers know nothing of it
        self._session.object_in_progress.unfinished.restore(key, state)
        return view
