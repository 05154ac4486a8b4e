"""Offers the unsaved objects of an image and restores them, in the background."""

from pathlib import Path

from napari.layers import Image, Labels
from qtpy.QtGui import QAction

from napari_sam._qt.restore_row import RestoreRow, counted_unfinished
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.controllers.unfinished import UnfinishedController
from napari_sam.layers.image_references import labels_for, reference_of
from napari_sam.layers.target import TargetLayer
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.journal.files import JournalSummary, claim, discard, find_journals
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import JournalContent, read_journal, replay
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted


class RestoreController:
    """Finds, restores and discards journals for a `RestoreRow`, and restores them by an action."""

    def __init__(
        self,
        context: WidgetContext,
        recorder: JournalRecorder,
        unfinished: UnfinishedController,
        action: QAction,
    ) -> None:
        self._binding, self._session = context.binding, context.session
        self._recorder, self._messages = recorder, context.messages
        self._unfinished = unfinished
        self._executor = context.session.background.executor("restore", is_bulky=True)
        self._journals: tuple[JournalSummary, ...] = ()
        self.row = RestoreRow()
        self.row.restore.clicked.connect(self.restore)
        self.row.discard_requested.connect(self.discard)
        self.row.later.clicked.connect(self._on_later)
        self._action = action
        action.triggered.connect(self.restore)
        self._connections = Connections(
            (context.binding.image_changed, self.find), (recorder.deleted, self.find)
        )

    def close(self) -> None:
        """Stop offering journals; one that is not completely restored stays available."""
        self._connections.close()

    def find(self) -> None:
        """Search for journals of the current image."""
        self._offer(())
        image = self._binding.plane.image
        if image is None:
            return
        reference, deleted = reference_of(image), frozenset(self._recorder.deleted_paths)

        def on_found(journals: list[JournalSummary]) -> None:
            if image is self._binding.plane.image:
                self._offer(tuple(journals))

        self._executor.submit(
            lambda _: find_journals(reference, done_with=deleted),
            on_found,
            lambda error: self._messages.fail(
                user_message(error, "Could not search for unsaved objects")
            ),
        )

    def _offer(self, journals: tuple[JournalSummary, ...]) -> None:
        self._journals = journals
        self.row.show_offer(journals)
        self._action.setVisible(bool(journals))

    def _on_later(self) -> None:
        entry = f"Session > {self._action.text()}"
        self._messages.info(f"Kept for later: {entry}, in the tab Objects, brings them back.")

    def discard(self) -> None:
        """Delete the newest journal."""
        if self._journals:
            discard(self._journals[0].path)
            self._offer(self._journals[1:])

    def restore(self) -> None:
        """Restore the newest journal into a new layer, and continue it."""
        image = self._binding.plane.image
        if not self._journals or image is None or not self._executor.is_idle:
            return
        self._offer(self._journals)  # its progress is shown also if the user has said Later
        self._action.setVisible(False)
        newest, self._journals = self._journals[0], self._journals[1:]
        header = newest.header
        layer = labels_for(image, self._binding.plane.view, header.shape, header.dtype)
        target = self._binding.target.follow(layer)

        def work(job: Job) -> tuple[JournalContent, Path]:
            content = read_journal(newest.path)
            replay(content.entries(job.report), target)
            claimed = claim(newest.path)
            if claimed is None:
                raise TargetError("another program has restored or discarded them in the meantime.")
            return content, claimed

        def on_done(result: tuple[JournalContent, Path]) -> None:
            content, path = result
            self._session.classes.table.ensure(content.classes)
            if target.registry:
                # Held here meanwhile: what follows a layer does not keep it.
                self._add(content, path, image, layer, target)
            else:
                self._continue(content, path, image)
            if content.warning:
                self._messages.warn(content.warning)
            self._end(image)

        def on_failed(error: BaseException) -> None:
            self._messages.fail(user_message(error, "Could not restore the objects"))
            self._end(image)

        self.row.show_progress(0)
        self._executor.submit(work, on_done, on_failed, self.row.show_progress)

    def _add(
        self,
        content: JournalContent,
        path: Path,
        image: Image,
        layer: Labels,
        target: TargetLayer,
    ) -> None:
        """Add restored objects as a layer, and continue their journal."""
        reference, classes, unfinished = reference_of(image), content.classes, content.unfinished
        journal = Journal.resume(path, content.sound_bytes, reference, target, classes, unfinished)
        layer.name = content.labels_name or layer.name
        # Before the layer is the target: from then on, what is in progress goes to this journal.
        n_unfinished = self._unfinished.restore(unfinished, image, target)
        self._recorder.keep(target, reference, journal)
        former = self._binding.target.labels if image is self._binding.plane.image else None
        self._binding.objects.attempt(lambda: self._binding.target.add(layer, target, image))
        objects = counted(len(target.registry))
        if n_unfinished:
            objects += f" and {counted_unfinished(n_unfinished)}"
        restored = f"Restored {objects} into '{layer.name}'."
        if former is not None and former.registry:
            self._messages.warn(f"{restored} {_what_stays_in(former)}")
        else:
            self._messages.info(restored)

    def _continue(self, content: JournalContent, path: Path, image: Image) -> None:
        """Continue with the objects in progress of a journal that has no others."""
        n_unfinished = self._unfinished.restore(content.unfinished, image, None)
        is_whole = n_unfinished == len(content.unfinished) and image is self._binding.plane.image
        if is_whole and self._unfinished.record():  # in another journal
            discard(path)
        self._messages.info(f"Restored {counted_unfinished(n_unfinished)}.")

    def _end(self, image: Image) -> None:
        if image is self._binding.plane.image:
            self.find()


def _what_stays_in(former: TargetLayer) -> str:
    """Return where the objects are that table and export no longer have, and how to go on."""
    n_objects = len(former.registry)
    stay, them = ("stays", "it") if n_objects == 1 else ("stay", "them")
    return (
        f"{counted(n_objects)} {stay} in '{former.name}': to go on with {them}, choose that layer "
        "under 'write to' in the tab Options."
    )
