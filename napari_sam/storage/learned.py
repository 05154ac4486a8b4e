"""What was learned from the objects of a folder's images: a small JSON file for each folder."""

from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from napari_sam.storage.folders import settings_folder
from napari_sam.storage.settings import read_settings, write_settings

_MAX_BYTES: Final = 2**23
"""Several times what the lessons and examples of a folder take."""
_MAX_FILES: Final = 200
"""Folders that are remembered: those that were annotated last."""


def learned_file(folder: Path) -> Path:
    """Return the file of a folder with images; it need not exist yet."""
    name = blake2b(str(folder.absolute()).encode("utf-8", "surrogatepass"), digest_size=8)
    return settings_folder() / "learned" / f"{name.hexdigest()}.json"


def load_learned(folder: Path) -> Any:
    """Return what was learned on images of a folder; nothing where that cannot be read."""
    with suppress(OSError, ValueError):
        return read_settings(learned_file(folder), _MAX_BYTES)
    return {}


def save_learned(folder: Path, content: dict[str, Any]) -> None:
    """Keep what was learned; where that is impossible, it is learned again."""
    with suppress(OSError, ValueError):
        path = learned_file(folder)
        write_settings(path, content)
        files = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_MAX_FILES]:
            file.unlink(missing_ok=True)


def forget_learned(folder: Path) -> None:
    """Forget what was learned on images of a folder."""
    with suppress(OSError):
        learned_file(folder).unlink(missing_ok=True)
