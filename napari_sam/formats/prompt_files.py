"""Read prompts from the files of detectors, annotation tools and napari itself.

The formats are

- CSV with a header: ``x0,y0,x1,y1`` (or ``xmin,ymin,xmax,ymax``) or ``x,y``, and napari's own files
  of points and shapes; a column ``class``, ``class_name``, ``category`` or ``label`` names classes;
- GeoJSON of points, lines and polygons; a rectangular polygon is a box;
- COCO: annotations with ``bbox``, or a bare list of a detector's results.

Boxes, GeoJSON and COCO have their origin at the outer corner of the first pixel; points in CSV, and
napari's files, have it at the centre of that pixel.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from napari_sam.formats.classes import class_named
from napari_sam.formats.files import ExportError, file_reader, read_json, read_text
from napari_sam.formats.image import ImageInfo

PROMPT_SUFFIXES: Final = (".csv", ".json", ".geojson")
"""How files end that `read_prompts` reads."""
CLASS_COLUMNS: Final = ("class_name", "class", "classes", "category", "label", "name", "type")
"""Columns that may hold the class of a prompt, in a file or in the features of a layer; the first
that exists counts."""
_BOX_COLUMNS: Final = (
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
)
_NAPARI_KINDS: Final = {
    "rectangle": "box",
    "ellipse": "ellipse",
    "polygon": "polygon",
    "path": "line",
    "line": "line",
}


class PromptKind(StrEnum):
    """The meaning of a prompt's vertices."""

    POINT = "point"
    BOX = "box"
    ELLIPSE = "ellipse"
    """The vertices are the corners of its bounding rectangle, in order."""
    POLYGON = "polygon"
    LINE = "line"


@dataclass(frozen=True)
class FilePrompt:
    """A prompt for one object.

    Parameters
    ----------
    kind : PromptKind
        The meaning of the vertices.
    vertices_xy : tuple of (float, float)
        x (column) and y (row); pixel centres have integers.
    slice_index : tuple of int
        Index of the plane along the axes before the last two; empty for every plane.
    class_name : str, optional
        The class of the object.
    """

    kind: PromptKind
    vertices_xy: tuple[tuple[float, float], ...]
    slice_index: tuple[int, ...] = ()
    class_name: str | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for vertex in self.vertices_xy for value in vertex):
            raise ValueError(f"{self.vertices_xy} has a coordinate that is not a number")


@file_reader("prompts")
def read_prompts(path: str | Path, image: ImageInfo) -> list[FilePrompt]:
    """Read the prompts for one image.

    Parameters
    ----------
    path : str or Path
        A file that ends in one of `PROMPT_SUFFIXES`.
    image : ImageInfo
        The image. Its name or its size selects an image of a COCO file.

    Returns
    -------
    list of FilePrompt
        In the order of the file.

    Raises
    ------
    ExportError
        If the file cannot be read, or has no prompts in a known form.
    """
    path = Path(path)
    if path.suffix.lower() not in PROMPT_SUFFIXES:
        msg = f"{path} has no prompts; choose a file that ends in {', '.join(PROMPT_SUFFIXES)}."
        raise ExportError(msg)
    if path.suffix.lower() == ".csv":
        return list(_from_csv(read_text(path)))
    content = read_json(path)
    return list((_from_coco if _is_coco(content) else _from_geojson)(content, image))


# CSV -------------------------------------------------------------------------------------------


def _from_csv(text: str) -> Iterator[FilePrompt]:
    first_line, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=first_line.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    rows.fieldnames = names = [name.strip().lower() for name in rows.fieldnames or ()]
    class_column = next((name for name in CLASS_COLUMNS if name in names), None)
    axes = sorted(
        (name for name in names if name.startswith("axis-")), key=lambda name: int(name[5:])
    )
    if len(axes) >= 2 and "shape-type" in names:
        yield from _napari_shapes(rows, axes, class_column)
        return
    boxes = next((columns for columns in _BOX_COLUMNS if set(columns) <= set(names)), None)
    if boxes is None and len(axes) < 2:
        axes = ["y", "x"]
    for number, row in enumerate(rows, start=2):
        if not any(value.strip() for value in row.values() if isinstance(value, str)):
            continue
        if boxes is None and not set(axes) <= set(names):
            raise ExportError(
                "The first line of the CSV file must name its columns: x0,y0,x1,y1 for boxes, x,y "
                "for points, or those of napari's own files of points and shapes."
            )
        try:
            class_name = class_named(row.get(class_column)) if class_column else None
            if boxes is not None:
                x0, y0, x1, y1 = (float(row[name]) - 0.5 for name in boxes)
                yield FilePrompt(PromptKind.BOX, ((x0, y0), (x1, y1)), (), class_name)
            else:
                *indices, y, x = (float(row[name]) for name in axes)
                yield FilePrompt(PromptKind.POINT, ((x, y),), _rounded(indices), class_name)
        except (OverflowError, TypeError, ValueError) as error:
            msg = f"Line {number} of the CSV file has a value that is not a number ({error})."
            raise ExportError(msg) from error


def _napari_shapes(
    rows: Iterable[dict[str, Any]], axes: Sequence[str], class_column: str | None
) -> Iterator[FilePrompt]:
    shapes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shapes.setdefault(row["index"], []).append(row)
    for vertices in shapes.values():
        positions = [[float(row[name]) for name in axes] for row in vertices]
        class_name = class_named(vertices[0].get(class_column)) if class_column else None
        kind = PromptKind(_NAPARI_KINDS[vertices[0]["shape-type"].strip().lower()])
        corners = tuple((position[-1], position[-2]) for position in positions)
        if kind is PromptKind.BOX and not _is_upright(corners):
            kind = PromptKind.POLYGON
        yield FilePrompt(kind, corners, _rounded(positions[0][:-2]), class_name)


def _rounded(indices: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(index) for index in indices)


# COCO ------------------------------------------------------------------------------------------


def _is_coco(content: Any) -> bool:
    if isinstance(content, dict):
        return "annotations" in content
    return bool(content) and all(
        isinstance(result, dict) and "bbox" in result for result in content
    )


def _from_coco(content: Any, image: ImageInfo) -> Iterator[FilePrompt]:
    entries = content if isinstance(content, list) else content["annotations"]
    names: dict[Any, str | None] = {}
    if isinstance(content, dict):
        names = {entry["id"]: class_named(entry["name"]) for entry in content.get("categories", ())}
        image_id = _coco_image_id(content.get("images", ()), image)
        entries = [entry for entry in entries if image_id is None or entry["image_id"] == image_id]
    elif len({entry.get("image_id") for entry in entries}) > 1:
        msg = "These results are about several images; choose a file with those of this image only."
        raise ExportError(msg)
    for entry in entries:
        x, y, width, height = (float(value) for value in entry["bbox"])
        corners = ((x - 0.5, y - 0.5), (x + width - 0.5, y + height - 0.5))
        category = entry.get("category_id")
        yield FilePrompt(PromptKind.BOX, corners, (), names.get(category))


def _coco_image_id(entries: Sequence[dict[str, Any]], image: ImageInfo) -> Any:
    """Return the id of the image that is meant; None if the file has at most one."""
    if len(entries) < 2:
        return None
    stem = Path(image.name).stem
    fitting = [
        entry for entry in entries if Path(str(entry.get("file_name", ""))).stem == stem
    ] or [
        entry for entry in entries if (entry.get("height"), entry.get("width")) == image.plane_shape
    ]
    if len(fitting) != 1:
        names = ", ".join(str(entry.get("file_name")) for entry in entries[:5])
        msg = f"The file is about several images; rename the layer to one of their names ({names})."
        raise ExportError(msg)
    return fitting[0]["id"]


# GeoJSON ---------------------------------------------------------------------------------------


def _from_geojson(content: Any, image: ImageInfo) -> Iterator[FilePrompt]:
    features = content if isinstance(content, list) else content.get("features", [content])
    for feature in features:
        geometry = feature.get("geometry", feature)
        properties = feature.get("properties") or {}
        name = properties.get("classification") or properties.get("class_name")
        if isinstance(name, dict):
            name = name.get("name") or ": ".join(name.get("names", ()))
        plane = geometry.get("plane", {})
        slice_index: tuple[int, ...] = ()
        if plane:
            slice_index = tuple(int(plane.get(axis.lower(), 0)) for axis in image.axes[:-2])
        for kind, vertices in _shapes(geometry):
            yield FilePrompt(kind, vertices, slice_index, class_named(name))


def _shapes(
    geometry: dict[str, Any],
) -> Iterator[tuple[PromptKind, tuple[tuple[float, float], ...]]]:
    kind: str = geometry["type"]
    coordinates: Any = geometry.get("coordinates")
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _shapes(part)
    elif kind in ("Point", "MultiPoint"):
        for position in [coordinates] if kind == "Point" else coordinates:
            yield PromptKind.POINT, _centred([position])
    elif kind in ("LineString", "MultiLineString"):
        for line in [coordinates] if kind == "LineString" else coordinates:
            yield PromptKind.LINE, _centred(line)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [coordinates] if kind == "Polygon" else coordinates:
            vertices = _centred(rings[0])
            if vertices[0] == vertices[-1]:
                vertices = vertices[:-1]
            is_box = len(vertices) == 4 and _is_upright(vertices)
            yield (PromptKind.BOX if is_box else PromptKind.POLYGON), vertices
    else:
        raise ExportError(f"A {kind} is not a prompt; keep only points, lines and polygons.")


def _centred(positions: Iterable[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Move the origin from the outer corner of the first pixel to its centre."""
    return tuple((float(position[0]) - 0.5, float(position[1]) - 0.5) for position in positions)


def _is_upright(vertices: Sequence[tuple[float, float]]) -> bool:
    """Return whether the vertices are the corners of a rectangle along the axes."""
    pairs = zip(vertices, [*vertices[1:], vertices[0]], strict=True)
    return len(vertices) == 4 and all(
        abs(x0 - x1) < 1e-6 or abs(y0 - y1) < 1e-6 for (x0, y0), (x1, y1) in pairs
    )
