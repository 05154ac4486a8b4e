"""COCO JSON, with run-length encoded or polygonal masks (https://cocodataset.org/#format-data).

Our members beyond the format, which others ignore, are ``label_id``, ``score``, ``reviewed``,
``note``, ``parent_id``, ``origin`` and ``confidence`` of annotations, ``color`` of categories (as
in COCO's panoptic files), and ``source`` of images, the stack that a slice is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from napari_sam.engine.masks import MaskCrop, run_counts, run_text, tight_crop
from napari_sam.formats.annotations import Annotations, ExportObject, annotations_read
from napari_sam.formats.classes import ObjectClass, class_named, color_for
from napari_sam.formats.coco_polygons import fill_polygons
from napari_sam.formats.coco_rle import counts_of_text, mask_of_counts
from napari_sam.formats.details import (
    comparison_from,
    comparison_of,
    details_from,
    details_of,
    id_in,
    slice_details_from,
    slice_details_of,
    whole_number_in,
    with_value,
)
from napari_sam.formats.files import (
    FileError,
    file_reader,
    naming_errors,
    read_json,
    write_json,
)
from napari_sam.formats.image import ImageInfo, image_from_json, plane_name
from napari_sam.formats.left_out import ENTRY, OUTSIDE, LeftOut
from napari_sam.formats.outlines import joined_ring, trace_outlines
from napari_sam.storage.pacing import paced

# The category of objects without a class, because every annotation needs one.
_UNCLASSIFIED: Final = "object"
_INTRO: Final = "This is not a COCO file of instances"


def write_coco(
    path: str | Path,
    images: Annotations | Sequence[Annotations],
    segmentation: Literal["rle", "polygon"] = "rle",
) -> None:
    """Write the objects of one or more images; each slice of a stack is an image of its own.

    Parameters
    ----------
    path : str or Path
        A ``.json`` file.
    images : Annotations or sequence of Annotations
        What to write. Classes with the same name in several images become one category, with the
        color of the first.
    segmentation : {"rle", "polygon"}
        Compressed runs, or outlines along the edges of pixels. COCO's polygons have no holes, so
        a hole is joined to the outline by a slit of no width. pycocotools decodes both to exactly
        the same masks.

    Raises
    ------
    FileError
        If a class is called "object" although some objects have no class, or the file cannot be
        written.

    Notes
    -----
    All slices are listed, also those without objects. pycocotools reads images of up to 2**32
    pixels; ours are read whatever their size.
    """
    sources = [images] if isinstance(images, Annotations) else list(images)
    category_ids, categories = _categories(sources)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": categories}
    for number, source in enumerate(sources):
        ids = {}
        for slice_index in np.ndindex(source.image.stack_shape):
            entry = image_entry(source.image, number, slice_index)
            ids[slice_index] = entry["id"] = len(content["images"]) + 1
            content["images"].append(entry)
        for obj in paced(source.objects):
            entry = _annotation_entry(obj, source.image.plane_shape, segmentation)
            entry["id"] = len(content["annotations"]) + 1
            entry["image_id"] = ids[obj.slice_index]
            entry["category_id"] = category_ids[obj.class_name]
            content["annotations"].append(entry)
    write_json(path, content)


def _categories(
    sources: Sequence[Annotations],
) -> tuple[dict[str | None, int], list[dict[str, Any]]]:
    """Return category ids by class name, and the categories."""
    classes: dict[str, ObjectClass] = {}
    for entry in (entry for source in sources for entry in source.classes):
        classes.setdefault(entry.name, entry)
    ids: dict[str | None, int] = {name: number for number, name in enumerate(classes, start=1)}
    categories: list[dict[str, Any]] = [
        {"id": ids[name], "name": name, "supercategory": "", "color": entry.color_rgb}
        for name, entry in classes.items()
    ]
    if any(obj.class_name is None for source in sources for obj in source.objects):
        if _UNCLASSIFIED in ids:
            raise FileError(f"Give every object a class, or rename the class {_UNCLASSIFIED!r}.")
        ids[None] = len(ids) + 1
        categories.append({"id": ids[None], "name": _UNCLASSIFIED, "supercategory": ""})
    return ids, categories


def image_entry(image: ImageInfo, number: int, slice_index: tuple[int, ...]) -> dict[str, Any]:
    """Return the entry of an image, or of a slice of the stack that has this number in the file."""
    height, width = image.plane_shape
    return {
        "file_name": plane_name(image, slice_index),
        "height": height,
        "width": width,
        "source": {"number": number, "slice_index": slice_index, **asdict(image)},
    }


def _annotation_entry(
    obj: ExportObject, shape: tuple[int, int], segmentation: Literal["rle", "polygon"]
) -> dict[str, Any]:
    crop = tight_crop(obj.mask, obj.top, obj.left)
    height, width = crop.mask.shape
    entry = {
        "segmentation": {"size": list(shape), "counts": run_text(run_counts(crop, shape))},
        "area": obj.area_px,
        "bbox": [float(crop.left), float(crop.top), float(width), float(height)],
        "iscrowd": 0,
        "label_id": obj.label_id,
    }
    if segmentation == "polygon":
        entry["segmentation"] = [
            joined_ring([piece.shell_xy, *piece.holes_xy]).ravel().tolist()
            for piece in trace_outlines(obj.mask, obj.top, obj.left)
        ]
    details = with_value(details_of(obj) | slice_details_of(obj) | comparison_of(obj))
    details.pop("class", None)  # its category
    return entry | details


@file_reader()
def read_coco(path: str | Path) -> list[Annotations]:
    """Read a COCO file, ours or another's.

    Parameters
    ----------
    path : str or Path
        A ``.json`` file with images, annotations of instances, and categories.

    Returns
    -------
    list of Annotations
        One for each image, or for each stack in our own files. Objects without a ``label_id``,
        and copies with the same one, get new label_ids in each image. What cannot be read is left
        out and counted, so are objects without a segmentation or without a pixel.

    Raises
    ------
    FileError
        If the file is not COCO, or nothing in it can be read.
    """
    return coco_in(read_json(path), Path(path).name)


def is_coco(content: Any) -> bool:
    """Return whether the content of a JSON file is COCO."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    )


def coco_in(content: Any, name: str, image: ImageInfo | None = None) -> list[Annotations]:
    """Return the objects in the content of a JSON file, as `read_coco` does.

    Images without a size have that of their masks, or else of the image that is given.
    """
    left_out = LeftOut()
    try:
        with naming_errors():
            entries = list(content["annotations"])
            contents, planes = _read_images(
                content["images"], _sizes_of_masks(entries), image, left_out
            )
            names, classes = read_categories(content.get("categories"), left_out)
    except FileError as error:
        raise FileError(f"{_INTRO} ({error}): {name}") from error
    for number, entry in enumerate(paced(entries), start=1):
        with left_out.unreadable(f"annotation {number}"):
            plane = planes.get(id_in(entry["image_id"]))
            if plane is None:
                raise FileError(f"there is no image {entry['image_id']}")
            with plane[0].left_out.unreadable(f"annotation {number}"):
                _read_annotation(entry, number, names, plane)
    left_out.require(contents, _INTRO, name)
    objects = [obj for image_content in contents for obj in image_content.objects]
    for image_content in contents:
        image_content.left_out.include(left_out)
        image_content.left_out.require(objects, "No object can be read", name)
    return [
        annotations_read(one.info, one.objects, classes, one.left_out, one.label_ids)
        for one in contents
    ]


@dataclass
class _ImageContent:
    """An image or stack, its objects, and their label_ids in the file, by their position."""

    info: ImageInfo
    objects: list[ExportObject] = field(default_factory=list)
    label_ids: dict[int, int] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)


_Plane = tuple[_ImageContent, tuple[int, ...], tuple[int, int]]
"""The image or stack, the index of the slice in it, and its height and width."""


def _read_annotation(
    entry: dict[str, Any], number: int, names: dict[str, str | None], plane: _Plane
) -> None:
    """Add an object to the content of its image, unless it has no pixel."""
    content, slice_index, shape = plane
    if not entry.get("segmentation"):
        advice = "; use Batch prompts to read its box" if entry.get("bbox") else ""
        reason = f"annotation {number} has no mask{advice}"
        content.left_out.add("annotation without a mask", reason)
        return
    mask = mask_in(entry["segmentation"], shape)
    if mask is None:
        content.left_out.add(OUTSIDE)
        return
    position = len(content.objects) + 1
    label_id = whole_number_in(entry.get("label_id"))
    if label_id is not None:
        content.label_ids[position] = label_id
    # Other programs leave out categories that nobody asked for.
    details = details_from({**entry, "class": names.get(id_in(entry.get("category_id")))})
    details |= slice_details_from(entry) | comparison_from(entry)
    content.objects.append(ExportObject(position, *mask, slice_index, **details))


def read_categories(
    entries: Any, left_out: LeftOut
) -> tuple[dict[str, str | None], list[ObjectClass]]:
    """Return class names by category id, and the classes; none without a list of entries."""
    names: dict[str, str | None] = {}
    classes: dict[str, ObjectClass] = {}
    if entries and not isinstance(entries, list):
        left_out.add(ENTRY, "the categories are not a list")
        entries = []
    for position, entry in enumerate(entries or []):
        with left_out.unreadable(f"category {position + 1}"):
            name = class_named(entry.get("name"))
            # Our own classes have a color; without it, this category stands for no class.
            if name == _UNCLASSIFIED and "color" not in entry:
                name = None
            if name is not None and name not in classes:
                classes[name] = ObjectClass(name, color_for(entry.get("color"), position))
            names[id_in(entry["id"])] = name
    return names, list(classes.values())


def _read_images(
    entries: Iterable[Any],
    sizes: dict[str, Any],
    image: ImageInfo | None,
    left_out: LeftOut,
) -> tuple[list[_ImageContent], dict[str, _Plane]]:
    """Return the images or stacks, without objects, and the planes by image id."""
    contents: dict[Any, _ImageContent] = {}
    planes: dict[str, _Plane] = {}
    for position, entry in enumerate(entries, start=1):
        with left_out.unreadable(f"image {position}"):
            image_id = id_in(entry["id"])
            size: Any = tuple(whole_number_in(entry.get(side)) for side in ("height", "width"))
            if None in size:
                size = sizes.get(image_id) or (image.plane_shape if image else size)
            if None in size:
                raise FileError(
                    "its height and width are missing or too large; import it into its image"
                )
            shape = (int(size[0]), int(size[1]))
            source = _source(entry)
            slice_index = tuple(source.pop("slice_index", ()))
            key = source.pop("number", ("image", image_id))
            if key not in contents:
                name = str(entry.get("file_name") or image_id)
                info = image_from_json(source or {"shape": shape, "name": name})
                contents[key] = _ImageContent(info)
            planes[image_id] = (contents[key], slice_index, shape)
    return list(contents.values()), planes


def _sizes_of_masks(entries: Iterable[Any]) -> dict[str, Any]:
    """Return height and width by image id, as run-length encodings have them."""
    masks = [
        (entry.get("image_id"), entry.get("segmentation"))
        for entry in entries
        if isinstance(entry, dict)
    ]
    return {id_in(image_id): mask.get("size") for image_id, mask in masks if isinstance(mask, dict)}


def _source(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the stack that a slice is from, in our own files; other files have other sources."""
    source = entry.get("source")
    if isinstance(source, dict) and {"number", "slice_index", "shape"} <= source.keys():
        return dict(source)
    return {}


def mask_in(segmentation: Any, shape: tuple[int, int]) -> MaskCrop | None:
    """Return the mask of a segmentation; None if it has no pixel.

    It is compressed or uncompressed runs, polygons, or rows of 0 and 1 as SAM has them.
    """
    if isinstance(segmentation, list):
        if len(segmentation) == shape[0] and np.shape(segmentation[0]) == shape[1:]:
            pixels = np.array(segmentation)
            if pixels.shape == shape and np.isin(pixels, (0, 1)).all():
                crop = tight_crop(pixels.astype(bool))
                return crop if crop.mask.size else None
        return fill_polygons(_flat_polygons(segmentation), shape)
    size = segmentation.get("size", shape)
    if tuple(size) != shape:
        raise FileError(f"a run-length encoding belongs to an image of {size}, not {list(shape)}")
    counts = segmentation["counts"]
    return mask_of_counts(counts_of_text(counts) if isinstance(counts, str) else counts, shape)


def _flat_polygons(segmentation: list[Any]) -> list[Any]:
    """Return polygons [x, y, x, y, ...], also of a bare one, and of corners in pairs."""
    is_bare = not isinstance(segmentation[0], list)
    is_of_pairs = len(segmentation) > 2 and all(np.shape(part) == (2,) for part in segmentation)
    polygons = [segmentation] if is_bare or is_of_pairs else segmentation
    return [np.ravel(polygon) for polygon in polygons]
