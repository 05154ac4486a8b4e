"""Whether the user has accepted an object yet: a file in the folder of settings says so."""

from contextlib import suppress
from pathlib import Path

from napari_sam.storage.folders import settings_folder


def _file() -> Path:
    return settings_folder() / "first-run-done"


def is_first_run() -> bool:
    """Whether no object has been accepted yet, here or in an earlier session."""
    try:
        return not _file().exists()
    except OSError:
        return False


def end_first_run() -> None:
    """Remember that an object was accepted; where that cannot be written, it is asked again."""
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().touch()
