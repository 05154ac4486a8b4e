"""Write files so that no name ever belongs to half a file."""

import errno
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from napari_sam.storage.regular_files import require_regular_file

PARTIAL_SUFFIX: Final = ".part"
_PREFIX: Final = ".napari-sam-"
_NAME: Final = re.compile(rf"{re.escape(_PREFIX)}[0-9a-f]{{12}}{re.escape(PARTIAL_SUFFIX)}")
_ABANDONED_S: Final = 24 * 3600.0
_IN_USE_S: Final = 1.0
_RETRY_S: Final = 0.02


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of the file, and rename it once the block has succeeded.

    Where the path is a link, it stays one, and the file that it leads to is written. Partial files
    that killed programs left in the folder are removed after a day.
    """
    target = _target(path)
    # Short, because a name that is itself as long as the file system allows has to work.
    partial = target.with_name(f"{_PREFIX}{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    _remove_abandoned_once(target.parent.absolute())
    try:
        yield partial
        rename(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """Return the file that a path leads to; raise OSError if it is not a regular file."""
    with suppress(FileNotFoundError):
        require_regular_file(path)
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder; on Windows, wait a moment while another program has it open.

    Windows renames nothing that is open, and virus scanners open new files for some milliseconds.
    A file or an empty folder that has the name is replaced; Windows replaces no folder.
    """
    deadline_s = time.monotonic() + _IN_USE_S
    while True:
        try:
            path.replace(target)
            return
        except PermissionError:
            if platform.system() != "Windows" or time.monotonic() >= deadline_s:
                raise
        time.sleep(_RETRY_S)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for unfinished files, and remove it with whatever is left in it.

    The block gives the finished files their names with `publish`.
    """
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(finished: Path, path: Path) -> None:
    """Give a finished file its name, as `atomic_write` does."""
    target = _target(path)
    try:
        rename(finished, target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # a link may lead to another disk
            raise
        with atomic_write(target) as partial:
            shutil.copyfile(finished, partial)
        finished.unlink()


def is_own_file(path: Path, name: re.Pattern[str]) -> bool:
    """Whether a path has a name that only we give, and is a regular file rather than a link."""
    try:
        return name.fullmatch(path.name) is not None and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def remove_abandoned(folder: Path, age_s: float = _ABANDONED_S) -> None:
    """Remove the partial files of `atomic_write` that nobody has touched for some time."""
    oldest = time.time() - age_s
    with suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*{PARTIAL_SUFFIX}"):
            if is_own_file(path, _NAME) and path.stat().st_mtime < oldest:
                path.unlink()


@cache
def _remove_abandoned_once(folder: Path) -> None:
    """Look through a folder once per process, because it may hold many files."""
    remove_abandoned(folder)
