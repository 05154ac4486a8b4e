"""Write files so that no name ever belongs to half a file."""

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

PARTIAL_SUFFIX: Final = ".part"
_PREFIX: Final = ".napari-sam-"
_ABANDONED_S: Final = 24 * 3600.0


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it once the block has succeeded.

    Partial files that killed programs left in the folder are removed after a day.
    """
    # Short, because a name that is itself as long as the file system allows has to work.
    partial = path.with_name(f"{_PREFIX}{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    _remove_abandoned_once(path.parent.absolute())
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a folder for unfinished files, and remove it with whatever is left in it.

    The block renames the finished files to where they belong.
    """
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(folder: Path, age_s: float = _ABANDONED_S) -> None:
    """Remove the partial files of `atomic_write` that nobody has touched for some time."""
    oldest = time.time() - age_s
    with suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*{PARTIAL_SUFFIX}"):
            if path.stat().st_mtime < oldest:
                path.unlink()


@cache
def _remove_abandoned_once(folder: Path) -> None:
    """Look through a folder once per process, because it may hold many files."""
    remove_abandoned(folder)
