"""COCO JSON, with run-length encoded or polygonal masks (https://cocodataset.org/#format-data).

Beyond the format, and ignored by others: ``label_id``, ``score``, ``reviewed`` and ``note`` of
annotations, ``color`` of categories (as in COCO's panoptic files), and ``source`` of images, where
a slice says which stack it is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import PALETTE, ObjectClass, class_named
from napari_sam.formats.clipping import clipped_polygon
from napari_sam.formats.coco_rle import counts_of_mask, counts_of_text, mask_of_counts
from napari_sam.formats.files import ExportError, read_json, reading, write_json
from napari_sam.formats.image import ImageInfo, image_from_json, plane_name
from napari_sam.formats.label_ids import with_own_ids
from napari_sam.formats.outlines import joined_ring, trace_outlines

# An annotation needs a category, also one whose object has no class.
_UNCLASSIFIED: Final = "object"


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
        What to write. Classes of one name in several images are one category,
        with the colour of the first.
    segmentation : {"rle", "polygon"}
        Compressed runs, or outlines along the edges of pixels. A hole, which COCO's polygons
        cannot have, is joined to the outline by a slit of no width. pycocotools decodes either to
        exactly the same masks.

    Raises
    ------
    ExportError
        If pycocotools is missing, a class is called "object" while some objects have none, or the
        file cannot be written.

    Notes
    -----
    ``area`` (pixels) and ``bbox`` (x, y, width, height) are those of pycocotools. All slices are
    listed, also those without objects.
    """
    sources = [images] if isinstance(images, Annotations) else list(images)
    numbers, categories = _categories(sources)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": categories}
    for number, source in enumerate(sources):
        ids = {}
        for slice_index in np.ndindex(source.image.stack_shape):
            entry = _image_entry(source.image, number, slice_index)
            ids[slice_index] = entry["id"] = len(content["images"]) + 1
            content["images"].append(entry)
        for thing in source.objects:
            entry = _annotation_entry(thing, source.image.plane_shape, segmentation)
            entry["id"] = len(content["annotations"]) + 1
            entry["image_id"] = ids[thing.slice_index]
            entry["category_id"] = numbers[thing.class_name]
            content["annotations"].append(entry)
    write_json(path, content)


def _categories(
    sources: Sequence[Annotations],
) -> tuple[dict[str | None, int], list[dict[str, Any]]]:
    """Return category ids by class name, and the categories."""
    classes: dict[str, ObjectClass] = {}
    for one in (one for source in sources for one in source.classes):
        classes.setdefault(one.name, one)
    numbers: dict[str | None, int] = {name: at for at, name in enumerate(classes, start=1)}
    categories: list[dict[str, Any]] = [
        {"id": numbers[name], "name": name, "supercategory": "", "color": one.color_rgb}
        for name, one in classes.items()
    ]
    if any(thing.class_name is None for source in sources for thing in source.objects):
        if _UNCLASSIFIED in numbers:
            msg = f"Give every object a class, or the class {_UNCLASSIFIED!r} another name."
            raise ExportError(msg)
        numbers[None] = len(numbers) + 1
        categories.append({"id": numbers[None], "name": _UNCLASSIFIED, "supercategory": ""})
    return numbers, categories


def _mask_api() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        msg = "COCO files need pycocotools: pip install 'napari-sam-live[export]'"
        raise ExportError(msg) from error
    return mask


def _image_entry(image: ImageInfo, number: int, slice_index: tuple[int, ...]) -> dict[str, Any]:
    height, width = image.plane_shape
    return {
        "file_name": plane_name(image, slice_index),
        "height": height,
        "width": width,
        "source": {"number": number, "slice_index": slice_index, **asdict(image)},
    }


def _annotation_entry(
    thing: ExportObject, shape: tuple[int, int], segmentation: Literal["rle", "polygon"]
) -> dict[str, Any]:
    counts = counts_of_mask(thing.mask, thing.top, thing.left, shape)
    runs = _mask_api().frPyObjects({"counts": counts, "size": list(shape)}, *shape)
    entry = {
        "segmentation": {"size": list(shape), "counts": runs["counts"].decode("ascii")},
        "area": int(_mask_api().area(runs)),
        "bbox": _mask_api().toBbox(runs).tolist(),
        "iscrowd": 0,
        "label_id": thing.label_id,
    }
    if segmentation == "polygon":
        entry["segmentation"] = [
            joined_ring([piece.shell_xy, *piece.holes_xy]).ravel().tolist()
            for piece in trace_outlines(thing.mask, thing.top, thing.left)
        ]
    if thing.score is not None:
        entry["score"] = thing.score
    if thing.reviewed:
        entry["reviewed"] = True
    if thing.note:
        entry["note"] = thing.note
    return entry


def read_coco(path: str | Path) -> list[Annotations]:
    """Read a COCO file, ours or another's.

    Parameters
    ----------
    path : str or Path
        A ``.json`` file with images, annotations of instances, and categories.

    Returns
    -------
    list of Annotations
        One for each image, or for each stack of a file of ours. Objects without a ``label_id`` of
        their own are numbered as `with_own_ids` says, in each image; those without a pixel are
        left out, and those without a segmentation are counted.

    Raises
    ------
    ExportError
        If pycocotools is missing or the file is not COCO's.
    """
    return coco_in(read_json(path), Path(path).name)


def is_coco(content: Any) -> bool:
    """Tell whether the content of a JSON file is COCO's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def coco_in(content: Any, name: str) -> list[Annotations]:
    """Return the objects in the content of a JSON file of that name, as `read_coco` does."""
    try:
        with reading():
            names, classes = _read_categories(content.get("categories", []))
            infos, places = _read_images(content["images"])
            entries = list(content["annotations"])
        objects = [_Objects() for _ in infos]
        for at, entry in enumerate(entries, start=1):
            with reading(f"annotation {at}"):
                _read_annotation(entry, names, places, objects)
        with reading():
            return [
                Annotations(info, with_own_ids(one.things, one.given), classes, one.n_without_mask)
                for info, one in zip(infos, objects, strict=True)
            ]
    except ExportError as error:
        msg = f"This is not a COCO file of instances, {error}: {name}"
        raise ExportError(msg) from error


@dataclass
class _Objects:
    """What is read of one image, by its place among the image's annotations."""

    things: dict[int, ExportObject] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    n_without_mask: int = 0


def _read_annotation(
    entry: dict[str, Any],
    names: dict[int, str | None],
    places: dict[int, _Place],
    objects: list[_Objects],
) -> None:
    """Add an object to those of its image, unless it has no pixel."""
    if entry["image_id"] not in places:
        raise ExportError(f"there is no image {entry['image_id']}")
    if entry["category_id"] not in names:
        raise ExportError(f"there is no category {entry['category_id']}")
    number, slice_index, shape = places[entry["image_id"]]
    one = objects[number]
    if not entry.get("segmentation"):
        one.n_without_mask += 1
        return
    found = mask_of_counts(_counts(entry["segmentation"], shape), shape)
    if found is None:
        return
    place = len(one.things) + 1
    if entry.get("label_id") is not None:
        one.given[place] = int(entry["label_id"])
    one.things[place] = ExportObject(
        place,
        *found,
        slice_index,
        names[entry["category_id"]],
        entry.get("score"),
        bool(entry.get("reviewed", False)),
        str(entry.get("note", "")),
    )


def _read_categories(
    entries: Iterable[dict[str, Any]],
) -> tuple[dict[int, str | None], list[ObjectClass]]:
    """Return class names by category id, and the classes."""
    names: dict[int, str | None] = {}
    classes: list[ObjectClass] = []
    for number, entry in enumerate(entries):
        # Classes of ours have a colour, so this is the one for objects without a class.
        with reading(f"category {number + 1}"):
            name = class_named(entry["name"])
            if name == _UNCLASSIFIED and "color" not in entry:
                name = None
            if name is not None and name not in names.values():
                if "color" in entry:
                    classes.append(ObjectClass.from_rgb(name, entry["color"]))
                else:
                    classes.append(ObjectClass(name, PALETTE[number % len(PALETTE)]))
            names[entry["id"]] = name
    return names, classes


_Place = tuple[int, tuple[int, ...], tuple[int, int]]


def _read_images(entries: Iterable[dict[str, Any]]) -> tuple[list[ImageInfo], dict[int, _Place]]:
    """Return the images or stacks, and by image id: which one, which slice, height and width."""
    infos: dict[Any, ImageInfo] = {}
    numbers: dict[Any, int] = {}
    places: dict[int, _Place] = {}
    for at, entry in enumerate(entries, start=1):
        with reading(f"image {at}"):
            shape = (int(entry["height"]), int(entry["width"]))
            source = _source(entry)
            slice_index = tuple(source.pop("slice_index", ()))
            key = source.pop("number", ("image", entry["id"]))
            if key not in infos:
                name = str(entry.get("file_name", entry["id"]))
                numbers[key] = len(infos)
                infos[key] = image_from_json(source or {"shape": shape, "name": name})
            places[entry["id"]] = (numbers[key], slice_index, shape)
    return list(infos.values()), places


def _source(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an image of ours says of its stack; others have something else in its place."""
    source = entry.get("source")
    if isinstance(source, dict) and {"number", "slice_index", "shape"} <= source.keys():
        return dict(source)
    return {}


def _counts(segmentation: Any, shape: tuple[int, int]) -> Any:
    """Return the runs of a compressed, uncompressed or polygonal segmentation."""
    if isinstance(segmentation, list):
        api = _mask_api()
        clipped = [_near_image(one, shape) for one in segmentation]
        # Polygons with fewer than three corners, which some tools write, have no area.
        polygons = [one for one in clipped if len(one) >= 6]
        if not polygons:
            return [shape[0] * shape[1]]
        return counts_of_text(api.merge(api.frPyObjects(polygons, *shape))["counts"].decode())
    size = segmentation.get("size", shape)
    if tuple(size) != shape:
        raise ExportError(f"a run-length encoding is of an image of {size}, not {list(shape)}")
    counts = segmentation["counts"]
    return counts_of_text(counts) if isinstance(counts, str) else counts


def _near_image(polygon: Any, shape: tuple[int, int]) -> list[float]:
    """Return a polygon without what is far outside its image.

    pycocotools takes memory for each step along the edges, and fails without an exception if they
    have no end. The margin leaves polygons as they are that merely reach beyond the image.
    """
    corners_xy = np.array(polygon[: len(polygon) // 2 * 2], np.float64).reshape(-1, 2)
    if not np.isfinite(corners_xy).all():
        raise ExportError("a polygon has coordinates that are not finite; remove it")
    height, width = shape
    clipped_xy = clipped_polygon(corners_xy, (-width, -height), (2 * width, 2 * height))
    flat: list[float] = clipped_xy.ravel().tolist()
    return flat
