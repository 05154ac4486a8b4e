"""Lines that are appended to a file, whole or not at all."""

import os
from collections import deque
from pathlib import Path
from typing import Final

_END_BYTES: Final = 64
"""These last bytes of a file, which include a checksum, distinguish it from any other."""


class AppendedLines:
    """Writes lines to a file; lines that a full disk refuses are kept for the next attempt."""

    def __init__(self, path: Path | None = None, sound_bytes: int = 0) -> None:
        self.path = path
        self._sound_bytes, self._end = sound_bytes, b""
        self._waiting: deque[bytes] = deque()

    def use_path(self, path: Path) -> None:
        """Set the file, which had none yet."""
        self.path = path

    def add(self, line: bytes) -> None:
        """Add a line to be written with the next `write`."""
        self._waiting.append(line)

    def clear(self) -> None:
        """Drop the lines that are not written yet."""
        self._waiting.clear()

    @property
    def waiting_bytes(self) -> int:
        """Number of bytes that are not written yet."""
        return sum(map(len, self._waiting))

    @property
    def is_lost(self) -> bool:
        """Whether the written lines are lost: the file is gone, cut short or another one."""
        if self.path is None or not self._sound_bytes:
            return False
        try:
            with self.path.open("rb", buffering=0) as file:
                if file.seek(0, os.SEEK_END) < self._sound_bytes:
                    return True
                file.seek(self._sound_bytes - len(self._end))
                return file.read(len(self._end)) != self._end
        except FileNotFoundError:
            return True
        except OSError:  # a file that cannot be read cannot be written either
            return False

    def write(self) -> None:
        """Write all waiting lines; the path must be set."""
        assert self.path is not None
        with self.path.open("r+b" if self._sound_bytes else "wb", buffering=0) as file:
            # A line torn by a full disk or a crash must not lie between sound ones.
            file.truncate(self._sound_bytes)
            file.seek(self._sound_bytes)
            while self._waiting:
                line = memoryview(self._waiting[0])
                while line:
                    line = line[file.write(line) :]
                written = self._waiting.popleft()
                self._end = written[-_END_BYTES:]
                self._sound_bytes += len(written)
