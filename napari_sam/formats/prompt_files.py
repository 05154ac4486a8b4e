"""Prompts from files: what a detector, an annotation tool or napari itself has written.

Read are

- CSV with a header: ``x0,y0,x1,y1`` (or ``xmin,ymin,xmax,ymax``) or ``x,y``, and napari's own files
  of points and shapes; a column ``class``, ``class_name``, ``category`` or ``label`` names classes;
- GeoJSON of points, lines and polygons; a polygon that is a rectangle is a box;
- COCO: annotations with ``bbox``, or a bare list of a detector's results.

Corners of boxes and the coordinates of GeoJSON and COCO are counted from the outer corner of the
first pixel; x and y of points, and napari's coordinates, from its centre.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from napari_sam.formats.classes import class_named
from napari_sam.formats.files import ExportError, read_json, read_text
from napari_sam.formats.image import ImageInfo

PROMPT_SUFFIXES: Final = (".csv", ".json", ".geojson")
"""How files end that `read_prompts` reads."""
# As those of layers, which know nothing of this part.
_CLASS_COLUMNS: Final = ("class_name", "class", "classes", "category", "label", "name", "type")
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
    """How the vertices of a prompt are meant."""

    POINT = "point"
    BOX = "box"
    ELLIPSE = "ellipse"
    """They are the corners of the rectangle that it fills, in their order around it."""
    POLYGON = "polygon"
    LINE = "line"


@dataclass(frozen=True)
class FilePrompt:
    """What asks for one object.

    Parameters
    ----------
    kind : PromptKind
        How the vertices are meant.
    vertices_xy : tuple of (float, float)
        x (column), y (row); pixel centres have whole numbers.
    slice_index : tuple of int
        Where the plane is, along the axes before the last two; empty: on every plane.
    class_name : str, optional
        Its class.
    """

    kind: PromptKind
    vertices_xy: tuple[tuple[float, float], ...]
    slice_index: tuple[int, ...] = ()
    class_name: str | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for place in self.vertices_xy for value in place):
            msg = f"{self.vertices_xy} is not a number everywhere"
            raise ValueError(msg)


def read_prompts(path: str | Path, image: ImageInfo) -> list[FilePrompt]:
    """Read the prompts for one image.

    Parameters
    ----------
    path : str or Path
        A file that ends in one of `PROMPT_SUFFIXES`.
    image : ImageInfo
        The image; of a COCO file of several, its name or its size tells which one is meant.

    Returns
    -------
    list of FilePrompt
        In the order of the file.

    Raises
    ------
    ExportError
        If the file cannot be read, or has no prompts in a form that is known.
    """
    path = Path(path)
    if path.suffix.lower() not in PROMPT_SUFFIXES:
        msg = f"{path} has no prompts; choose a file that ends in {', '.join(PROMPT_SUFFIXES)}."
        raise ExportError(msg)
    try:
        if path.suffix.lower() == ".csv":
            return list(_from_csv(read_text(path)))
        content = read_json(path)
        if _is_coco(content):
            return list(_from_coco(content, image))
        return list(_from_geojson(content, image))
    except ExportError:
        raise
    except RecursionError as error:
        msg = f"{path} has no prompts: it is nested too deeply."
        raise ExportError(msg) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        csv.Error,
    ) as error:
        msg = f"{path} has no prompts that can be read ({type(error).__name__}: {error})."
        raise ExportError(msg) from error


# CSV -------------------------------------------------------------------------------------------


def _from_csv(text: str) -> Iterator[FilePrompt]:
    first, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    names = [(name or "").strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    class_column = next((name for name in _CLASS_COLUMNS if name in names), None)
    axes = sorted((name for name in names if name.startswith("axis-")), key=_axis_number)
    if len(axes) >= 2 and "shape-type" in names:
        yield from _napari_shapes(rows, axes, class_column)
        return
    boxes = next((columns for columns in _BOX_COLUMNS if set(columns) <= set(names)), None)
    for number, row in enumerate(rows, start=2):
        if not any((value or "").strip() for value in row.values() if isinstance(value, str)):
            continue
        try:
            class_name = class_named(row.get(class_column)) if class_column else None
            if boxes is not None:
                x0, y0, x1, y1 = (float(row[name]) - 0.5 for name in boxes)
                yield FilePrompt(PromptKind.BOX, ((x0, y0), (x1, y1)), (), class_name)
            elif len(axes) >= 2:
                *places, y, x = (float(row[name]) for name in axes)
                yield FilePrompt(PromptKind.POINT, ((x, y),), _rounded(places), class_name)
            elif {"x", "y"} <= set(names):
                place = (float(row["x"]), float(row["y"]))
                yield FilePrompt(PromptKind.POINT, (place,), (), class_name)
            else:
                msg = (
                    "The first line of the CSV file must name its columns: x0,y0,x1,y1 for boxes, "
                    "or x,y for points, or as napari saves points and shapes."
                )
                raise ExportError(msg)
        except (OverflowError, TypeError, ValueError) as error:
            if isinstance(error, ExportError):
                raise
            msg = f"Line {number} of the CSV file has something that is not a number ({error})."
            raise ExportError(msg) from error


def _axis_number(name: str) -> int:
    return int(name.removeprefix("axis-"))


def _napari_shapes(
    rows: Iterable[dict[str, Any]], axes: Sequence[str], class_column: str | None
) -> Iterator[FilePrompt]:
    shapes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shapes.setdefault(row["index"], []).append(row)
    for vertices in shapes.values():
        places = [[float(row[name]) for name in axes] for row in vertices]
        class_name = class_named(vertices[0].get(class_column)) if class_column else None
        kind = PromptKind(_NAPARI_KINDS[vertices[0]["shape-type"].strip().lower()])
        corners = tuple((place[-1], place[-2]) for place in places)
        if kind is PromptKind.BOX and not _is_upright(corners):
            kind = PromptKind.POLYGON
        yield FilePrompt(kind, corners, _rounded(places[0][:-2]), class_name)


def _rounded(places: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(place) for place in places)


# COCO ------------------------------------------------------------------------------------------


def _is_coco(content: Any) -> bool:
    if isinstance(content, dict):
        return "annotations" in content
    return bool(content) and all(isinstance(one, dict) and "bbox" in one for one in content)


def _from_coco(content: Any, image: ImageInfo) -> Iterator[FilePrompt]:
    entries = content if isinstance(content, list) else content["annotations"]
    names: dict[Any, str | None] = {}
    if isinstance(content, dict):
        names = {one["id"]: class_named(one["name"]) for one in content.get("categories", ())}
        chosen = _coco_image(content.get("images", ()), image)
        entries = [one for one in entries if chosen is None or one["image_id"] == chosen]
    elif len({one.get("image_id") for one in entries}) > 1:
        msg = "These results are about several images: choose those of this one alone."
        raise ExportError(msg)
    for entry in entries:
        x, y, width, height = (float(value) for value in entry["bbox"])
        corners = ((x - 0.5, y - 0.5), (x + width - 0.5, y + height - 0.5))
        category = entry.get("category_id")
        yield FilePrompt(PromptKind.BOX, corners, (), names.get(category))


def _coco_image(images: Sequence[dict[str, Any]], image: ImageInfo) -> Any:
    """Return the id of the image that is meant; None if the file has at most one."""
    if len(images) < 2:
        return None
    named = [one for one in images if Path(str(one.get("file_name", ""))).stem == _stem(image)]
    fitting = named or [
        one for one in images if (one.get("height"), one.get("width")) == image.plane_shape
    ]
    if len(fitting) != 1:
        known = ", ".join(str(one.get("file_name")) for one in images[:5])
        msg = f"The file is about several images: name the layer as one of them ({known})."
        raise ExportError(msg)
    return fitting[0]["id"]


def _stem(image: ImageInfo) -> str:
    return Path(image.name).stem


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
        places: tuple[int, ...] = ()
        if plane:
            places = tuple(int(plane.get(axis.lower(), 0)) for axis in image.axes[:-2])
        for kind, vertices in _shapes(geometry):
            yield FilePrompt(kind, vertices, places, class_named(name))


def _shapes(
    geometry: dict[str, Any],
) -> Iterator[tuple[PromptKind, tuple[tuple[float, float], ...]]]:
    kind: str = geometry["type"]
    at: Any = geometry.get("coordinates")
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _shapes(part)
    elif kind in ("Point", "MultiPoint"):
        for place in [at] if kind == "Point" else at:
            yield PromptKind.POINT, _centred([place])
    elif kind in ("LineString", "MultiLineString"):
        for line in [at] if kind == "LineString" else at:
            yield PromptKind.LINE, _centred(line)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [at] if kind == "Polygon" else at:
            vertices = _centred(rings[0])
            if vertices[0] == vertices[-1]:
                vertices = vertices[:-1]
            is_box = len(vertices) == 4 and _is_upright(vertices)
            yield (PromptKind.BOX if is_box else PromptKind.POLYGON), vertices
    else:
        raise ExportError(f"A {kind} is no prompt; keep points, lines and polygons.")


def _centred(places: Iterable[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Bring coordinates from the outer corner of the first pixel to its centre."""
    return tuple((float(place[0]) - 0.5, float(place[1]) - 0.5) for place in places)


def _is_upright(vertices: Sequence[tuple[float, float]]) -> bool:
    """Whether four corners are those of a rectangle whose sides follow the axes."""
    pairs = zip(vertices, [*vertices[1:], vertices[0]], strict=True)
    return len(vertices) == 4 and all(
        abs(x0 - x1) < 1e-6 or abs(y0 - y1) < 1e-6 for (x0, y0), (x1, y1) in pairs
    )
