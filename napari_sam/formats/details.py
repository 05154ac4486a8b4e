"""Details of the objects of a label image: a text for the metadata of the file.

The text is JSON in ASCII: ``{"label_details": {"classes": [{"name", "color_rgb"}], "objects":
{label_id: {"class", "score", "reviewed", "note", "parent_id", "class_confidence", "likeness",
"slices"}}}}``; ``slices`` are lists of index, origin and confidence. Members without a value are
left out.
"""

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import class_named, classes_from_metadata, classes_to_metadata
from napari_sam.formats.image import ImageInfo
from napari_sam.storage.json_text import json_text, says_something
from napari_sam.storage.pacing import paced

DETAILS_KEY: Final = "label_details"
_SLICES: Final = "slices"
_MAX_WHOLE: Final = 2**32
_YES: Final = frozenset({"true", "yes", "1", "1.0"})


def details_to_text(annotations: Annotations) -> str:
    """Return classes, and what is known of objects and their slices, as text; "" without any."""
    objects: dict[int, dict[str, Any]] = {}
    for obj in paced(annotations.objects):
        details = with_value(details_of(obj) | comparison_of(obj))
        if details:
            objects.setdefault(obj.label_id, details)
        if obj.origin:
            entry = [list(map(int, obj.slice_index)), *slice_details_of(obj).values()]
            objects.setdefault(obj.label_id, {}).setdefault(_SLICES, []).append(entry)
    if not objects and not annotations.classes:
        return ""
    classes = json_text(classes_to_metadata(annotations.classes))
    # Each on its own, so that other threads need not wait for all of them.
    entries = (f'"{label_id}": {json_text(entry)}' for label_id, entry in paced(objects.items()))
    return f'{{"{DETAILS_KEY}": {{"classes": {classes}, "objects": {{{", ".join(entries)}}}}}}}'


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
    slices = {label_id: _slices_in(entry) for label_id, entry in entries.items()}
    detailed = []
    for obj in paced(objects):
        label_id = str(obj.label_id)
        of_slice = slices.get(label_id, {}).get(obj.slice_index, {})
        entry = entries.get(label_id)
        details = details_from(entry) | comparison_from(entry) | slice_details_from(of_slice)
        detailed.append(replace(obj, **details))
    return Annotations(image, detailed, classes)


def _slices_in(entry: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what an object's entry says of slices, by their index, as far as it can be read."""
    slices = {}
    with suppress(AttributeError, TypeError, ValueError):
        for index, origin, confidence in entry.get(_SLICES, ()):
            slices[tuple(index)] = {"origin": origin, "confidence": confidence}
    return slices


def with_value(details: dict[str, Any]) -> dict[str, Any]:
    """Return the details that say something."""
    return {key: value for key, value in details.items() if says_something(value)}


def details_of(obj: Any) -> dict[str, Any]:
    """Return the score, the class, the review, the note and the parent of an object or a record."""
    return {
        "score": obj.score,
        "class": obj.class_name,
        "reviewed": obj.reviewed,
        "note": obj.note,
        "parent_id": int(obj.parent_id) or None,
    }


def slice_details_of(obj: ExportObject) -> dict[str, Any]:
    """Return what is known of an object in its slice."""
    confidence = None if obj.confidence is None else float(obj.confidence)
    return {"origin": obj.origin, "confidence": confidence}


def slice_details_from(details: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says of an object in its slice, as members of the object."""
    origin = details.get("origin")
    return {
        "origin": origin if isinstance(origin, str) else "",
        "confidence": number_in(details.get("confidence")),
    }


def comparison_of(obj: ExportObject) -> dict[str, float | None]:
    """Return what a comparison with examples has told of an object."""
    values = {"class_confidence": obj.class_confidence, "likeness": obj.likeness}
    return {key: None if value is None else float(value) for key, value in values.items()}


def comparison_from(entry: Any) -> dict[str, float | None]:
    """Return what an entry of a file says of that, as members of an object."""
    details = entry if isinstance(entry, dict) else {}
    return {key: number_in(details.get(key)) for key in ("class_confidence", "likeness")}


def details_from(entry: Any) -> dict[str, Any]:
    """Return what an entry of a file says as members of an object, as far as it can be read."""
    details = entry if isinstance(entry, dict) else {}
    class_name, note = details.get("class"), details.get("note")
    return {
        "class_name": class_named(class_name) if isinstance(class_name, str) else None,
        "score": number_in(details.get("score")),
        "reviewed": str(details.get("reviewed")).strip().lower() in _YES,
        "note": note if isinstance(note, str) else "",
        "parent_id": whole_number_in(details.get("parent_id")) or 0,
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
