"""Getting a published model: from where it lies already, or from where it was published."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from psygnal import Signal

from napari_sam.catalogue import (
    DownloadError,
    PublishedModel,
    candidates,
    discard,
    download,
    locate,
)
from napari_sam.session.jobs import Dispatcher, Job, user_message
from napari_sam.storage.folders import models_folder

_STEP: Final = 0.002
"""Share of a file from one report to the next: often enough to look alive."""
_PATIENCE_S: Final = 1.0
"""How long a download that is stopped gets to clear up, while the window waits to close."""


@dataclass(frozen=True)
class SupplyState:
    """What is being got."""

    # the model whose file is being looked for, and looked at
    checking: PublishedModel | None = None
    downloading: PublishedModel | None = None  # the model that is being downloaded
    # share of the download that is done, 0 to 1, where 0 may also be an unknown share; None until
    # the server has answered
    fraction: float | None = None


class ModelFetcher:
    """Gets published models in the background: one by looking on this computer, one from afar.

    The latest request of each kind wins. All methods belong to the owner's thread.
    """

    changed = Signal(SupplyState)
    """Sent on the owner's thread with the new state."""
    found = Signal(PublishedModel, Path)
    """Sent on the owner's thread with a model that was to be used, and its verified file."""
    downloaded = Signal(PublishedModel, Path)
    """Sent on the owner's thread with a model that was downloaded, and its verified file."""
    failed = Signal(str)
    """Sent on the owner's thread with the reason, and what can be done."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._check: Job | None = None
        self._download: Job | None = None
        self._download_thread: threading.Thread | None = None
        self.state = SupplyState()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being got."""
        return self._check is None and self._download is None

    def use(self, model: PublishedModel) -> None:
        """Find a model on this computer."""
        self.cancel_use()
        self._check = Job(
            lambda _: _find(model),
            lambda path: self._on_found(model, path),
            lambda error: self._on_not_found(model, error),
            None,
            self._dispatcher,
        )
        self._publish(replace(self.state, checking=model))
        self._start(self._check)

    def download(self, model: PublishedModel) -> None:
        """Download a model; one that is being downloaded already goes on."""
        if model == self.state.downloading:
            return
        self._cancel_download()
        self._download = Job(
            lambda job: download(model, _reporter(job)),
            lambda path: self._on_downloaded(model, path),
            lambda error: self._on_download_failed(model, error),
            self._on_progress,
            self._dispatcher,
        )
        self._publish(replace(self.state, downloading=model, fraction=None))
        self._download_thread = self._start(self._download)

    def cancel_use(self) -> None:
        """Look for no model any more; a download goes on."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
            self._publish(replace(self.state, checking=None))

    def cancel(self) -> None:
        """Stop; nothing is left of an incomplete download."""
        self.cancel_use()
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

    def _start(self, job: Job) -> threading.Thread:
        # A thread of its own for each: the one before may hang on a silent server for a while,
        # and must keep neither the next request nor the program's end waiting.
        thread = threading.Thread(target=_run, args=(job, self._dispatcher), daemon=True)
        thread.start()
        return thread

    def _publish(self, state: SupplyState) -> None:
        self.state = state
        self.changed.emit(state)

    def _on_progress(self, fraction: float) -> None:
        self._publish(replace(self.state, fraction=fraction))

    def _on_found(self, model: PublishedModel, path: Path) -> None:
        self.cancel_use()
        self.found.emit(model, path)

    def _on_not_found(self, model: PublishedModel, error: BaseException) -> None:
        self.cancel_use()
        self.failed.emit(_message(model, error))

    def _on_downloaded(self, model: PublishedModel, path: Path) -> None:
        self._end_download()
        self.downloaded.emit(model, path)

    def _on_download_failed(self, model: PublishedModel, error: BaseException) -> None:
        self._end_download()
        self.failed.emit(_message(model, error))


def _find(model: PublishedModel) -> Path:
    named = candidates(model)
    if path := locate(model):
        return path
    how = f"see {model.page} for how to get it" if model.url is None else "press Download to get it"
    if not named:
        raise DownloadError(f"{model.name} is not on this computer any more; {how}.")
    if named[0] == models_folder() / model.file_name:  # a download would not replace it
        how = f"rename this file, then {how}"
    raise DownloadError(
        f"{named[0]} is not what its name says: its checksum is not that of {model.name}. "
        f"For the published model, {how}; the file itself can be opened as one of your own."
    )


def _message(model: PublishedModel, error: BaseException) -> str:
    if isinstance(error, DownloadError):
        return str(error)
    return user_message(error, f"{model.name} could not be got")


def _run(job: Job, dispatcher: Dispatcher) -> None:
    dispatcher.post(job.run())


def _reporter(job: Job) -> Callable[[int, int], None]:
    """Return what tells a job how far its download is, and stops it when it is cancelled."""
    reported = -1.0

    def report(done_bytes: int, total_bytes: int) -> None:
        nonlocal reported
        job.check()
        fraction = done_bytes / total_bytes if total_bytes else 0.0
        if fraction - reported >= _STEP or done_bytes == total_bytes:
            reported = fraction
            job.report(min(fraction, 1.0))

    return report
