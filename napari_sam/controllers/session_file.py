"""Saves a session to a file and opens one, in the background."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.layers import Image, Layer

from napari_sam._qt.session_file_row import SessionFileRow
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.journal import JournalRecorder
from napari_sam.controllers.unfinished import UnfinishedController
from napari_sam.layers.image_references import file_for, labels_for, reference_of
from napari_sam.layers.plane_view import levels
from napari_sam.layers.target import TargetLayer
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.journal.headers import ImageReference
from napari_sam.session.journal.replaying import replay
from napari_sam.session.journal.session_file import (
    SavedSession,
    SessionFileError,
    SessionInfo,
    image_fingerprint,
    read_session,
    write_session,
)
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.storage.named_files import is_image, is_within


class SessionFileController:
    """Saves and opens the session files of a `SessionFileRow`."""

    def __init__(
        self, context: WidgetContext, recorder: JournalRecorder, unfinished: UnfinishedController
    ) -> None:
        self._binding, self._session = context.binding, context.session
        self._viewer, self._dispatcher = context.viewer, context.dispatcher
        self._recorder, self._messages = recorder, context.messages
        self._unfinished = unfinished
        self._executor = context.session.background.executor("sessions", is_bulky=True)
        self.row = SessionFileRow(self._suggested)
        self.row.save_requested.connect(self.save)
        self.row.open_requested.connect(self.open)

    def _suggested(self) -> str:
        image = self._binding.plane.image
        return "" if image is None else file_for(image, image.name)

    # Saving --------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write image reference, objects and the unfinished object to a file, in the background."""
        binding = self._binding
        try:
            image, target = binding.plane.image, binding.target.require()
        except TargetError as error:
            self._messages.warn(str(error))
            return
        if image is None or target is None:
            self._messages.warn("There is nothing to save yet: open an image first.")
            return
        self._save(path, image, target, None)

    def _save(
        self, path: Path, image: Image, target: TargetLayer, unfinished: UnfinishedObject | None
    ) -> None:
        """Save a target; `unfinished` is its unfinished object unless it is still shown."""
        if image is self._binding.plane.image and target is self._binding.target.labels:
            unfinished = self._unfinished.shown
        records, finest = tuple(target.registry), levels(image)[0]
        classes = self._session.classes.table.classes
        learned = self._session.learning.to_json()
        info = SessionInfo(reference_of(image), target.layer.name, classes, unfinished, learned)

        def work(job: Job) -> None:
            reference = replace(info.image, fingerprint=image_fingerprint(finest))
            write_session(path, replace(info, image=reference), target, records, job.report)

        def on_done(_: None) -> None:
            # Records are immutable, so the same records stand for the same pixels.
            if tuple(target.registry) != records and not target.is_gone:
                self._save(path, image, target, unfinished)
                return
            self._recorder.mark_saved(target, unfinished)
            self.row.show_busy(False)
            self._messages.info(f"Saved {counted(len(records))} to {path.name}.")

        self._begin(work, on_done, "Could not save the session")

    # Opening -------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Restore the session of a file into a new Labels layer, in the background."""
        self._read(path, self._viewer.layers, self._open_image_of)

    def _read(self, path: Path, layers: Sequence[Layer], on_unknown: Callable[..., None]) -> None:
        """Read a session, and search its image among layers, the current one first."""
        current = self._binding.plane.image
        images = [layer for layer in layers if isinstance(layer, Image)]
        images.sort(key=lambda image: image is not current)
        arrays = [(image, reference_of(image), levels(image)[0]) for image in images]

        def work(_: Job) -> tuple[SavedSession, Image | None, Path | None]:
            saved = read_session(path)
            matches = (image for image, *array in arrays if _is_same(saved.info.image, *array))
            paths = (path for path in saved.image_paths if is_image(path))
            return saved, next(matches, None), next(paths, None)

        def on_done(content: tuple[SavedSession, Image | None, Path | None]) -> None:
            saved, image, path = content
            if image is None:
                on_unknown(saved, path)
            else:
                self._restore(saved, image)

        self._begin(work, on_done, "Could not open the session")

    def _open_image_of(self, saved: SavedSession, path: Path | None) -> None:
        is_near = path is not None and is_within(path, saved.path.parent)
        if path is None or not (is_near or self.row.may_open(path)):
            self._refuse(_what_to_open(saved))
            return
        layers_before = list(self._viewer.layers)
        try:
            self._viewer.open(str(path))
        except Exception as error:  # reader plugins may raise anything
            self._refuse(f"{_what_to_open(saved)} Could not open {path}: {error}")
            return
        opened = [layer for layer in self._viewer.layers if layer not in layers_before]

        def on_other_image(saved: SavedSession, path: Path | None) -> None:
            for layer in opened:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            self._refuse(f"{_what_to_open(saved)} {path} now holds another image.")

        self._read(saved.path, opened, on_other_image)

    def _restore(self, saved: SavedSession, image: Image) -> None:
        self._binding.set_image(image)
        layer = labels_for(image, self._binding.plane.view, saved.shape, saved.dtype)
        layer.name = saved.info.labels_name
        target = self._binding.target.follow(layer)

        def on_done(_: None) -> None:
            self._recorder.keep(target, reference_of(image))
            self._binding.objects.attempt(lambda: self._binding.target.add(layer, target, image))
            self._binding.objects.attempt(lambda: self._session.classes.load(saved.info.classes))
            if saved.info.learned:
                self._session.learning.keep(saved.info.learned)
            if saved.info.unfinished is not None and image is self._binding.plane.image:
                self._continue(saved.info.unfinished, image)
            self.row.show_busy(False)
            loaded = counted(len(target.registry))
            self._messages.info(f"Loaded {loaded} from {saved.path.name} into '{layer.name}'.")

        self._begin(
            lambda job: replay(saved.content.entries(job.report), target),
            on_done,
            "Could not open the session",
        )

    def _continue(self, unfinished: UnfinishedObject, image: Image) -> None:
        view = self._binding.plane.view
        is_shown = view is not None and unfinished.axes == (view.row_axis, view.column_axis)
        if view is None or not is_shown or len(unfinished.index) != len(view.index):
            self._messages.warn(
                f"Unfinished object on axes {unfinished.axes}: roll to them (Ctrl+E) and open "
                "this again."
            )
            return
        self._binding.plane.go_to(replace(view, index=unfinished.index))

        def resume() -> None:
            try:
                self._session.objects.resume(unfinished.state, unfinished.label_id)
                self._unfinished.choose_class(unfinished)
                self._binding.prompts.start_points()
            except TargetError as error:
                self._messages.warn(f"Could not restore the unfinished object: {error}")

        # The binding follows the sliders in the next round of the event loop.
        self._dispatcher.post(resume)

    # Both ----------------------------------------------------------------------------------

    def _begin(self, work: Callable[[Job], Any], on_done: Any, failure: str) -> None:
        def on_failed(error: BaseException) -> None:
            is_known = isinstance(error, SessionFileError)
            self._refuse(str(error) if is_known else user_message(error, failure))

        def on_worked(result: Any) -> None:
            try:
                on_done(result)
            except Exception as error:  # the file and napari may raise anything
                on_failed(error)

        self.row.show_busy(True)
        self._executor.submit(work, on_worked, on_failed, self.row.show_progress)

    def _refuse(self, message: str) -> None:
        self.row.show_busy(False)
        self._messages.fail(message)


def _is_same(expected: ImageReference, actual: ImageReference, array: Any) -> bool:
    """Return whether an open image has the expected pixels; its name may differ."""
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        return False
    return expected.fingerprint is None or expected.fingerprint == image_fingerprint(array)


def _what_to_open(saved: SavedSession) -> str:
    image = saved.info.image
    size = " x ".join(map(str, image.shape))
    source = "" if image.source is None else f", saved from {image.source}"
    return (
        f"Image not found. Open '{image.name}', then the session again, or put it "
        f"beside the session file ({size}, {image.dtype}{source})."
    )
