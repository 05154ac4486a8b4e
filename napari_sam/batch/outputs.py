"""The files that are written for the masks of an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.batch.job import OVERLAPS, BatchJob
from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.coco import image_entry
from napari_sam.formats.files import export_file, write_json, write_table
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.label_images import labels_from_objects, objects_from_labels
from napari_sam.formats.registry import FORMATS

if TYPE_CHECKING:
    from napari_sam.model.automatic.by_products import Proposals
    from napari_sam.model.automatic.mask_set import MaskRecord

_PUBLISHED: Final = "sam"
# Without classes there is nothing to write into a semantic image.
_BY_KEY: Final = {
    file_format.key: file_format for file_format in FORMATS if not file_format.is_semantic
}
FORMAT_KEYS: Final = (*_BY_KEY, _PUBLISHED)
"""The formats by key."""
LABEL_FORMATS: Final = tuple(key for key, value in _BY_KEY.items() if value.is_label_image)
"""Label images, with one label_id for each pixel."""
FORMATS_BY_SUFFIX: Final = {
    suffix: key
    for key, value in _BY_KEY.items()
    if not value.distinction
    for suffix in value.suffixes
}
"""The format by the suffix of a file."""


class Compared(NamedTuple):
    """What a comparison with examples has told of a mask: members of an `ExportObject`."""

    class_name: str | None = None
    class_confidence: float | None = None
    likeness: float | None = None


def in_common(compared: Sequence[Compared]) -> Compared:
    """Return what examples told of the masks of an object: the class of most, and means."""
    ((name, _),) = Counter(one.class_name for one in compared).most_common(1)
    confidences = [one.class_confidence for one in compared if one.class_name == name]
    return Compared(name, _mean(confidences), _mean([one.likeness for one in compared]))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True, eq=False)
class PlaneMasks:
    """The masks of a plane."""

    slice_index: tuple[int, ...]  # where the plane is in the stack
    records: list[MaskRecord]
    proposals: Proposals | None = None
    edges: NDArray[np.float32] | None = None
    warning: str = ""  # what makes the masks doubtful
    # of the records, what examples told
    compared: Sequence[Compared] | None = None

    def compared_with(self, index: int) -> Compared:
        """Return what examples told of a record."""
        return Compared() if self.compared is None else self.compared[index]


def annotations_of(image: ImageInfo, planes: Sequence[PlaneMasks]) -> Annotations:
    """Return all masks of an image as objects, numbered from 1, plane by plane."""
    masks = [
        (plane.slice_index, record, plane.compared_with(index)._asdict())
        for plane in planes
        for index, record in enumerate(plane.records)
    ]
    return Annotations(
        image,
        [
            ExportObject(label_id, *record.crop, slice_index, score=record.predicted_iou, **told)
            for label_id, (slice_index, record, told) in enumerate(masks, start=1)
        ],
    )


def without_overlaps(annotations: Annotations, overlap: str) -> Annotations:
    """Give each pixel to one object; objects without a pixel left are dropped.

    Objects of several slices have the same order on all of them. One slice is in memory at a time.
    """
    areas_px = Counter[int]()
    slices: dict[tuple[int, ...], list[ExportObject]] = {}
    for obj in annotations.objects:
        areas_px[obj.label_id] += obj.area_px
        slices.setdefault(obj.slice_index, []).append(obj)
    flat: list[ExportObject] = []
    for slice_index, objects in sorted(slices.items()):
        objects.sort(key=lambda obj: OVERLAPS[overlap](obj, areas_px[obj.label_id]))
        plane = replace(annotations, objects=objects).plane(slice_index)
        labels = labels_from_objects(plane, overlap="last_wins")
        whole = {obj.label_id: obj for obj in objects}
        flat += [
            replace(whole[part.label_id], mask=part.mask, top=part.top, left=part.left)
            for part in objects_from_labels(labels)
        ]
    return replace(annotations, objects=flat)


def write_objects(path: Path, name: str, annotations: Annotations, overlap: str) -> list[Path]:
    """Write objects in a format of `FORMAT_KEYS` other than "sam"; return the files."""
    if name in LABEL_FORMATS:
        annotations = without_overlaps(annotations, overlap)
    return _BY_KEY[name].write(path, annotations)


def write_named(
    folder: Path, stem: str, name: str, annotations: Annotations, overlap: str
) -> list[Path]:
    """Write objects in a format, under a name that begins with `stem`; return the files."""
    chosen = _BY_KEY[name]
    file = folder / f"{stem}{chosen.distinction}{chosen.suffixes[0]}"
    return write_objects(file, name, annotations, overlap)


def write_results(
    folder: Path,
    stem: str,
    annotations: Annotations,
    planes: Sequence[PlaneMasks],
    job: BatchJob,
) -> None:
    """Write everything that the job asks for, under names that begin with `stem`."""
    image = annotations.image
    for name in job.formats:
        if name == _PUBLISHED:
            content = _published(image, planes, job.settings.output_mode)
            write_json(folder / f"{stem}_sam.json", content)
        else:
            write_named(folder, stem, name, annotations, job.overlap)
    if any(plane.proposals is not None for plane in planes):
        write_table(folder / f"{stem}_proposals.csv", _proposal_rows(image, planes))
    edges = [plane.edges for plane in planes if plane.edges is not None]
    if edges:
        with export_file(folder / f"{stem}_edges.tif") as partial:
            tifffile.imwrite(
                partial,
                np.reshape(edges, image.shape),
                photometric="minisblack",
                metadata={"axes": image.axes},
            )


def _published(
    image: ImageInfo, planes: Sequence[PlaneMasks], output_mode: str
) -> list[dict[str, Any]]:
    """Return the masks of each plane as published SAM and its data set SA-1B have them."""
    from napari_sam.model.automatic.mask_set import published_form

    entries = [image_entry(image, 0, plane.slice_index) for plane in planes]
    if not image.stack_shape:  # the published form has no such member
        entries = [{key: entry[key] for key in entry if key != "source"} for entry in entries]
    return [
        {
            "image": entry,
            "annotations": [
                {"id": number, **form, "segmentation": _as_json(form["segmentation"])}
                for number, form in enumerate(
                    published_form(plane.records, image.plane_shape, output_mode), start=1
                )
            ],
        }
        for entry, plane in zip(entries, planes, strict=True)
    ]


def _as_json(segmentation: Any) -> Any:
    """Return a binary mask as rows of 0 and 1; run lengths are JSON already."""
    is_mask = isinstance(segmentation, np.ndarray)
    return segmentation.astype(int).tolist() if is_mask else segmentation


def _proposal_rows(image: ImageInfo, planes: Sequence[PlaneMasks]) -> Iterator[list[Any]]:
    """Yield ranked boxes, the last pixel included, plane by plane."""
    yield [*image.axes[:-2].lower(), "rank", "x0", "y0", "x1", "y1", "score"]
    for plane in planes:
        if plane.proposals is None:
            continue
        boxes, scores = plane.proposals
        for rank, (box, score) in enumerate(zip(boxes.tolist(), scores, strict=True), start=1):
            yield [*plane.slice_index, rank, *box, f"{score:.4f}"]
