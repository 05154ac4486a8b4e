"""Classes to a small file that a team shares, and from it or from others' lists of names.

The file is JSON in UTF-8::

    {"format": "napari-sam-live classes", "version": 1,
     "classes": [{"name": "nucleus", "color": "#e69f00"}, {"name": "debris", "color": "#56b4e9"}]}

in the order of the number keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml

from napari_sam.session.classes.classes import (
    ClassError,
    Classes,
    classes_from_json,
    classes_to_json,
)
from napari_sam.storage.atomic import atomic_write

CLASS_SUFFIXES: Final = (".json", ".yaml", ".yml", ".txt", ".names")
"""How files end that `read_classes` reads; ours end as the first one."""
_FORMAT: Final = "napari-sam-live classes"
_VERSION: Final = 1
MAX_CLASSES: Final = 2000
"""More in a file are no classes but some other text; the window would wait for them."""
_MAX_JSON_BYTES: Final = 2**25
"""Read in a second; COCO's classes come with the objects of many images."""
_MAX_TEXT_BYTES: Final = 2**17
"""YAML takes seconds for more."""


def write_classes(path: str | Path, classes: Classes) -> None:
    """Write classes with their colours, in their order."""
    path = Path(path)
    content = {"format": _FORMAT, "version": _VERSION, "classes": classes_to_json(classes)}
    try:
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
    except OSError as error:
        msg = f"{path} cannot be written ({error}): choose another folder or name."
        raise ClassError(msg) from error


def read_classes(path: str | Path) -> Classes:
    """Read classes."""
    path = Path(path)
    try:
        classes = classes_from_json(_content(path))
    except OSError as error:
        raise ClassError(f"{path} cannot be read as classes ({error}).") from error
    except ClassError as error:
        raise ClassError(f"{path} cannot be read as classes: {error}") from error
    if not classes:
        raise ClassError(f"There are no classes in {path}.")
    return classes


def _content(path: Path) -> Any:
    """Return the list of classes that a file says, whatever is in that."""
    suffix = path.suffix.lower()
    limit = _MAX_JSON_BYTES if suffix == ".json" else _MAX_TEXT_BYTES
    if path.stat().st_size > limit:
        msg = f"it is larger than {limit // 1024} KiB."
        raise ClassError(msg)
    try:
        listed = _listed(_parsed(path.read_text("utf-8-sig"), suffix))
    except (OSError, ClassError):
        raise
    except Exception as error:  # the readers of JSON and YAML raise whatever they like
        raise ClassError(str(error) or repr(error)) from error
    if isinstance(listed, list) and len(listed) > MAX_CLASSES:
        msg = f"there are {len(listed)} names in it, and {MAX_CLASSES} are the most."
        raise ClassError(msg)
    return listed


def _parsed(text: str, suffix: str) -> Any:
    # JSON is YAML, but for what nobody writes; its own reader is many times faster.
    if suffix == ".json":
        return json.loads(text)
    if suffix in (".yaml", ".yml"):
        return yaml.safe_load(text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _listed(content: Any) -> Any:
    """Return the list of classes in what a file says."""
    if not isinstance(content, dict):
        return content
    version = content.get("version", _VERSION)
    if content.get("format") == _FORMAT and version != _VERSION:
        msg = f"it is of version {version!r}, which this napari-sam-live does not know: update it."
        raise ClassError(msg)
    keys = ("classes", "names", "categories")
    found = next((content[key] for key in keys if key in content), None)
    if isinstance(found, dict):
        return _in_order(found)
    return found


def _in_order(numbered: dict[Any, Any]) -> list[Any]:
    """Return YOLO's names by their numbers, which are texts in JSON."""
    try:
        by_number = {int(number): name for number, name in numbered.items()}
    except (TypeError, ValueError):
        msg = "Names must be a list, or numbered with whole numbers."
        raise ClassError(msg) from None
    return [by_number[number] for number in sorted(by_number)]
