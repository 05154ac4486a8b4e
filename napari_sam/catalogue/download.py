"""Downloading a model: a file gets its name only after its checksum was found right."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import requests

from napari_sam.catalogue.places import has_hash
from napari_sam.catalogue.table import EMBEDDED, PublishedModel
from napari_sam.storage.folders import models_folder

ProgressCallback = Callable[[int, int], None]
"""Called as ``on_progress(done_bytes, total_bytes)``; raising stops the download."""

CHUNK_BYTES: Final = 2**18
TIMEOUT_S: Final = 20.0
_WORKSHOP: Final = ".download-"


class DownloadError(ValueError):
    """A model could not be downloaded; the message says what else can be done."""


def download(
    model: PublishedModel,
    on_progress: ProgressCallback | None = None,
    folder: Path | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Path:
    """Download a model, unless it is there."""
    if model.embedded is not None:
        return model.embedded
    folder = models_folder() if folder is None else folder
    if model.url is None or model.known_hash is None:
        raise DownloadError(
            f"{model.name} cannot be downloaded from here: get its file from {model.page} and put "
            f"it as {model.file_name} into {folder}, or open it from where it is."
        )
    target = folder / model.file_name
    # Of a name that tells whose it is, so that what a killed program leaves can be told.
    workshop = _workshop(folder, threading.get_ident())
    transfer = _Transfer(on_progress, timeout_s, model.size_bytes)
    try:
        if _is_there(model, target):
            return target
        remove_leftovers(folder)
        workshop.mkdir(parents=True)
        made = workshop / model.file_name
        # Without retries: a user who is told can decide better than a loop.
        transfer(model.url, made)
        if not has_hash(made, model.known_hash):
            reason = "what arrived is not the published file: its checksum differs"
            raise DownloadError(_advice(model, folder, reason))
        if not _is_there(model, target):
            made.replace(target)
    except requests.RequestException as error:
        raise DownloadError(_advice(model, folder, _reason(error))) from error
    except OSError as error:
        if transfer.callback_error is error:
            raise
        reason = f"the file cannot be written: {error}"
        raise DownloadError(_advice(model, folder, reason)) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return target


def _workshop(folder: Path, thread_ident: int) -> Path:
    return folder / f"{_WORKSHOP}{os.getpid()}-{thread_ident}"


def discard(thread: threading.Thread, folder: Path | None = None) -> None:
    """Remove what the download of a thread has written, which may wait for a silent server.

    Where an open file cannot be removed, the next program does it.
    """
    folder = models_folder() if folder is None else folder
    if thread.ident is not None:
        shutil.rmtree(_workshop(folder, thread.ident), ignore_errors=True)


def _is_there(model: PublishedModel, target: Path) -> bool:
    """Tell whether the model need not be downloaded; refuse to replace anything else."""
    if not target.exists():
        return False
    if model.known_hash is not None and target.is_file() and has_hash(target, model.known_hash):
        return True
    raise DownloadError(
        f"{model.name} is not downloaded, because {target} is there and is not the published "
        "model: its checksum differs. Rename the file or move it away, then download again; if "
        "it is a model of your own, choose it by its file name."
    )


def remove_leftovers(folder: Path | None = None) -> None:
    """Remove what downloads of programs that were killed have left."""
    folder = models_folder() if folder is None else folder
    with suppress(OSError):  # a folder that cannot be read has none of ours
        for path in folder.glob(f"{_WORKSHOP}*"):
            owner = path.name.removeprefix(_WORKSHOP).partition("-")[0]
            if not (owner.isdigit() and psutil.pid_exists(int(owner))):
                shutil.rmtree(path, ignore_errors=True)


class _Progress:
    """Passes pooch's progress on, and notices if the caller stops the download by raising."""

    def __init__(self, on_progress: ProgressCallback | None, size_bytes: int | None) -> None:
        self._on_progress = on_progress
        self._size_bytes = size_bytes or 0
        self._done = 0
        self.cancelled_by: BaseException | None = None

    @property
    def total(self) -> int:
        """Size of the file; pooch sets it to 0 if the server does not say."""
        return self._size_bytes

    @total.setter
    def total(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes or self._size_bytes
        self._report()

    def update(self, size_bytes: int) -> None:
        """Count a chunk; pooch does not say how full the last one is."""
        self._done += size_bytes
        if self._size_bytes:
            self._done = min(self._done, self._size_bytes)
        self._report()

    def reset(self) -> None:
        """Begin to count again, before pooch reports the whole file as one chunk."""
        self._done = 0

    def close(self) -> None:
        """Do nothing; pooch calls it at the end."""

    def _report(self) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(self._done, self._size_bytes)
        except BaseException as error:
            self.cancelled_by = error
            raise


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off before the end"
    return "there is no connection to the server"


def _advice(model: PublishedModel, folder: Path, reason: str) -> str:
    return (
        f"{model.name} could not be downloaded: {reason}. Try again later, or get {model.url} in "
        f"another way and put it as {model.file_name} into {folder}. Until then "
        f"{EMBEDDED.name}, which ships with the plugin, works without a network."
    )
