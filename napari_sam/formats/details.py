"""Details of the objects of a label image: a text for the metadata of the file.

The text is JSON in ASCII: ``{"label_details": {"classes": [{"name", "color_rgb"}], "objects":
{label_id: {"class", "score", "reviewed", "note"}}}}``. Members without a value are left out.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import classes_from_metadata, classes_to_metadata
from napari_sam.formats.image import ImageInfo
from napari_sam.storage.text import json_text, says_something

DETAILS_KEY: Final = "label_details"


def details_to_text(annotations: Annotations) -> str:
    """Return classes, and class, score, review and note of objects as text; "" if none has any."""
    objects: dict[int, dict[str, Any]] = {}
    for obj in annotations.objects:
        items = details_of(obj).items()
        details = {key: value for key, value in items if says_something(value)}
        if details:
            objects.setdefault(obj.label_id, details)
    if not objects and not annotations.classes:
        return ""
    classes = classes_to_metadata(annotations.classes)
    return json_text({DETAILS_KEY: {"classes": classes, "objects": objects}})


def annotations_with_details(
    image: ImageInfo, objects: Iterable[ExportObject], text: str
) -> Annotations:
    """Return the objects of a label image with the details in its text, which may be any text."""
    try:
        details = json.loads(text)[DETAILS_KEY]
        classes = classes_from_metadata(details["classes"])
        entries = {int(label_id): entry for label_id, entry in details["objects"].items()}
        detailed = [replace(obj, **details_from(entries.get(obj.label_id, {}))) for obj in objects]
        return Annotations(image, detailed, classes)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return Annotations(image, tuple(objects))


def details_of(obj: Any) -> dict[str, Any]:
    """Return the class, the score, the review and the note of an object or of its record."""
    return {"class": obj.class_name, "score": obj.score, "reviewed": obj.reviewed, "note": obj.note}


def details_from(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry says as members of an object or of its record."""
    return {
        "class_name": entry.get("class"),
        "score": entry.get("score"),
        "reviewed": bool(entry.get("reviewed", False)),
        "note": str(entry.get("note", "")),
    }
