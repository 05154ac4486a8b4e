"""The files of journals: the program of each, and how long they are kept."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import psutil
import xxhash

from napari_sam.session.journal import checks
from napari_sam.session.journal.checks import JournalError
from napari_sam.session.journal.entries import from_line
from napari_sam.session.journal.headers import ImageReference, JournalHeader, header_from_json
from napari_sam.session.objects.edits import Direction
from napari_sam.storage.atomic import rename
from napari_sam.storage.folders import journals_folder

MAX_JOURNALS: Final = 100
"""However old they are: with a wrong clock, all of them would seem to be."""

_SUFFIX: Final = ".sam-journal.jsonl"
_NAME: Final = re.compile(
    r"[0-9a-f]+\.[0-9a-f]+"
    r"\.(?P<host>[0-9a-f]+)-(?P<pid>[0-9a-f]{1,8})"
    r"-(?:(?P<since_boot>[0-9a-f]{1,8}_[0-9a-f]{1,16})|(?P<started>[0-9a-f]{1,16}))"
    + re.escape(_SUFFIX)
)
"""Other files in the folder are not ours."""
_CLOCK_S: Final = 2
"""The start of a program is computed by each that asks, and clocks are adjusted."""
_PROC: Final = Path("/proc")
_START_FIELD: Final = 22 - 3
"""Of /proc/<pid>/stat, counted after the name of the program: see proc_pid_stat(5)."""
_OTHER_HOST_S: Final = 24 * 3600.0
"""A program on another machine counts as ended after so long without an entry."""
_TAIL_BYTES: Final = 2**20
_LATEST_S: Final = 2.0**33
"""A time that every calendar knows, 2242."""


@dataclass(frozen=True)
class JournalSummary:
    """A journal that is no longer written to."""

    path: Path  # its file
    header: JournalHeader  # its first line
    n_objects: int  # number of objects in the end
    ended: float  # when its last line was written, in seconds since the epoch
    is_closed: bool = False  # whether its program was closed, rather than ended by a crash
    n_unfinished: int = 0  # number of objects in progress


def new_path(reference: ImageReference, folder: Path) -> Path:
    """Return a new name for a journal of this program."""
    return folder / f"{reference.key}.{time.time_ns():x}.{_owner()}{_SUFFIX}"


def find_journals(
    reference: ImageReference, *, done_with: Collection[Path] = ()
) -> list[JournalSummary]:
    """Return the journals of an image that have objects to restore, newest first.

    Journals of running programs, including this one, are left out unless they are `done_with`, and
    so are those whose objects are all in one of the user's files. If there are too many journals,
    the oldest are removed, of whatever image.
    """
    folder = journals_folder()
    remove_old_journals(folder)
    journals = [
        summary
        for path in _journals(folder)
        if _may_be_of(path, reference) and (path in done_with or not is_in_use(path))
        if (summary := _summary(path)) is not None
        and (summary.n_objects or summary.n_unfinished)
        and not reference.is_other_scene(summary.header.image)
        and summary.header.fits(reference)
    ]
    return sorted(journals, key=lambda summary: summary.ended, reverse=True)


def _may_be_of(path: Path, reference: ImageReference) -> bool:
    """Whether a journal is named after an image, or is of another file with the same pixels."""
    if path.name.startswith(f"{reference.key}."):
        return True
    if reference.fingerprint is None:
        return False
    header = _header(path)
    if header is None:
        return False
    image, pixels = header.image, (reference.fingerprint, reference.shape, reference.dtype)
    return (image.fingerprint, image.shape, image.dtype) == pixels


def _header(path: Path) -> JournalHeader | None:
    """Return the first line of a journal; None if it is not a header."""
    try:
        with path.open("rb") as file:
            return header_from_json(from_line(file.readline(checks.MAX_LINE_BYTES)) or {})
    except (OSError, JournalError):
        return None


def claim(path: Path) -> Path | None:
    """Assign a journal to this program; return its new name, or None if it is gone."""
    key, begun, _ = path.name.split(".", 2)
    claimed = path.with_name(f"{key}.{begun}.{_owner()}{_SUFFIX}")
    try:
        rename(path, claimed)
    except OSError:
        return None
    return claimed


def discard(path: Path) -> None:
    """Remove a journal."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def remove_old_journals(folder: Path) -> None:
    """Remove the oldest journals if there are too many, except those of running programs."""
    newest_first = sorted(_journals(folder), key=_last_written, reverse=True)
    for path in newest_first[MAX_JOURNALS:]:
        if not is_in_use(path):
            discard(path)


def is_in_use(path: Path) -> bool:
    """Whether the program that a journal belongs to is still running."""
    owner = _NAME.fullmatch(path.name)
    if owner is None:
        return True  # its program is unknown
    if owner["host"] != _host():
        return time.time() - _last_written(path) < _OTHER_HOST_S
    pid = int(owner["pid"], 16)
    if owner["since_boot"] is not None:
        return _since_boot(pid) == owner["since_boot"]
    started = _started(pid)
    return started is not None and abs(started - int(owner["started"], 16)) <= _CLOCK_S


def _journals(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        for path in folder.glob(f"*.*.*-*-*{_SUFFIX}"):
            if _NAME.fullmatch(path.name) and path.is_file():
                yield path


def _last_written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another program has just removed it
        return 0.0


def _summary(path: Path) -> JournalSummary | None:
    """Return the content of the first and the last sound line; None if the first is not a header.

    Objects that were saved to a file are not counted, except for those in progress since.
    """
    header = _header(path)
    if header is None:
        return None
    try:
        with path.open("rb") as file:
            size, length, last = path.stat().st_size, _TAIL_BYTES, None
            while last is None and length < 2 * max(size, _TAIL_BYTES):
                file.seek(max(0, size - length))
                lines = file.read().splitlines(keepends=True)
                last = next((end for line in reversed(lines) if (end := _end(line))), None)
                length *= 2
    except OSError:
        return None
    if last is None:
        return None
    is_saved = last["direction"] == Direction.SAVED or last["is_saved"] is True
    return JournalSummary(
        path,
        header,
        0 if is_saved else last["n_objects"],
        last["at"],
        last["direction"] == Direction.CLOSED,
        len(last["unfinished"]),
    )


def _end(line: bytes) -> dict[str, Any] | None:
    """Return what an entry says of the end, if it is the last one; None if it is not sound."""
    content = from_line(line)
    if content is None:
        return None
    get = content.get
    try:
        return {
            "direction": get("direction"),
            "n_objects": checks.whole(get("n_objects", 0), "n_objects"),
            "at": max(0.0, checks.number(get("at"), "at", _LATEST_S)),
            "is_saved": get("is_saved", False),
            "unfinished": checks.items(get("unfinished", []), "unfinished"),
        }
    except JournalError:
        return None


@cache
def _host() -> str:
    return xxhash.xxh32(platform.node().encode()).hexdigest()


def _owner() -> str:
    pid = os.getpid()
    return f"{_host()}-{pid:x}-{_since_boot(pid) or format(_started(pid) or 0, 'x')}"


def _since_boot(pid: int) -> str | None:
    """Return what distinguishes a process from a later one of the same id, whatever the clock.

    That is the boot of the computer, and how long after it the process began. None if there is no
    such process, or this is not Linux.
    """
    try:
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_bytes()
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    after_name = stat.rpartition(b")")[2].split()
    return f"{xxhash.xxh32(boot_id).hexdigest()}_{int(after_name[_START_FIELD]):x}"


def _started(pid: int) -> int | None:
    """Return when a process began, which tells it from later ones; None if there is none."""
    try:
        return int(psutil.Process(pid).create_time())
    except (psutil.Error, OverflowError):
        return None
