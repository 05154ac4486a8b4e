"""What a label image says of its objects beside their pixels: a text that goes into its metadata.

The text is JSON in ASCII: ``{"label_details": {"classes": [{"name", "color_rgb"}], "objects":
{label_id: {"class", "score", "reviewed", "note"}}}}``, of which what is not known is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import classes_from_metadata, classes_to_metadata
from napari_sam.formats.files import ExportError
from napari_sam.formats.image import ImageInfo

DETAILS_KEY: Final = "label_details"


def details_to_text(annotations: Annotations) -> str:
    """Return what is known of objects and classes; "" if that is nothing."""
    objects: dict[int, dict[str, Any]] = {}
    for thing in annotations.objects:
        known = {
            "class": thing.class_name,
            "score": thing.score,
            "reviewed": thing.reviewed,
            "note": thing.note,
        }
        known = {key: value for key, value in known.items() if value not in (None, False, "")}
        if known:
            objects.setdefault(thing.label_id, known)
    if not objects and not annotations.classes:
        return ""
    classes = classes_to_metadata(annotations.classes)
    return json.dumps({DETAILS_KEY: {"classes": classes, "objects": objects}})


def annotations_with_details(
    image: ImageInfo, objects: Iterable[ExportObject], text: str
) -> Annotations:
    """Return objects that were found in a label image with what its text says of them.

    Parameters
    ----------
    image : ImageInfo
        The image.
    objects : iterable of ExportObject
        Its objects.
    text : str
        As `details_to_text` makes it; any other is passed over.
    """
    try:
        details = json.loads(text)[DETAILS_KEY]
        classes = classes_from_metadata(details["classes"])
        known = {int(label_id): one for label_id, one in details["objects"].items()}
        detailed = [_with_details(thing, known.get(thing.label_id, {})) for thing in objects]
        return Annotations(image, detailed, classes)
    except (ValueError, TypeError, KeyError, AttributeError, ExportError):
        return Annotations(image, tuple(objects))


def _with_details(thing: ExportObject, known: dict[str, Any]) -> ExportObject:
    return replace(
        thing,
        class_name=known.get("class"),
        score=known.get("score"),
        reviewed=bool(known.get("reviewed", False)),
        note=str(known.get("note", "")),
    )
