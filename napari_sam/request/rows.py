"""Parse and check the rows of a request."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.words.search import words_in

COLUMNS: Final = ("image", "input_points", "input_boxes", "input_labels", "multimask_output")
"""In the order of endpoints; requests may use another order and omit some."""
TEXT_COLUMN: Final = "input_text"
"""Our own column, for words that name objects."""

_MAX_TEXT: Final = 2**24
"""Characters of the points, boxes or labels of a row."""
_MAX_COUNT: Final = 100_000
_FARTHEST_PX: Final = 1e6
"""Beyond it float32 can no longer tell pixels apart."""
_PADDING: Final = -10
_LABELS: Final = (1, 0, -1, _PADDING)


class RequestError(ValueError):
    """A request or a row cannot be answered; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """The prompts of one object."""

    points_xy: NDArray[np.float64]  # in pixels; may be empty
    point_labels: NDArray[np.float64]  # 1 for foreground, 0 for background, -1 to ignore
    box_xyxy: NDArray[np.float64] | None  # x0, y0, x1, y1


@dataclass(frozen=True, eq=False)
class Row:
    """An image, and the prompts of objects in it."""

    image: str  # base64, a path, a data URL or an address
    prompts: tuple[Prompt, ...]  # one for each object; clicks, if there are words
    multimask_output: bool  # several masks for each object, or one
    words: tuple[str, ...] = ()  # what to find


def rows_of(request: Any) -> Iterator[Mapping[str, Any] | RequestError]:
    """Yield the values of each row by column, or why it cannot be answered."""
    table = _member(request, "input_data", "The request", dict)
    columns = _member(table, "columns", "input_data", list)
    rows = _member(table, "data", "input_data", list)
    unknown = [name for name in columns if name not in (*COLUMNS, TEXT_COLUMN)]
    if unknown or len(set(columns)) < len(columns) or "image" not in columns:
        raise RequestError(
            f"The columns are {_short(columns)}; give 'image' and some of "
            f"{', '.join((*COLUMNS[1:], TEXT_COLUMN))}, each once."
        )
    if not isinstance(request.get("params", {}), dict | None):
        raise RequestError("params must be an object, for example {}.")
    index = table.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise RequestError(f"index must be a list as long as data ({len(rows)}), or be omitted.")
    for row in rows:
        if isinstance(row, list) and len(row) == len(columns):
            yield dict(zip(columns, row, strict=True))
        else:
            actual = f"{len(row)} values" if isinstance(row, list) else _short(row)
            yield RequestError(f"A row must be a list of {len(columns)} values, not {actual}.")


def _member(content: Any, name: str, where: str, kind: type) -> Any:
    if isinstance(content, dict) and isinstance(content.get(name), kind):
        return content[name]
    kind_name = "an object" if kind is dict else "a list"
    raise RequestError(f"{where} must be an object with '{name}', {kind_name}.")


def parse_row(values: Mapping[str, Any]) -> Row:
    """Parse and check the values of a row."""
    image = values["image"]
    if not isinstance(image, str) or not image.strip():
        raise RequestError(f"image must be base64, a path or a data URL, not {_short(image)}.")
    points = _points(_parsed(values.get("input_points"), "input_points"))
    labels = _labels(_parsed(values.get("input_labels"), "input_labels"), points)
    boxes = _boxes(_parsed(values.get("input_boxes"), "input_boxes"))
    words = _words(values.get(TEXT_COLUMN))
    if points is None and boxes is None and not words:
        raise RequestError("There is no prompt: give input_points, input_boxes or input_text.")
    if words and boxes is not None:
        raise RequestError("There are words and boxes: give them in separate rows.")
    count = len(points or boxes or [])
    if points is not None and boxes is not None and len(points) != len(boxes):
        raise RequestError(
            f"There are points for {len(points)} objects but {len(boxes)} boxes: give as many of "
            "both, or separate rows."
        )
    absent: list[Any] = [[]] * count
    prompts = map(_prompt, points or absent, labels or absent, boxes or absent)
    return Row(image, tuple(prompts), _flag(values.get("multimask_output")), words)


def _parsed(value: Any, column: str) -> Any:
    """Return the list in a JSON string; None if it is empty."""
    if isinstance(value, str):
        if not value.strip():
            return None
        if len(value) > _MAX_TEXT:
            raise RequestError(f"{column} has {len(value)} characters; give fewer prompts.")
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            msg = f"{column} must be a JSON string such as '[[10, 20]]' ({error})."
            raise RequestError(msg) from error
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise RequestError(f"{column} must be a list, not {_short(value)}.")
    return value


def _points(value: Any) -> list[list[list[float]]] | None:
    """Return the points of each object; fewer brackets mean one object, or one point."""
    if value is None:
        return None
    depth = _depth(value)
    if depth not in (1, 2, 3):
        msg = f"input_points has {depth} levels of lists; give [[[x, y], ...], ...] for each object"
        raise RequestError(f"{msg}, or [[x, y], ...] for one.")
    objects = [[value]] if depth == 1 else [value] if depth == 2 else value
    for points in objects:
        if not isinstance(points, list) or not points:
            msg = f"input_points has {_short(points)} in place of the points of an object."
            raise RequestError(msg)
        for point in points:
            _check_numbers(point, 2, "input_points", "a point [x, y]")
    _check_count(sum(map(len, objects)))
    return objects


def _labels(value: Any, points: list[list[list[float]]] | None) -> list[list[float]] | None:
    """Return the label of each point of each object; by default all are foreground."""
    if points is None:
        if value is not None:
            raise RequestError("There are input_labels without input_points; give both.")
        return None
    if value is None:
        return [[1] * len(object_points) for object_points in points]
    objects = [value] if _depth(value) == 1 else value
    is_fitting = len(objects) == len(points) and all(
        isinstance(labels, list) and len(labels) == len(object_points)
        for labels, object_points in zip(objects, points, strict=False)
    )
    if not is_fitting:
        raise RequestError("input_labels must have one label per point, in the same nested lists.")
    for label in (label for labels in objects for label in labels):
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


def _words(value: Any) -> tuple[str, ...]:
    if value is None or isinstance(value, str):
        return words_in(value or "")
    raise RequestError(f"{TEXT_COLUMN} must be words such as 'coin, ring', not {_short(value)}.")


def _prompt(points: list[list[float]], labels: list[float], box: list[float]) -> Prompt:
    points_xy = np.array(points, np.float64).reshape(-1, 2)
    point_labels = np.array(labels, np.float64)
    # Dropped, because padding has a slight effect on the mask.
    is_point = point_labels != _PADDING
    if not box and not is_point.any():
        raise RequestError("An object has neither points nor a box: give one, or remove it.")
    box_xyxy = np.array(box, np.float64) if box else None
    return Prompt(points_xy[is_point], point_labels[is_point], box_xyxy)


def _flag(value: Any) -> bool:
    if value is None or value == "":
        return True
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise RequestError(f"multimask_output must be true or false, not {_short(value)}.")
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
        raise RequestError(f"{column} has {_short(values)} in place of {kind}.")
    if not all(abs(value) <= _FARTHEST_PX for value in values):  # is false for NaN, too
        raise RequestError(f"{column} has {_short(values)}, which is nowhere near an image.")


def _check_count(count: int) -> None:
    if count > _MAX_COUNT:
        raise RequestError(f"A row has {count} points or boxes; the limit is {_MAX_COUNT}.")


def _short(value: Any) -> str:
    """Return a value as JSON, cut off if it is long."""
    try:
        text = json.dumps(value)
    except (ValueError, TypeError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
