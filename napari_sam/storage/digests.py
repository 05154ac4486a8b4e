"""Hashes of files."""

from pathlib import Path
from typing import Final

import xxhash

from napari_sam.storage.regular_files import require_regular_file

_BLOCK_BYTES: Final = 2**22


def digest(path: str | Path) -> str:
    """Return a hash of the content of a file, or of all files in a folder."""
    path = Path(path)
    hasher = xxhash.xxh128()
    files = sorted(file for file in path.rglob("*") if file.exists() and not file.is_dir())
    for file in files if path.is_dir() else [path]:
        require_regular_file(file)
        if file != path:
            hasher.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                hasher.update(block)
    return hasher.hexdigest()
