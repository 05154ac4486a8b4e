"""GeoJSON as QuPath reads and writes it.

Sources of the format: RFC 7946, and QuPath's ``QuPathTypeAdapters`` and ``ROITypeAdapters``, which
put the plane beside the coordinates, and class, name and measurements into the properties.
Coordinates are (x, y) in pixels from the outer corner of the first pixel.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject, annotations_read
from napari_sam.formats.classes import ObjectClass, class_named, color_for
from napari_sam.formats.details import (
    comparison_from,
    comparison_of,
    details_from,
    number_in,
    slice_details_from,
    slice_details_of,
    whole_number_in,
)
from napari_sam.formats.files import (
    FileError,
    file_reader,
    naming_errors,
    read_json,
    write_json,
)
from napari_sam.formats.image import ImageInfo, image_from_json
from napari_sam.formats.labelme import feature_of_shapes, image_of_labelme, is_labelme, shape_groups
from napari_sam.formats.left_out import OUTSIDE, LeftOut
from napari_sam.formats.outlines import closed_polygons, fill_rings, union_of
from napari_sam.storage.pacing import paced

_PLANE_KEYS: Final = {"Z": "z", "T": "t", "C": "c"}
_WITHOUT_AREA: Final = {
    "Point": "point",
    "MultiPoint": "point",
    "LineString": "line",
    "MultiLineString": "line",
}
UNLOCATED: Final = "feature without a geometry"
_INTRO: Final = "This is not GeoJSON of polygons"
_CLASS_KEYS: Final = ("classification", "class_name", "class", "category", "label")

# A "foreign member" of RFC 7946, which QuPath ignores.
_IMAGE_KEY: Final = "image"


def write_geojson(
    path: str | Path,
    annotations: Annotations,
    object_type: Literal["annotation", "detection"] = "annotation",
) -> None:
    """Write objects as polygons along the edges of their pixels.

    Parameters
    ----------
    path : str or Path
        A ``.geojson`` file.
    annotations : Annotations
        The objects. An object in several pieces becomes a MultiPolygon; pixels that touch only at
        a corner count as several pieces.
    object_type : {"annotation", "detection"}
        The type of QuPath objects; detections are faster for many thousands of objects.

    Raises
    ------
    FileError
        If the image has axes other than Z, T, C, Y and X, or the file cannot be written.
    """
    if not set(annotations.image.axes[:-2]) <= set(_PLANE_KEYS):
        msg = (
            "QuPath stacks run along Z, T and C, not along all of "
            f"{annotations.image.axes[:-2]}; choose COCO or NPZ."
        )
        raise FileError(msg)
    colors = {entry.name: entry.color_rgb for entry in annotations.classes}
    content = {
        "type": "FeatureCollection",
        _IMAGE_KEY: asdict(annotations.image),
        "features": [
            _feature(obj, annotations.image, colors, object_type)
            for obj in paced(annotations.objects)
        ],
    }
    write_json(path, content)


def _feature(
    obj: ExportObject, image: ImageInfo, colors: dict[str, tuple[int, int, int]], object_type: str
) -> dict[str, Any]:
    polygons = closed_polygons(obj.mask, obj.top, obj.left)
    geometry: dict[str, Any] = {"type": "MultiPolygon", "coordinates": polygons}
    if len(polygons) == 1:
        geometry = {"type": "Polygon", "coordinates": polygons[0]}
    if obj.slice_index:
        indices = zip(image.axes, obj.slice_index, strict=False)
        # For QuPath, channel -1 is all channels.
        plane = {"c": -1, "z": 0, "t": 0}
        geometry["plane"] = plane | {_PLANE_KEYS[axis]: index for axis, index in indices}
    properties: dict[str, Any] = {"objectType": object_type}
    if obj.class_name is not None:
        # QuPath refuses a classification without a color.
        color = list(colors[obj.class_name])
        properties["classification"] = {"name": obj.class_name, "color": color}
    # QuPath shows numbers among the measurements, and keeps them.
    properties["measurements"] = {"label_id": obj.label_id} | {
        key: number for key, number in _numbers_of(obj).items() if number is not None
    }
    # QuPath keeps metadata as texts.
    reviewed = "true" if obj.reviewed else ""
    metadata = {"reviewed": reviewed, "note": obj.note, "origin": obj.origin}
    if any(metadata.values()):
        properties["metadata"] = {key: text for key, text in metadata.items() if text}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _numbers_of(obj: ExportObject) -> dict[str, float | None]:
    """Return what is known of an object in numbers."""
    return {
        "score": obj.score,
        "parent_id": int(obj.parent_id) or None,
        "confidence": slice_details_of(obj)["confidence"],
        **comparison_of(obj),
    }


@file_reader()
def read_geojson(path: str | Path, image: ImageInfo | None = None) -> Annotations:
    """Read polygons, ours, QuPath's or others', as the pixels whose centers they contain.

    Files of labelme are read too.

    Parameters
    ----------
    path : str or Path
        A ``.geojson`` or ``.json`` file.
    image : ImageInfo, optional
        The image that they belong to. Our own files describe it.

    Returns
    -------
    Annotations
        Objects without a ``label_id``, and copies with the same one, get new label_ids. Objects
        are clipped to the image. Those without a pixel, lines, points, and what cannot be read
        are left out and counted.

    Raises
    ------
    FileError
        If the file is not GeoJSON, lacks the size of the image, or has no polygon.
    """
    return geojson_in(read_json(path), Path(path).name, image)


def described_image(content: Any) -> dict[str, Any]:
    """Return the fields of the image whose size is in the content of a JSON file; else nothing."""
    if is_labelme(content):
        return image_of_labelme(content)
    image = _mapping(content, _IMAGE_KEY) if isinstance(content, dict) else {}
    return image if "shape" in image and "features" in content else {}


def features_in(content: Any) -> list[Any]:
    """Return the features in the content of a JSON file, which `as_feature` reads."""
    if is_labelme(content):
        return shape_groups(content)
    if isinstance(content, dict):
        content = content.get("features", content.get("geometries", [content]))
    # QuPath also writes a bare list, or one feature alone.
    if not isinstance(content, list) or (content and not any(map(_is_feature, content))):
        raise FileError("The file is not GeoJSON, COCO or labelme; export it as one of them")
    return content


def _is_feature(entry: Any) -> bool:
    return isinstance(entry, dict) and ("geometry" in entry or "type" in entry)


def as_feature(entry: Any) -> dict[str, Any]:
    """Return a feature, also of a bare geometry or of shapes of labelme."""
    if "shapes" in entry:
        return feature_of_shapes(entry["shapes"])
    return dict(entry) if "geometry" in entry else {"geometry": entry}


def geojson_in(content: Any, name: str, image: ImageInfo | None = None) -> Annotations:
    """Return the objects in the content of a JSON file, as `read_geojson` does."""
    left_out, features = LeftOut(), features_in(content)
    try:
        with naming_errors():
            if image is None and not described_image(content):
                raise FileError("the size of its image is missing; give the image")
            image = image or image_from_json(described_image(content))
    except FileError as error:
        raise FileError(f"{_INTRO} ({error}): {name}") from error
    classes: dict[str, ObjectClass] = {}
    objects: list[ExportObject] = []
    label_ids: dict[int, int] = {}
    for number, entry in enumerate(paced(features), start=1):
        with left_out.unreadable(f"feature {number}"):
            feature = as_feature(entry)
            measurements = _measurements(feature)
            label_id = whole_number_in(measurements.get("label_id"))
            if label_id is not None:
                label_ids[number] = label_id
            obj = _object(feature, number, image, classes, left_out)
            if obj is not None:
                objects.append(obj)
    left_out.require(objects, _INTRO, name)
    return annotations_read(image, objects, tuple(classes.values()), left_out, label_ids)


def _object(
    feature: dict[str, Any],
    number: int,
    image: ImageInfo,
    classes: dict[str, ObjectClass],
    left_out: LeftOut,
) -> ExportObject | None:
    """Return an object; None if it has no pixel."""
    geometry = feature["geometry"]
    if geometry is None:
        left_out.add(UNLOCATED, f"feature {number} has no geometry")
        return None
    masks, parts = [], list(parts_of(geometry))
    if not parts:
        left_out.add(UNLOCATED, f"feature {number} is an empty collection")
    for kind, coordinates in parts:
        if kind in _WITHOUT_AREA:
            reason = f"feature {number} is a {kind}, which encloses no pixels"
            left_out.add(_WITHOUT_AREA[kind], reason)
        else:
            masks.append(fill_rings(_rings(kind, coordinates), image.plane_shape))
    if not masks:
        return None
    mask = union_of(mask for mask in masks if mask is not None)
    if mask is None:
        left_out.add(OUTSIDE)
        return None
    measurements = _measurements(feature)
    details = {
        **_mapping(_mapping(feature, "properties"), "metadata"),
        **{key: measurements.get(key) for key in ("score", "parent_id", "confidence")},
        "class": _class_of(feature, classes),
    }
    members = details_from(details) | slice_details_from(details) | comparison_from(measurements)
    return ExportObject(number, *mask, slice_index_in(geometry, image), **members)


def slice_index_in(geometry: dict[str, Any], image: ImageInfo) -> tuple[int, ...]:
    """Return the slice of a geometry; -1, all channels for QuPath, becomes the first one."""
    plane = _mapping(geometry, "plane")
    positions = (number_in(plane.get(_PLANE_KEYS.get(axis, ""))) for axis in image.axes[:-2])
    return tuple(max(int(position or 0), 0) for position in positions)


def _mapping(members: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a member that should be a mapping; nothing if it is anything else."""
    value = members.get(key)
    return value if isinstance(value, dict) else {}


def _measurements(feature: dict[str, Any]) -> dict[str, Any]:
    measurements = _mapping(feature, "properties").get("measurements")
    if isinstance(measurements, list):  # as QuPath wrote them before its version 0.4
        entries = [entry for entry in measurements if isinstance(entry, dict)]
        return {str(entry.get("name")): entry.get("value") for entry in entries}
    return measurements if isinstance(measurements, dict) else {}


def parts_of(geometry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the type and the coordinates of a geometry, or of all in a collection."""
    kind = geometry["type"]
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from parts_of(part)
    else:
        yield str(kind), geometry["coordinates"]


def _rings(kind: str, polygons: Any) -> list[NDArray[np.float64]]:
    if kind == "Polygon":
        polygons = [polygons]
    elif kind != "MultiPolygon":
        raise FileError(f"a {kind} cannot be read; keep only polygons and multipolygons")
    # A position may have a third number, its height.
    return [np.array([xyz[:2] for xyz in ring], np.float64) for rings in polygons for ring in rings]


def classification_in(feature: dict[str, Any]) -> str | None:
    """Return the name of a feature's class."""
    properties = _mapping(feature, "properties")
    name = next((properties[key] for key in _CLASS_KEYS if properties.get(key)), None)
    if isinstance(name, dict):
        name = name.get("name") or ": ".join(map(str, name.get("names") or ()))
    return class_named(name)


def _class_of(feature: dict[str, Any], classes: dict[str, ObjectClass]) -> str | None:
    """Return the name of a feature's class, and add it to the classes."""
    name = classification_in(feature)
    classification = _mapping(_mapping(feature, "properties"), "classification")
    if name is not None and name not in classes:
        color = classification.get("color") or classification.get("colorRGB")
        classes[name] = ObjectClass(name, color_for(color, len(classes)))
    return name
