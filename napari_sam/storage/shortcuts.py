"""The user's shortcuts, in a small JSON file: the key combination of each command."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from napari_sam.storage.atomic import atomic_write
from napari_sam.storage.folders import settings_folder
from napari_sam.storage.regular_files import require_regular_file

_MAX_BYTES: Final = 2**16


def shortcuts_file() -> Path:
    """Return the file of shortcuts; it need not exist yet."""
    return settings_folder() / "keys.json"


def load_shortcuts() -> dict[str, str]:
    """Return the user's shortcuts by command; empty without a file."""
    path = shortcuts_file()
    try:
        if not path.exists():
            return {}
        require_regular_file(path)
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"Could not read your shortcuts from {path} ({error}); using the defaults."
        raise ValueError(msg) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content.values()):
        raise ValueError(f"{path} contains no shortcuts; using the defaults.")
    return content


def save_shortcuts(shortcuts: Mapping[str, str]) -> None:
    """Write the user's shortcuts; remove the file if there are none."""
    path = shortcuts_file()
    try:
        load_shortcuts()
    except ValueError as error:
        raise ValueError(
            f"{path} is not a shortcuts file, so it was not overwritten: rename or remove it. Your "
            "shortcuts apply until you close napari."
        ) from error
    try:
        if not shortcuts:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(dict(shortcuts), indent=1) + "\n", "utf-8")
    except OSError as error:
        raise ValueError(
            f"Could not save your shortcuts to {path} ({error}); they apply until you close napari."
        ) from error
