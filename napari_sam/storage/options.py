"""The options that are kept from one start to the next, in a small JSON file."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_sam.storage.folders import settings_folder
from napari_sam.storage.settings import read_settings, write_settings


def options_file() -> Path:
    """Return the file of options; it need not exist yet."""
    return settings_folder() / "options.json"


def load_options() -> dict[str, Any]:
    """Return the options that were saved; none where they cannot be read."""
    with suppress(OSError, ValueError):
        content = read_settings(options_file())
        return content if isinstance(content, dict) else {}
    return {}


def save_options(options: Mapping[str, Any]) -> None:
    """Save some options beside the others; where that is impossible, the defaults come back."""
    with suppress(OSError, ValueError):
        write_settings(options_file(), {**load_options(), **options})
