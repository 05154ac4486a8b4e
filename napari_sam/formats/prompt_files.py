"""Read prompts from the files of detectors, annotation tools and napari itself.

The formats are

- CSV with a header: corners of boxes, as ``x0,y0,x1,y1`` or ``xmin,ymin,xmax,ymax``; a corner or
  the centre with the size, as ``x,y,width,height`` or ``cx,cy,w,h``; points as ``x,y``; and
  napari's own files of points and shapes. A column ``class``, ``class_name``, ``category`` or
  ``label`` names classes;
- GeoJSON of points, lines and polygons, and labelme; a rectangular polygon is a box;
- COCO and SAM: annotations with ``bbox``, or with a mask, whose box it is then; or a bare list of a
  detector's results;
- YOLO: boxes and polygons.

Boxes, GeoJSON, COCO and YOLO have their origin at the outer corner of the first pixel; points in
CSV, and napari's files, have it at the centre of that pixel.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from napari_sam.formats.classes import class_named
from napari_sam.formats.coco import mask_in, read_categories
from napari_sam.formats.coco_layouts import as_coco
from napari_sam.formats.details import number_in
from napari_sam.formats.files import ExportError, file_reader, read_json, read_text
from napari_sam.formats.geojson import (
    UNLOCATED,
    as_feature,
    classification_in,
    features_in,
    parts_of,
)
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.image_names import images_meant
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.yolo import classes_beside, lines_in, name_of_class

PROMPT_SUFFIXES: Final = (".csv", ".json", ".geojson", ".txt")
"""How files end that `read_prompts` reads."""
CLASS_COLUMNS: Final = ("class_name", "class", "classes", "category", "label", "name", "type")
"""Columns that may hold the class of a prompt, in a file or in the features of a layer; the first
that exists counts."""
_FILE_COLUMNS: Final = ("filename", "file_name", "image", "image_name", "image_path", "image_id")
_CORNERS: Final = (
    *(("x0", "y0", "x1", "y1"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom")),
    *(("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max")),
    ("bbox-1", "bbox-0", "bbox-3", "bbox-2"),  # of scikit-image
)
_CORNER_AND_SIZE: Final = (
    *(("bx", "by", "width", "height"), ("left", "top", "width", "height")),  # first: of ImageJ
    *(("x", "y", "width", "height"), ("x", "y", "w", "h")),
    *(("xmin", "ymin", "width", "height"), ("x_min", "y_min", "width", "height")),
)
_CENTER_AND_SIZE: Final = (
    *(("cx", "cy", "width", "height"), ("cx", "cy", "w", "h")),
    *(("x_center", "y_center", "width", "height"), ("xc", "yc", "w", "h")),
)
_AXIS: Final = re.compile(r"axis-\d{1,3}")
"""A column of positions in tables of napari."""
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


_MIN_VERTICES: Final = {PromptKind.BOX: 2, PromptKind.ELLIPSE: 4, PromptKind.POLYGON: 3}


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
        least = _MIN_VERTICES.get(self.kind, 1)
        if len(self.vertices_xy) < least:
            raise ExportError(
                f"a prompt of kind {self.kind} has at least {least} vertices, not "
                f"{len(self.vertices_xy)}"
            )
        if not all(math.isfinite(value) for vertex in self.vertices_xy for value in vertex):
            raise ValueError(f"{self.vertices_xy} has a coordinate that is not a number")


@file_reader("prompts")
def read_prompts(
    path: str | Path,
    image: ImageInfo,
    names: Sequence[str] = (),
    *,
    left_out: LeftOut | None = None,
) -> list[FilePrompt]:
    """Read the prompts for one image.

    Parameters
    ----------
    path : str or Path
        A file that ends in one of `PROMPT_SUFFIXES`.
    image : ImageInfo
        The image. Its name or its size selects an image of a COCO file.
    names : sequence of str, optional
        Other names than `image.name` that the image may have in the file, such as its path.
    left_out : LeftOut, optional
        Gets what cannot be read, if something else can.

    Returns
    -------
    list of FilePrompt
        In the order of the file.

    Raises
    ------
    ExportError
        If the file cannot be read, or has no prompts in a known form.
    """
    path, left_out = Path(path), LeftOut() if left_out is None else left_out
    suffix = path.suffix.lower()
    if suffix not in PROMPT_SUFFIXES:
        msg = f"{path} has no prompts; choose a file that ends in {', '.join(PROMPT_SUFFIXES)}."
        raise ExportError(msg)
    if suffix == ".csv":
        prompts = list(_from_csv(read_text(path), image, left_out))
    elif suffix == ".txt":
        prompts = list(_from_yolo(path, image, left_out))
    else:
        content = read_json(path)
        coco = as_coco(content)
        if coco is None:
            prompts = list(_from_geojson(content, image, left_out))
        else:
            prompts = list(_from_coco(coco, image, names, left_out))
    left_out.require(prompts, "The file cannot be read as prompts", path.name)
    return prompts


def _box(x0: float, y0: float, x1: float, y1: float, class_name: str | None) -> FilePrompt:
    """Return the prompt of a box, whose origin is the outer corner of the first pixel."""
    if x0 == x1 or y0 == y1:
        raise ExportError("the box has no area")
    return FilePrompt(PromptKind.BOX, ((x0 - 0.5, y0 - 0.5), (x1 - 0.5, y1 - 0.5)), (), class_name)


# CSV -------------------------------------------------------------------------------------------


def _from_csv(text: str, image: ImageInfo, left_out: LeftOut) -> Iterator[FilePrompt]:
    first_line, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=first_line.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    rows.fieldnames = names = [name.strip().lower() for name in rows.fieldnames or ()]
    class_column = next((name for name in CLASS_COLUMNS if name in names), None)
    axes = sorted(filter(_AXIS.fullmatch, names), key=lambda name: int(name[5:]))
    if len(axes) >= 2 and "shape-type" in names:
        yield from _napari_shapes(rows, axes, class_column, left_out)
        return
    boxes = _box_columns(names)
    if boxes is None and len(axes) < 2:
        axes = ["y", "x"]
    for number, row in _rows_of_image(rows, names, image):
        if not any(value.strip() for value in row.values() if isinstance(value, str)):
            continue
        if boxes is None and not set(axes) <= set(names):
            raise ExportError(
                "The first line of the CSV file must name its columns: x0,y0,x1,y1 or "
                "x,y,width,height for boxes, x,y for points, or those of napari's own files of "
                "points and shapes."
            )
        with left_out.unreadable(f"line {number}"):
            class_name = class_named(row.get(class_column)) if class_column else None
            if boxes is not None:
                yield _box(*_corners(row, *boxes), class_name)
            else:
                *indices, y, x = (_number(row, name) for name in axes)
                yield FilePrompt(PromptKind.POINT, ((x, y),), _rounded(indices), class_name)


def _rows_of_image(
    rows: Iterable[dict[str, Any]], names: Sequence[str], image: ImageInfo
) -> list[tuple[int, dict[str, Any]]]:
    """Return the rows about an image, with their lines in a file that may be about several."""
    numbered = list(enumerate(rows, start=2))
    column = next((name for name in _FILE_COLUMNS if name in names), "")
    files = {row.get(column) or "" for _, row in numbered}
    if len(files) < 2:
        return numbered
    stem = Path(image.name).stem
    own = [row for row in numbered if PureWindowsPath(row[1].get(column) or "").stem == stem]
    if not own:
        some = ", ".join(sorted(files)[:5])
        raise ExportError(
            f"The file is about several images ({some}), none of them called {image.name}; rename "
            "the layer to one of their names."
        )
    return own


def _box_columns(names: Sequence[str]) -> tuple[Sequence[str], float | None] | None:
    """Return the columns of boxes, and which share of its size lies before the point of a box.

    That share is None for corners. In files of points, there are no columns of boxes.
    """
    if "bbox-4" in names:  # a box in three dimensions
        return None
    for layouts, share in ((_CORNERS, None), (_CORNER_AND_SIZE, 0.0), (_CENTER_AND_SIZE, 0.5)):
        for columns in layouts:
            if set(columns) <= set(names):
                return columns, share
    return None


def _corners(
    row: dict[str, Any], columns: Sequence[str], share: float | None
) -> tuple[float, float, float, float]:
    x, y, right, bottom = (_number(row, name) for name in columns)
    if share is None:
        return x, y, right, bottom
    width, height = right, bottom
    x, y = x - share * width, y - share * height
    return x, y, x + width, y + height


def _number(row: dict[str, Any], name: str) -> float:
    value = row[name]
    # Where numbers have a comma, columns are separated by something else.
    number = number_in(value.replace(",", ".") if isinstance(value, str) else value)
    if number is None:
        raise ExportError(f"{value!r} in the column {name} is not a number")
    return number


def _napari_shapes(
    rows: Iterable[dict[str, Any]],
    axes: Sequence[str],
    class_column: str | None,
    left_out: LeftOut,
) -> Iterator[FilePrompt]:
    shapes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shapes.setdefault(row["index"], []).append(row)
    for index, vertices in shapes.items():
        with left_out.unreadable(f"shape {index}"):
            positions = [[_number(row, name) for name in axes] for row in vertices]
            class_name = class_named(vertices[0].get(class_column)) if class_column else None
            kind = PromptKind(_NAPARI_KINDS[vertices[0]["shape-type"].strip().lower()])
            corners = tuple((position[-1], position[-2]) for position in positions)
            if kind is PromptKind.BOX and not _is_upright(corners):
                kind = PromptKind.POLYGON
            yield FilePrompt(kind, corners, _rounded(positions[0][:-2]), class_name)


def _rounded(indices: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(index) for index in indices)


# COCO and YOLO ---------------------------------------------------------------------------------


def _from_coco(
    content: dict[str, Any], image: ImageInfo, image_names: Sequence[str], left_out: LeftOut
) -> Iterator[FilePrompt]:
    names, _ = read_categories(content.get("categories"), left_out)
    image_id = _coco_image_id(content["images"], (image.name, *image_names), image)
    for number, entry in enumerate(content["annotations"], start=1):
        with left_out.unreadable(f"annotation {number}"):
            if image_id is not None and str(entry["image_id"]) != str(image_id):
                continue
            class_name = names.get(str(entry.get("category_id")))
            if entry.get("bbox"):
                x, y, width, height = (float(value) for value in entry["bbox"])
                yield _box(x, y, x + width, y + height, class_name)
            else:
                crop = mask_in(entry["segmentation"], image.plane_shape)
                if crop is None:
                    raise ExportError("its mask is empty")
                x0, y0, x1, y1 = crop.edges_xyxy
                yield FilePrompt(PromptKind.BOX, ((x0, y0), (x1, y1)), (), class_name)


def _coco_image_id(
    entries: Sequence[dict[str, Any]], names: Sequence[str], image: ImageInfo
) -> Any:
    """Return the id of the image that is meant; None if the file has at most one."""
    if len(entries) < 2:
        return None
    file_names = [str(entry.get("file_name", "")) for entry in entries]
    fitting = [entries[n] for n in images_meant(file_names, names)] or [
        entry for entry in entries if (entry.get("height"), entry.get("width")) == image.plane_shape
    ]
    if len(fitting) != 1:
        raise ExportError(
            "The file is about several images; rename the layer of the image to one of their names "
            f"({', '.join(file_names[:5])})."
        )
    return fitting[0]["id"]


def _from_yolo(path: Path, image: ImageInfo, left_out: LeftOut) -> Iterator[FilePrompt]:
    classes = classes_beside(path, left_out)
    for line in lines_in(path, image, left_out):
        with left_out.unreadable(f"line {line.number}"):
            class_name = name_of_class(line.class_number, classes)
            corners = line.corners_xy.tolist()
            if line.is_box:
                (x0, y0), _, (x1, y1), _ = corners
                yield _box(x0, y0, x1, y1, class_name)
            else:
                yield FilePrompt(PromptKind.POLYGON, _centred(corners), (), class_name)


# GeoJSON ---------------------------------------------------------------------------------------


def _from_geojson(content: Any, image: ImageInfo, left_out: LeftOut) -> Iterator[FilePrompt]:
    for number, entry in enumerate(features_in(content), start=1):
        with left_out.unreadable(f"feature {number}"):
            feature = as_feature(entry)
            geometry = feature["geometry"]
            if geometry is None:
                left_out.add(UNLOCATED, f"feature {number} has no geometry")
                continue
            plane = geometry.get("plane")
            slice_index: tuple[int, ...] = ()
            if plane:
                slice_index = tuple(int(plane.get(axis.lower(), 0)) for axis in image.axes[:-2])
            for kind, vertices in _shapes(geometry):
                yield FilePrompt(kind, vertices, slice_index, classification_in(feature))


def _shapes(
    geometry: dict[str, Any],
) -> Iterator[tuple[PromptKind, tuple[tuple[float, float], ...]]]:
    for kind, coordinates in parts_of(geometry):
        if kind in ("Point", "MultiPoint"):
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
