"""Writing files so that no name ever belongs to half of one; needs nothing but Python."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

_PREFIX: Final = ".napari-sam-"
_SUFFIX: Final = ".part"
_ABANDONED_S: Final = 24 * 3600.0


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary file in the same folder, and rename it once it is complete.

    What programs that were killed have left of theirs in the folder goes after a day.
    """
    # Short, because a name that is itself as long as the file system allows has to work.
    partial = path.with_name(f"{_PREFIX}{secrets.token_hex(6)}{_SUFFIX}")
    _remove_abandoned(path.parent.absolute())
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@cache
def _remove_abandoned(folder: Path) -> None:
    """Remove what killed programs have left in a folder; once, because many files may be in it."""
    oldest = time.time() - _ABANDONED_S
    with suppress(OSError):
        for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            if left.stat().st_mtime < oldest:
                left.unlink()
