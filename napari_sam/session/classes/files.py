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
from napari_sam.writing import renamed_when_complete

CLASS_SUFFIXES: Final = (".json", ".yaml", ".yml", ".txt", ".names")
"""How files end that `read_classes` reads; ours end as the first one."""
_FORMAT: Final = "napari-sam-live classes"
_VERSION: Final = 1


def write_classes(path: str | Path, classes: Classes) -> None:
    """Write classes with their colours, in their order.

    Raises
    ------
    ClassError
        If the file cannot be written; what it was before is kept.
    """
    path = Path(path)
    content = {"format": _FORMAT, "version": _VERSION, "classes": classes_to_json(classes)}
    try:
        with renamed_when_complete(path) as partial:
            partial.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
    except OSError as error:
        msg = f"{path} cannot be written ({error}): choose another folder or name."
        raise ClassError(msg) from error


def read_classes(path: str | Path) -> Classes:
    """Read classes.

    Parameters
    ----------
    path : str or Path
        A file of ours; COCO's JSON; a JSON or YAML list; YOLO's ``data.yaml``, whose names are a
        list or numbered; or a text with a name on each line.

    Returns
    -------
    tuple of ObjectClass
        Those without a colour in the file have one of the palette.

    Raises
    ------
    ClassError
        If the file cannot be read or names no classes.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() in (".json", ".yaml", ".yml"):
            # JSON is YAML, but for what nobody writes; its own reader is many times faster.
            is_json = path.suffix.lower() == ".json"
            names = _listed(json.loads(text) if is_json else yaml.safe_load(text))
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
        classes = classes_from_json(names)
    except ClassError as error:
        raise ClassError(f"{path} cannot be read as classes: {error}") from error
    except RecursionError as error:
        raise ClassError(f"{path} cannot be read as classes: it is nested too deeply.") from error
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ClassError(f"{path} cannot be read as classes ({error}).") from error
    if not classes:
        raise ClassError(f"There are no classes in {path}.")
    return classes


def _listed(content: Any) -> Any:
    """Return the list of classes in what a file says."""
    if not isinstance(content, dict):
        return content
    if content.get("format") == _FORMAT and content.get("version", 0) > _VERSION:
        msg = "it was written by a newer version: update napari-sam-live."
        raise ClassError(msg)
    keys = ("classes", "names", "categories")
    found = next((content[key] for key in keys if key in content), None)
    if isinstance(found, dict):  # YOLO's numbers with names
        return [found[number] for number in sorted(found)]
    return found
