"""What is written about the masks of an image."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.files import write_json, write_text, written_beside
from napari_sam.formats.image import ImageInfo, plane_name
from napari_sam.formats.label_images import labels_from_objects, objects_from_labels
from napari_sam.formats.registry import format_named
from napari_sam.model.automatic.by_products import Proposals
from napari_sam.model.automatic.mask_set import MaskRecord, published_form

OVERLAPS: Final[dict[str, Callable[[ExportObject], float]]] = {
    "smaller": lambda thing: -thing.area_px,
    "larger": lambda thing: thing.area_px,
    "better": lambda thing: 0.0 if thing.score is None else thing.score,
}
"""Which of two masks has the pixels of both in a label image, as the order of writing them."""

_PUBLISHED: Final = "sam"
_BY_TITLE: Final = {
    "tiff": ("TIFF for ImageJ", ".tif"),
    "ome-tiff": ("OME-TIFF", ".ome.tif"),
    "png": ("PNG", ".png"),
    "npy": ("NumPy", ".npy"),
    "npz": ("NPZ", ".npz"),
    "coco": ("COCO RLE", ".json"),
    "coco-polygons": ("COCO polygons", "_polygons.json"),
    "geojson": ("GeoJSON", ".geojson"),
    "rois": ("ImageJ ROIs", ".zip"),
    "yolo": ("YOLO", ".txt"),
    "csv": ("CSV measurements", ".csv"),
}
FORMATS: Final = (*_BY_TITLE, _PUBLISHED)
"""What the masks can be written as."""
LABEL_FORMATS: Final = ("tiff", "ome-tiff", "png", "npy")
"""Those with one number for each pixel."""
FORMATS_BY_SUFFIX: Final = {
    suffix: name for name, (_, suffix) in _BY_TITLE.items() if not suffix.startswith("_")
} | {".tiff": "tiff", ".ome.tiff": "ome-tiff"}
"""What the ending of a file means."""


@dataclass(frozen=True, eq=False)
class PlaneMasks:
    """What was found in a plane."""

    slice_index: tuple[int, ...]  # where the plane is in the stack
    records: list[MaskRecord]  # its masks
    proposals: Proposals | None = None  # its ranked boxes
    edges: NDArray[np.float32] | None = None  # its edges


def annotations_of(image: ImageInfo, planes: Sequence[PlaneMasks]) -> Annotations:
    """Give all masks of an image a number, plane by plane, from 1."""
    found = [(plane.slice_index, record) for plane in planes for record in plane.records]
    return Annotations(
        image,
        [
            ExportObject(
                number,
                record.crop.mask,
                record.crop.top,
                record.crop.left,
                slice_index,
                score=record.predicted_iou,
            )
            for number, (slice_index, record) in enumerate(found, start=1)
        ],
    )


def without_overlaps(annotations: Annotations, overlap: str) -> Annotations:
    """Give each pixel to one object; those of which nothing is left are left out."""
    in_order = sorted(annotations.objects, key=OVERLAPS[overlap])
    labels = labels_from_objects(replace(annotations, objects=in_order), overlap="last_wins")
    scores = {thing.label_id: thing.score for thing in annotations.objects}
    known = {label_id: score for label_id, score in scores.items() if score is not None}
    return replace(annotations, objects=objects_from_labels(labels, scores=known))


def write_objects(path: Path, name: str, annotations: Annotations, overlap: str) -> list[Path]:
    """Write objects in a format of `FORMATS`, other than "sam"; return the files."""
    title, _ = _BY_TITLE[name]
    if name in LABEL_FORMATS:
        annotations = without_overlaps(annotations, overlap)
    return format_named(title).write(path, annotations)


def write_results(
    folder: Path,
    stem: str,
    image: ImageInfo,
    planes: Sequence[PlaneMasks],
    formats: Sequence[str],
    overlap: str,
    output_mode: str,
) -> None:
    """Write all that is wanted, under names that begin with `stem`."""
    annotations = annotations_of(image, planes)
    for name in formats:
        if name == _PUBLISHED:
            write_json(folder / f"{stem}_sam.json", _published(image, planes, output_mode))
        else:
            write_objects(folder / f"{stem}{_BY_TITLE[name][1]}", name, annotations, overlap)
    if any(plane.proposals is not None for plane in planes):
        write_text(folder / f"{stem}_proposals.csv", _proposals_table(image, planes))
    edges = [plane.edges for plane in planes if plane.edges is not None]
    if edges:
        with written_beside(folder / f"{stem}_edges.tif") as partial:
            tifffile.imwrite(
                partial,
                np.reshape(edges, image.shape),
                photometric="minisblack",
                metadata={"axes": image.axes},
            )


def _published(
    image: ImageInfo, planes: Sequence[PlaneMasks], output_mode: str
) -> list[dict[str, Any]]:
    """Return for each plane its masks as published SAM and its data set SA-1B have them."""
    height, width = image.plane_shape
    return [
        {
            "image": {
                "file_name": plane_name(image, plane.slice_index),
                "height": height,
                "width": width,
            },
            "annotations": [
                {"id": number, **form, "segmentation": _as_json(form["segmentation"])}
                for number, form in enumerate(
                    published_form(plane.records, image.plane_shape, output_mode), start=1
                )
            ],
        }
        for plane in planes
    ]


def _as_json(segmentation: Any) -> Any:
    """Return a binary mask as rows of 0 and 1; runs are JSON already."""
    is_mask = isinstance(segmentation, np.ndarray)
    return segmentation.astype(int).tolist() if is_mask else segmentation


def _proposals_table(image: ImageInfo, planes: Sequence[PlaneMasks]) -> str:
    """Return ranked boxes, the last pixel included, plane by plane."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    stack_axes = [axis.lower() for axis in image.axes[:-2]]
    writer.writerow([*stack_axes, "rank", "x0", "y0", "x1", "y1", "score"])
    for plane in planes:
        boxes, scores = plane.proposals or Proposals(np.zeros((0, 4), np.int64), np.zeros(0))
        for rank, (box, score) in enumerate(zip(boxes.tolist(), scores, strict=True), start=1):
            writer.writerow([*plane.slice_index, rank, *box, f"{score:.4f}"])
    return file.getvalue()
