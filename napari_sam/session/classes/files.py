"""Files of classes: a small one of our own, which a team shares, and lists of other programs.

Our own is JSON in UTF-8, in the order of the number keys::

    {"format": "napari-sam-live classes", "version": 1,
     "classes": [{"name": "nucleus", "color": "#e69f00"}, {"name": "debris", "color": "#56b4e9"}]}
"""

import json
from pathlib import Path
from typing import Any, Final

from napari_sam.formats.classes import ClassError
from napari_sam.formats.files import (
    MAX_YAML_BYTES,
    file_reader,
    read_json,
    read_text,
    read_yaml,
    write_text,
)
from napari_sam.formats.left_out import LeftOut
from napari_sam.session.classes.classes import Classes, classes_from_json, classes_to_json

CLASS_SUFFIXES: Final = (".json", ".yaml", ".yml", ".txt", ".names")
"""Suffixes of files that `read_classes` reads; the first one is that of our own."""
_FORMAT: Final = "napari-sam-live classes"
_VERSION: Final = 1
MAX_CLASSES: Final = 2000
"""A file with more is not a list of classes; the window would have to wait."""
_MAX_JSON_BYTES: Final = 2**25
"""Read in a second; COCO's classes come with the objects of many images."""


def write_classes(path: str | Path, classes: Classes) -> None:
    """Write classes with their colors, in their order."""
    content = {"format": _FORMAT, "version": _VERSION, "classes": classes_to_json(classes)}
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


@file_reader("classes")
def read_classes(path: str | Path, left_out: LeftOut | None = None) -> Classes:
    """Read classes; those that cannot be read are counted, unless there are no others."""
    path, left_out = Path(path), LeftOut() if left_out is None else left_out
    entries = _entries(_content(path))
    if isinstance(entries, list) and len(entries) > MAX_CLASSES:
        raise ClassError(
            f"The file has {len(entries):,} names; at most {MAX_CLASSES:,} are allowed."
        )
    classes = classes_from_json(entries, left_out)
    left_out.require(classes, "The file cannot be read as classes", path.name)
    if not classes:
        raise ClassError(f"There are no classes in {path.name}.")
    return classes


def _content(path: Path) -> Any:
    """Return the content of a file; that of plain text is the list of its lines."""
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return read_yaml(path)
    limit = _MAX_JSON_BYTES if suffix == ".json" else MAX_YAML_BYTES
    if path.stat().st_size > limit:
        raise ClassError(f"The file is larger than {limit // 1024:,} KiB.")
    if suffix == ".json":
        return read_json(path)
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def _entries(content: Any) -> Any:
    """Return the list of classes within the content of a file."""
    if not isinstance(content, dict):
        return content
    version = content.get("version", _VERSION)
    if content.get("format") == _FORMAT and version != _VERSION:
        msg = (
            f"The file has version {version!r}, newer than this napari-sam-live; update the plugin."
        )
        raise ClassError(msg)
    keys = ("classes", "names", "categories")
    entries = next((content[key] for key in keys if key in content), None)
    return _in_order(entries) if isinstance(entries, dict) else entries


def _in_order(numbered: dict[Any, Any]) -> list[Any]:
    """Return YOLO's names by their numbers, which are texts in JSON."""
    try:
        by_number = {int(number): name for number, name in numbered.items()}
    except (TypeError, ValueError):
        raise ClassError("The names must be a list, or numbered with whole numbers.") from None
    return [by_number[number] for number in sorted(by_number)]
