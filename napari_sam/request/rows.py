"""What the rows of a request ask for, checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

COLUMNS: Final = ("image", "input_points", "input_boxes", "input_labels", "multimask_output")
"""In the order in which endpoints list them; requests may have another, and leave some out."""

_MAX_TEXT: Final = 2**24
"""Characters of the points, boxes or labels of a row."""
_MAX_NUMBERS: Final = 100_000
_FARTHEST_PX: Final = 1e6
"""Beyond it float32 cannot tell pixels apart any more, let alone the model."""
_PADDING: Final = -10
_LABELS: Final = (1, 0, -1, _PADDING)


class RequestError(ValueError):
    """A request, or a row of one, cannot be answered; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is known of one object."""

    points_xy: NDArray[np.float64]  # in pixels; there may be none
    point_labels: NDArray[np.float64]  # 1 for foreground, 0 for background, -1 for points to ignore
    box_xyxy: NDArray[np.float64] | None  # x0, y0, x1, y1


@dataclass(frozen=True, eq=False)
class Row:
    """An image, and prompts for objects in it."""

    image: str  # base64, a path, a data URL or an address
    prompts: tuple[Prompt, ...]  # one for each object, at least one
    multimask_output: bool  # whether each object shall have three masks


def rows_of(request: Any) -> Iterator[Mapping[str, Any] | RequestError]:
    """Take a request apart."""
    table = _member(request, "input_data", "The request", dict)
    columns = _member(table, "columns", "input_data", list)
    rows = _member(table, "data", "input_data", list)
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown or len(set(columns)) < len(columns) or "image" not in columns:
        msg = (
            f"The columns are {_short(columns)}; give 'image' and what else is needed of "
            f"{', '.join(COLUMNS[1:])}, each once."
        )
        raise RequestError(msg)
    if not isinstance(request.get("params", {}), dict | None):
        raise RequestError("params has to be an object; {} will do.")
    index = table.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        msg = f"index has to be a list as long as data, {len(rows)}; it may also be left out."
        raise RequestError(msg)
    for row in rows:
        if isinstance(row, list) and len(row) == len(columns):
            yield dict(zip(columns, row, strict=True))
        else:
            given = f"{len(row)} values" if isinstance(row, list) else _short(row)
            yield RequestError(f"A row has to be a list of {len(columns)} values, not {given}.")


def _member(content: Any, name: str, where: str, kind: type) -> Any:
    if isinstance(content, dict) and isinstance(content.get(name), kind):
        return content[name]
    what = "an object" if kind is dict else "a list"
    raise RequestError(f"{where} has to be an object with '{name}', {what}.")


def parse_row(values: Mapping[str, Any]) -> Row:
    """Check the values of a row."""
    image = values["image"]
    if not isinstance(image, str) or not image.strip():
        raise RequestError(f"image has to be base64, a path or a data URL, not {_short(image)}.")
    points = _points(_parsed(values.get("input_points"), "input_points"))
    labels = _labels(_parsed(values.get("input_labels"), "input_labels"), points)
    boxes = _boxes(_parsed(values.get("input_boxes"), "input_boxes"))
    if points is None and boxes is None:
        raise RequestError("There is no prompt: give input_points or input_boxes.")
    count = len(points or boxes or [])
    if points is not None and boxes is not None and len(points) != len(boxes):
        msg = (
            f"There are points for {len(points)} objects and {len(boxes)} boxes: give as many of "
            "one as of the other, or rows of their own."
        )
        raise RequestError(msg)
    nothing: list[Any] = [[]] * count
    prompts = map(_prompt, points or nothing, labels or nothing, boxes or nothing)
    return Row(image, tuple(prompts), _flag(values.get("multimask_output")))


def _parsed(value: Any, column: str) -> Any:
    """Return what a JSON string holds, or None if that is nothing."""
    if isinstance(value, str):
        if not value.strip():
            return None
        if len(value) > _MAX_TEXT:
            raise RequestError(f"{column} is {len(value)} characters long; give fewer prompts.")
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            msg = f"{column} has to be JSON in a string, such as '[[10, 20]]' ({error})."
            raise RequestError(msg) from error
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise RequestError(f"{column} has to be a list, not {_short(value)}.")
    return value


def _points(value: Any) -> list[list[list[float]]] | None:
    """Return the points of each object; one level of brackets means less than the next."""
    if value is None:
        return None
    depth = _depth(value)
    if depth not in (1, 2, 3):
        msg = f"input_points has {depth} levels of lists; give [[[x, y], ...], ...] for each object"
        raise RequestError(f"{msg}, or [[x, y], ...] for one.")
    objects = [[value]] if depth == 1 else [value] if depth == 2 else value
    for one in objects:
        if not isinstance(one, list) or not one:
            raise RequestError(f"input_points has {_short(one)} where points of an object belong.")
        for point in one:
            _check_numbers(point, 2, "input_points", "a point [x, y]")
    _check_count(sum(map(len, objects)))
    return objects


def _labels(value: Any, points: list[list[list[float]]] | None) -> list[list[float]] | None:
    """Return the label of each point of each object; all are foreground if nothing is said."""
    if points is None:
        if value is not None:
            raise RequestError("There are input_labels without input_points; give both.")
        return None
    if value is None:
        return [[1] * len(one) for one in points]
    objects = [value] if _depth(value) == 1 else value
    is_fitting = len(objects) == len(points) and all(
        isinstance(one, list) and len(one) == len(of_object)
        for one, of_object in zip(objects, points, strict=False)
    )
    if not is_fitting:
        raise RequestError("input_labels has to have one label for each point, in the same lists.")
    for label in (label for one in objects for label in one):
        if not _is_number(label) or label not in _LABELS:
            msg = f"input_labels has {_short(label)}; 1 is foreground, 0 is background."
            raise RequestError(msg)
    return objects


def _boxes(value: Any) -> list[list[float]] | None:
    if value is None:
        return None
    boxes = [value] if _depth(value) == 1 else value
    for box in boxes:
        _check_numbers(box, 4, "input_boxes", "a box [x0, y0, x1, y1]")
    _check_count(len(boxes))
    return boxes


def _prompt(points: list[list[float]], labels: list[float], box: list[float]) -> Prompt:
    points_xy = np.array(points, np.float64).reshape(-1, 2)
    point_labels = np.array(labels, np.float64)
    # Left out rather than passed on: a padding is not quite without effect on the mask.
    is_point = point_labels != _PADDING
    if not box and not is_point.any():
        raise RequestError("An object has neither points nor a box: give one, or leave it out.")
    box_xyxy = np.array(box, np.float64) if box else None
    return Prompt(points_xy[is_point], point_labels[is_point], box_xyxy)


def _flag(value: Any) -> bool:
    if value is None or value == "":
        return True
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise RequestError(f"multimask_output has to be true or false, not {_short(value)}.")
    return value


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_numbers(values: Any, count: int, column: str, kind: str) -> None:
    if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
        raise RequestError(f"{column} has {_short(values)} where {kind} belongs.")
    if not all(math.isfinite(one) and abs(one) <= _FARTHEST_PX for one in _floats(values)):
        raise RequestError(f"{column} has {_short(values)}, which is no place near an image.")


def _floats(values: Sequence[float]) -> list[float]:
    try:
        return [float(one) for one in values]
    except OverflowError:  # integers in JSON may be of any length
        return [math.inf]


def _check_count(numbers: int) -> None:
    if numbers > _MAX_NUMBERS:
        raise RequestError(f"A row has {numbers} points or boxes; give {_MAX_NUMBERS} at most.")


def _short(value: Any) -> str:
    """Show a value as JSON has it, of which there may be a lot."""
    try:
        text = json.dumps(value)
    except (ValueError, TypeError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
