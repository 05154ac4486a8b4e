"""Embeddings on disk, under keys of what they were computed from."""

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import xxhash
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.engine.embeddings import EmbeddingArrays
from napari_sam.storage.atomic import atomic_write, is_own_file, remove_abandoned
from napari_sam.storage.folders import embeddings_folder

DEFAULT_CAPACITY_BYTES: Final = 4 * 2**30
"""About a thousand embeddings of SAM in float32."""

_SUFFIX: Final = ".safetensors"
_NAME: Final = re.compile(rf"[0-9a-f]{{32}}-.+{re.escape(_SUFFIX)}")
"""The `content_key` of an image, and the fingerprint of an encoder."""
_CHECKSUM: Final = re.compile("[0-9a-f]{32}")
_MAX_HEADER_BYTES: Final = 2**16
_ABANDONED_S: Final = 3600.0
_DTYPES: Final = {
    "F32": np.float32,
    "F16": np.float16,
    "U16": np.uint16,
    "BF16": np.uint16,  # in files of earlier versions
}
"""The types of safetensors that arrays of embeddings have; bfloat16 as its bits."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreUsage:
    """What a store holds."""

    count: int  # number of embeddings
    size_bytes: int  # size of their files together


class EmbeddingStore:
    """A folder of embeddings, one file each, that several programs may share.

    A file gets its name when it is complete; a damaged one is removed when it is read. A disk that
    is full or read-only raises nothing: then nothing is stored. Other files in the folder are left
    alone: those of another name or header, and links.

    Parameters
    ----------
    folder : Path, optional
        `embeddings_folder` by default.
    capacity_bytes : int
        Total size of the files above which the least recently used ones are removed.
    """

    changed = Signal(StoreUsage)
    """Sent on the store's own thread when an embedding was written."""

    def __init__(
        self, folder: Path | None = None, capacity_bytes: int = DEFAULT_CAPACITY_BYTES
    ) -> None:
        self.folder = embeddings_folder() if folder is None else folder
        self._capacity_bytes = capacity_bytes
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="napari-sam-store")
        self._last: Future[None] | None = None
        self.trouble = ""
        """Why an embedding could not be stored; empty if none failed."""

    def get(self, key: str) -> EmbeddingArrays | None:
        """Read the embedding of `key`; None if there is none, or it is damaged."""
        path = self._path(key)
        if not is_own_file(path, _NAME):
            return None
        try:
            arrays = _read(path)
        except (OSError, MemoryError) as error:  # the file may be whole
            _LOGGER.info("The stored embedding %s cannot be read: %s", path, error)
            return None
        except Exception as error:
            # A damaged file can raise anything.
            _LOGGER.info("The stored embedding %s is damaged: %s", path, error)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)  # the time of last use
        return arrays

    def put(self, key: str, arrays: EmbeddingArrays) -> None:
        """Store an embedding, on the store's own thread."""
        with suppress(RuntimeError):  # closed meanwhile
            self._last = self._writer.submit(self._write, key, arrays)

    def flush(self) -> None:
        """Wait until everything is written."""
        if self._last is not None:
            self._last.result()

    def usage(self) -> StoreUsage:
        """Return how much is stored."""
        sizes = [size for _, size, _ in self._files()]
        return StoreUsage(len(sizes), sum(sizes))

    def room_bytes(self) -> int:
        """Return the capacity in bytes, limited by the free space on the disk."""
        folders = (self.folder, *self.folder.parents)
        try:
            free = shutil.disk_usage(next(filter(Path.exists, folders))).free
        except OSError:
            return self._capacity_bytes
        return min(self._capacity_bytes, free + self.usage().size_bytes)

    def clear(self) -> None:
        """Remove all embeddings."""
        for path, _, _ in list(self._files()):
            with suppress(OSError):
                _remove(path)

    def close(self) -> None:
        """Accept nothing more; pending embeddings are still written."""
        self._writer.shutdown(wait=False)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        """Yield path, size and time of last use of each file."""
        try:
            paths = list(self.folder.glob(f"*{_SUFFIX}"))
        except OSError:
            return
        for path in paths:
            with suppress(OSError):  # another program may have removed it just now
                if is_own_file(path, _NAME):
                    status = path.stat()
                    yield path, status.st_size, status.st_mtime

    def _write(self, key: str, arrays: EmbeddingArrays) -> None:
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                raise FileExistsError(f"{path} is a link")
            with atomic_write(path) as partial:
                _save(arrays, partial)
            self.changed.emit(self._make_room())
        except Exception as error:  # safetensors raises its own for a full disk
            if not self.trouble:
                self.trouble = f"Could not store embeddings in {self.folder}: {error}"
                _LOGGER.warning("%s", self.trouble)

    def _make_room(self) -> StoreUsage:
        """Remove the least recently used files beyond the capacity; return what is left."""
        files = sorted(self._files(), key=lambda file: file[2])
        count, size_bytes = len(files), sum(size for _, size, _ in files)
        for path, size, _ in files[:-1]:
            if size_bytes <= self._capacity_bytes:
                break
            if _remove(path):
                count, size_bytes = count - 1, size_bytes - size
        remove_abandoned(self.folder, _ABANDONED_S)
        return StoreUsage(count, size_bytes)


def _save(arrays: EmbeddingArrays, path: Path) -> None:
    from safetensors.numpy import save_file

    contents = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contents, path, metadata={"checksum": _checksum(contents)})


def _header(file: BinaryIO) -> tuple[dict[str, Any], str]:
    """Return the entries of the arrays, which follow, and their checksum.

    A file is the length of a JSON header, the header, and the arrays. Of a damaged file, or one
    that is not of a store, it raises some exception.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError("its header is too long")
    header = json.loads(file.read(length))
    checksum = header.pop("__metadata__")["checksum"]
    if not _CHECKSUM.fullmatch(checksum):
        raise ValueError("it has no checksum")
    return header, checksum


def _remove(path: Path) -> bool:
    """Remove a file of a store; return whether it was one."""
    try:
        with path.open("rb") as file:
            _header(file)
    except FileNotFoundError:  # another program has removed it
        return True
    except Exception:  # of another file
        return False
    path.unlink(missing_ok=True)
    return True


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file; a damaged one raises some exception.

    Without safetensors, which has no bfloat16 for NumPy.
    """
    with path.open("rb") as file:
        header, expected = _header(file)
        content = bytearray(file.read())  # so that the arrays can be written to
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = np.frombuffer(memoryview(content)[first:last], _DTYPES[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    if _checksum(arrays) != expected:
        raise ValueError("its checksum differs")
    return arrays


def _checksum(arrays: EmbeddingArrays) -> str:
    digest = xxhash.xxh128()
    for name in sorted(arrays):
        digest.update(arrays[name].data)
    return digest.hexdigest()
