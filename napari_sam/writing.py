"""Writing files so that no name ever belongs to half of one; needs nothing but Python."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def renamed_when_complete(path: Path) -> Iterator[Path]:
    """Give a temporary file in the same folder, and rename it once it is complete.

    Parameters
    ----------
    path : Path
        The file to write or to replace.

    Yields
    ------
    Path
        Where to write. If the block fails, it is removed and `path` is as it was.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    # Short, because a name that is itself as long as the file system allows has to work.
    partial = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
