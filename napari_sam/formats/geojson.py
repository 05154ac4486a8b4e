"""GeoJSON as QuPath reads and writes it.

Sources of the format: RFC 7946, and QuPath's ``QuPathTypeAdapters`` and ``ROITypeAdapters``, which
put the plane beside the coordinates, and class, name and measurements into the properties.
Coordinates are (x, y) in pixels from the outer corner of the first pixel.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam.formats.annotations import Annotations, ExportObject, with_unique_ids
from napari_sam.formats.classes import ObjectClass, class_named, classes_of
from napari_sam.formats.files import (
    ExportError,
    file_reader,
    naming_errors,
    read_json,
    write_json,
)
from napari_sam.formats.image import ImageInfo, image_from_json
from napari_sam.formats.outlines import fill_rings, trace_outlines

_PLANE_KEYS: Final = {"Z": "z", "T": "t", "C": "c"}

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
    ExportError
        If the image has axes other than Z, T, C, Y and X, or the file cannot be written.
    """
    if not set(annotations.image.axes[:-2]) <= set(_PLANE_KEYS):
        msg = f"QuPath has stacks along Z, T and C, not along all of {annotations.image.axes[:-2]}."
        raise ExportError(msg)
    colors = {entry.name: entry.color_rgb for entry in annotations.classes}
    content = {
        "type": "FeatureCollection",
        _IMAGE_KEY: asdict(annotations.image),
        "features": [
            _feature(obj, annotations.image, colors, object_type) for obj in annotations.objects
        ],
    }
    write_json(path, content)


def _feature(
    obj: ExportObject, image: ImageInfo, colors: dict[str, tuple[int, int, int]], object_type: str
) -> dict[str, Any]:
    # Rings are closed, as RFC 7946 demands.
    polygons = [
        [[*ring, ring[0]] for ring in map(np.ndarray.tolist, (piece.shell_xy, *piece.holes_xy))]
        for piece in trace_outlines(obj.mask, obj.top, obj.left)
    ]
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
        # QuPath refuses a classification without a colour.
        color = list(colors[obj.class_name])
        properties["classification"] = {"name": obj.class_name, "color": color}
    # QuPath shows numbers among the measurements, and keeps them.
    properties["measurements"] = {"label_id": obj.label_id}
    if obj.score is not None:
        properties["measurements"]["score"] = obj.score
    # QuPath keeps metadata as texts.
    metadata = {"reviewed": "true" if obj.reviewed else "", "note": obj.note}
    if any(metadata.values()):
        properties["metadata"] = {key: text for key, text in metadata.items() if text}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@file_reader()
def read_geojson(path: str | Path, image: ImageInfo | None = None) -> Annotations:
    """Read polygons, ours, QuPath's or others', as the pixels whose centres they contain.

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
        are clipped to the image; those without a pixel are left out.

    Raises
    ------
    ExportError
        If the file is not GeoJSON, has lines or points, or lacks the size of the image.
    """
    return geojson_in(read_json(path), Path(path).name, image)


def describes_its_image(content: Any) -> bool:
    """Return whether the content of a JSON file is GeoJSON with the size of its image."""
    image = content.get(_IMAGE_KEY) if isinstance(content, dict) else None
    return isinstance(image, dict) and "shape" in image and "features" in content


def geojson_in(content: Any, name: str, image: ImageInfo | None = None) -> Annotations:
    """Return the objects in the content of a JSON file, as `read_geojson` does."""
    try:
        with naming_errors():
            if image is None and not describes_its_image(content):
                raise ExportError("it lacks the size of its image; give the image")
            image = image or image_from_json(content[_IMAGE_KEY])
            # QuPath also writes a bare list, or one feature alone.
            features = content if isinstance(content, list) else content.get("features", [content])
            features = list(features)
        classes: dict[str, ObjectClass] = {}
        objects: list[ExportObject] = []
        label_ids: dict[int, int] = {}
        for number, feature in enumerate(features, start=1):
            with naming_errors(f"feature {number}"):
                obj, label_id = _object(feature, number, image, classes)
            if obj is not None:
                objects.append(obj)
            if label_id is not None:
                label_ids[number] = label_id
        with naming_errors():
            return Annotations(image, with_unique_ids(objects, label_ids), tuple(classes.values()))
    except ExportError as error:
        raise ExportError(f"This is not GeoJSON of polygons, {error}: {name}") from error


def _object(
    feature: dict[str, Any], number: int, image: ImageInfo, classes: dict[str, ObjectClass]
) -> tuple[ExportObject | None, int | None]:
    """Return an object, if it has a pixel, and its label_id in the file, if any."""
    geometry = feature["geometry"]
    mask = fill_rings(_rings(geometry), image.plane_shape)
    properties = feature.get("properties") or {}
    measurements = _measurements(properties)
    label_id = measurements.get("label_id")
    label_id = None if label_id is None else int(label_id)
    if mask is None:
        return None, label_id
    metadata = properties.get("metadata") or {}
    plane = geometry.get("plane") or {}
    obj = ExportObject(
        number,
        *mask,
        # -1, all channels, becomes the first channel.
        tuple(max(int(plane.get(_PLANE_KEYS.get(axis), 0)), 0) for axis in image.axes[:-2]),
        _class_name(properties.get("classification"), classes),
        measurements.get("score"),
        str(metadata.get("reviewed", "")).lower() == "true",
        str(metadata.get("note", "")),
    )
    return obj, label_id


def _measurements(properties: dict[str, Any]) -> dict[str, Any]:
    measurements = properties.get("measurements") or {}
    if isinstance(measurements, list):  # as QuPath wrote them before its version 0.4
        return {entry["name"]: entry["value"] for entry in measurements}
    return dict(measurements)


def _rings(geometry: dict[str, Any]) -> list[NDArray[np.float64]]:
    if geometry["type"] == "GeometryCollection":
        return [ring for part in geometry["geometries"] for ring in _rings(part)]
    polygons: Sequence[Any] = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    elif geometry["type"] != "MultiPolygon":
        msg = f"a {geometry['type']} encloses no pixels; keep only polygons and multipolygons"
        raise ExportError(msg)
    # A position may have a third number, its height.
    return [np.array([xyz[:2] for xyz in ring], np.float64) for rings in polygons for ring in rings]


def _class_name(classification: Any, classes: dict[str, ObjectClass]) -> str | None:
    """Return the name of a classification, and add its class to the classes."""
    if not classification:
        return None
    if isinstance(classification, str):
        classification = {"name": classification}
    name = class_named(classification.get("name") or ": ".join(classification.get("names", ())))
    if name is not None and name not in classes:
        default = classes_of([name], classes.values())[-1]
        color = classification.get("color", classification.get("colorRGB"))
        if isinstance(color, int):  # packed, as before QuPath 0.4
            color = [color >> 16 & 255, color >> 8 & 255, color & 255]
        classes[name] = ObjectClass.from_rgb(name, color[:3]) if color else default
    return name
