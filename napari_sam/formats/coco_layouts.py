"""Bring lists of COCO results, and the files of SAM and its data set SA-1B, into COCO's layout.

SAM has ``{"image": {...}, "annotations": [...]}``; ours are lists of these, one for each plane.
Detectors write a bare list of annotations, with the ids of images and categories that are listed
elsewhere. https://cocodataset.org/#format-results, https://ai.meta.com/datasets/segment-anything/.
"""

from typing import Any

from napari_sam.formats.coco import is_coco
from napari_sam.formats.details import id_in


def as_coco(content: Any) -> dict[str, Any] | None:
    """Return the content of a JSON file in COCO's layout; None if it is something else."""
    if is_coco(content) and (content["images"] or not content["annotations"]):
        return dict(content)
    entries = content if isinstance(content, list) else [content]
    if any(_is_of_sam(entry) for entry in entries):
        return _coco_of_sam([entry for entry in entries if _is_of_sam(entry)])
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        return {**content, **_coco_of_results(content["annotations"])}
    if isinstance(content, list) and any(_is_result(entry) for entry in entries):
        return _coco_of_results(entries)
    return None


def _is_of_sam(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("image"), dict)
        and isinstance(entry.get("annotations"), list)
    )


def _is_result(entry: Any) -> bool:
    # Features of GeoJSON may have a bbox too.
    is_annotation = isinstance(entry, dict) and ("bbox" in entry or "segmentation" in entry)
    return is_annotation and "type" not in entry


def _coco_of_sam(planes: list[dict[str, Any]]) -> dict[str, Any]:
    annotations = [
        _annotation_of_sam(entry, number) if isinstance(entry, dict) else entry
        for number, plane in enumerate(planes)
        for entry in plane["annotations"]
    ]
    images = [{**plane["image"], "id": number} for number, plane in enumerate(planes)]
    return {"images": images, "annotations": annotations}


def _annotation_of_sam(entry: dict[str, Any], image_id: int) -> dict[str, Any]:
    annotation = {"score": entry.get("predicted_iou"), **entry, "image_id": image_id}
    if entry.get("segmentation"):
        annotation["bbox"] = None  # its width is from the first to the last pixel
    return annotation


def _coco_of_results(entries: list[Any]) -> dict[str, Any]:
    results = [
        {"image_id": "image", **entry} if isinstance(entry, dict) else entry for entry in entries
    ]
    ids = [entry["image_id"] for entry in results if isinstance(entry, dict)]
    images = [{"id": image_id} for image_id in dict.fromkeys(map(id_in, ids))]
    return {"images": images, "annotations": results}
