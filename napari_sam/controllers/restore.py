"""Offers what an earlier program has left of an image, and brings it back, in the background."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Image
from napari.utils.notifications import show_info, show_warning

from napari_sam._qt.restore_row import RestoreRow
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.layers import LayerBinding
from napari_sam.layers.image_references import labels_for, reference_of
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import Dispatcher, Job, LatestWinsExecutor, user_message
from napari_sam.session.journal.files import JournalSummary, claim, discard, find_journals
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import JournalContent, read_journal, replay
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.session.session import AnnotationSession


class RestoreController:
    """Does what is asked for in a `RestoreRow`."""

    def __init__(
        self,
        binding: LayerBinding,
        session: AnnotationSession,
        keeper: JournalRecorder,
        dispatcher: Dispatcher,
    ) -> None:
        self._binding, self._session, self._keeper = binding, session, keeper
        self._lane = LatestWinsExecutor("napari-sam-restore", dispatcher)
        self._found: tuple[JournalSummary, ...] = ()
        self.row = RestoreRow()
        self.row.restore_requested.connect(self.restore)
        self.row.discard_requested.connect(self.discard)
        self._connections = Connections(
            (binding.image_changed, self.look), (keeper.deleted, self.look)
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being looked for or restored."""
        return self._lane.is_idle

    def close(self) -> None:
        """Stop for good; what is not restored to its end stays where it is."""
        self._connections.close()
        self._lane.close()

    def look(self) -> None:
        """Look for what there is of the current image."""
        self._offer(())
        image = self._binding.shown.image
        if image is None:
            return
        reference, done_with = reference_of(image), frozenset(self._keeper.of_deleted)

        def on_found(found: list[JournalSummary]) -> None:
            if image is self._binding.shown.image:
                self._offer(tuple(found))

        self._lane.submit(
            lambda _: find_journals(reference, done_with=done_with),
            on_found,
            lambda error: show_warning(user_message(error, "Journals could not be looked for")),
        )

    def _offer(self, found: tuple[JournalSummary, ...]) -> None:
        self._found = found
        self.row.show_offer(found)

    def discard(self) -> None:
        """Remove the newest of what there is, for good."""
        if self._found:
            discard(self._found[0].path)
            self._offer(self._found[1:])

    def restore(self) -> None:
        """Bring the newest of what there is into a new layer, and go on with its journal."""
        image = self._binding.shown.image
        if not self._found or image is None or not self._lane.is_idle:
            return
        newest, self._found = self._found[0], self._found[1:]
        labels = newest.header["labels"]
        layer = labels_for(image, self._binding.shown.view, tuple(labels["shape"]), labels["dtype"])
        target = self._binding.objects.follow_labels(layer)

        def work(job: Job) -> tuple[JournalContent, Path]:
            content = read_journal(newest.path)
            replay(content.reported(job.report), target)
            claimed = claim(newest.path)
            if claimed is None:
                msg = "another program has restored or removed them meanwhile."
                raise TargetError(msg)
            return content, claimed

        def on_done(result: tuple[JournalContent, Path]) -> None:
            content, path = result
            reference = reference_of(image)
            classes = content.classes
            journal = Journal.resume(path, content.sound_bytes, reference, target, classes)
            self._session.classes.ensure(classes)
            layer.name = content.labels_name or layer.name
            self._keeper.keep(target, reference, journal)
            self._binding.objects.attempt(
                lambda: self._binding.objects.add_target(layer, target, image)
            )
            show_info(f"{counted(len(target.book))} restored into '{layer.name}'.")
            if content.remark:
                show_warning(content.remark)
            self._end(image)

        def on_failed(error: BaseException) -> None:
            show_warning(user_message(error, "The objects could not be restored"))
            self._end(image)

        self.row.show_progress(0)
        self._lane.submit(work, on_done, on_failed, self.row.show_progress)

    def _end(self, image: Image) -> None:
        if image is self._binding.shown.image:
            self.look()
