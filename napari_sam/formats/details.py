"""Details of the objects of a label image: a text for the metadata of the file.

The text is JSON in ASCII: ``{"label_details": {"classes": [{"name", "color_rgb"}], "objects":
{label_id: {"class", "score", "reviewed", "note"}}}}``. Members without a value are left out.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import class_named, classes_from_metadata, classes_to_metadata
from napari_sam.formats.image import ImageInfo
from napari_sam.storage.json_text import json_text, says_something
from napari_sam.storage.pacing import paced

DETAILS_KEY: Final = "label_details"
_MAX_WHOLE: Final = 2**32
_YES: Final = frozenset({"true", "yes", "1", "1.0"})


def details_to_text(annotations: Annotations) -> str:
    """Return classes, and class, score, review and note of objects as text; "" if none has any."""
    objects: dict[int, dict[str, Any]] = {}
    for obj in paced(annotations.objects):
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
        entries = {str(label_id): entry for label_id, entry in details["objects"].items()}
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return Annotations(image, tuple(objects))
    detailed = [replace(obj, **details_from(entries.get(str(obj.label_id)))) for obj in objects]
    return Annotations(image, detailed, classes)


def details_of(obj: Any) -> dict[str, Any]:
    """Return the class, the score, the review and the note of an object or of its record."""
    return {"class": obj.class_name, "score": obj.score, "reviewed": obj.reviewed, "note": obj.note}


def details_from(entry: Any) -> dict[str, Any]:
    """Return what an entry of a file says as members of an object, as far as it can be read."""
    details = entry if isinstance(entry, dict) else {}
    class_name, note = details.get("class"), details.get("note")
    return {
        "class_name": class_named(class_name) if isinstance(class_name, str) else None,
        "score": number_in(details.get("score")),
        "reviewed": str(details.get("reviewed")).strip().lower() in _YES,
        "note": note if isinstance(note, str) else "",
    }


def number_in(value: Any) -> float | None:
    """Return the finite number that a value of a file means; None if it means none.

    Examples
    --------
    >>> number_in(1), number_in("0.93"), number_in("high"), number_in(float("nan"))
    (1.0, 0.93, None, None)
    """
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def id_in(value: Any) -> str:
    """Return an id of a file as text, the same for 1, 1.0 and "1"."""
    number = None if isinstance(value, str) else number_in(value)
    return str(int(number)) if number is not None and number.is_integer() else str(value)


def whole_number_in(value: Any) -> int | None:
    """Return the label_id, or the size, that a value of a file means; None if it means none."""
    number = number_in(value)
    is_whole = number is not None and number.is_integer() and 1 <= number < _MAX_WHOLE
    return int(number) if number is not None and is_whole else None
