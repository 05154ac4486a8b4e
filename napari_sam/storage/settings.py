"""Small JSON files in the folder of settings."""

import json
from pathlib import Path
from typing import Any, Final

from napari_sam.storage.atomic import atomic_write
from napari_sam.storage.regular_files import require_regular_file

_MAX_BYTES: Final = 2**16


def read_settings(path: Path, max_bytes: int = _MAX_BYTES) -> Any:
    """Return what a file says. Raise OSError or ValueError where that is impossible."""
    require_regular_file(path)
    if path.stat().st_size > max_bytes:
        raise ValueError("it is too large")
    try:
        return json.loads(path.read_text("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_settings(path: Path, content: dict[str, Any]) -> None:
    """Write a file, or remove it if there is nothing to say. Raise OSError where that fails."""
    if not content:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
