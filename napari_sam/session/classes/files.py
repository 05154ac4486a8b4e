"""Files of classes: a small one of our own, which a team shares, and lists of other programs.

Our own is JSON in UTF-8, in the order of the number keys::

    {"format": "napari-sam-live classes", "version": 1,
     "classes": [{"name": "nucleus", "color": "#e69f00"}, {"name": "debris", "color": "#56b4e9"}]}
"""

import json
from pathlib import Path
from typing import Any, Final

from napari_sam.formats.classes import ClassError
from napari_sam.formats.files import load_yaml
from napari_sam.formats.left_out import LeftOut
from napari_sam.session.classes.classes import Classes, classes_from_json, classes_to_json
from napari_sam.storage.atomic import atomic_write
from napari_sam.storage.regular_files import require_regular_file

CLASS_SUFFIXES: Final = (".json", ".yaml", ".yml", ".txt", ".names")
"""Suffixes of files that `read_classes` reads; the first one is that of our own."""
_FORMAT: Final = "napari-sam-live classes"
_VERSION: Final = 1
MAX_CLASSES: Final = 2000
"""A file with more is no list of classes; the window would wait for them."""
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


def read_classes(path: str | Path, left_out: LeftOut | None = None) -> Classes:
    """Read classes; those that cannot be read are counted, unless there are no others."""
    path, left_out = Path(path), LeftOut() if left_out is None else left_out
    try:
        classes = classes_from_json(_content(path), left_out)
        if not classes and left_out:
            raise ClassError(f"{left_out}.")
    except OSError as error:
        raise ClassError(f"{path} cannot be read as classes ({error}).") from error
    except ClassError as error:
        raise ClassError(f"{path} cannot be read as classes: {error}") from error
    if not classes:
        raise ClassError(f"There are no classes in {path}.")
    return classes


def _content(path: Path) -> Any:
    """Return the list of classes in a file, whatever its entries are."""
    suffix = path.suffix.lower()
    limit = _MAX_JSON_BYTES if suffix == ".json" else _MAX_TEXT_BYTES
    require_regular_file(path)
    if path.stat().st_size > limit:
        raise ClassError(f"it is larger than {limit // 1024} KiB.")
    try:
        entries = _entries(_parsed(path.read_text("utf-8-sig"), suffix))
    except (OSError, ClassError):
        raise
    except Exception as error:  # the readers of JSON and YAML raise many kinds of errors
        raise ClassError(str(error) or repr(error)) from error
    if isinstance(entries, list) and len(entries) > MAX_CLASSES:
        raise ClassError(f"it has {len(entries)} names, and {MAX_CLASSES} are the most.")
    return entries


def _parsed(text: str, suffix: str) -> Any:
    # JSON is (nearly) a subset of YAML; its own reader is many times faster.
    if suffix == ".json":
        return json.loads(text)
    if suffix in (".yaml", ".yml"):
        return load_yaml(text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _entries(content: Any) -> Any:
    """Return the list of classes within the content of a file."""
    if not isinstance(content, dict):
        return content
    version = content.get("version", _VERSION)
    if content.get("format") == _FORMAT and version != _VERSION:
        msg = f"it has version {version!r}, which is newer than this napari-sam-live: update it."
        raise ClassError(msg)
    keys = ("classes", "names", "categories")
    entries = next((content[key] for key in keys if key in content), None)
    return _in_order(entries) if isinstance(entries, dict) else entries


def _in_order(numbered: dict[Any, Any]) -> list[Any]:
    """Return YOLO's names by their numbers, which are texts in JSON."""
    try:
        by_number = {int(number): name for number, name in numbered.items()}
    except (TypeError, ValueError):
        raise ClassError("Names must be a list, or numbered with whole numbers.") from None
    return [by_number[number] for number in sorted(by_number)]
