"""The user's shortcuts, in a small JSON file: the key combination of each command."""

from collections.abc import Mapping
from pathlib import Path

from napari_sam.storage.folders import settings_folder
from napari_sam.storage.settings import read_settings, write_settings


def shortcuts_file() -> Path:
    """Return the file of shortcuts; it need not exist yet."""
    return settings_folder() / "keys.json"


def load_shortcuts() -> dict[str, str]:
    """Return the user's shortcuts by command; empty without a file."""
    path = shortcuts_file()
    try:
        if not path.exists():
            return {}
        content = read_settings(path)
    except (OSError, ValueError) as error:
        msg = f"Could not read your shortcuts from {path} ({error}); using the defaults."
        raise ValueError(msg) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content.values()):
        raise ValueError(f"{path.name} contains no shortcuts; using the defaults: {path}")
    return content


def save_shortcuts(shortcuts: Mapping[str, str]) -> None:
    """Write the user's shortcuts; remove the file if there are none."""
    path = shortcuts_file()
    try:
        load_shortcuts()
    except ValueError as error:
        raise ValueError(
            f"Not saved: {path.name} is not a shortcuts file. Rename or remove it; until you close "
            f"napari, your shortcuts apply ({path})."
        ) from error
    try:
        write_settings(path, dict(shortcuts))
    except OSError as error:
        raise ValueError(
            f"Could not save your shortcuts to {path} ({error}); they apply until you close napari."
        ) from error
