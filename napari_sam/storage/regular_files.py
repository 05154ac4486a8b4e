"""Tell files from what only looks like one: reading a pipe or a device may never end."""

import errno
import stat
from pathlib import Path


def require_regular_file(path: str | Path) -> None:
    """Raise an OSError unless there is a file with content of a known length at the path."""
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
