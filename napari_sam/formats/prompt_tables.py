"""Prompts in tables: CSV of boxes and points, and napari's own files of points and shapes.

Boxes by their corners are ``x0,y0,x1,y1`` or ``xmin,ymin,xmax,ymax``; by a corner or the center and
the size, ``x,y,width,height`` or ``cx,cy,w,h``. Where all of them are fractions, they are those of
the image. Points are ``x,y``, or row and column. In a stack, columns named like its axes, from 0,
or ``slice``, from 1 as in ImageJ, tell the slice; without them, a prompt is for every slice. In the
results of ImageJ, which have boxes as ``bx`` and ``by``, all of these count from 1.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile
from typing import Any, Final

from napari_sam.formats.classes import class_named
from napari_sam.formats.details import number_in
from napari_sam.formats.files import FileError
from napari_sam.formats.image import ImageInfo, axis_letter
from napari_sam.formats.image_names import images_meant
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.prompts import FilePrompt, PromptKind, box_prompt, is_upright

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
_ROUNDING: Final = 0.01
"""How far fractions of an image may lie outside of it, being rounded."""
_SEPARATORS: Final = re.compile(r"[,;\t]")
_AXIS: Final = re.compile(r"axis-\d{1,3}")
"""A column of positions in tables of napari."""
_NAPARI_KINDS: Final = {
    "rectangle": "box",
    "ellipse": "ellipse",
    "polygon": "polygon",
    "path": "line",
    "line": "line",
}
_POINTS: Final = (
    *(("y", "x"), ("row", "column"), ("row", "col")),
    ("centroid-0", "centroid-1"),  # of scikit-image
)


def prompts_in_table(
    text: str, image: ImageInfo, names: Sequence[str], left_out: LeftOut
) -> Iterator[FilePrompt]:
    """Yield the prompts for an image, which may have several names."""
    lines = [f"{line}\n" for line in text.split("\n")]  # a class may have other line ends
    rest = list(dropwhile(_is_before_header, lines))
    first_line = rest[0] if rest else ""
    former_line = lines[-len(rest) - 1] if len(rest) < len(lines) else ""
    if former_line.startswith("#") and number_in(_SEPARATORS.split(first_line)[0]) is not None:
        first_line = former_line.lstrip("# ")  # as NumPy writes column names
        rest.insert(0, first_line)
    rows = csv.DictReader(rest, delimiter=max(",;\t", key=first_line.count))
    rows.fieldnames = columns = [name.strip().lower() for name in rows.fieldnames or ()]
    # The label of scikit-image is a number.
    others = {"label"} if not {"bbox-0", "centroid-0"}.isdisjoint(columns) else set()
    class_column = next((name for name in CLASS_COLUMNS if name in {*columns} - others), None)
    axes = sorted(filter(_AXIS.fullmatch, columns), key=lambda name: int(name[5:]))
    if len(axes) >= 2 and "shape-type" in columns:
        yield from _napari_shapes(rows, axes, class_column, left_out)
        return
    boxes = _box_columns(columns)
    if boxes is None and len(axes) < 2:
        axes = next((list(point) for point in _POINTS if set(point) <= set(columns)), [])
    if columns and boxes is None and not axes:
        raise FileError(
            "No columns named; begin with a line such as x,y (points) or x0,y0,x1,y1 (boxes)"
        )
    slices = _slice_columns(columns, image) if len(axes) <= 2 else ()
    found: list[_Row] = []
    for number, row in _rows_of_image(rows, columns, (image.name, *names), len(lines) - len(rest)):
        if any(value.strip() for value in row.values() if isinstance(value, str)):
            with left_out.unreadable(f"line {number}"):
                class_name = class_named(row.get(class_column)) if class_column else None
                index = _slice_index(row, slices, image)
                numbers = tuple(
                    _number(row, name) for name in (axes if boxes is None else boxes[0])
                )
                found.append((number, numbers, index, class_name))
    if boxes is None:
        yield from _points(found, image, left_out)
    else:
        yield from _boxes(found, boxes[1], image, left_out)


_Row = tuple[int, tuple[float, ...], tuple[int, ...], str | None]
"""The line, the numbers of a box or a point as in the file, the slice, and the class."""


def _boxes(
    rows: Sequence[_Row], share: float | None, image: ImageInfo, left_out: LeftOut
) -> Iterator[FilePrompt]:
    values = [value for _, numbers, *_ in rows for value in numbers]
    # A box that lies in the first pixel would be of no use.
    are_fractions = all(-_ROUNDING <= value <= 1 + _ROUNDING for value in values)
    height, width = image.plane_shape if are_fractions else (1, 1)
    for number, numbers, slice_index, class_name in rows:
        with left_out.unreadable(f"line {number}"):
            x0, y0, x1, y1 = _corners(numbers, share)
            corners = x0 * width, y0 * height, x1 * width, y1 * height
            yield box_prompt(*corners, class_name, slice_index)


def _points(rows: Sequence[_Row], image: ImageInfo, left_out: LeftOut) -> Iterator[FilePrompt]:
    for number, (*before, y, x), slice_index, class_name in rows:
        with left_out.unreadable(f"line {number}"):
            index = _rounded(before) or slice_index
            yield FilePrompt(PromptKind.POINT, ((x, y),), index, class_name)


def _is_before_header(line: str) -> bool:
    """Return whether a line is empty, a comment, or tells Excel the separator."""
    return not line.strip() or line.startswith(("#", "sep="))


def _slice_columns(names: Sequence[str], image: ImageInfo) -> list[tuple[str, int]]:
    """Return the columns of the axes before the last two, and the number of their first slice.

    There are none unless all axes have one.
    """
    is_of_imagej = "bx" in names  # which counts frames and channels from 1, too
    first = 1 if is_of_imagej else 0
    letters = {axis_letter(name): (name, first) for name in reversed(names) if name != "slice"}
    if "slice" in names and (is_of_imagej or len(image.axes) == 3):
        letters.setdefault(image.axes[0] if len(image.axes) == 3 else "Z", ("slice", 1))
    columns = [letters[axis] for axis in image.axes[:-2] if axis in letters]
    return columns if len(columns) == len(image.axes) - 2 else []


def _slice_index(
    row: dict[str, Any], columns: Sequence[tuple[str, int]], image: ImageInfo
) -> tuple[int, ...]:
    index = []
    for (name, first), length in zip(columns, image.stack_shape, strict=False):
        number = round(_number(row, name))
        if not first <= number < first + length:
            raise FileError(
                f"{number} in the column {name} is no slice of the image, which has {first} to "
                f"{first + length - 1}"
            )
        index.append(number - first)
    return tuple(index)


def _rows_of_image(
    rows: "csv.DictReader[str]", columns: Sequence[str], names: Sequence[str], n_skipped: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return the rows for an image, with their lines in a file that may have several images."""
    numbered = [(rows.line_num + n_skipped, row) for row in rows]
    column = next((name for name in _FILE_COLUMNS if name in columns), None)
    files = [] if column is None else sorted({row.get(column) or "" for _, row in numbered})
    if column is None or len(files) < 2:
        return numbered
    meant = {files[n] for n in images_meant(files, names)}
    if not meant:
        raise FileError(
            f"No prompts for {names[0]}; rename the layer to one of the images of the file: "
            f"{', '.join(files[:5])}."
        )
    return [row for row in numbered if (row[1].get(column) or "") in meant]


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


def _corners(numbers: Sequence[float], share: float | None) -> tuple[float, float, float, float]:
    x, y, right, bottom = numbers
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
        raise FileError(f"{value!r} in the column {name} is not a number")
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
            if kind is PromptKind.BOX and not is_upright(corners):
                kind = PromptKind.POLYGON
            yield FilePrompt(kind, corners, _rounded(positions[0][:-2]), class_name)


def _rounded(indices: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(index) for index in indices)
