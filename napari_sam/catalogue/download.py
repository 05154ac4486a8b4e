"""Download a model; the file gets its name only once its checksum has been verified."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from napari_sam.catalogue.local_files import has_hash
from napari_sam.catalogue.table import BUNDLED, PublishedFile, PublishedModel
from napari_sam.storage.atomic import publish, scratch_folder
from napari_sam.storage.folders import models_folder
from napari_sam.storage.web import open_address

if TYPE_CHECKING:
    import requests

ProgressCallback = Callable[[int, int], None]
"""Called as ``on_progress(done_bytes, total_bytes)``; raising stops the download."""

CHUNK_BYTES: Final = 2**18
TIMEOUT_S: Final = 20.0
_MAX_BYTES: Final = 2**33
"""Of a model whose size is not known; the largest one has 2.5 GB."""
_SIZE: Final = re.compile("[0-9]{1,15}")
_SCRATCH: Final = ".download-"
_SCRATCH_NAME: Final = re.compile(rf"{re.escape(_SCRATCH)}(\d+)-\d+")


class DownloadError(ValueError):
    """A model could not be downloaded; the message says what else can be done."""


def download(
    model: PublishedModel,
    on_progress: ProgressCallback = lambda done_bytes, total_bytes: None,
    folder: Path | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Path:
    """Download a model and its instance decoder, unless they are in the folder already."""
    if model.bundled is not None:
        return model.bundled
    folder = models_folder() if folder is None else folder
    path = _download_file(model, on_progress, folder, timeout_s)
    if model.decoder is not None:
        _download_file(model.decoder, on_progress, folder, timeout_s)
    return path


def _download_file(
    model: PublishedFile, on_progress: ProgressCallback, folder: Path, timeout_s: float
) -> Path:
    import requests  # late, as it takes long and few need it

    if model.url is None or model.known_hash is None:
        raise DownloadError(
            f"{model.name} cannot be downloaded here: get it from {model.page} and save it as "
            f"{model.file_name} in {folder}, or open it from where it is."
        )
    target = folder / model.file_name
    try:
        if _is_downloaded(model, target):
            return target
        remove_leftovers(folder)
        discard(threading.current_thread(), folder)  # of a program that had the same id
        with scratch_folder(_scratch(folder, threading.get_ident())) as scratch:
            fetched = scratch / model.file_name
            # Without retries: a user who sees the error can decide better than a loop.
            _fetch(model, fetched, on_progress, timeout_s)
            if not has_hash(fetched, model.known_hash):
                reason = "the file that arrived is not the published one: its checksum differs"
                raise DownloadError(_advice(model, folder, reason))
            if not _is_downloaded(model, target):
                publish(fetched, target)
    except requests.RequestException as error:
        raise DownloadError(_advice(model, folder, _reason(error))) from error
    except _StoppedError as stop:
        raise stop.reason from None
    except OSError as error:
        reason = f"the file cannot be written: {error}"
        raise DownloadError(_advice(model, folder, reason)) from error
    return target


def _scratch(folder: Path, thread_ident: int) -> Path:
    """Return a folder whose name tells its owner, so that leftovers can be recognized."""
    return folder / f"{_SCRATCH}{os.getpid()}-{thread_ident}"


def discard(thread: threading.Thread, folder: Path | None = None) -> None:
    """Remove the partial file of a thread, whose download may be waiting for a silent server.

    Where an open file cannot be removed, the next process does it.
    """
    folder = models_folder() if folder is None else folder
    if thread.ident is not None:
        shutil.rmtree(_scratch(folder, thread.ident), ignore_errors=True)


def _is_downloaded(model: PublishedFile, target: Path) -> bool:
    """Return whether the file is there; raise if another file has its name."""
    if not target.exists():
        return False
    if model.known_hash is not None and target.is_file() and has_hash(target, model.known_hash):
        return True
    raise DownloadError(
        f"{target.name} is not the published model: rename it or move it away, then download "
        f"{model.name} again. Its checksum differs: {target}. If it is your own model, choose it "
        "by its file name."
    )


def remove_leftovers(folder: Path | None = None) -> None:
    """Remove the partial files of processes that were killed."""
    folder = models_folder() if folder is None else folder
    with suppress(OSError):  # no folder, no leftovers
        for path in folder.glob(f"{_SCRATCH}*"):
            owner = _SCRATCH_NAME.fullmatch(path.name)
            if owner is not None and not psutil.pid_exists(int(owner[1])):
                shutil.rmtree(path, ignore_errors=True)


class _StoppedError(Exception):
    """The caller stopped the download by an error that is not about the network or the file."""

    def __init__(self, reason: OSError) -> None:
        self.reason = reason


def _fetch(
    model: PublishedFile, path: Path, on_progress: ProgressCallback, timeout_s: float
) -> None:
    """Write what the url of a model holds to a file."""

    def report(done: int) -> None:
        try:
            on_progress(done, total)
        except OSError as error:
            raise _StoppedError(error) from error

    with (
        open_address(str(model.url), timeout_s) as response,
        path.open("wb") as file,
    ):
        response.raise_for_status()
        total = _size_bytes(response) or model.size_bytes or 0
        report(0)
        done = 0
        for chunk in response.iter_content(CHUNK_BYTES):
            done += file.write(chunk)
            report(done)
            if done > (model.size_bytes or _MAX_BYTES):  # an endless file would fill the disk
                break


def _size_bytes(response: requests.Response) -> int | None:
    """Return the size that a server announces; None if that is not a number."""
    text = response.headers.get("content-length", "")
    return int(text) if _SIZE.fullmatch(text) else None


def _reason(error: requests.RequestException) -> str:
    import requests

    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off before the end"
    return "there is no connection to the server"


def _advice(model: PublishedFile, folder: Path, reason: str) -> str:
    return (
        f"Could not download {model.name}: {reason}. Try again later, or download {model.url} "
        f"yourself and save it as {model.file_name} in {folder}. Until then use {BUNDLED.name}, "
        "which is bundled with the plugin and works without a network."
    )
