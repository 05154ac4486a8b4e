"""What a line of a journal or a session file may say: all of it is checked before it is used.

Numbers are finite and within range, boxes lie within the labels, and compressed pixels are exactly
as many as their box or mask has: they are never expanded beyond that.
"""

import sys
import zlib
from binascii import a2b_base64
from collections.abc import Sequence
from functools import partial
from math import prod
from reprlib import repr as shortened
from typing import Any, Final

import numpy as np

from napari_sam.formats.files import naming_errors
from napari_sam.session.classes.classes import classes_from_json
from napari_sam.session.decoding.border import N_WEIGHTS
from napari_sam.session.journal.entries import FARTHEST_PX, state_from_json
from napari_sam.session.objects.edits import Direction
from napari_sam.session.objects.packed import Start
from napari_sam.session.objects.slices import Origin

MAX_LINE_BYTES: Final = 2**27
"""Longer lines are not read: the pixels of one object take some megabytes at the most."""
_LARGEST: Final = 2**48
"""No array has as many pixels."""
_MAX_AXES: Final = 32
_DIRECTIONS: Final = frozenset(Direction)
_ORIGINS: Final = frozenset(Origin)


class JournalError(ValueError):
    """A journal or a session file cannot be used; the message says which line, and why."""


naming: Final = partial(naming_errors, error_type=JournalError)
"""Turns the errors of malformed content into errors that name its part of the file."""


def whole(value: Any, what: str, low: int = 0, high: int = _LARGEST) -> int:
    """Return a whole number within a range."""
    if type(value) is not int or not low <= value <= high:
        raise JournalError(f"{what} must be a whole number {low} to {high}, not {shortened(value)}")
    return value


def number(value: Any, what: str, largest: float = sys.float_info.max) -> float:
    """Return a finite number, of any sign, up to `largest`."""
    if type(value) not in (int, float) or not abs(value) <= largest:  # NaN is not, either
        raise JournalError(f"{what} must be a finite number, not {shortened(value)}")
    return float(value)


def text(value: Any, what: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise JournalError(f"{what} must be a text, not {shortened(value)}")
    return value


def items(value: Any, what: str, count: int | None = None) -> list[Any]:
    """Return a list, maybe of so many items."""
    if not isinstance(value, list) or count not in (None, len(value)):
        listed = "a list" if count is None else f"a list of {count}"
        raise JournalError(f"{what} must be {listed}, not {shortened(value)}")
    return value


def members(value: Any, what: str) -> dict[str, Any]:
    """Return an object of JSON."""
    if not isinstance(value, dict):
        raise JournalError(f"{what} must be an object, not {shortened(value)}")
    return value


def shape_of(value: Any, owner: str) -> Start:
    """Return the shape of an array that has pixels."""
    lengths = items(value, f"the shape of {owner}")
    shape = tuple(whole(length, f"a length of {owner}", low=1) for length in lengths)
    if not 2 <= len(shape) <= _MAX_AXES or prod(shape) > _LARGEST:
        raise JournalError(f"{shortened(shape)} is not a valid shape of {owner}")
    return shape


def check_entry(
    content: dict[str, Any], shape: Start, dtype: np.dtype[Any], image_shape: Start
) -> None:
    """Raise `JournalError` unless an entry can be replayed into labels of this shape and type."""
    direction = text(content["direction"], "the direction")
    if direction not in _DIRECTIONS:
        raise JournalError(f"{shortened(direction)} is not a known direction")
    for patch in items(content["patches"], "patches"):
        _check_patch(patch, shape, dtype)
    for record in items(content["records"], "records"):
        label_id = _label_of(members(record, "a record")["label_id"], dtype)
        if label_id == 0:
            raise JournalError("0 is the background, not an object")
        with naming(f"object {label_id}"):
            _check_record(record, shape)
    for label_id in items(content["gone"], "gone"):
        _label_of(label_id, dtype)
    whole(content["n_objects"], "n_objects")
    text(content.get("labels_name", ""), "labels_name")
    for unfinished in items(content.get("unfinished", []), "unfinished"):
        check_unfinished(unfinished, image_shape)
    if direction == Direction.CLASSES or "classes" in content:
        classes_from_json(content["classes"])


def _check_patch(content: Any, shape: Start, dtype: np.dtype[Any]) -> None:
    start, extent, packed, values = items(content, "a patch", 4)
    n_pixels = _check_box(start, extent, shape)
    if packed is not None:
        n_pixels = _n_true(packed, n_pixels)
    if isinstance(values, str):
        _unpacked(values, n_pixels * dtype.itemsize)
    else:
        _label_of(values, dtype)


def _label_of(value: Any, dtype: np.dtype[Any]) -> int:
    """Return a label of this type; a user's own ones may be negative."""
    limits = np.iinfo(dtype)
    return whole(value, "a label", int(limits.min), int(limits.max))


def _check_record(content: dict[str, Any], shape: Start) -> None:
    start = items(content["start"], "start", len(shape))
    stop = items(content["stop"], "stop", len(shape))
    for first, last, length in zip(start, stop, shape, strict=True):
        whole(first, "start", high=length - 1)
        whole(last, "stop", first + 1, length)
    whole(content.get("area_px", 0), "area_px", high=prod(shape))
    for name in ("score", "stability", "likeness"):
        if content.get(name) is not None:
            number(content[name], name)
    if content.get("class_name") is not None:
        text(content["class_name"], "class_name")
    text(content.get("note", ""), "note")
    for name in ("class_unseen", "reviewed"):
        if type(content.get(name, False)) is not bool:
            raise JournalError(f"{name} must be true or false")
    if content.get("state") is not None:
        check_state(content["state"])
    whole(content.get("parent_id", 0), "parent_id")
    if content.get("slices") is not None:
        _check_slices(content["slices"], shape)
    for name in ("masks", "painted", "erased"):
        for mask in items(content.get(name, []), name):
            corner, extent, area_px, packed = items(mask, name, 4)
            if _n_true(packed, _check_box(corner, extent, shape)) != whole(area_px, "area_px"):
                raise JournalError(f"the pixel count of '{name}' does not match its mask")


def _check_slices(content: Any, shape: Start) -> None:
    axis, entries = items(content, "slices", 2)
    whole(axis, "the axis of slices", high=len(shape) - 1)
    for entry in items(entries, "slices"):
        index, origin, confidence, state = items(entry, "a slice", 4)
        whole(index, "a slice", high=shape[axis] - 1)
        if text(origin, "the origin of a slice") not in _ORIGINS:
            raise JournalError(f"{shortened(origin)} is not a known origin of a slice")
        number(confidence, "the confidence of a slice", largest=1)
        if state is not None:
            check_state(state)


def check_state(content: Any) -> None:
    """Raise `JournalError` unless these are the prompts of an object."""
    state = members(content, "the state")
    _check_vertices(state["points_xy"], "a point")
    for label in items(state["point_labels"], "point_labels"):
        whole(label, "a point label", high=1)
    if state["box_xyxy"] is not None:
        for value in items(state["box_xyxy"], "the box", 4):
            number(value, "the box", FARTHEST_PX)
    whole(state.get("slice_index", 0), "slice_index")
    if state.get("outline") is not None:
        kind, vertices = items(state["outline"], "the outline", 2)
        text(kind, "the kind of the outline")
        _check_vertices(vertices, "the outline")
    for scribble in items(state.get("scribbles", []), "scribbles"):
        label, vertices = items(scribble, "a scribble", 2)
        whole(label, "the label of a scribble", high=1)
        _check_vertices(vertices, "a scribble")
    if state["choice"] is not None:
        whole(state["choice"], "the choice")
    if state.get("choice_box") is not None:
        for value in items(state["choice_box"], "the box of the choice", 4):
            number(value, "the box of the choice", FARTHEST_PX)
    number(state.get("level", 0), "the level", largest=1)
    if state.get("recipe") is not None:
        check_recipe(state["recipe"])
    if state.get("border") is not None:
        for value in items(state["border"], "a border", N_WEIGHTS):
            number(value, "a border", FARTHEST_PX)
    if state["tile"] is not None:
        level, top, left, height, width = items(state["tile"], "the tile", 5)
        for value, low in ((level, 0), (top, 0), (left, 0), (height, 1), (width, 1)):
            whole(value, "the tile", low)
    if type(state["is_raised"]) is not bool:
        raise JournalError("is_raised must be true or false")
    state_from_json(state)  # which also knows how many labels and vertices there must be


def check_recipe(content: Any) -> None:
    """Raise `JournalError` unless this says how a mask was made."""
    level, token, has_disc, cut, radius_px = items(content, "a recipe", 5)
    for value in (level, token):
        whole(value, "a recipe")
    whole(has_disc, "a recipe", high=1)
    number(cut, "the cut of a recipe", FARTHEST_PX)
    if number(radius_px, "the radius of a recipe", FARTHEST_PX) < 0:
        raise JournalError("the radius of a recipe must not be negative")


def check_unfinished(content: Any, shape: Start) -> None:
    """Raise `JournalError` unless this is an object in progress on an image of this shape."""
    unfinished = members(content, "the unfinished object")
    check_state(unfinished["state"])
    index = [whole(position, "its index") for position in items(unfinished["index"], "index")]
    row_axis, column_axis = (
        whole(axis, "its axis", high=len(index) - 1)
        for axis in items(unfinished["axes"], "its axes", 2)
    )
    is_within = all(position < length for position, length in zip(index, shape, strict=False))
    if len(index) > len(shape) or not is_within or row_axis == column_axis:
        raise JournalError(
            f"the image has no plane at {tuple(index)} with the axes {(row_axis, column_axis)}"
        )
    if unfinished["label_id"] is not None:
        whole(unfinished["label_id"], "its label_id", low=1)
    if unfinished.get("class_name") is not None:
        text(unfinished["class_name"], "its class")


def _check_vertices(content: Any, what: str) -> None:
    for vertex in items(content, what):
        for value in items(vertex, what, 2):
            number(value, what, FARTHEST_PX)


def _check_box(start: Any, extent: Any, shape: Sequence[int]) -> int:
    """Return how many pixels a box within the labels has."""
    n_pixels = 1
    corner = zip(
        items(start, "a corner", len(shape)),
        items(extent, "a size", len(shape)),
        shape,
        strict=True,
    )
    for first, length, limit in corner:
        whole(first, "a corner", high=limit - 1)
        n_pixels *= whole(length, "a size", 1, limit - first)
    return n_pixels


def _n_true(packed: Any, n_pixels: int) -> int:
    """Return how many pixels of a packed mask are True."""
    bits = int.from_bytes(_unpacked(packed, -(-n_pixels // 8)))
    if bits & ((1 << -n_pixels % 8) - 1):
        raise JournalError("a mask has more pixels than its box")
    return bits.bit_count()


def _unpacked(packed: Any, size_bytes: int) -> bytes:
    """Expand compressed bytes, but no further than to the size that they must have."""
    unpacker = zlib.decompressobj()
    # At least 1, as 0 would mean any size; and one byte too many tells that there are more.
    content = unpacker.decompress(a2b_base64(text(packed, "pixels")), size_bytes + 1)
    if len(content) != size_bytes or not unpacker.eof or unpacker.unused_data:
        raise JournalError(
            f"the pixels do not have the {size_bytes} bytes that their box or mask needs"
        )
    return content
