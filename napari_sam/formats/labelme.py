"""Files of labelme as features of GeoJSON, as objects and as prompts.

A file has the shapes of one image: polygons, rectangles, circles, lines, points and masks. Source
of the format: ``labelme/label_file.py`` and ``labelme/utils/shape.py`` of wkentaro/labelme.
"""

import base64
import io
from pathlib import PureWindowsPath
from typing import Any

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from napari_sam.formats.files import FileError, require_memory
from napari_sam.formats.outlines import closed_polygons, ellipse_ring


def is_labelme(content: Any) -> bool:
    """Return whether the content of a JSON file is of labelme."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def image_of_labelme(content: dict[str, Any]) -> dict[str, Any]:
    """Return shape and name of the image, or nothing if the size is missing."""
    shape = (content.get("imageHeight"), content.get("imageWidth"))
    name = PureWindowsPath(str(content.get("imagePath") or "image")).name
    return {} if None in shape else {"shape": shape, "name": name}


def shape_groups(content: dict[str, Any]) -> list[Any]:
    """Return the shapes of each object: those with one label and one group belong together."""
    groups: dict[Any, list[Any]] = {}
    for number, shape in enumerate(content["shapes"]):
        members = shape if isinstance(shape, dict) else {}
        group = members.get("group_id")
        key = number if group is None else (str(group), str(members.get("label")))
        groups.setdefault(key, []).append(shape)
    return [{"shapes": shapes} for shapes in groups.values()]


def feature_of_shapes(shapes: list[Any]) -> dict[str, Any]:
    """Return the shapes of an object as a feature."""
    geometries = [_geometry(shape) for shape in shapes]
    notes = [shape["description"] for shape in shapes if shape.get("description")]
    return {
        "geometry": {"type": "GeometryCollection", "geometries": geometries},
        "properties": {
            "classification": shapes[0].get("label"),
            "metadata": {"note": "\n".join(map(str, notes))},
        },
    }


def _geometry(shape: dict[str, Any]) -> dict[str, Any]:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind in ("point", "points"):
        return {"type": "MultiPoint", "coordinates": points}
    if kind in ("line", "linestrip"):
        return {"type": "LineString", "coordinates": points}
    if kind == "mask":
        return {"type": "MultiPolygon", "coordinates": _polygons_of_mask(shape["mask"], points)}
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points
        points = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    elif kind == "circle":
        center, edge = np.array(points, np.float64)
        points = ellipse_ring(center, np.full(2, np.hypot(*(edge - center)))).tolist()
    elif kind not in ("polygon", "oriented_rectangle"):
        raise FileError(f"a {kind} cannot be read")
    return {"type": "Polygon", "coordinates": [points]}


def _polygons_of_mask(text: str, points: Any) -> list[Any]:
    """Return the outlines of a mask in a PNG, which fills a box whose corners are pixels."""
    (left, top), (right, bottom) = np.array(points, np.float64).round().astype(int)
    with PngImageFile(io.BytesIO(base64.b64decode(text))) as png:
        if png.size != (right - left + 1, bottom - top + 1):
            raise FileError(f"its mask of {png.size} pixels does not match its box")
        require_memory(png.width * png.height, "A mask")
        return closed_polygons(np.asarray(png.convert("L")) > 0, top, left)
