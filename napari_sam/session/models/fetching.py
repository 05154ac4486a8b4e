"""Fetch a published model: find its file on this computer, or download it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from psygnal import Signal

from napari_sam.catalogue.download import DownloadError, discard, download
from napari_sam.catalogue.local_files import candidates, locate
from napari_sam.catalogue.table import PublishedModel
from napari_sam.session.jobs import Dispatcher, Job, user_message
from napari_sam.storage.folders import models_folder

_STEP: Final = 0.002
"""Share of a file from one report to the next: often enough to look alive."""
_PATIENCE_S: Final = 1.0
"""How long closing the window waits for a cancelled download to clean up."""


@dataclass(frozen=True)
class FetchState:
    """The model that is being fetched."""

    # the model whose file is being searched for and verified
    checking: PublishedModel | None = None
    downloading: PublishedModel | None = None  # the model that is being downloaded
    # share of the download that is done, 0 to 1, where 0 may also be an unknown share; None until
    # the server has answered
    fraction: float | None = None


class ModelFetcher:
    """Finds and downloads published models in the background.

    The latest request of each kind wins. All methods belong to the owner's thread.
    """

    changed = Signal(FetchState)
    """Sent on the owner's thread with the new state."""
    found = Signal(PublishedModel, Path)
    """Sent on the owner's thread with a model that was found, and its verified file."""
    downloaded = Signal(PublishedModel, Path)
    """Sent on the owner's thread with a model that was downloaded, and its verified file."""
    failed = Signal(str)
    """Sent on the owner's thread with the reason, and what can be done."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._check: Job | None = None
        self._download: Job | None = None
        self._download_thread: threading.Thread | None = None
        self.state = FetchState()

    @property
    def is_idle(self) -> bool:
        """Whether no model is being fetched."""
        return self._check is None and self._download is None

    def find(self, model: PublishedModel) -> None:
        """Find a model on this computer."""
        self.cancel_find()
        self._check = self._job(lambda _: _find(model), model, self.cancel_find, self.found)
        self._publish(replace(self.state, checking=model))
        self._start(self._check)

    def download(self, model: PublishedModel) -> None:
        """Download a model, unless that is under way."""
        if model == self.state.downloading:
            return
        self._cancel_download()
        self._download = self._job(
            lambda job: download(model, _reporter(job)), model, self._end_download, self.downloaded
        )
        self._publish(replace(self.state, downloading=model, fraction=None))
        self._download_thread = self._start(self._download)

    def cancel_find(self) -> None:
        """Stop searching; a download continues."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
            self._publish(replace(self.state, checking=None))

    def cancel(self) -> None:
        """Stop, and delete an incomplete download."""
        self.cancel_find()
        self._cancel_download()

    def close(self) -> None:
        """Stop, and wait a moment for an incomplete download to be removed."""
        thread = self._download_thread
        self.cancel()
        if thread is not None:
            thread.join(_PATIENCE_S)
            discard(thread)

    def _cancel_download(self) -> None:
        if self._download is not None:
            self._download.cancel()
            self._end_download()

    def _end_download(self) -> None:
        self._download = None
        self._publish(replace(self.state, downloading=None, fraction=None))

    def _job(
        self, work: Callable[[Job], Path], model: PublishedModel, end: Callable[[], None], done: Any
    ) -> Job:
        """Return a job that calls `end` and then emits `done` or `failed`."""

        def on_done(path: Path) -> None:
            end()
            done.emit(model, path)

        def on_failed(error: BaseException) -> None:
            end()
            is_for_user = isinstance(error, DownloadError)
            what = f"{model.name} could not be fetched"
            self.failed.emit(str(error) if is_for_user else user_message(error, what))

        return Job(work, on_done, on_failed, self._on_progress, self._dispatcher)

    def _start(self, job: Job) -> threading.Thread:
        # Each has its own thread: the previous one may hang on a silent server for a while,
        # and must keep neither the next request nor the program's end waiting.
        thread = threading.Thread(target=lambda: self._dispatcher.post(job.run()), daemon=True)
        thread.start()
        return thread

    def _publish(self, state: FetchState) -> None:
        self.state = state
        self.changed.emit(state)

    def _on_progress(self, fraction: float) -> None:
        self._publish(replace(self.state, fraction=fraction))


def _find(model: PublishedModel) -> Path:
    named = candidates(model)
    if path := locate(model):
        return path
    how = f"see {model.page}" if model.url is None else "press Download in the window of models"
    if not named:
        raise DownloadError(f"{model.name} is not on this computer: {how}.")
    if named[0] == models_folder() / model.file_name:  # a download would not replace it
        how = f"rename this file, then {how}"
    raise DownloadError(
        f"{named[0].name} is not {model.name} (another checksum): {how}, or open it as your own "
        f"model: {named[0]}"
    )


def _reporter(job: Job) -> Callable[[int, int], None]:
    """Return a callback that reports the progress of a download and stops a cancelled one."""
    reported = -1.0

    def report(done_bytes: int, total_bytes: int) -> None:
        nonlocal reported
        job.check()
        fraction = done_bytes / total_bytes if total_bytes else 0.0
        if fraction - reported >= _STEP or done_bytes == total_bytes:
            reported = fraction
            job.report(min(fraction, 1.0))

    return report
