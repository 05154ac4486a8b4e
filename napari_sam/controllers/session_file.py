"""Writes a whole session to one file, and goes on with one, in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.notifications import show_info, show_warning

from napari_sam._qt.session_file_row import SessionFileRow
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.layers import LayerBinding
from napari_sam.layers.image_references import file_for, labels_for, reference_of
from napari_sam.layers.plane_view import levels
from napari_sam.session.jobs import Dispatcher, Job, LatestWinsExecutor, user_message
from napari_sam.session.journal.files import ImageReference
from napari_sam.session.journal.replaying import replay
from napari_sam.session.journal.session_file import (
    BeingMade,
    SavedSession,
    SessionFileError,
    SessionInfo,
    fingerprint_of,
    read_session,
    write_session,
)
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.session.session import AnnotationSession


@dataclass(frozen=True, eq=False)
class _Read:
    """A session file that was read, its image if that is open, and where else that may be."""

    saved: SavedSession
    image: Image | None
    path: Path | None


class SessionFileController:
    """Does what is asked for in a `SessionFileRow`."""

    def __init__(
        self,
        viewer: ViewerModel,
        binding: LayerBinding,
        session: AnnotationSession,
        keeper: JournalRecorder,
        dispatcher: Dispatcher,
    ) -> None:
        self._viewer, self._binding, self._session = viewer, binding, session
        self._keeper, self._dispatcher = keeper, dispatcher
        self._lane = LatestWinsExecutor("napari-sam-sessions", dispatcher)
        self.row = SessionFileRow(self._suggested)
        self.row.save_requested.connect(self.save)
        self.row.open_requested.connect(self.open)

    @property
    def is_idle(self) -> bool:
        """Whether no file is being written or read."""
        return self._lane.is_idle

    def close(self) -> None:
        """Stop for good; a file that is being written is written to its end, or not at all."""
        self._lane.close()

    def _suggested(self) -> str:
        image = self._binding.shown.image
        return "" if image is None else file_for(image, image.name)

    # Saving --------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write image reference, objects and the object being made to a file, in the background."""
        binding = self._binding
        image, target = binding.shown.image, binding.objects.need_target()
        if image is None or target is None:
            show_warning("There is no session to save yet: open and choose an image first.")
            return
        records, finest = tuple(target.book), levels(image)[0]
        classes = self._session.classes.table.classes
        info = SessionInfo(reference_of(image), target.layer.name, classes, self._being_made())

        def work(job: Job) -> None:
            reference = replace(info.image, fingerprint=fingerprint_of(finest))
            write_session(path, replace(info, image=reference), target, records, job.report)

        def on_done(_: None) -> None:
            # No record is ever changed, so the same ones stand for the same pixels.
            if tuple(target.book) != records and not target.is_gone:
                self.save(path)
                return
            self._keeper.note_saved(target)
            self._end()
            show_info(f"The session with {counted(len(records))} is in {path}.")

        self._begin(work, on_done, "The session could not be saved")

    def _being_made(self) -> BeingMade | None:
        state, view = self._session.object_in_progress.state, self._binding.shown.view
        if state.prompts.is_empty or view is None:
            return None
        reopened = state.reopened
        label_id = None if reopened is None else reopened.label_id
        return BeingMade(state, view.index, (view.row_axis, view.column_axis), label_id)

    # Opening -------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Restore the session of a file, in the background, into a new Labels layer."""
        self._read(path, self._open_images(), self._open_image_of)

    def _open_images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _read(self, path: Path, images: Sequence[Image], on_unknown: Callable[..., None]) -> None:
        """Read a session, and look for its image among layers, the current one first."""
        current = self._binding.shown.image
        in_order = sorted(images, key=lambda image: image is not current)
        known = [(image, reference_of(image), levels(image)[0]) for image in in_order]

        def work(_: Job) -> _Read:
            saved = read_session(path)
            image = next((one for one, *of in known if _is_the_same(saved.info.image, *of)), None)
            place = next((one for one in saved.image_paths if one.exists()), None)
            return _Read(saved, image, place)

        def on_done(read: _Read) -> None:
            if read.image is None:
                on_unknown(read)
            else:
                self._restore(read.saved, read.image)

        self._begin(work, on_done, "The session could not be opened")

    def _open_image_of(self, read: _Read) -> None:
        if read.path is None:
            self._refuse(_what_to_open(read.saved))
            return
        before = list(self._viewer.layers)
        try:
            self._viewer.open(str(read.path))
        except Exception as error:  # readers are plugins: they raise whatever they like
            self._refuse(f"{_what_to_open(read.saved)} {read.path} cannot be opened: {error}")
            return
        opened = [layer for layer in self._viewer.layers if layer not in before]

        def on_other_image(read: _Read) -> None:
            for layer in opened:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            self._refuse(f"{_what_to_open(read.saved)} {read.path} is another image by now.")

        self._read(read.saved.path, _images_of(opened), on_other_image)

    def _restore(self, saved: SavedSession, image: Image) -> None:
        self._binding.set_image(image)
        layer = labels_for(image, self._binding.shown.view, saved.shape, saved.dtype)
        layer.name = saved.info.labels_name
        target = self._binding.objects.follow_labels(layer)

        def on_done(_: None) -> None:
            self._keeper.keep(target, reference_of(image))
            self._binding.objects.attempt(
                lambda: self._binding.objects.add_target(layer, target, image)
            )
            self._binding.objects.attempt(lambda: self._session.classes.load(saved.info.classes))
            if saved.info.being_made is not None and image is self._binding.shown.image:
                self._go_on_with(saved.info.being_made, image)
            self._end()
            show_info(f"{counted(len(target.book))} of {saved.path.name} are in '{layer.name}'.")

        self._begin(
            lambda job: replay(saved.content.reported(job.report), target),
            on_done,
            "The session could not be opened",
        )

    def _go_on_with(self, made: BeingMade, image: Image) -> None:
        view = self._binding.shown.view
        if view is None or made.axes != (view.row_axis, view.column_axis):
            show_warning(
                "The object that was being made is not brought back: it was on a plane of axes "
                f"{made.axes}. Roll the axes (Ctrl-E) until these show, and open the session again."
            )
            return
        self._binding.shown.go_to(image, replace(view, index=made.index))

        def resume() -> None:
            try:
                self._session.objects.resume(made.state, made.label_id)
                self._binding.start_points()
            except TargetError as error:
                show_warning(f"The object that was being made could not be brought back: {error}")

        # The binding looks at the plane when the sliders have come to rest.
        self._dispatcher.post(resume)

    # What both have in common ----------------------------------------------------------------

    def _begin(self, work: Callable[[Job], Any], on_done: Any, failure: str) -> None:
        def on_failed(error: BaseException) -> None:
            self._refuse(_said(error, failure))

        def on_worked(result: Any) -> None:
            try:
                on_done(result)
            except Exception as error:  # a file from anywhere, and whatever napari makes of it
                on_failed(error)

        self.row.show_busy(True)
        self._lane.submit(work, on_worked, on_failed, self.row.show_progress)

    def _end(self) -> None:
        self.row.show_busy(False)

    def _refuse(self, message: str) -> None:
        self._end()
        show_warning(message)


def _said(error: BaseException, failure: str) -> str:
    return str(error) if isinstance(error, SessionFileError) else user_message(error, failure)


def _images_of(layers: Sequence[Layer]) -> list[Image]:
    return [layer for layer in layers if isinstance(layer, Image)]


def _is_the_same(wanted: ImageReference, known: ImageReference, array: Any) -> bool:
    """Return whether an open image has the pixels of one that is wanted; its name may differ."""
    if (wanted.shape, wanted.dtype) != (known.shape, known.dtype):
        return False
    return wanted.fingerprint is None or wanted.fingerprint == fingerprint_of(array)


def _what_to_open(saved: SavedSession) -> str:
    image = saved.info.image
    size = " x ".join(map(str, image.shape))
    where = "" if image.source is None else f", once in {image.source}"
    return (
        f"The image of this session is not there: open '{image.name}' ({size}, {image.dtype}"
        f"{where}), or put it beside the session file; then open the session again."
    )
