"""The keys that the user chose, in a small file: JSON, the key by its command."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs

from napari_sam.storage.atomic import atomic_write

FOLDER_VARIABLE: Final = "NAPARI_SAM_SETTINGS"
"""Names the folder of settings in place of the platform's."""


def keys_file() -> Path:
    """Return the file; it need not exist yet."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    folder = (
        Path(chosen).expanduser() if chosen else platformdirs.user_config_path("napari-sam-live")
    )
    return folder / "keys.json"


def load_keys() -> dict[str, str]:
    """Return the chosen keys by command; none if there is no file."""
    path = keys_file()
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"Your keys cannot be read from {path} ({error}): they are as they come."
        raise ValueError(msg) from error
    if not isinstance(content, dict) or not all(isinstance(one, str) for one in content.values()):
        msg = f"There are no keys in {path}: they are as they come."
        raise ValueError(msg)
    return content


def save_keys(chosen: Mapping[str, str]) -> None:
    """Write the chosen keys; without any, there is no file."""
    path = keys_file()
    try:
        if not chosen:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(dict(chosen), indent=1) + "\n", "utf-8")
    except OSError as error:
        msg = f"Your keys cannot be kept in {path} ({error}): they last until napari is closed."
        raise ValueError(msg) from error
